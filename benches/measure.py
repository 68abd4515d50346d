"""What the benchmarks share: whom they run as, the registry, contenders in turn, medians, and the table.

Contenders go A B A B, so that a machine that is busy for a while is busy for all. A table gives median, range, and the
ratio of medians to the first contender. `enter` is the release build of this tree.
"""

import datetime
import json
import os
import platform
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENTER = os.environ.get("ENTER", os.path.join(TREE, "target/release/enter"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
IMAGE = "bench"


class Machine:
    """The ordinary user that everything is run as, in a folder of its own, with the registry in the place of docker.io."""

    def __init__(self):
        # Root measures as the tests' user, and can drop caches; anyone else measures as themselves.
        name = "enter-test" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.user = pwd.getpwnam(name)
        self.folder = tempfile.mkdtemp(prefix="enter-bench.", dir="/var/tmp")
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.folder, 0o755)
        self.home = self.path("home")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "USER": name, "LOGNAME": name, "TERM": "dumb", "LANG": "C.UTF-8",
                    "ENTER_TEST_CACHE": os.path.join(self.user.pw_dir, ".cache/enter-tests")}
        for variable, folder in (("XDG_CONFIG_HOME", "home/.config"), ("XDG_DATA_HOME", "data"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CACHE_HOME", "cache")):
            self.env[variable] = self.path(folder)
        os.chmod(self.env["XDG_RUNTIME_DIR"], 0o700)
        self.program = self.path("bin") + "/enter"
        shutil.copy(ENTER, self.program)
        self.registry = self.start(["sh", os.path.join(TREE, "tests/support/registry.sh"), "--bench"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ready = self.registry.stdout.readline().decode().split()
        if not ready:
            sys.exit("the registry did not start; what it wrote is above")
        _, self.address, configuration, self.layout = ready
        configured = self.env["XDG_CONFIG_HOME"] + "/containers"
        self.run(["cp", "-r", configuration, configured])
        # The kernel's overlay, and not whole copies, which podman 4 falls back to on some machines.
        with open(configured + "/storage.conf", "w", encoding="utf-8") as file:
            file.write('[storage]\ndriver = "overlay"\n')
        if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            # crun takes no mixture of both versions of cgroups; runc does.
            with open(configured + "/containers.conf", "w", encoding="utf-8") as file:
                file.write('[engine]\nruntime = "runc"\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.registry.stdin.close()
        self.registry.wait()
        # Files of a podman store belong to the user's subordinate ids.
        self.run(["podman", "unshare", "rm", "-rf"] + [os.path.join(self.folder, name) for name in os.listdir(self.folder)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        """A folder of the user's own."""
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def identity(self):
        if os.geteuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def start(self, command, **more):
        return subprocess.Popen(command, env={**self.env, **more.pop("env", {})}, cwd=self.home, **self.identity(), **more)

    def run(self, command, check=True, **more):
        done = subprocess.run(command, env={**self.env, **more.pop("env", {})}, cwd=self.home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **self.identity(), **more)
        if check and done.returncode != 0:
            sys.exit(f"{command} failed with {done.returncode}:\n{done.stderr.decode()}")
        return done.stdout.decode()

    def podman_image(self):
        """The image's full name, once podman has it too."""
        image = f"docker.io/library/{IMAGE}"
        self.run(["podman", "pull", "-q", image])
        return image

    def timed(self, command, **more):
        """(seconds, peak resident memory in MB of the largest process) of a command that must succeed."""
        began = time.perf_counter()
        child = self.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        if status != 0:
            sys.exit(f"{command} failed:\n{errors.decode()}")
        return seconds, usage.ru_maxrss / 1024


def can_drop_caches():
    return os.geteuid() == 0


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as switch:
        switch.write("3\n")


def version(*command):
    if not shutil.which(command[0]):
        return None
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()
    # Some speak of other things first.
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line.startswith(os.path.basename(command[0]))), lines[0] if lines else None)


def heading(title, *tools):
    """What a figure is worth nothing without: date, machine, kernel, versions."""
    release = dict(line.strip().split("=", 1) for line in open("/etc/os-release", encoding="utf-8") if "=" in line)
    versions = [version(*tool) for tool in ((ENTER, "--version"), *tools)]
    print(f"### {title}\n")
    print(f"{datetime.date.today()}, {os.cpu_count()} cores, {release['PRETTY_NAME'].strip(chr(34))}, kernel {platform.release().split('-')[0]}; "
          f"{'; '.join(filter(None, versions))}; {ROUNDS} rounds in turn\n")


def in_turn(contenders, rounds=None):
    """{name: [value, …]} of contenders {name: function}, each called once in each round."""
    values = {name: [] for name in contenders}
    for _ in range(rounds or ROUNDS):
        for name, measure in contenders.items():
            measured = measure()
            values[name] += measured if isinstance(measured, list) else [measured]
    return values


def table(columns, rows):
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def summary(values, unit):
    scale, digits = {"ms": (1000, 1), "s": (1, 3), "MB": (1, 1)}[unit]
    low, middle, high = (f"{value * scale:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} {unit}", f"{low} to {high}"


def compared(values, unit):
    """Rows (name, median, range, ratio to the first) of what in_turn gave."""
    first = statistics.median(next(iter(values.values())))
    return [(name, *summary(list_, unit), f"{statistics.median(list_) / first:.2f} ×") for name, list_ in values.items()]


def hyperfine(machine, command, runs):
    """Seconds of each of `runs` runs, without a shell in between."""
    output = os.path.join(machine.path("hyperfine"), "times.json")
    machine.run(["hyperfine", "-N", "--warmup", "2", "--runs", str(runs), "--style", "none", "--export-json", output, command])
    with open(output, encoding="utf-8") as file:
        return json.load(file)["results"][0]["times"]
