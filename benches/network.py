#!/usr/bin/python3
"""Traffic, names and starts, network by network: `enter`'s own and pasta, against rootless podman's slirp4netns and bridge.

iperf3 runs from this machine's own /usr, shown in each container, one stream for SECONDS (default 2). Started by root, a network
namespace stands in for the world outside; otherwise the rows that need one are left out.
"""

import glob
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from measure import IMAGE, Machine, compared, heading, hyperfine, in_turn, table

SECONDS = os.environ.get("SECONDS", "2")
NETWORK = "enter-bench"
OUTSIDE = "10.213.77.2"

# The program as the machine has it, with its own loader and libraries, whatever the image's are.
LOADER = next(iter(glob.glob("/usr/lib/*-linux-gnu*/ld-linux*.so*")), "")
INSIDE = ["/host" + LOADER.removeprefix("/usr"), "--library-path", "/host" + os.path.dirname(LOADER).removeprefix("/usr"), "/host/bin/iperf3"]

# Asks for a name as often as one at a time can, for two seconds, and prints how often that was in one.
ASK = """
import socket, sys, time
server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[1].split(".")) + b"\\0"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((server, 53))
count, end = 0, time.monotonic() + 2
while time.monotonic() < end:
    s.send(count.to_bytes(2, "big") + b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + name + b"\\0\\1\\0\\1")
    answer = s.recv(512)
    assert answer[3] & 15 == 0 and answer[7] > 0, answer
    count = (count + 1) % 65536
print(count / 2)
"""


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tool:
    """enter or podman: the same words for both."""

    def __init__(self, machine, word, image):
        self.machine, self.word, self.image = machine, word, image

    def begin(self, name, flags, command):
        """Starts a container; False where this tool cannot on this machine."""
        words = [*self.word, "run", "-d", "--name", name, "-v", "/usr:/host:ro", *flags, self.image, *command]
        done = self.machine.start(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, errors = done.communicate()
        if done.returncode:
            print(f"{' '.join(words)}: {errors.decode().strip()}", file=sys.stderr)
        return done.returncode == 0

    def inside(self, name, command):
        return self.machine.run([*self.word, "exec", name, *command])

    def address(self, name):
        form = "{{(index .NetworkSettings.Networks \"" + NETWORK + "\").IPAddress}}"
        # Who has no address to tell is found by name.
        return self.machine.run([*self.word, "inspect", "-f", form, name]).strip() or name

    def end(self, *names):
        for name in names:
            self.machine.run([*self.word, "rm", "-f", "-t", "0", name], check=False)


def received(text):
    said = json.loads(text)
    if "error" in said:
        sys.exit(f"iperf3: {said['error']}")
    return said["end"]["sum_received"]["bits_per_second"] / 1e9


def works(name, measure):
    """Whether a contender can be measured on this machine at all."""
    try:
        measure()
        return True
    except SystemExit as why:
        print(f"{name}: left out: {why}", file=sys.stderr)
        return False


def client(program, place, port):
    return [*program, "-c", place, "-p", str(port), "-t", SECONDS, "-J"]


def reachable(place, port):
    for _ in range(500):
        try:
            socket.create_connection((place, port), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


class World:
    """A network namespace outside of everybody's containers, with an iperf3 in it."""

    def __enter__(self):
        name = NETWORK
        for line in (f"ip netns add {name}", f"ip link add {name}0 type veth peer name {name}1 netns {name}",
                     f"ip address add 10.213.77.1/24 dev {name}0", f"ip link set {name}0 up",
                     f"ip -n {name} address add {OUTSIDE}/24 dev {name}1", f"ip -n {name} link set {name}1 up"):
            subprocess.run(line.split(), check=True)
        self.server = subprocess.Popen(["ip", "netns", "exec", name, "iperf3", "-s"], stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()
        subprocess.run(["ip", "netns", "delete", NETWORK], check=False)


def throughput(machine, enter, podman, root):
    contenders = {}
    port = free()
    server = machine.start(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL)
    reachable("127.0.0.1", port)
    contenders["the loopback of this machine"] = lambda: received(machine.run(client(["iperf3"], "127.0.0.1", port)))
    begun = []
    for label, tool, flags in (("`enter`, a published port in", enter, []), ("`podman` slirp4netns, a published port in", podman, [])):
        published = free()
        if tool.begin("in", ["-p", f"127.0.0.1:{published}:5201", *flags], [*INSIDE, "-s"]) and reachable("127.0.0.1", published):
            contenders[label] = lambda published=published: received(machine.run(client(["iperf3"], "127.0.0.1", published)))
        begun.append((tool, "in"))
    for label, tool, flags in (("`enter` pasta, out", enter, []), ("`podman` slirp4netns, out", podman, [])):
        if root and tool.begin("out", flags, ["sleep", "1000"]):
            contenders[label] = lambda tool=tool: received(tool.inside("out", client(INSIDE, OUTSIDE, 5201)))
        begun.append((tool, "out"))
    for label, tool in (("`enter`, container to container", enter), ("`podman` bridge, container to container", podman)):
        if tool.begin("one", ["--network", NETWORK], [*INSIDE, "-s"]) and tool.begin("two", ["--network", NETWORK], ["sleep", "1000"]):
            time.sleep(0.5)
            contenders[label] = lambda tool=tool: received(tool.inside("two", client(INSIDE, tool.address("one"), 5201)))
        begun += [(tool, "one"), (tool, "two")]
    try:
        values = in_turn({name: measure for name, measure in contenders.items() if works(name, measure)})
        asking = {name: lambda tool=tool: float(tool.inside("two", ["python3", "-c", ASK, "one"])) for name, tool in (("`enter`", enter), ("`podman`", podman))}
        asked = in_turn({name: measure for name, measure in asking.items() if works(f"names by {name}", measure)})
    finally:
        server.terminate()
        server.wait()
        for tool, name in begun:
            tool.end(name)
    first = statistics.median(values["the loopback of this machine"])
    rows = [(name, f"{statistics.median(list_):.2f} Gbit/s", f"{min(list_):.2f} to {max(list_):.2f}", f"{statistics.median(list_) / first:.2f} ×")
            for name, list_ in values.items()]
    table(("one stream of TCP", "median", "range", "to the loopback"), rows)
    table(("names of other containers, asked for one at a time", "median", "range"),
          [(name, f"{statistics.median(list_):.0f} a second", f"{min(list_):.0f} to {max(list_):.0f}") for name, list_ in asked.items()])


def starts(machine, enter, podman):
    commands = {}
    for label, tool in (("enter", enter), ("podman", podman)):
        for network, flags in (("none", "--network none"), ("the default", ""), ("the default, with a port", "-p 127.0.0.1::80"),
                               ("a network of one's own", f"--network {NETWORK}")):
            command = f"{' '.join(tool.word)} run --rm {flags} {tool.image} true"
            done = subprocess.run(command.split(), env=machine.env, cwd=machine.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, check=False, **machine.identity())
            if done.returncode == 0:
                commands[f"`{label}`, {network}"] = command
    values = in_turn({each: lambda command=command: hyperfine(machine, command, 5) for each, command in commands.items()})
    table(("`run --rm … true`", "median", "range", "to none"), compared(values, "ms"))


def main():
    root = os.geteuid() == 0
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        enter, podman = Tool(machine, [machine.program], IMAGE), Tool(machine, ["podman"], machine.podman_image())
        for tool in (enter, podman):
            done = machine.start([*tool.word, "network", "create", NETWORK], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            done.wait()
        heading("Networks", ("podman", "--version"), ("iperf3", "--version"))
        try:
            if root:
                with World():
                    throughput(machine, enter, podman, root)
            else:
                throughput(machine, enter, podman, root)
            starts(machine, enter, podman)
        finally:
            for tool in (enter, podman):
                machine.run([*tool.word, "network", "rm", NETWORK], check=False)


main()
