#!/usr/bin/python3
"""Reading in a container: what programs do with an image's files, against podman's overlay of the unpacked tree.

Measured inside, so that starting the container does not count. Cold: the caches were dropped before the container
started (root only). Warm: the third and later runs in one container.
"""

import os
import statistics

from measure import IMAGE, Machine, ROUNDS, can_drop_caches, drop_caches, heading, summary, table

INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")


def main():
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        machine.podman_image()
        machine.run(["cp", INSIDE, machine.path("shared")])
        mount = f"{machine.path('shared')}:/shared:ro"
        contenders = {
            "podman": ["podman", "run", "--rm", "--network", "none", "-v", mount, f"docker.io/library/{IMAGE}"],
            "enter": [machine.program, "-u", "root", "--network", "none", "-v", mount, IMAGE, "--"],
        }
        heading("Reading in a container", ("podman", "--version"))
        times = {}
        for _ in range(ROUNDS):
            for name, command in contenders.items():
                modes = {"warm": 8, "cold": 1} if can_drop_caches() else {"warm": 8}
                for mode, runs in modes.items():
                    for work in ("find", "grep", "python", "gcc"):
                        if mode == "cold":
                            drop_caches()
                        seconds = [float(line) for line in machine.run([*command, "python3", "-S", "/shared/inside.py", work, str(runs)]).split()]
                        times.setdefault((mode, work), {}).setdefault(name, []).extend(seconds[2:] if mode == "warm" else seconds)
        rows = []
        for (mode, work), values in sorted(times.items()):
            row = [f"{LABELS[work]}, {mode}"]
            for name in contenders:
                row += summary(values[name], "ms")
            rows.append((*row, f"{statistics.median(values['enter']) / statistics.median(values['podman']):.2f} ×"))
        table(("", "podman", "range", "enter", "range", "enter to podman"), rows)
        if not can_drop_caches():
            print("Without cold rows: only root can drop the caches.\n")


LABELS = {"find": "`find /`", "grep": "`grep -r` of headers and libraries", "python": "`python3 -c pass`", "gcc": "`gcc -O2` of a small file"}
main()
