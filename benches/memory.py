#!/usr/bin/python3
"""Memory of what runs beside the user's command: Pss and private memory of each process, from smaps_rollup.

Measured after the command has looked at every file of a Debian image. Root only: some of the processes let nobody
else look at them.
"""

import ctypes
import os
import signal
import subprocess
import sys

from measure import IMAGE, Machine, heading, table

PR_SET_CHILD_SUBREAPER = 36
COMMAND = ["sh", "-c", "find / -xdev >/dev/null 2>&1; echo ready; exec sleep 1000"]


def below(ancestor):
    """All processes that descend from `ancestor`."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                parents[int(name)] = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = [ancestor]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return set(found)


def memory(pid):
    """(Pss, private) in MB."""
    sizes = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii", errors="replace") as rollup:
        for line in rollup.readlines()[1:]:
            name, size = line.split()[:2]
            sizes[name.rstrip(":")] = int(size) / 1024
    return sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().rstrip(b"\0").split(b"\0")
    return os.path.basename(words[0].decode(errors="replace"))


def processes(machine, command):
    """[(name, Pss, private)] of all that belongs to one container, less the command in it."""
    before = below(os.getpid())
    child = machine.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.readline()
    rows = [(command_line(pid), *memory(pid)) for pid in sorted(below(os.getpid()) - before)]
    rows = [row for row in rows if row[0] != "sleep"]
    # As PID 1 of a container the command ignores any signal but this one; all else ends with it.
    for pid in below(os.getpid()) - before:
        if command_line(pid) == "sleep":
            os.kill(pid, signal.SIGKILL)
    child.wait()
    return rows


def main():
    if os.geteuid() != 0:
        sys.exit("only root can see the memory of all the processes of a container")
    # What podman leaves to init comes to us instead: nothing of a container escapes the count.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        machine.podman_image()
        heading("Memory beside the command", ("podman", "--version"))
        rows = []
        for name, command in (("enter", [machine.program, IMAGE, "--"]), ("podman", ["podman", "run", "--rm", f"docker.io/library/{IMAGE}"])):
            found = processes(machine, command + COMMAND)
            # enter's own parts run from the same file: the monitor first, then the filesystem server.
            roles = iter(("monitor", "cowfs"))
            found = [(next(roles) if process == "exe" else process, pss, private) for process, pss, private in found]
            rows += [(name, process, f"{pss:.1f} MB", f"{private:.1f} MB") for process, pss, private in found]
            rows.append((name, "together", f"{sum(row[1] for row in found):.1f} MB", f"{sum(row[2] for row in found):.1f} MB"))
        table(("", "process", "Pss", "private"), rows)


if __name__ == "__main__":
    main()
