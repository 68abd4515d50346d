#!/usr/bin/python3
"""One more command in a container that runs, and a container for one command: `exec` and `run --rm` against podman's."""

from measure import IMAGE, Machine, compared, heading, hyperfine, in_turn, table


def main():
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        machine.podman_image()
        name = f"docker.io/library/{IMAGE}"
        for tool, image in (([machine.program], IMAGE), (["podman"], name)):
            machine.run([*tool, "run", "-d", "--name", "bench", image, "sleep", "1000"])
        heading("One more command, and a container for one command", ("podman", "--version"))
        commands = {
            "`podman exec`": "podman exec bench true",
            "`enter exec`": f"{machine.program} exec bench true",
            "`podman run --rm`": f"podman run --rm {name} true",
            "`enter run --rm`": f"{machine.program} run --rm {IMAGE} true",
            "`enter run --rm --network none`": f"{machine.program} run --rm --network none {IMAGE} true",
            "`enter run -d`": f"{machine.program} run -d --rm {IMAGE} true",
        }
        values = in_turn({each: lambda command=command: hyperfine(machine, command, 10) for each, command in commands.items()})
        table(("", "median", "range", "to podman exec"), compared(values, "ms"))
        for tool in ([machine.program], ["podman"]):
            machine.run([*tool, "rm", "-f", "bench"])


main()
