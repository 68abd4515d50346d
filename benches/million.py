#!/usr/bin/python3
"""Memory of a filesystem's server when the kernel has seen a million inodes of its upper side, each with its attributes.

SEEN is another number of inodes. The upper side is made before, so that nothing is in memory but what was read. Root only:
nobody else may look at such a server's memory.
"""

import ctypes
import os
import shutil
import subprocess
import sys

from measure import Machine, heading, table
from memory import PR_SET_CHILD_SUBREAPER, below, command_line, memory
from write import FUSE_OVERLAYFS, UNION

SEEN = int(os.environ.get("SEEN", "1000000"))
FILL = """import os, sys
folders = int(sys.argv[2]) // 1000
for folder in range(folders):
    os.makedirs(f"{sys.argv[1]}/{folder:04}")
    for number in range(999):
        os.mknod(f"{sys.argv[1]}/{folder:04}/a file {number:04}.txt")
"""
SEE = 'find "$VIEW" -newermt 2100-01-01; echo seen; read -r line'


def main():
    if os.geteuid() != 0:
        sys.exit("only root can see the memory of a server")
    # A server that leaves its parent comes to us instead.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with Machine() as machine:
        union = shutil.copy(UNION, machine.path("bin"))
        layer = f"{machine.path('layers')}/empty.tar"
        machine.run(["tar", "-cf", layer, "-T", "/dev/null"])
        place = machine.path("place")
        machine.run([union, "none", place, "--", "sh", "-c", 'mkdir -p "$VIEW/lower" "$VIEW/upper" && python3 -c "$0" "$VIEW/upper" "$1"', FILL, str(SEEN)])
        by_hand = f'cd "$VIEW"\nset -- lower fuse-overlayfs\nrm -rf work\n{FUSE_OVERLAYFS.replace("$1/lower", "lower")}\nVIEW=$PWD/merged\n{SEE}\numount merged'
        contenders = {
            "fuse-overlayfs": ([union, "none", place, "--", "sh", "-c", by_hand], "fuse-overlayfs"),
            "fuse": ([union, "--volatile", "fuse", place, "--tar", layer, "--", "sh", "-c", SEE], "exe"),
        }
        heading(f"Memory of the server that has shown {SEEN:,} inodes", ("fuse-overlayfs", "--version"))
        rows = []
        for name, (command, server) in contenders.items():
            child = machine.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if child.stdout.readline() != b"seen\n":
                sys.exit(f"{name} failed")
            # Of two processes of one name the server is the larger.
            pss, private = max(memory(pid) for pid in below(os.getpid()) if command_line(pid) == server)
            rows.append((name, f"{pss:.1f} MB", f"{private:.1f} MB", f"{private * 1048576 / SEEN:.0f} bytes"))
            child.stdin.close()
            child.wait()
        table(("", "Pss", "private", "an inode"), rows)


main()
