#!/bin/sh
# Runs the benchmarks, or those named (start, exec, boxes, pull, lazy, images, read, write, memory, many, million, network), and prints their tables in Markdown.
#
#   benches/run.sh [NAME...]
#
# Installs what they compare with, builds enter, and measures as an ordinary user; started by root also with caches
# dropped, and each process's memory. ROUNDS (default 5) is how often the contenders take turns.
set -eu
cd "$(dirname "$0")/.."
. helpers/lib.sh

lacking=
for tool in podman runc slirp4netns fuse-overlayfs skopeo docker-registry bubblewrap hyperfine mmdebstrap debian-archive-keyring \
    busybox-static openssl python3 iperf3; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null)" = installed ] || lacking="$lacking $tool"
done
# podman's own networks, and other tools' boxes, where the distribution has them.
for tool in netavark aardvark-dns distrobox podman-toolbox dbus-daemon; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null)" = installed ] || ! apt-cache show "$tool" >/dev/null 2>&1 ||
        lacking="$lacking $tool"
done
# shellcheck disable=SC2086 # one word for each package
[ -z "$lacking" ] || install_packages $lacking >&2
provide_tester "$(tester_name)" >&2
cargo build --release --locked --package enter >&2
cargo build --release --locked --package cowfs --example union >&2
ENTER=${CARGO_TARGET_DIR:-$PWD/target}/release/enter
UNION=${CARGO_TARGET_DIR:-$PWD/target}/release/examples/union
export ENTER UNION

[ $# -gt 0 ] || set -- start exec boxes pull lazy images read write memory many million network
for name in "$@"; do
    python3 "benches/$name.py"
done
