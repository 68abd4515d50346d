#!/bin/sh
# Runs every test of enter: unit tests, documentation tests, and the end-to-end tests, in which an ordinary user
# runs the real program against a real registry and real images.
#
#   helpers/test.sh              everything
#   helpers/test.sh NAME         only the tests whose name contains NAME
#
# It says what it will install, uses sudo only for that, and can be run again. Root builds, then runs the tests
# as the ordinary user `enter-test`, which it creates with subordinate ids; anyone else runs them as themselves.
# Nothing is skipped: what a test needs and is not there is a failure. The last line is the total.
set -eu
cd "$(dirname "$0")/.."
. helpers/lib.sh
umask 022

filter=${1:-}
tester=$(tester_name)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the tests use beside what enter itself needs: a registry and what fills it, the tools that they compare with,
# and what images are made of.
tools='docker-registry skopeo umoci podman runc fuse3 fuse-overlayfs slirp4netns busybox-static mmdebstrap debian-archive-keyring openssl python3 zstd xz-utils bzip2
    bash fish zsh mandoc systemd strace openssh-client'

missing_tools() {
    for tool in $tools; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null)" = installed ] || say "$tool"
    done
}

prepare() {
    [ "$(package_manager)" = apt-get ] || have docker-registry ||
        die "the end-to-end tests build Debian images and need Debian or Ubuntu (for: $tools)"
    needs=$(missing_needs)
    lacking=$(missing_tools)
    if [ -n "$needs$lacking" ]; then
        say "Installing what the tests need:"
        # shellcheck disable=SC2046,SC2086 # one word for each package
        install_packages $(for need in $needs; do packages_for "$need"; done) $lacking
    fi
    provide_tester "$tester"
    ! userns_switched_off || switch_userns_on
    rust_ready || install_rust
}

# Whether the tester can read this tree.
tree_is_readable() {
    [ "$(id -un)" = "$tester" ] || runuser -u "$tester" -- test -r "$PWD/Cargo.toml"
}

# A tree that the tester cannot read (a clone below /root, say) is built from a copy that it can.
make_readable() {
    tree_is_readable && return
    copy=/var/cache/enter-test
    say "$tester cannot read $PWD: building from a copy of it in $copy"
    mkdir -p "$copy"
    rm -rf "$copy/src"
    mkdir "$copy/src"
    tar -c --exclude=./target --exclude=./.git . | tar -x -C "$copy/src"
    export CARGO_TARGET_DIR="$copy/target"
    cd "$copy/src"
}

# Installs pjdfstest, of the version that the test of it wants, where that test looks for it.
install_pjdfstest() {
    version=$(sed -n 's/^const VERSION: &str = "\(.*\)";/\1/p' helpers/cowfs/tests/pjdfstest/main.rs)
    suites=${CARGO_TARGET_DIR:-target}/tools
    [ "$("$suites/bin/pjdfstest" --version 2>/dev/null)" != "pjdfstest $version" ] || return 0
    say "Installing pjdfstest $version, a test suite for filesystems, from crates.io to $suites"
    cargo install pjdfstest --version "$version" --locked --debug --root "$suites"
}

# Installs the Dev Containers CLI, of the version that the test of it wants, where that test looks for it; and a node that is young
# enough for it, where this machine's is not.
install_devcontainers() {
    version=$(sed -n 's/^const VERSION: &str = "\(.*\)";/\1/p' tests/e2e/devcontainers.rs)
    suites=${CARGO_TARGET_DIR:-target}/tools
    packages="@devcontainers/cli@$version"
    at_least "$(node --version 2>/dev/null | tr -d v)" 20 || packages="$packages node@22"
    ! grep -qF "\"version\": \"$version\"" "$suites/node_modules/@devcontainers/cli/package.json" 2>/dev/null || return 0
    have npm || install_packages npm
    say "Installing $packages from the npm registry to $suites"
    mkdir -p "$suites"
    # shellcheck disable=SC2086 # one word for each package
    npm install --silent --no-fund --no-audit --no-update-notifier --prefix "$suites" $packages
}

# Builds all tests, and writes a line for each test program: the folder it is to be run in, and its path.
build() {
    cargo test --no-run --workspace --locked --message-format=json-render-diagnostics >"$work/messages"
    sed -n 's/.*"manifest_path":"\([^"]*\)\/Cargo.toml".*"test":true},"features".*"executable":"\([^"]*\)".*/\1 \2/p' \
        "$work/messages" >"$work/programs"
    [ -s "$work/programs" ] || die "cargo built no tests"
    program=$(sed -n 's/.*"name":"enter".*"executable":"\([^"]*\/enter\)".*/\1/p' "$work/messages" | tail -n 1)
    if apparmor_restricts && [ -n "$program" ] && [ ! -e "/etc/apparmor.d/$(apparmor_profile "$program")" ]; then
        write_apparmor_profile "$program"
    fi
}

# Runs one test command, named $2, in folder $1, shows its output, and adds its counts to the total.
passed=0
failed=0
run_tests() {
    folder=$1
    say
    say "== $2 =="
    shift 2
    status=0
    (cd "$folder" && { "$@" </dev/null 2>&1 || say "exit status $?" >"$work/status"; }) | tee "$work/output"
    [ ! -e "$work/status" ] || status=1
    rm -f "$work/status"
    counts=$(sed -n 's/^test result: .*[^0-9]\([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' "$work/output" |
        awk '{ p += $1; f += $2 + $3 } END { print p + 0, f + 0 }')
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    # A program that died without a count, or failed although all its tests passed, is a failure of its own.
    [ $status -eq 0 ] || [ "${counts#* }" -gt 0 ] || failed=$((failed + 1))
}

prepare
make_readable
install_pjdfstest
install_devcontainers
build
while read -r folder program; do
    if [ -n "$filter" ]; then
        run_tests "$folder" "${program##*/}" as_user "$tester" "$program" "$filter"
    else
        run_tests "$folder" "${program##*/}" as_user "$tester" "$program"
    fi
done <"$work/programs"
# Documentation tests are compiled as they run, so they run as the one who has the compiler.
if [ -z "$filter" ]; then
    run_tests . "documentation tests" cargo test --doc --workspace --locked
fi

say
[ $((passed + failed)) -gt 0 ] || die "no test has the name $filter"
say "$passed passed, $failed failed"
[ $failed -eq 0 ]
