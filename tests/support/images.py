#!/usr/bin/python3
"""Makes the images that the tests and benchmarks use, as one OCI layout.

    images.py LAYOUT          busybox, sixty, zstd, odd, hostile, platforms, debian, stargz, chunked, awkward
    images.py --bench LAYOUT  bench: Debian with python3, gcc and git, about 150 MB compressed

Called by registry.sh, as an ordinary user. Everything is made here, from Debian's packages and from entries written
one by one, so that nothing depends on a registry of someone else's. Times are fixed; the same input gives the same layers.
"""

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile

import contents

TIME = 1_700_000_000
GZIP, ZSTD, PLAIN, STARGZ, CHUNKED = "gzip", "zstd", "plain", "estargz", "zstd:chunked"
OCI = "application/vnd.oci.image"


class Layer:
    """One layer's tar, written entry by entry."""

    def __init__(self):
        self.bytes = io.BytesIO()
        self.folders = set()

    def add(self, path, kind=tarfile.REGTYPE, data=b"", mode=0o644, link="", uid=0, gid=0, mtime=TIME, pax=None,
            format=tarfile.PAX_FORMAT, device=(0, 0)):
        info = tarfile.TarInfo(os.fsdecode(path))
        info.type, info.mode, info.linkname = kind, mode, os.fsdecode(link)
        info.uid, info.gid, info.mtime, info.size = uid, gid, mtime, len(data)
        info.devmajor, info.devminor = device
        info.pax_headers = {key: os.fsdecode(value) for key, value in (pax or {}).items()}
        self.bytes.write(info.tobuf(format, "utf-8", "surrogateescape"))
        self.bytes.write(data + b"\0" * (-len(data) % 512))

    def file(self, path, data=b"", mode=0o644, **more):
        self.add(path, tarfile.REGTYPE, data, mode, **more)

    def dir(self, path, mode=0o755, **more):
        self.folders.add(path)
        self.add(path, tarfile.DIRTYPE, b"", mode, **more)

    def symlink(self, path, target, **more):
        self.add(path, tarfile.SYMTYPE, b"", 0o777, target, **more)

    def hardlink(self, path, target, **more):
        self.add(path, tarfile.LNKTYPE, b"", 0o644, target, **more)

    def whiteout(self, path):
        folder, name = os.path.split(path)
        self.file(os.path.join(folder, ".wh." + name))

    def opaque(self, path):
        self.file(path + "/.wh..wh..opq")

    def raw(self, tar):
        """The entries of a finished tar, without the zero blocks that end it."""
        self.bytes.write(tar.rstrip(b"\0") + b"\0" * (-len(tar.rstrip(b"\0")) % 512))

    def finish(self):
        return self.bytes.getvalue() + b"\0" * 1024


class Layout:
    """An OCI image layout: blobs by digest, and an index of named images."""

    def __init__(self, path):
        self.path, self.named = path, []
        os.makedirs(os.path.join(path, "blobs/sha256"))

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.path, "blobs/sha256", digest), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def json(self, media_type, value):
        return {"mediaType": media_type, **self.blob(json.dumps(value).encode())}

    def layer(self, tar, compression=GZIP):
        """(descriptor, diff_id) of a layer: made once, used by several images."""
        suffix = {GZIP: "tar+gzip", ZSTD: "tar+zstd", PLAIN: "tar", STARGZ: "tar+gzip", CHUNKED: "tar+zstd"}[compression]
        if compression in (STARGZ, CHUNKED):
            data, tar, annotations = (contents.estargz if compression == STARGZ else contents.chunked)(tar)
            descriptor = {"mediaType": f"{OCI}.layer.v1.{suffix}", **self.blob(data), "annotations": annotations}
            return descriptor, "sha256:" + hashlib.sha256(tar).hexdigest()
        if compression == GZIP:
            data = gzip.compress(tar, 6, mtime=0)
        elif compression == ZSTD:
            data = subprocess.run(["zstd", "-q", "-3"], input=tar, stdout=subprocess.PIPE, check=True).stdout
        else:
            data = tar
        return {"mediaType": f"{OCI}.layer.v1.{suffix}", **self.blob(data)}, "sha256:" + hashlib.sha256(tar).hexdigest()

    def image(self, layers, architecture="amd64", **config):
        config = {"created": "2023-11-14T22:13:20Z", "architecture": architecture, "os": "linux",
                  "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                             "Cmd": ["/bin/sh"], **config},
                  "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
                    "config": self.json(f"{OCI}.config.v1+json", config),
                    "layers": [descriptor for descriptor, _ in layers]}
        return self.json(f"{OCI}.manifest.v1+json", manifest)

    def name(self, name, descriptor):
        self.named.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})

    def finish(self):
        for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                            ("index.json", {"schemaVersion": 2, "manifests": self.named})):
            with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
                json.dump(value, file)


def architecture():
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def busybox():
    layer = Layer()
    for path in ("bin", "etc", "home", "root", "usr", "usr/bin", "var"):
        layer.dir(path)
    layer.dir("tmp", 0o1777)
    with open("/bin/busybox", "rb") as program:
        layer.file("bin/busybox", program.read(), 0o755)
    applets = subprocess.run(["/bin/busybox", "--list"], stdout=subprocess.PIPE, check=True).stdout.split()
    for applet in applets:
        if applet != b"busybox":
            layer.symlink(b"bin/" + applet, "busybox")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.file("etc/group", b"root:x:0:\ntty:x:5:\nnobody:x:65534:\n")
    layer.file("etc/os-release", b'ID=busybox\nPRETTY_NAME="Busybox of the tests"\n')
    return layer.finish()


def debian(packages):
    """The root of a real Debian of this machine's own release or, elsewhere, of bookworm."""
    release = dict(line.strip().split("=", 1) for line in open("/etc/os-release", encoding="utf-8") if "=" in line)
    suite = release.get("VERSION_CODENAME", "bookworm") if release.get("ID") == "debian" else "bookworm"
    with tempfile.TemporaryDirectory() as scratch:
        target = os.path.join(scratch, "root.tar")
        # Device nodes cannot be made in a user namespace, by the tools that the tests compare with either.
        subprocess.run(["mmdebstrap", "--quiet", "--mode=unshare", "--variant=minbase", "--skip=output/dev",
                        "--include=" + ",".join(packages), suite, target], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(TIME)})
        with open(target, "rb") as tar:
            return tar.read()


def sixty(layout, base):
    """Sixty layers: each adds a file, replaces one, and removes what the tenth before it had added."""
    layers = [base]
    for number in range(1, 60):
        layer = Layer()
        layer.dir("layers")
        layer.file(f"layers/{number}", f"{number}\n".encode())
        layer.file("newest", f"{number}\n".encode())
        if number > 10:
            layer.whiteout(f"layers/{number - 10}")
        layers.append(layout.layer(layer.finish(), (GZIP, PLAIN, ZSTD)[number % 3]))
    return layers


def platforms(layout, base):
    """An index as buildx pushes it: two platforms, and an attestation that is no image to run."""
    manifests = []
    for name in ("amd64", "arm64"):
        layer = Layer()
        layer.file("platform", f"linux/{name}\n".encode())
        manifests.append({**layout.image([base, layout.layer(layer.finish())], name), "platform": {"os": "linux", "architecture": name}})
    note = Layer()
    note.file("attestation.json", b"{}")
    manifests.append({**layout.image([layout.layer(note.finish())], "unknown"), "platform": {"os": "unknown", "architecture": "unknown"}})
    return layout.json(f"{OCI}.index.v1+json", {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests})


def gnu_tar(name, size, *options):
    """A sparse file named `name` as GNU tar writes it: data at the start, in the middle, and at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, os.path.basename(name))
        with open(path, "wb") as file:
            for offset in (0, size // 2, size - 5):
                file.seek(offset)
                file.write(b"data\n")
        return subprocess.run(["tar", "-C", scratch, "--sparse", "--owner=0", "--group=0", "--mode=0644", f"--mtime=@{TIME}",
                               f"--transform=s,^,{os.path.dirname(name)}/,", *options, "-cf", "-", os.path.basename(name)],
                              stdout=subprocess.PIPE, check=True).stdout


# cap_net_raw=ep, as the kernel keeps it: revision 2, effective, then two pairs of permitted and inheritable.
CAP_NET_RAW = b"\x01\x00\x00\x02" + b"\x00\x20\x00\x00" + b"\0" * 12


def deep(layer, length):
    """A path of exactly `length` bytes, with its folders made in `layer`."""
    path = "awkward/deep"
    while length - len(path) > 202:
        path += "/" + "d" * 200
        if path not in layer.folders:
            layer.dir(path)
    return path + "/" + "f" * (length - len(path) - 1)


def awkward_lower():
    layer = Layer()
    for folder in ("", "/links", "/deep", "/names", "/paths", "/modes", "/owners", "/times", "/xattrs", "/sizes", "/sparse", "/symlinks",
                   "/replaced", "/opaque", "/opaque/before", "/opaque/after", "/opaque/nested", "/gone", "/gone/folder"):
        layer.dir("awkward" + folder)
    # Hard links across directories, one to a link, one to a symlink; one whose first name a later layer removes.
    for folder in "abc":
        layer.dir(f"awkward/links/{folder}")
    layer.file("awkward/links/a/first", b"one inode\n", uid=33, gid=33)
    layer.hardlink("awkward/links/b/second", "awkward/links/a/first", uid=33, gid=33)
    layer.hardlink("awkward/links/c/third", "awkward/links/b/second", uid=33, gid=33)
    layer.symlink("awkward/links/a/symlink", "first")
    layer.hardlink("awkward/links/c/symlink", "awkward/links/a/symlink")
    # Names.
    for number, name in enumerate((b"new\nline", b"latin \xe9", b"\xff\xfe", b"tab\t", b"back\\slash", b" space ", b"-rf", b"*?[a]",
                                   "\N{SNOWMAN}".encode(), b"quote'\"", b"n" * 255, b"\x1b[31mred", b"...", b".whatever")):
        layer.file(b"awkward/names/" + name, b"%d\n" % number)
    layer.file(b"awkward/names/gnu-" + b"g" * 251, b"by a GNU long name\n", format=tarfile.GNU_FORMAT)
    layer.file(deep(layer, 4000), b"deep\n")
    layer.file(deep(layer, 3999), b"one less\n", format=tarfile.GNU_FORMAT)
    # Other ways to write a path.
    layer.file("./awkward/paths/dot", b"dot\n")
    layer.file("/awkward/paths/absolute", b"absolute\n")
    layer.file("awkward//paths/./double", b"double\n")
    # Modes, owners and times.
    layer.file("awkward/modes/setuid", b"#!/bin/sh\n", 0o4755)
    layer.file("awkward/modes/setgid", b"#!/bin/sh\n", 0o2755, gid=50)
    layer.dir("awkward/modes/sticky", 0o1777)
    layer.dir("awkward/modes/shared", 0o2775, gid=50)
    layer.file("awkward/modes/none", b"hidden\n", 0o000)
    layer.file("awkward/owners/nobody", b"", uid=65534, gid=65534)
    layer.file("awkward/owners/thousand", b"", uid=1000, gid=1000)
    layer.file("awkward/owners/pax", b"", pax={"uid": "54321", "gid": "54322"})
    layer.file("awkward/times/fraction", b"", pax={"mtime": "1600000000.123456789"})
    layer.file("awkward/times/late", b"", mtime=4_102_444_800)
    layer.file("awkward/times/first-second", b"", mtime=1)
    # Extended attributes.
    layer.file("awkward/xattrs/capability", b"#!/bin/sh\n", 0o755, pax={"SCHILY.xattr.security.capability": CAP_NET_RAW})
    layer.file("awkward/xattrs/user", b"x\n", pax={"SCHILY.xattr.user.plain": "value", "SCHILY.xattr.user.equals": "a=b=c",
                                                  "SCHILY.xattr.user.lines": "one\ntwo\n", "SCHILY.xattr.user.bytes": bytes(range(1, 256))})
    layer.dir("awkward/xattrs/folder", pax={"SCHILY.xattr.user.folder": "yes"})
    # Sizes and other types.
    layer.file("awkward/sizes/empty", b"")
    for size in (1, 511, 512, 513, 4095, 4096, 4097, 131_073, 5_000_000):
        layer.file(f"awkward/sizes/{size}", random.Random(size).randbytes(size))
    for version in ("0.0", "0.1", "1.0"):
        layer.raw(gnu_tar(f"awkward/sparse/pax-{version}", 10_000_000, "--format=pax", f"--sparse-version={version}",
                          "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f"))
    layer.add("awkward/fifo", tarfile.FIFOTYPE)
    for name, target in (("dangling", "nowhere/at/all"), ("absolute", "/etc/debian_version"), ("up", "../../../../etc"),
                         ("slash", "names/"), ("long", "t/" * 2000), ("bytes", b"latin \xe9")):
        layer.symlink(f"awkward/symlinks/{name}", target)
    # What the upper layer changes.
    for name in ("file-to-folder", "file-to-symlink", "file-to-fifo"):
        layer.file(f"awkward/replaced/{name}", b"lower\n")
    for name in ("folder-to-file", "folder-to-symlink", "kept", "emptied"):
        layer.dir(f"awkward/replaced/{name}")
        layer.file(f"awkward/replaced/{name}/lower", b"lower\n")
    layer.symlink("awkward/replaced/symlink-to-folder", "kept")
    layer.symlink("awkward/replaced/symlink-to-file", "kept/lower")
    for name in ("before", "after", "nested/one/two"):
        layer.file(f"awkward/opaque/{name}/lower", b"lower\n")
    layer.file("awkward/gone/file", b"")
    layer.file("awkward/gone/folder/file", b"")
    return layer.finish()


def odd():
    """What GNU tar writes or reads and what one of podman and umoci refuses, so that it has no tree to be compared with."""
    layer = Layer()
    layer.add("pax_global_header", tarfile.XGLTYPE, b"21 comment=of no use\n")
    layer.file("odd/implied/parents/file", b"implied\n")
    layer.file("odd/twice", b"first\n", 0o600)
    layer.file("odd/twice", b"second, longer\n", 0o640)
    layer.raw(gnu_tar("odd/sparse", 10_000_000, "--format=gnu"))
    layer.add("odd/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    return layer.finish()


def hostile():
    """Symlinks in the places that a container's set-up mounts on, which lead out of the root for who follows them."""
    layer = Layer()
    for name in ("proc", "sys", "dev", "run"):
        layer.symlink(name, "../../../../../../tmp")
    for name in ("hostname", "hosts", "resolv.conf"):
        layer.symlink("etc/" + name, "/../../../../../../../../etc/passwd")
    return layer.finish()


def awkward_upper():
    layer = Layer()
    layer.whiteout("awkward/links/a/first")
    layer.whiteout("awkward/gone/file")
    layer.whiteout("awkward/gone/folder")
    layer.whiteout("etc/issue")
    layer.whiteout("awkward/never-was")
    layer.dir("awkward/replaced/file-to-folder", 0o700)
    layer.file("awkward/replaced/file-to-folder/upper", b"upper\n")
    layer.symlink("awkward/replaced/file-to-symlink", "kept")
    layer.add("awkward/replaced/file-to-fifo", tarfile.FIFOTYPE)
    layer.file("awkward/replaced/folder-to-file", b"upper\n")
    layer.symlink("awkward/replaced/folder-to-symlink", "kept")
    layer.dir("awkward/replaced/symlink-to-folder")
    layer.file("awkward/replaced/symlink-to-folder/upper", b"upper\n")
    layer.file("awkward/replaced/symlink-to-file", b"upper\n")
    # A folder's entry again changes the folder, and not what is in it.
    layer.dir("awkward/replaced/kept", 0o711, uid=7, gid=8, mtime=TIME + 1)
    layer.whiteout("awkward/replaced/emptied/lower")
    # The marker hides the lower layers only, wherever in the layer it stands.
    layer.dir("awkward/opaque/before")
    layer.opaque("awkward/opaque/before")
    layer.file("awkward/opaque/before/upper", b"upper\n")
    layer.dir("awkward/opaque/after")
    layer.file("awkward/opaque/after/upper", b"upper\n")
    layer.opaque("awkward/opaque/after")
    layer.dir("awkward/opaque/nested")
    layer.opaque("awkward/opaque/nested")
    layer.dir("awkward/opaque/nested/one")
    layer.file("awkward/opaque/nested/one/upper", b"upper\n")
    return layer.finish()


def main():
    bench = sys.argv[1] == "--bench"
    layout = Layout(sys.argv[-1])
    here = architecture()
    if bench:
        packages = ("python3", "gcc", "libc6-dev", "git", "ca-certificates")
        layout.name("bench", layout.image([layout.layer(debian(packages))], here, Cmd=["bash"]))
    else:
        small = layout.layer(busybox())
        layout.name("busybox", layout.image([small], here))
        layout.name("sixty", layout.image(sixty(layout, small), here))
        layout.name("zstd", layout.image([layout.layer(busybox(), ZSTD)], here))
        layout.name("odd", layout.image([small, layout.layer(odd())], here))
        layout.name("hostile", layout.image([small, layout.layer(hostile())], here,
                                             Env=["PATH=/bin", "=nameless", "NO_VALUE", "NUL=a\0b", "GOOD=yes"]))
        layout.name("platforms", platforms(layout, small))
        root = debian(("python3-minimal", "less"))
        base = layout.layer(root)
        layout.name("debian", layout.image([base], here, Cmd=["bash"]))
        layout.name("stargz", layout.image([layout.layer(root, STARGZ)], here, Cmd=["bash"]))
        layout.name("chunked", layout.image([layout.layer(root, CHUNKED)], here, Cmd=["bash"]))
        layout.name("awkward", layout.image([base, layout.layer(awkward_lower()), layout.layer(awkward_upper())], here))
    layout.finish()


main()
