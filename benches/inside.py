"""Runs one kind of work in a container, several times, and prints the seconds of each run. For read.py."""

import os
import subprocess
import sys
import time

WORK = {
    "find": ["find", "/", "-xdev"],
    "grep": ["grep", "-r", "no such text in any file", "/usr/include", "/usr/lib/python3", "/usr/lib/git-core"],
    "python": ["python3", "-c", "pass"],
    "gcc": ["gcc", "-O2", "-o", "/tmp/a.out", "/tmp/a.c"],
}

with open("/tmp/a.c", "w", encoding="ascii") as source:
    source.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { puts(\"hello\"); return 0; }\n")
with open(os.devnull, "wb") as nowhere:
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        subprocess.run(WORK[sys.argv[1]], stdout=nowhere, stderr=nowhere, check=False)
        print(time.perf_counter() - began)
