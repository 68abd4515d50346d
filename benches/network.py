#!/usr/bin/python3
"""Traffic, names and starts, network by network: `enter`'s against those of rootless podman.

iperf3 runs from this machine's own /usr, shown in each container, one stream for SECONDS (default 2). podman is measured with pasta where
its own is new enough, else with slirp4netns, and on a bridge, with netavark and aardvark-dns where this machine has them. Started by root, a
network namespace stands in for the world outside; otherwise the rows that need one are left out.

What podman cannot do here is left out and told below the tables; what `enter` cannot is the end.
"""

import glob
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

from measure import IMAGE, Machine, compared, heading, in_turn, table

SECONDS = os.environ.get("SECONDS", "2")
NETWORK = "enter-bench"
OUTSIDE = "10.213.77.2"
# So many clients ask at once.
MANY = 100

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


# Answers each connection with what it says first.
SERVE = """
import select, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(sys.argv[1])))
s.listen(1024)
s.setblocking(False)
waiting, clients = select.epoll(), {}
waiting.register(s, select.EPOLLIN)
while True:
    for number, _ in waiting.poll():
        if number == s.fileno():
            try:
                while True:
                    client = s.accept()[0]
                    client.setblocking(False)
                    clients[client.fileno()] = client
                    waiting.register(client, select.EPOLLIN)
            except BlockingIOError:
                continue
        client = clients.pop(number)
        try:
            client.send(client.recv(1000))
        except OSError:
            pass
        waiting.unregister(number)
        client.close()
"""

# So many at once connect, say 64 bytes, hear them again and close; for so many seconds. Prints how many in one, and how long the slowest
# hundredth took at least, in milliseconds.
LOAD = """
import select, socket, sys, time
place, many, seconds = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
waiting, clients, took = select.epoll(), {}, []
def begin():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(place)
    clients[s.fileno()] = s, time.monotonic()
    waiting.register(s, select.EPOLLOUT)
begun = time.monotonic()
for _ in range(many):
    begin()
while clients:
    for number, events in waiting.poll(10):
        s, since = clients[number]
        if events & select.EPOLLOUT:
            s.send(b"x" * 64)
            waiting.modify(number, select.EPOLLIN)
            continue
        assert len(s.recv(1000)) == 64
        now = time.monotonic()
        took.append(now - since)
        waiting.unregister(number)
        del clients[number]
        s.close()
        if now - begun < seconds:
            begin()
took.sort()
print(len(took) / (time.monotonic() - begun), took[len(took) * 99 // 100] * 1000)
"""


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tool:
    """enter or podman: the same words for both. `must`: what it cannot do is the end."""

    def __init__(self, machine, name, word, image, must):
        self.machine, self.name, self.word, self.image, self.must = machine, name, word, image, must
        self.begun = []

    def refuse(self, what, why):
        """Says what cannot be measured."""
        if self.must:
            sys.exit(f"{what}: {why}")
        LEFT_OUT.append(f"{what}: {why.strip().splitlines()[-1] if why.strip() else 'no reason given'}")

    def begin(self, name, flags, command):
        """Starts a container; False where this tool cannot on this machine."""
        words = [*self.word, "run", "-d", "--name", name, "-v", "/usr:/host:ro", *flags, self.image, *command]
        done = self.machine.start(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, errors = done.communicate()
        self.begun.append(name)
        if done.returncode:
            self.refuse(f"`{self.name} run {' '.join(flags)}`", errors.decode())
        return done.returncode == 0

    def inside(self, name, command):
        return self.machine.run([*self.word, "exec", name, *command])

    def address(self, name):
        form = "{{(index .NetworkSettings.Networks \"" + NETWORK + "\").IPAddress}}"
        return self.machine.run([*self.word, "inspect", "-f", form, name]).strip()

    def end(self):
        """Removes what was begun."""
        if self.begun:
            self.machine.run([*self.word, "rm", "-f", "-t", "0", *self.begun], check=False)
        self.begun = []

    def outer(self):
        """The flags and the name of what reaches the world, and may publish ports: the default of enter, and podman's pasta where it has one."""
        if self.must:
            return [], "pasta"
        done = self.machine.start([*self.word, "run", "--rm", "--network", "pasta", self.image, "true"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, errors = done.communicate()
        if done.returncode == 0:
            return ["--network", "pasta"], "pasta"
        LEFT_OUT.append(f"`podman run --network pasta`: {errors.decode().strip().splitlines()[-1]}")
        return ["--network", "slirp4netns"], "slirp4netns"


# What podman cannot do on this machine.
LEFT_OUT = []


def received(text):
    said = json.loads(text)
    if "error" in said:
        sys.exit(f"iperf3: {said['error']}")
    return said["end"]["sum_received"]["bits_per_second"] / 1e9


def works(tool, name, measure):
    """Whether a contender can be measured on this machine: tried until it can, as servers take their time."""
    for attempt in range(10):
        try:
            measure()
            return True
        except SystemExit as error:
            why = str(error)
            time.sleep(0.1 * attempt)
    tool.refuse(name, why)
    return False


def client(program, place, port):
    return [*program, "-c", place, "-p", str(port), "-t", SECONDS, "-J"]


class World:
    """A network namespace outside of everybody's containers, with an iperf3 in it."""

    def __enter__(self):
        name = NETWORK
        if name in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split():
            subprocess.run(["ip", "netns", "delete", name], check=True)  # of a run that was killed
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


def traffic(machine, tools, root):
    """One stream each way, then many small requests."""
    streams, requests = {}, {}

    def stream(tool, name, measure):
        if works(tool, name, measure):
            streams[name] = measure

    def request(tool, name, port):
        def measure():
            rate, slow = machine.run(["python3", "-c", LOAD, "127.0.0.1", str(port), str(MANY), SECONDS]).split()
            slowest.setdefault(name, []).append(float(slow))
            return float(rate)
        if works(tool, name, measure):
            requests[name] = measure

    slowest = {}
    port, asked = free(), free()
    servers = [machine.start(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL),
               machine.start(["python3", "-c", SERVE, str(asked)])]
    try:
        stream(tools[0], "the loopback of this machine", lambda: received(machine.run(client(["iperf3"], "127.0.0.1", port))))
        request(tools[0], "the loopback of this machine", asked)
        for tool in tools:
            outer, kind = tool.outer()
            for what, flags in ((kind, outer), ("a network of one's own", ["--network", NETWORK])):
                name = f"`{tool.name}`, a published port in, {what}"
                published, small = free(), free()
                if tool.begin(f"in{len(tool.begun)}", ["-p", f"127.0.0.1:{published}:5201", *flags], [*INSIDE, "-s"]):
                    stream(tool, name, lambda place=published: received(machine.run(client(["iperf3"], "127.0.0.1", place))))
                if tool.begin(f"in{len(tool.begun)}", ["-p", f"127.0.0.1:{small}:80", *flags], ["python3", "-c", SERVE, "80"]):
                    request(tool, name, small)
            if root and tool.begin("out", outer, ["sleep", "1000"]):
                stream(tool, f"`{tool.name}`, {kind}, out", lambda tool=tool: received(tool.inside("out", client(INSIDE, OUTSIDE, 5201))))
        if root:
            stream(tools[0], "pasta by itself, out", lambda: received(machine.run(["pasta", "--config-net", "-q", "--", *client(["iperf3"], OUTSIDE, 5201)])))
        for tool in tools:
            name = f"`{tool.name}`, container to container"
            flags = ["--network", NETWORK]
            if tool.begin("one", flags, [*INSIDE, "-s"]) and tool.begin("two", flags, ["sleep", "1000"]):
                address = tool.address("one")
                if address:
                    stream(tool, name, lambda tool=tool, address=address: received(tool.inside("two", client(INSIDE, address, 5201))))
                else:
                    tool.refuse(name, "its address is not told")
        values = in_turn(streams)
        slowest.clear()
        rates = in_turn(requests)
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    first = statistics.median(next(iter(values.values())))
    rows = [(name, f"{statistics.median(each):.2f} Gbit/s", f"{min(each):.2f} to {max(each):.2f}", f"{statistics.median(each) / first:.2f} ×")
            for name, each in values.items()]
    table(("one stream of TCP", "median", "range", "to the loopback"), rows)
    first = statistics.median(next(iter(rates.values())))
    rows = [(name, f"{statistics.median(each):.0f} a second", f"{min(each):.0f} to {max(each):.0f}", f"{statistics.median(each) / first:.2f} ×",
             f"{statistics.median(slowest[name]):.1f} ms") for name, each in rates.items()]
    table((f"requests on a connection each, {MANY} at once", "median", "range", "to the loopback", "99 of 100 within"), rows)


def names(tools):
    """Names of other containers, asked of whoever knows them on a network of one's own."""
    asking = {}
    for tool in tools:
        def measure(tool=tool):
            return float(tool.inside("two", ["python3", "-c", ASK, "one"]))
        if "two" in tool.begun and works(tool, f"names by {tool.name}", measure):
            asking[f"`{tool.name}`"] = measure
    asked = in_turn(asking)
    table(("names of other containers, asked for one at a time", "median", "range"),
          [(name, f"{statistics.median(each):.0f} a second", f"{min(each):.0f} to {max(each):.0f}") for name, each in asked.items()])


def starts(machine, tools):
    """What each network adds to a start; of a network of one's own, where it is the first to be there, and where another one is already."""
    measures = {}

    def contender(tool, what, flags, before=lambda: None, runs=5):
        command = [*tool.word, "run", "--rm", *flags, tool.image, "true"]

        def measure():
            values = []
            for _ in range(runs):
                before()
                values.append(machine.timed(command)[0])
            return values
        if works(tool, f"`{tool.name} run --rm {' '.join(flags)}`", lambda: machine.timed(command)):
            measures[f"`{tool.name}`, {what}"] = measure

    def alone(tool):
        # Nobody is on the network; enter's holder ends a moment later.
        tool.end()
        time.sleep(1.5 if tool.must else 0)

    def accompanied(tool):
        if not tool.begun:
            tool.begin("there", ["--network", NETWORK], ["sleep", "1000"])

    for tool in tools:
        contender(tool, "none", ["--network", "none"])
        contender(tool, "host", ["--network", "host"])
        contender(tool, "the default", [])
        contender(tool, "the default, with a port", ["-p", "127.0.0.1::80"])
        contender(tool, "a network of one's own, the first there", ["--network", NETWORK], before=lambda tool=tool: alone(tool), runs=2)
        contender(tool, "a network of one's own", ["--network", NETWORK], before=lambda tool=tool: accompanied(tool))
    values = in_turn(measures)
    table(("`run --rm … true`", "median", "range", "to none"), compared(values, "ms"))


def main():
    root = os.geteuid() == 0
    began = time.monotonic()
    if not LOADER or not shutil.which("iperf3"):
        sys.exit("this needs iperf3, and the loader of the C library below /usr/lib")
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        tools = [Tool(machine, "enter", [machine.program], IMAGE, True), Tool(machine, "podman", ["podman"], machine.podman_image(), False)]
        heading("Networks", ("podman", "--version"), ("slirp4netns", "--version"), ("/usr/lib/podman/netavark", "--version"),
                ("/usr/lib/podman/aardvark-dns", "--version"), ("iperf3", "--version"))
        try:
            for tool in tools:
                made = machine.start([*tool.word, "network", "create", NETWORK], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                _, errors = made.communicate()
                if made.returncode:
                    tool.refuse(f"`{tool.name} network create`", errors.decode())
            if root:
                with World():
                    traffic(machine, tools, root)
            else:
                traffic(machine, tools, root)
            names(tools)
            for tool in tools:
                tool.end()
            starts(machine, tools)
        finally:
            for tool in tools:
                tool.end()
                machine.run([*tool.word, "network", "rm", NETWORK], check=False)
    if LEFT_OUT:
        print("Left out, as it cannot be had here: " + "; ".join(LEFT_OUT) + ".\n")
    print(f"{time.monotonic() - began:.0f} s in all", file=sys.stderr)


main()
