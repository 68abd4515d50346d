#!/usr/bin/python3
"""Two hundred containers at once, started by eight shells: none is lost, how quick `ps` is with them, and what each costs in memory.

Each container writes a marker of its own into its log. Memory is Pss of each process (monitor, init, cowfs, pasta), from
smaps_rollup, in the middle of all containers; root only, since some of the processes let nobody else look at them.
COUNT and SHELLS change the numbers.
"""

import ctypes
import os
import statistics
import sys
import threading
import time

from measure import IMAGE, Machine, heading, summary, table

COUNT = int(os.environ.get("COUNT", "200"))
SHELLS = int(os.environ.get("SHELLS", "8"))
PR_SET_CHILD_SUBREAPER = 36


def parents():
    """{pid: parent} of all processes."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                found[int(name)] = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return found


def pss(pid):
    """Proportional memory in MB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii", errors="replace") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


def role(pid, monitors, containers_parents):
    """What a process of a container is there for."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        program = os.path.basename(file.read().split(b"\0")[0].decode(errors="replace"))
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        name = file.read().strip()
    if program.startswith("pasta") or name.startswith("pasta"):
        return "pasta"
    if pid in monitors:
        return "monitor"
    if containers_parents.get(pid) in monitors and program in ("exe", "enter"):
        return "cowfs"
    return "init" if program == "init" or name == "init" else "the command"


def start(machine, shell, failed):
    for number in range(shell, COUNT, SHELLS):
        script = f"echo marker-{number}; exec sleep 100000"
        try:
            machine.run([machine.program, "run", "-d", "--name", f"many{number}", IMAGE, "sh", "-c", script])
        except SystemExit as error:
            failed.append(str(error))


def check(machine):
    """Every container runs, and each has its own log."""
    names = machine.run([machine.program, "ps", "--format", "{{.Names}}"]).split()
    lost = {f"many{number}" for number in range(COUNT)} - set(names)
    if lost:
        sys.exit(f"lost: {sorted(lost)}")
    for number in range(COUNT):
        log = machine.run([machine.program, "logs", f"many{number}"])
        if log != f"marker-{number}\n":
            sys.exit(f"the log of many{number} is {log!r}")


def memory(before):
    """{role: [Pss of each process]}"""
    relations = parents()
    mine, found = {os.getpid()}, [os.getpid()]
    for pid in found:
        children = [child for child, parent in relations.items() if parent == pid and child not in mine]
        found += children
        mine.update(children)
    monitors = {pid for pid in mine - before if relations[pid] == os.getpid()}
    sizes = {}
    for pid in sorted(mine - before):
        sizes.setdefault(role(pid, monitors, relations), []).append(pss(pid))
    return sizes


def main():
    if os.geteuid() != 0:
        sys.exit("only root can see the memory of all the processes of a container")
    # What has lost its parent comes to us instead of init: nothing of a container escapes the count.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        heading(f"{COUNT} containers at once, by {SHELLS} shells")
        before = set(parents())
        failed = []
        began = time.perf_counter()
        shells = [threading.Thread(target=start, args=(machine, shell, failed)) for shell in range(SHELLS)]
        for shell in shells:
            shell.start()
        for shell in shells:
            shell.join()
        seconds = time.perf_counter() - began
        try:
            if failed:
                sys.exit(f"{len(failed)} did not start, the first with:\n{failed[0]}")
            check(machine)
            listing = [machine.timed([machine.program, "ps"])[0] for _ in range(11)]
            time.sleep(2)
            sizes = memory(before)
            rows = [("all started", f"{seconds:.1f} s", f"{COUNT / seconds:.0f} a second")]
            rows.append(("`ps`", *summary(listing, "ms")))
            table(("", "", ""), rows)
            rows = [(name, str(len(list_)), f"{statistics.median(list_):.2f} MB", f"{sum(list_) / COUNT:.2f} MB")
                    for name, list_ in sizes.items()]
            total = sum(sum(list_) for name, list_ in sizes.items() if name != "the command")
            rows.append(("together, less the command", "", "", f"{total / COUNT:.2f} MB"))
            table(("process", "how many", "Pss, median", "for each container"), rows)
        finally:
            began = time.perf_counter()
            machine.run([machine.program, "rm", "-f"] + [f"many{number}" for number in range(COUNT)], check=False)
            print(f"removed in {time.perf_counter() - began:.1f} s")


main()
