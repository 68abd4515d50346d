#!/usr/bin/python3
"""Starting: `enter IMAGE -- true` against `bwrap` and `podman run --rm`, everything warm."""

from measure import IMAGE, Machine, compared, heading, hyperfine, in_turn, table


def main():
    with Machine() as machine:
        machine.run([machine.program, "pull", IMAGE])
        machine.podman_image()
        podman = f"podman run --rm docker.io/library/{IMAGE}"
        heading("Starting a command", ("podman", "--version"), ("bwrap", "--version"))
        commands = {
            "`bwrap --unshare-all`": "bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all true",
            "`enter --network none`": f"{machine.program} --network none {IMAGE} -- true",
            "`enter`": f"{machine.program} {IMAGE} -- true",
            "`enter host`": f"{machine.program} host -- true",
            "`podman run --rm --network none`": podman.replace("--rm", "--rm --network none") + " true",
            "`podman run --rm`": podman + " true",
            "`enter --version`": f"{machine.program} --version",
        }
        values = in_turn({name: lambda command=command: hyperfine(machine, command, 10) for name, command in commands.items()})
        table(("", "median", "range", "to bwrap"), compared(values, "ms"))


main()
