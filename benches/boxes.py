#!/usr/bin/python3
"""Coming back to a box, and the first time in it: against Distrobox and Toolbx, where they are installed and work here, and `podman exec`.

Started by root, starts the system's D-Bus for Toolbx where none runs, which will not make a box without. What Toolbx looks for in an image and does
not find in the one of the benchmarks (capsh) is installed into its box before anything is measured.
"""

import os
import shutil
import subprocess
import sys
import time

from measure import IMAGE, ROUNDS, Machine, compared, heading, hyperfine, in_turn, table

FULL = f"docker.io/library/{IMAGE}"
SOCKET = "/run/dbus/system_bus_socket"
INSTALL = "apt-get update -qq && apt-get install -qq -y libcap2-bin"


class Distrobox:
    name = "distrobox"

    def __init__(self, machine):
        self.machine = machine

    def make(self, box):
        self.machine.run(["distrobox", "create", "--yes", "--no-entry", "--image", FULL, "--name", box])

    def enter(self, box):
        return f"distrobox enter --no-tty {box} -- true"

    def remove(self, box):
        # Its own `rm` asks, and stops for ten seconds.
        self.machine.run(["podman", "rm", "--force", "--time", "0", box])


class Toolbox(Distrobox):
    name = "toolbox"

    def make(self, box):
        self.machine.run(["toolbox", "--assumeyes", "create", "--image", FULL, box])
        self.machine.run(["podman", "start", box])
        self.machine.run(["podman", "exec", "--user", "root", box, "sh", "-c", INSTALL])

    def enter(self, box):
        # It knows the home of the user's account only.
        return f"env -C {self.machine.user.pw_dir} toolbox run --container {box} true"


class Bus:
    """The system's D-Bus, for as long as it is needed."""

    def __enter__(self):
        self.started = None
        if os.geteuid() == 0 and not os.path.exists(SOCKET) and shutil.which("dbus-daemon"):
            os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
            self.started = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL)
            while not os.path.exists(SOCKET) and self.started.poll() is None:
                time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if self.started:
            self.started.terminate()
            self.started.wait()


def works(machine, peer):
    """Whether a box of this peer's works here; says why not. It is left there, and runs."""
    box = f"bench-{peer.name}"
    try:
        peer.make(box)
        machine.run(peer.enter(box).split())
    except SystemExit as failure:
        print(f"{peer.name} is left out: {failure}", file=sys.stderr)
        return False
    return True


def first(machine, box, make, enter, remove):
    """Seconds from nothing to the end of a first command."""
    began = time.perf_counter()
    make(box)
    machine.run(enter(box).split())
    taken = time.perf_counter() - began
    remove(box)
    return taken


def main():
    with Bus(), Machine() as machine:
        machine.env["SHELL"] = machine.user.pw_shell or "/bin/sh"
        machine.run([machine.program, "pull", IMAGE])
        machine.podman_image()
        # Toolbx first: before its first box it has podman stop all containers, to move them to the version that is here.
        there = [peer(machine) for peer in (Toolbox, Distrobox) if shutil.which(peer.name)]
        heading("Boxes", ("podman", "--version"), *((peer.name, "--version") for peer in there))
        machine.run([machine.program, "-n", "work", IMAGE, "--", "true"])
        machine.run([machine.program, "-n", "runs", "--keep-running", IMAGE, "--", "true"])
        commands = {
            "`podman exec`, a container that runs": "podman exec bench true",
            "`enter work -- true`, a box that runs": f"{machine.program} runs -- true",
            "`enter work -- true`, a box that does not run": f"{machine.program} work -- true",
            "`enter IMAGE -- true`": f"{machine.program} {IMAGE} -- true",
        }
        there = [peer for peer in there if works(machine, peer)]
        machine.run(["podman", "run", "-d", "--name", "bench", FULL, "sleep", "100000"])
        for peer in there:
            commands[f"`{peer.name}`, a box that runs"] = peer.enter(f"bench-{peer.name}")
        values = in_turn({each: lambda command=command: hyperfine(machine, command, 10) for each, command in commands.items()})
        table(("", "median", "range", "to podman exec"), compared(values, "ms"))

        beginnings = {"`enter -n NAME IMAGE -- true`": lambda: first(
            machine, "first", lambda box: None, lambda box: f"{machine.program} -n {box} {IMAGE} -- true",
            lambda box: machine.run([machine.program, "rm", "-f", box]))}
        for peer in (peer for peer in there if isinstance(peer, Distrobox)):
            beginnings[f"`{peer.name}`"] = lambda peer=peer: first(machine, "first", peer.make, peer.enter, peer.remove)
        table(("a new box, from nothing to the end of a first command", "median", "range", "to enter"),
              compared(in_turn(beginnings, min(ROUNDS, 3)), "s"))
        for peer in there:
            peer.remove(f"bench-{peer.name}")
        machine.run([machine.program, "rm", "-f", "work", "runs"])
        machine.run(["podman", "rm", "-f", "-t", "0", "bench"])


main()
