#!/usr/bin/python3
"""Writing to a container's filesystem, and reading it: native, the kernel's overlay, fuse-overlayfs, and both drivers.

All contenders are mounted at the same time, each above the same Debian image with some work added, in a user namespace with
the user's subordinate ids, and do each kind of work in turn. The kernel's overlay and fuse-overlayfs have the image
unpacked; nobody syncs anything (`volatile`). `fuse` collects small writes, as in a container. First: the caches
were dropped before (root only). WRITE_ONLY names contenders, WRITE_WORK kinds of work, with commas between them;
FUSE_OVERLAYFS_2 is a second fuse-overlayfs.
"""

import gzip
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

from measure import Machine, ROUNDS, TREE, can_drop_caches, drop_caches, heading, table

UNION = os.environ.get("UNION", os.path.join(TREE, "target/release/examples/union"))
INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "writing.py")

# Label, work, and when: with the caches dropped (COLD), after the same work was done once (WARM), or just so (ONCE).
# What has no label is not measured.
COLD, WARM, ONCE = "cold", "warm", "once"
WORK = [
    (None, "prepare", ONCE),
    ("`ls -lR`, first", "listing", COLD),
    ("`ls -lR`, again", "listing", WARM),
    ("`find`, first", "find", COLD),
    ("`find`, again", "find", WARM),
    ("4,000 × stat, first", "stats", COLD),
    ("4,000 × stat, again", "stats", WARM),
    ("`git status`, first", "status", COLD),
    ("`git status`, again", "status", WARM),
    ("25,000 × open, read, close", "opens", WARM),
    ("untar 57 MB, 4,100 files", "untar", ONCE),
    ("`ls -lR` of that, first", "list_new", COLD),
    ("`ls -lR` of that, again", "list_new", WARM),
    ("`tar` of that, first", "read_new", COLD),
    ("`tar` of that, again", "read_new", WARM),
    ("create 5,000 files of 2 KB", "create", ONCE),
    ("`rm -rf` of both", "remove", ONCE),
    ("`dpkg --unpack`, 1,500 files", "dpkg", ONCE),
    ("25,000 appends of 200 bytes", "append", ONCE),
    ("copy-up of 2,000 files", "copy_up", ONCE),
    (None, "random_ready", ONCE),
    ("8,192 random writes of 4 KB", "random_write", ONCE),
    (None, "clear", ONCE),
]

PREPARE = r"""
set -eu
mkdir -p "$1/lower" && cd "$1"
tar -xpf image.tar -C lower
mkdir -p more/work/repository more/work/many tree
python3 - <<'PYTHON'
import os
for number in range(4000):
    folder = f"more/work/many/{number // 100}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{number}", "wb") as file:
        file.write(b"%04d" % number * 1024)
for number in range(3000):
    folder = f"more/work/repository/{number // 100}/{number // 10}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{number}", "wb") as file:
        file.write(b"%04d\n" % number * 400)
PYTHON
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
git -C more/work/repository -c init.defaultBranch=main init -q
git -C more/work/repository add .
git -C more/work/repository -c user.name=bench -c user.email=bench@localhost -c gc.auto=0 commit -qm all
tar --sort=name -cf more.tar -C more work
tar -xpf more.tar -C lower
cd lower/usr
{ find lib/python3* lib/gcc include share/perl5 share/doc lib/git-core -type f -size -2000 | sort | head -n 4000; find lib -type l | head -n 100; } >../../names
tar -cf ../../tree.tar -T ../../names
cd "$1"
rm -rf more
mkdir -p tree/DEBIAN tree/opt/tree
head -n 1500 names | tar -cf - -C lower/usr -T - | tar -xf - -C tree/opt/tree
printf 'Package: tree\nVersion: 1\nArchitecture: all\nMaintainer: bench <bench@localhost>\nDescription: a tree\n' >tree/DEBIAN/control
dpkg-deb -Znone --root-owner-group --build tree tree.deb >/dev/null
rm -rf tree names
cp -a lower native
"""

OVERLAY = """mkdir -p upper work merged
mount -t overlay -o "userxattr,volatile,lowerdir=$1/lower,upperdir=upper,workdir=work" overlay merged"""
FUSE_OVERLAYFS = """mkdir -p upper work merged
"$2" -o "volatile,lowerdir=$1/lower,upperdir=upper,workdir=work" merged"""


class Contender:
    """A mounted filesystem, and the process that works on it."""

    def __init__(self, machine, name, command):
        self.name = name
        self.process = machine.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def work(self, work):
        self.process.stdin.write(work.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name} failed at {work}")
        return float(answer)

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"{self.name} failed at its end")


def contenders(machine, union, sources):
    """{name: function that gives the command}; each has a folder of its own, which the function empties."""

    def place(number):
        folder = machine.path(f"place{number}")
        machine.run([union, "none", folder, "--", "sh", "-c", 'rm -rf "$VIEW/upper" "$VIEW/work" "$VIEW/merged"'])
        return folder

    def by_hand(number, script, *arguments):
        folder = place(number)
        whole = f'cd "$VIEW"\n{script}\npython3 -S "$0" "$VIEW/merged" "$1"\nstatus=$?\numount merged\nexit $status'
        return [union, "none", folder, "--", "sh", "-c", whole, f"{machine.folder}/writing.py", sources, *arguments]

    def ours(number, *driver):
        layers = ["--tar", f"{sources}/image.tar", "--tar", f"{sources}/more.tar"]
        inside = 'python3 -S "$0" "$VIEW" "$1"'
        return [union, "--volatile", *driver, place(number), *layers, "--", "sh", "-c", inside, f"{machine.folder}/writing.py", sources]

    shutil.copy(INSIDE, f"{machine.folder}/writing.py")
    second = os.environ.get("FUSE_OVERLAYFS_2")
    all_of_them = {
        "native": lambda: [union, "none", sources, "--", "python3", "-S", f"{machine.folder}/writing.py", f"{sources}/native", sources],
        "kernel": lambda: by_hand(1, OVERLAY),
        "fuse-overlayfs": lambda: by_hand(2, FUSE_OVERLAYFS, "fuse-overlayfs"),
        **({"fuse-overlayfs 2": lambda: by_hand(3, FUSE_OVERLAYFS, second)} if second else {}),
        "fuse": lambda: ours(4, "fuse"),
        "fuse, writeback": lambda: ours(5, "writeback"),
        "overlay": lambda: ours(6, "overlay"),
    }
    only = os.environ.get("WRITE_ONLY")
    return {name: make for name, make in all_of_them.items() if not only or name in only.split(",")}


def prepare(machine, union):
    """A folder with the image as layers, and unpacked."""
    sources = machine.path("sources")

    def blob(digest):
        return f"{machine.layout}/blobs/sha256/{digest.split(':')[1]}"

    with open(f"{machine.layout}/index.json", encoding="utf-8") as file:
        manifest = json.load(file)["manifests"][0]["digest"]
    with open(blob(manifest), encoding="utf-8") as file:
        layer = json.load(file)["layers"][0]["digest"]
    with gzip.open(blob(layer)) as packed, open(f"{sources}/image.tar", "wb") as file:
        shutil.copyfileobj(packed, file)
    machine.run([union, "none", sources, "--", "sh", "-c", PREPARE, "prepare", sources])
    return sources


def main():
    wanted = os.environ.get("WRITE_WORK", "").split(",")
    with Machine() as machine:
        union = shutil.copy(UNION, machine.path("bin"))
        sources = prepare(machine, union)
        makers = contenders(machine, union, sources)
        second = os.environ.get("FUSE_OVERLAYFS_2")
        heading("Writing in a container's filesystem", ("fuse-overlayfs", "--version"), *(((second, "--version"),) if second else ()))
        times = {}
        for _ in range(ROUNDS):
            running = [Contender(machine, name, make()) for name, make in makers.items()]
            for label, work, when in WORK:
                if label and wanted != [""] and work not in wanted or when == COLD and not can_drop_caches():
                    continue
                for contender in running:
                    if when == COLD:
                        drop_caches()
                    if when == WARM:
                        contender.work(work)
                    seconds = contender.work(work)
                    if label:
                        times.setdefault(label, {}).setdefault(contender.name, []).append(seconds)
            for contender in running:
                contender.end()
        rows = []
        for label, values in times.items():
            row = [label]
            for list_ in values.values():
                middle = statistics.median(list_)
                row.append(f"{middle:.3f} ({min(list_):.3f} to {max(list_):.3f})")
            rows.append(row)
        table(["seconds", *makers], rows)
        ratios(times, list(makers))


def ratios(times, names):
    """Each of ours as a multiple of its peer."""
    rows = []
    pairs = [(ours, peer) for ours, peer in (("fuse", "fuse-overlayfs"), ("fuse", "fuse-overlayfs 2"), ("fuse", "kernel"), ("fuse, writeback", "fuse-overlayfs"),
                                            ("fuse, writeback", "kernel"), ("overlay", "kernel")) if ours in names and peer in names]
    middles = {label: {name: statistics.median(list_) for name, list_ in values.items()} for label, values in times.items()}
    for label, values in middles.items():
        rows.append([label, *(f"{values[ours] / values[peer]:.2f}" for ours, peer in pairs)])
    means = [math.exp(statistics.mean(math.log(values[ours] / values[peer]) for values in middles.values())) for ours, peer in pairs]
    rows.append(["geometric mean", *(f"{mean:.2f}" for mean in means)])
    table(["ratio of medians", *(f"{ours} to {peer}" for ours, peer in pairs)], rows)


if __name__ == "__main__":
    main()
