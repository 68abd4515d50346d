#!/usr/bin/python3
"""Time until a command runs in an image that is not here, over a slow line: begun while pulling, pulled first, and by podman.

    benches/lazy.py LAYOUT ENTER [BYTES_PER_SECOND]

LAYOUT is an OCI layout with the images `stargz` and `chunked`, as tests/support/images.py makes it; ENTER the program. Run as an ordinary user.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LAYOUT, ENTER = sys.argv[1:3]
RATE = sys.argv[3] if len(sys.argv) > 3 else str(12_500_000)
RUNS = 5
HERE = os.path.dirname(os.path.abspath(__file__))


def measured(command, environment):
    begin = time.monotonic()
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def main():
    server = subprocess.Popen([os.path.join(HERE, "../tests/support/throttled.py"), LAYOUT, RATE], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().split()[1]
    scratch = tempfile.mkdtemp()
    configuration = os.path.join(scratch, "registries.conf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    print(f"{'':24} {'median':>8} {'least':>8} {'most':>8}   at {int(RATE) / 1e6} MB/s")
    for image in ("stargz", "chunked"):
        for name, lazy in (("begun while pulling", "true"), ("pulled first", "false"), ("podman", None)):
            times = []
            for run in range(RUNS):
                data = os.path.join(scratch, f"{image}-{name}-{run}".replace(" ", "-"))
                if lazy is None:
                    if not shutil.which("podman"):
                        break
                    command = ["podman", "--root", data, "run", "--rm", "--tls-verify=false", f"{address}/{image}", "true"]
                else:
                    command = [ENTER, f"{address}/{image}", "--", "true"]
                times.append(measured(command, {"CONTAINERS_REGISTRIES_CONF": configuration, "XDG_DATA_HOME": data, "ENTER_LAZY": lazy or ""}
                                      if lazy else {"CONTAINERS_REGISTRIES_CONF": configuration}))
                # What goes on in the background is not to be in the next one's way.
                while lazy == "true" and subprocess.run(["pgrep", "-f", f"__fill {data}"], stdout=subprocess.DEVNULL, check=False).returncode == 0:
                    time.sleep(0.1)
            if times:
                print(f"{image + ', ' + name:32} {statistics.median(times):7.2f}s {min(times):7.2f}s {max(times):7.2f}s", flush=True)
    server.stdin.close()


main()
