#!/usr/bin/python3
"""Pulling a Debian image of about 150 MB from a registry on this machine: into an empty store, each time.

The floor is what no pull can do without: the layer decompressed, and both its forms hashed, by zlib and OpenSSL in one
thread, from a file in the page cache.
"""

import json
import os
import shutil
import statistics
import sys

from measure import IMAGE, Machine, compared, heading, in_turn, summary, table

FLOOR = """
import hashlib, sys, zlib
packed, plain, inflate = hashlib.sha256(), hashlib.sha256(), zlib.decompressobj(31)
with open(sys.argv[1], "rb") as layer:
    while block := layer.read(1 << 20):
        packed.update(block)
        plain.update(inflate.decompress(block))
"""


def layer_of(layout):
    """The image's only layer: its path in the layout."""
    def blob(descriptor):
        return os.path.join(layout, "blobs", *descriptor["digest"].split(":"))
    index = json.load(open(os.path.join(layout, "index.json"), encoding="utf-8"))
    manifest = json.load(open(blob(index["manifests"][0]), encoding="utf-8"))
    return blob(manifest["layers"][0])


def main():
    with Machine() as machine:
        layer = layer_of(machine.layout)
        certificates = f"{machine.env['XDG_CONFIG_HOME']}/containers/certs.d/{machine.address}"
        peaks = {}

        def fresh(name):
            """An empty folder; the one before is removed outside of what is measured."""
            path = machine.path(name)
            machine.run(["podman", "unshare", "rm", "-rf", path])
            return machine.path(name)

        def measured(name, command, env=None):
            seconds, peak = machine.timed(command, env=env or {})
            peaks.setdefault(name, []).append(peak)
            return seconds

        def enter(*command):
            return lambda: measured(f"`enter {command[0]}`", [machine.program, *command], {"XDG_DATA_HOME": fresh("enter-store")})

        def podman(*command):
            root = ["podman", "--root", fresh("podman-store"), "--runroot", fresh("podman-run")]
            return measured(f"`podman {command[0]}`", [*root, *command])

        def skopeo():
            target = f"oci:{fresh('skopeo')}/layout:{IMAGE}"
            return measured("`skopeo copy … oci:`", ["skopeo", "copy", "-q", "--src-cert-dir", certificates,
                                                    f"docker://{machine.address}/library/{IMAGE}:latest", target])

        def floor():
            return measured("decompress and hash", [shutil.which("python3", path="/usr/bin"), "-c", FLOOR, layer])

        size = os.path.getsize(layer) / 1e6
        heading(f"Pulling {size:.0f} MB from a local registry", ("podman", "--version"), ("skopeo", "--version"))
        image = machine.podman_image()
        values = in_turn({
            "decompress and hash": floor,
            "`enter pull`": enter("pull", IMAGE),
            "`skopeo copy … oci:`": skopeo,
            "`podman pull`": lambda: podman("pull", "-q", image),
        })
        rows = [(*row, summary(peaks[row[0]], "MB")[0]) for row in compared(values, "s")]
        table(("", "median", "range", "to the floor", "peak memory"), rows)

        values = in_turn({
            "`enter IMAGE -- true`": enter(IMAGE, "--", "true"),
            "`podman run --rm IMAGE true`": lambda: podman("run", "--rm", image, "true"),
        })
        print("From an empty store to the end of the first command:\n")
        table(("", "median", "range", "ratio"), compared(values, "s"))


if sys.version_info < (3, 9):
    sys.exit("this needs Python 3.9 or newer")
main()
