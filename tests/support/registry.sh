#!/bin/sh
# A real registry, with TLS from a certificate authority of its own, filled with the images of images.py.
#
#   tests/support/registry.sh [--bench]
#
# Prints one line, `ready HOST:PORT FOLDER LAYOUT`, and serves until its standard input ends: it cannot outlive
# whoever started it. FOLDER is what a user's ~/.config/containers would hold: registries.conf with the registry as
# the mirror of docker.io, and certs.d. LAYOUT has the same images as an OCI layout. They are made once, and kept in
# $ENTER_TEST_CACHE (default: the user's cache).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
set_name=tests
[ "${1:-}" != --bench ] || set_name=bench

version=$(cat "$here/images.py" "$here/contents.py" | sha256sum | cut -c1-16)
cache=${ENTER_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/enter-tests}
kept=$cache/$set_name-$version
scratch=$(mktemp -d "${TMPDIR:-/tmp}/enter-registry.XXXXXX")
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# --- a certificate authority, and a certificate for localhost ------------------------------------------------

certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=test authority' \
        -keyout "$scratch/ca.key" -out "$scratch/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
        -keyout "$scratch/tls.key" -out "$scratch/tls.csr"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$scratch/names"
    openssl x509 -req -in "$scratch/tls.csr" -CA "$scratch/ca.crt" -CAkey "$scratch/ca.key" -CAcreateserial -days 2 \
        -extfile "$scratch/names" -out "$scratch/tls.crt"
}

# --- the server: on a free port of its own choice --------------------------------------------------------------

# serve STORAGE READONLY
serve() {
    cat >"$scratch/config.yml" <<CONFIG
version: 0.1
log: { level: info }
storage:
  filesystem: { rootdirectory: $1 }
  delete: { enabled: false }
  maintenance: { readonly: { enabled: $2 } }
http:
  addr: 127.0.0.1:0
  tls: { certificate: $scratch/tls.crt, key: $scratch/tls.key }
CONFIG
    : >"$scratch/log"
    # An hour is more than any run needs, and the end of a registry that nobody waits for.
    OTEL_TRACES_EXPORTER=none timeout 3600 docker-registry serve "$scratch/config.yml" >"$scratch/log" 2>&1 </dev/null &
    server=$!
    port=
    tries=0
    while [ -z "$port" ]; do
        port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/log")
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$scratch/log" >&2
            exit 1
        fi
        [ -n "$port" ] || sleep 0.1
    done
}

# --- the images: made, pushed, and kept -----------------------------------------------------------------------

fill() {
    layout=$kept.new/layout
    rm -rf "$kept.new"
    mkdir -p "$kept.new"
    if [ $set_name = bench ]; then
        python3 "$here/images.py" --bench "$layout"
        names=bench
    else
        python3 "$here/images.py" "$layout"
        names='busybox sixty zstd odd hostile platforms debian awkward'
    fi
    serve "$kept.new/storage" false
    mkdir -p "$scratch/push"
    cp "$scratch/ca.crt" "$scratch/push/ca.crt"
    # No credentials, and none looked for.
    printf '{}' >"$scratch/auth.json"
    for name in $names; do
        format=oci
        # One of them as docker itself pushes: a schema 2 manifest.
        [ "$name" != busybox ] || format=v2s2
        preserve=--preserve-digests
        [ "$format" = oci ] || preserve=
        # shellcheck disable=SC2086 # the option is one word or none
        skopeo --insecure-policy copy --quiet --all $preserve --format $format --dest-cert-dir "$scratch/push" --authfile "$scratch/auth.json" \
            "oci:$layout:$name" "docker://localhost:$port/library/$name:latest"
    done
    kill "$server"
    wait "$server" || true
    mv "$kept.new" "$kept"
}

certificates 2>"$scratch/openssl.log" || { cat "$scratch/openssl.log" >&2; exit 1; }
mkdir -p "$cache"
(
    # Two runs at once make the images once.
    trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
    flock 9
    [ -d "$kept" ] || fill
) 9>"$cache/lock" </dev/null >&2
serve "$kept/storage" true

folder=$scratch/containers
mkdir -p "$folder/certs.d/localhost:$port"
cp "$scratch/ca.crt" "$folder/certs.d/localhost:$port/ca.crt"
cat >"$folder/registries.conf" <<CONFIG
unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "localhost:$port"
CONFIG
printf 'ready localhost:%s %s %s\n' "$port" "$folder" "$kept/layout"
cat >/dev/null
