#!/usr/bin/python3
"""Lists a tree in full, one line for each name: what two ways of seeing one image are compared by.

    list.py ROOT

Type, mode, owner, size, time, link target, extended attributes, SHA-256 of the content, and for a file of several
names the first of them. What is mounted below ROOT is named on standard error, and left out.
"""

import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def xattrs(path):
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return [f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in names]


def mounts(root):
    """Paths relative to `root`, as bytes, on which something is mounted."""
    prefix = root if root.endswith(b"/") else root + b"/"
    found = set()
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            path = line.split(b" ")[4].decode("unicode_escape").encode("latin-1")
            if path.startswith(prefix) and path != prefix:
                found.add(path[len(prefix):])
    return found


def main():
    root = os.path.realpath(os.fsencode(sys.argv[1]))
    # Relative paths from here on: an absolute one could be too long.
    os.chdir(root)
    mounted = mounts(root)
    first_names = {}
    pending = [b""]
    names = []
    while pending:
        folder = pending.pop()
        for name in os.listdir(folder or b"."):
            path = os.path.join(folder, name)
            if path in mounted:
                print(os.fsdecode(path), file=sys.stderr)
                continue
            names.append(path)
            if stat.S_ISDIR(os.lstat(path).st_mode):
                pending.append(path)
    for path in sorted(names):
        info = os.lstat(path)
        kind = KINDS[stat.S_IFMT(info.st_mode)]
        fields = [repr(path)[1:], kind, f"{stat.S_IMODE(info.st_mode):04o}", f"{info.st_uid}:{info.st_gid}", f"{info.st_mtime_ns}"]
        if kind == "symlink":
            fields.append("-> " + repr(os.readlink(path))[1:])
        elif kind == "file":
            fields += [str(info.st_size), content(path)]
        elif kind in ("char", "block"):
            fields.append(f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}")
        if kind != "folder" and info.st_nlink > 1:
            first = first_names.setdefault((info.st_dev, info.st_ino), path)
            fields.append(f"{info.st_nlink} names, first " + repr(first)[1:])
        print(" ".join(fields + xattrs(path)))


main()
