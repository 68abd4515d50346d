"""Does one kind of work after another on a filesystem, as it is told on standard input, and prints the seconds of each. For write.py.

    writing.py VIEW SOURCES
"""

import os
import random
import shutil
import subprocess
import sys
import time

VIEW, SOURCES = sys.argv[1:]
ONE = f"{VIEW}/new/one"
FILES, APPENDS, COPIES, OPENS, STATS, RANDOM = 5000, 25000, 2000, 25000, 4000, 8192
ENV = {**os.environ, "LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"}


def call(*command, env=None):
    subprocess.run(command, stdout=subprocess.DEVNULL, env=env or ENV, check=True)


def prepare():
    """Everything that work needs and that is not to be measured."""
    os.makedirs(f"{VIEW}/new", exist_ok=True)
    # What git remembers of its files (their change times, their numbers) is another view's.
    call("git", "-C", f"{VIEW}/work/repository", "status", env={**ENV, "GIT_OPTIONAL_LOCKS": "1"})


def untar():
    os.mkdir(f"{VIEW}/new/tree")
    call("tar", "-xf", f"{SOURCES}/tree.tar", "-C", f"{VIEW}/new/tree")


def create():
    content = b"x" * 2048
    for number in range(FILES):
        if number % 250 == 0:
            os.makedirs(f"{VIEW}/new/files/{number // 250}")
        with open(f"{VIEW}/new/files/{number // 250}/{number}", "wb", buffering=0) as file:
            file.write(content)


def remove():
    call("rm", "-rf", f"{VIEW}/new/tree", f"{VIEW}/new/files")


def dpkg():
    call("dpkg", f"--root={VIEW}", "--log=/dev/null", "--unpack", f"{SOURCES}/tree.deb")


def append():
    text = b"a" * 200
    file = os.open(ONE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for _ in range(APPENDS):
        os.write(file, text)
    os.close(file)


def copy_up():
    for number in range(COPIES):
        with open(f"{VIEW}/work/many/{number // 100}/{number}", "ab", buffering=0) as file:
            file.write(b"y")


def random_ready():
    with open(f"{VIEW}/new/random", "wb") as file:
        for _ in range(RANDOM):
            file.write(b"\1" * 4096)


def random_write():
    numbers = list(range(RANDOM))
    random.Random(1).shuffle(numbers)
    block = b"\2" * 4096
    file = os.open(f"{VIEW}/new/random", os.O_WRONLY)
    for number in numbers:
        os.pwrite(file, block, number * 4096)
    os.close(file)


def opens():
    for number in range(OPENS):
        number = number % 1000 + 2000
        file = os.open(f"{VIEW}/work/many/{number // 100}/{number}", os.O_RDONLY)
        os.read(file, 4096)
        os.close(file)


def stats():
    for number in range(STATS):
        os.stat(f"{VIEW}/work/many/{number // 100}/{number}")


def listing():
    call("ls", "-lR", f"{VIEW}/usr/lib", f"{VIEW}/usr/share")


def find():
    call("find", f"{VIEW}/usr", f"{VIEW}/work")


def status():
    call("git", "-C", f"{VIEW}/work/repository", "status")


def list_new():
    call("ls", "-lR", f"{VIEW}/new/tree")


def read_new():
    # Into a pipe: tar reads nothing that it is to write to /dev/null.
    call("sh", "-c", f"tar -cf - -C {VIEW}/new tree | cat")


def clear():
    call("dpkg", f"--root={VIEW}", "--log=/dev/null", "--purge", "tree")
    for name in os.listdir(f"{VIEW}/new"):
        path = f"{VIEW}/new/{name}"
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


for line in sys.stdin:
    work = globals()[line.strip()]
    began = time.perf_counter()
    work()
    print(time.perf_counter() - began, flush=True)
