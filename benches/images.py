#!/usr/bin/python3
"""Pull and push of images of several sizes and shapes, gzip and zstd, against podman and skopeo (to and from `dir:`), with a registry on
this machine: seconds, processor time, memory and bytes written of each command's whole tree of processes.

SIZES are megabytes of compressed layers (150 and 1000 without it); what is larger than the first of them is measured a third as often. SHAPES,
COMPRESSIONS and VERBS choose among what there is. A pull begins with an empty store, a push with an empty registry, from the store that the pull has
made; how a tool keeps an image decides what a push of it costs: podman compresses anew what it had unpacked.
"""

import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import threading
import time

from measure import ROUNDS, Machine, heading, table

SIZES = [int(word) for word in os.environ.get("SIZES", "150 1000").split()]
SHAPES = {"one layer": (1, 20), "sixty layers": (60, 20), "100,000 files": (1, 100_000)}
COMPRESSIONS = {"gzip": ["pigz" if shutil.which("pigz") else "gzip", "-1", "-c"], "zstd": ["zstd", "-q", "-3", "-T2", "-c"]}
# How much of the content is left by either of them, about.
RATIO = 0.62
# Seconds between two looks at the memory of all.
SAMPLE = 0.02
VERBS = os.environ.get("VERBS", "pull,push").split(",")


def chosen(variable, known):
    words = os.environ.get(variable)
    return {name: value for name, value in known.items() if not words or name in words.split(",")}


def content():
    """64 MiB of which one half does not compress and the other does, as programs do."""
    rng = random.Random(1)
    words = [rng.randbytes(rng.randint(3, 9)).hex().encode() for _ in range(4000)]
    text = b" ".join(rng.choices(words, k=3_500_000))
    parts = []
    for at in range(8192):
        parts.append(rng.randbytes(4096))
        parts.append(text[at * 4096:(at + 1) * 4096])
    return b"".join(parts)


class Maker:
    """Makes images, and puts them where a registry looks for them."""

    def __init__(self, machine):
        self.machine = machine
        self.pool = content()

    def tars(self, megabytes, layers, files):
        """One tar for each layer, as paths."""
        size = int(megabytes * 1_000_000 / RATIO / layers / files)
        at = 0
        for layer in range(layers):
            path = os.path.join(self.machine.path("make"), f"{layer}.tar")
            with open(path, "wb") as out:
                for number in range(files):
                    info = tarfile.TarInfo(f"usr/lib/layer{layer}/part{number // 300}/file{number}")
                    info.size, info.mtime = size, 1_700_000_000
                    out.write(info.tobuf(tarfile.USTAR_FORMAT))
                    left = size
                    while left:
                        piece = self.pool[at:at + min(left, 1 << 20)]
                        out.write(piece)
                        left -= len(piece)
                        at = (at + len(piece) + 4096 * (number % 7)) % (len(self.pool) - 4096)
                    out.write(bytes(-size % 512))
                out.write(bytes(1024))
            yield path

    def make(self, megabytes, shape, storages):
        """Puts the image into a storage for each compression: {compression: folder}."""
        manifests = {name: [] for name in storages}
        diff_ids = []
        for tar in self.tars(megabytes, *SHAPES[shape]):
            running = {name: subprocess.Popen([*COMPRESSIONS[name], tar], stdout=open(f"{tar}.{name}", "wb")) for name in storages}
            diff_ids.append(digest_of(tar))
            for name, process in running.items():
                if process.wait() != 0:
                    sys.exit(f"{name} failed")
                packed = f"{tar}.{name}"
                digest, size = digest_of(packed), os.path.getsize(packed)
                keep(storages[name], digest, packed)
                manifests[name].append({"mediaType": f"application/vnd.oci.image.layer.v1.tar+{name}", "digest": digest, "size": size})
            os.remove(tar)
        config = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
                             "history": [{"created_by": "bench"} for _ in diff_ids]}).encode()
        for name, layers in manifests.items():
            folder = storages[name]
            digest = put(folder, config)
            described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}
            manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": described, "layers": layers}).encode()
            revision = put(folder, manifest)
            for place in (f"revisions/sha256/{revision[7:]}", "tags/latest/current", f"tags/latest/index/sha256/{revision[7:]}"):
                link(folder, f"_manifests/{place}", revision)
            self.machine_owns(folder)

    def machine_owns(self, folder):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", str(self.machine.user.pw_uid), folder], check=True)


def digest_of(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


# The storage of a registry (distribution's storage/paths.go).

def link(folder, place, digest):
    path = os.path.join(folder, "docker/registry/v2/repositories/bench", place)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "link"), "w", encoding="ascii") as file:
        file.write(digest)


def keep(folder, digest, path):
    """Moves a blob into the storage."""
    place = os.path.join(folder, "docker/registry/v2/blobs/sha256", digest[7:9], digest[7:])
    os.makedirs(place, exist_ok=True)
    os.rename(path, os.path.join(place, "data"))
    link(folder, f"_layers/sha256/{digest[7:]}", digest)


def put(folder, data):
    path = os.path.join(folder, "new")
    with open(path, "wb") as file:
        file.write(data)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    keep(folder, digest, path)
    return digest


class Registry:
    """A registry with this storage, without TLS: that costs all of them the same."""

    def __init__(self, machine, folder):
        config = os.path.join(folder, "config.yml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {folder}}}\n"
                       "  maintenance: {uploadpurging: {enabled: false}}\nhttp: {addr: '127.0.0.1:0'}\n")
        self.process = machine.start(["docker-registry", "serve", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in self.process.stdout:
            if b"listening on 127.0.0.1:" in line:
                self.host = "127.0.0.1:" + line.split(b"listening on 127.0.0.1:")[1].split(b'"')[0].split()[0].decode()
                break
        else:
            sys.exit("the registry did not start")
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()

    def end(self):
        self.process.kill()
        self.process.wait()


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def resident(pid):
    """What a process has in memory, and the most that it ever had, in MB."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in file if line.startswith(("VmRSS:", "VmHWM:"))}
    except OSError:
        found = {}
    return found.get("VmRSS", 0), found.get("VmHWM", 0)


# What a shell's children wrote is counted as its own once it has waited for them.
COUNTED = '"$@" >/dev/null; code=$?; cat /proc/$$/io; exit $code'


def measured(machine, command, env):
    """(seconds, seconds of processor time, MB of memory, MB written) of a command and all that it starts."""
    began = time.perf_counter()
    child = machine.start(["sh", "-c", COUNTED, "sh", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    peak, ended = 0, threading.Event()

    def watch():
        nonlocal peak
        while not ended.wait(SAMPLE):
            now, ever = zip(*map(resident, tree(child.pid)))
            peak = max(peak, sum(now), *ever)

    watcher = threading.Thread(target=watch)
    watcher.start()
    counts = child.stdout.read().decode()
    errors = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    if status != 0:
        sys.exit(f"{command} failed:\n{errors}")
    written = next(int(line.split()[1]) for line in counts.splitlines() if line.startswith("write_bytes:"))
    # Not the kernel's own count of the largest process: that begins with what this script has in memory.
    return seconds, usage.ru_utime + usage.ru_stime, peak, written / 1e6


def row(name, values):
    seconds, processor, memory, written = (statistics.median(column) for column in zip(*values))
    spread = f"{min(value[0] for value in values):.2f} to {max(value[0] for value in values):.2f}"
    return [name, f"{seconds:.2f} s", spread, f"{processor:.2f} s", f"{memory:.0f} MB", f"{written:.0f} MB"]


class Contest:
    """The contenders, each with a store of its own."""

    def __init__(self, machine):
        self.machine = machine

    def fresh(self, name):
        self.machine.run(["podman", "unshare", "rm", "-rf", self.machine.path(name)])
        return self.machine.path(name)

    def configure(self, *registries):
        """Lets enter speak plain HTTP with these; the others are told on the command line."""
        folder = os.path.join(self.machine.env["XDG_CONFIG_HOME"], "containers/registries.conf.d")
        self.machine.path(os.path.relpath(folder, self.machine.folder))
        with open(os.path.join(folder, "bench.conf"), "w", encoding="ascii") as file:
            file.writelines(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n' for registry in registries)

    def command(self, tool, verb, source, target):
        """The command line and its environment. Where a tool keeps images is emptied before a pull."""
        if verb == "pull":
            self.fresh(tool)
        store = self.machine.path(tool)
        image = f"{source.host}/bench:latest"
        name = f"{target.host}/bench:latest" if target else ""
        if tool == "enter":
            words = ["pull", "-q", image] if verb == "pull" else ["push", "-q", image, name]
            return [self.machine.program, *words], {"XDG_DATA_HOME": store}
        if tool == "podman":
            words = ["pull", "-q", "--tls-verify=false", image] if verb == "pull" else ["push", "-q", "--tls-verify=false", image, name]
            return ["podman", "--root", store, "--runroot", self.machine.path("podman-run"), *words], {}
        kept = f"dir:{store}/image"
        if verb == "pull":
            return ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{image}", kept], {}
        return ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", kept, f"docker://{name}"], {}

    def run(self, storage, rounds):
        """{verb: {tool: [measured]}} of the image in a storage."""
        values = {verb: {tool: [] for tool in ("enter", "podman", "skopeo")} for verb in VERBS}
        source = Registry(self.machine, storage)
        try:
            for _ in range(rounds):
                for tool in ("enter", "podman", "skopeo"):
                    self.configure(source)
                    pulled = measured(self.machine, *self.command(tool, "pull", source, None))
                    if "pull" in VERBS:
                        values["pull"][tool].append(pulled)
                    if "push" not in VERBS:
                        continue
                    target = Registry(self.machine, self.fresh("target"))
                    self.configure(source, target)
                    try:
                        values["push"][tool].append(measured(self.machine, *self.command(tool, "push", source, target)))
                    finally:
                        target.end()
                    self.fresh(tool)
                    self.fresh("target")
        finally:
            source.end()
        return values


def main():
    shapes, compressions = chosen("SHAPES", SHAPES), chosen("COMPRESSIONS", COMPRESSIONS)
    with Machine() as machine:
        maker, contest = Maker(machine), Contest(machine)
        tables = {verb: [] for verb in VERBS}
        for size in SIZES:
            for shape in shapes:
                storages = {name: machine.path(f"storage-{name}") for name in compressions}
                maker.make(size, shape, storages)
                for compression, storage in storages.items():
                    rounds = ROUNDS if size == SIZES[0] else max(1, ROUNDS // 3)
                    for verb, tools in contest.run(storage, rounds).items():
                        for at, (tool, values) in enumerate(tools.items()):
                            image = f"{size} MB, {shape}, {compression}" if at == 0 else ""
                            tables[verb].append([image, *row(f"`{tool} {verb}`" if tool != "skopeo" else "`skopeo copy`", values)])
                    shutil.rmtree(storage)
                    print(f"{size} MB, {shape}, {compression}: done", file=sys.stderr, flush=True)
        heading("Pull and push, by size, shape and compression", ("podman", "--version"), ("skopeo", "--version"))
        for verb, rows in tables.items():
            print(f"{verb.capitalize()}:\n")
            table(("image", "", "wall", "range", "processor", "peak memory", "written"), rows)


if sys.version_info < (3, 11):
    sys.exit("this needs Python 3.11 or newer")
main()
