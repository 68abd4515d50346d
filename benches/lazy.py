#!/usr/bin/python3
"""Time until a prompt, and until a first program has run, in an image of about 150 MB that is not here yet: begun while it is being fetched (eStargz,
zstd:chunked), fetched first, and by podman. From a registry on this machine, as fast as it goes and at 100 Mbit/s.

RATES are bytes a second, 0 for no limit. A line that is limited is measured half as often.
"""

import glob
import json
import os
import statistics
import subprocess
import sys
import time
import zlib

from measure import IMAGE, ROUNDS, TREE, Machine, heading, in_turn, summary, table

sys.path.insert(0, os.path.join(TREE, "tests/support"))
import contents  # noqa: E402

RATES = [int(word) for word in os.environ.get("RATES", "0 12500000").split()]
# What reads little, as somebody who waits for a prompt, and what reads more.
COMMANDS = {"prompt": ["bash", "-ic", "exit"], "program": ["python3", "-c", "import asyncio, http.client, xml.dom.minidom"]}
FORMS = {"eStargz": (contents.estargz, "gzip"), "zstd:chunked": (contents.chunked, "zstd")}


class Layout:
    """An OCI layout with the benchmarks' image in both forms."""

    def __init__(self, machine):
        self.folder = machine.path("layout")
        os.makedirs(os.path.join(self.folder, "blobs/sha256"))
        manifest = json.loads(self.original(machine, self.index(machine.layout)[0]))
        tar = zlib.decompress(self.original(machine, manifest["layers"][0]), 31)
        config = json.loads(self.original(machine, manifest["config"]))
        names = []
        for name, (form, compression) in FORMS.items():
            blob, plain, annotations = form(tar)
            config["rootfs"]["diff_ids"] = [contents.digest(plain)]
            layer = self.put(f"application/vnd.oci.image.layer.v1.tar+{compression}", blob)
            changed = {**manifest, "config": self.put(manifest["config"]["mediaType"], json.dumps(config).encode()),
                       "layers": [{**layer, "annotations": annotations}]}
            described = self.put("application/vnd.oci.image.manifest.v1+json", json.dumps(changed).encode())
            names.append({**described, "annotations": {"org.opencontainers.image.ref.name": repository(name)}})
        with open(os.path.join(self.folder, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "manifests": names}, file)

    @staticmethod
    def index(layout):
        with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
            return json.load(file)["manifests"]

    @staticmethod
    def original(machine, descriptor):
        with open(os.path.join(machine.layout, "blobs", *descriptor["digest"].split(":")), "rb") as file:
            return file.read()

    def put(self, media_type, data):
        digest = contents.digest(data)
        with open(os.path.join(self.folder, "blobs", *digest.split(":")), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}


def repository(form):
    return form.lower().replace(":", "-")


class Registry:
    """One that sends so many bytes a second."""

    def __init__(self, machine, layout, rate):
        self.process = machine.start(["python3", os.path.join(TREE, "tests/support/throttled.py"), layout.folder, str(rate)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.host = self.process.stdout.readline().decode().split()[1]
        folder = machine.path("home/.config/containers/registries.conf.d")
        with open(os.path.join(folder, "bench.conf"), "w", encoding="ascii") as file:
            file.write(f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n')

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Contender:
    def __init__(self, machine, image, command, lazy):
        self.machine, self.image, self.command, self.lazy = machine, image, command, lazy
        self.complete = []

    def __call__(self):
        """Seconds to the end of the command."""
        data = self.machine.path("store")
        self.machine.run(["podman", "unshare", "rm", "-rf", data])
        data = self.machine.path("store")
        if self.lazy is None:
            podman = ["podman", "--root", data, "--runroot", self.machine.path("podman-run")]
            command, environment = [*podman, "run", "--rm", "--tls-verify=false", self.image, *self.command], {}
        else:
            command = [self.machine.program, self.image, "--", *self.command]
            environment = {"XDG_DATA_HOME": data, "ENTER_LAZY": "true" if self.lazy else "false"}
        began = time.perf_counter()
        seconds, _ = self.machine.timed(command, env=environment)
        # What goes on in the background is not to be in the next one's way.
        while self.lazy and glob.glob(f"{data}/enter/v1/images/*/arriving"):
            time.sleep(0.02)
        self.complete.append(time.perf_counter() - began)
        time.sleep(0.2)
        return seconds


def main():
    with Machine() as machine:
        layout = Layout(machine)
        megabytes = [os.path.getsize(path) / 1e6 for path in glob.glob(f"{layout.folder}/blobs/sha256/*")]
        size = statistics.mean(sorted(megabytes)[-len(FORMS):])
        heading(f"The first prompt in an image of {size:.0f} MB that is not here yet", ("podman", "--version"))
        for rate in RATES:
            registry = Registry(machine, layout, rate)
            rows = []
            try:
                for form in FORMS:
                    image = f"{registry.host}/{repository(form)}"
                    ways = {"`enter`": True, "`enter`, fetched first": False, "`podman run`": None}
                    contenders = {(way, what): Contender(machine, image, command, lazy)
                                  for way, lazy in ways.items() for what, command in COMMANDS.items()}
                    values = in_turn(contenders, rounds=max(1, ROUNDS // 2) if rate else ROUNDS)
                    for at, way in enumerate(ways):
                        prompt, program = (summary(values[way, what], "s") for what in COMMANDS)
                        complete = statistics.median(contenders[way, "prompt"].complete)
                        rows.append((form if at == 0 else "", way, *prompt, *program, f"{complete:.2f} s"))
            finally:
                registry.end()
            print(f"At {rate * 8 // 1_000_000} Mbit/s:\n" if rate else "As fast as it goes:\n")
            table(("image", "", "prompt", "range", "Python, three modules", "range", "all of it is here"), rows)


if sys.version_info < (3, 9):
    sys.exit("this needs Python 3.9 or newer")
main()
