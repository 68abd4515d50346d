#!/bin/sh
# Sets up everything that enter needs on this machine, builds and installs it, and opens `enter host`: a
# throwaway, copy-on-write view of this very machine. Without a terminal it runs a short command there instead.
#
#   helpers/setup.sh              do it
#   helpers/setup.sh --dry-run    only say what would be done
#
# It says what it will do before it does it, uses sudo for the lines marked so and for nothing else, and can be
# run again: what is there already is left alone. Root installs below /usr/local, anyone else below ~/.local.
set -eu
cd "$(dirname "$0")/.."
. helpers/lib.sh

user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    prefix=/usr/local
    fish_completions=$prefix/share/fish/vendor_completions.d
    mark=
else
    prefix=$HOME/.local
    fish_completions=${XDG_CONFIG_HOME:-$HOME/.config}/fish/completions
    mark=' (sudo)'
fi
program=$prefix/bin/enter

# --- 1. look -----------------------------------------------------------------------------------------------

look() {
    needs=$(missing_needs)
    devices=$(closed_devices)
    rust=there; rust_ready || rust=missing
    subids=there; has_subids "$user" || subids=missing
    userns=there; ! userns_switched_off || userns=off
    apparmor=there
    if apparmor_restricts && [ ! -e "/etc/apparmor.d/$(apparmor_profile "$program")" ]; then
        apparmor=missing
    fi
}

# --- 2. say ------------------------------------------------------------------------------------------------

announce() {
    say "enter's setup, for $user. What will be done:"
    for need in $needs; do
        say "  - install $(packages_for "$need" | tr '\n' ' ')with $(package_manager)$mark: $(reason "$need")"
    done
    [ $rust = there ] || say "  - install Rust, at least $(rust_wanted): from rustup where it is here, else with $(package_manager)$mark"
    [ $subids = there ] || say "  - give $user 65536 subordinate uids and gids$mark: the other users inside a container"
    for device in $devices; do
        say "  - open $device to all users$mark: $(reason "$device")"
    done
    [ $userns = there ] || say "  - switch on user namespaces for ordinary users$mark: a container is made of them"
    [ $apparmor = there ] || say "  - add an AppArmor profile$mark: it allows $program, and nothing else, user namespaces"
    say "  - build enter (cargo build --release)"
    say "  - install it to $program, with its completions and man pages"
    say "  - run \`enter host\`: a throwaway shell on a copy-on-write view of this machine"
    say
}

reason() {
    case "$1" in
    cc) say "a C compiler and a static C library, to build" ;;
    newuidmap) say "newuidmap and newgidmap, which map subordinate ids into a container" ;;
    pasta) say "pasta, a container's network" ;;
    certificates) say "the certificate authorities that registries are checked against" ;;
    /dev/fuse) say "images are served through it" ;;
    /dev/net/tun) say "pasta makes a container's network interface with it" ;;
    *) die "no reason known for $1" ;;
    esac
}

# --- 3. do -------------------------------------------------------------------------------------------------

provide() {
    for need in $needs; do
        # shellcheck disable=SC2046 # one word for each package
        if install_packages $(packages_for "$need"); then :; elif [ "$need" = pasta ]; then
            say "  (this distribution has no pasta; without it containers have no network of their own: see enter doctor)"
        else
            die "could not install what brings $(reason "$need")"
        fi
    done
    [ $rust = there ] || install_rust
    [ $subids = there ] || add_subids "$user"
    for device in $devices; do
        open_device "$device"
    done
    [ $userns = there ] || switch_userns_on
    [ $apparmor = there ] || write_apparmor_profile "$program"
}

# Builds in the tree's own target folder, or in the cache of a user who may not write there.
build() {
    if [ -z "${CARGO_TARGET_DIR:-}" ] && ! mkdir -p target 2>/dev/null || [ ! -w "${CARGO_TARGET_DIR:-target}" ]; then
        CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/enter/target
        export CARGO_TARGET_DIR
    fi
    cargo build --release --locked --package enter
    built=${CARGO_TARGET_DIR:-target}/release/enter
}

# Copies file $1 to $2 where it differs, through a new file: a running enter keeps the one that it was started from.
put() {
    if cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$3" ]; then
        return
    fi
    say "  $2"
    mkdir -p "${2%/*}"
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
}

install_files() {
    put "$built" "$program" 755
    # By this name podman and mount(8) have it mount for them.
    ln -sf "${program##*/}" "${program%/*}/enter-cowfs"
    put completions/enter.bash "$prefix/share/bash-completion/completions/enter" 644
    put completions/_enter "$prefix/share/zsh/site-functions/_enter" 644
    put completions/enter.fish "$fish_completions/enter.fish" 644
    for page in man/*.[1-9]; do
        put "$page" "$prefix/share/man/man${page##*.}/${page##*/}" 644
    done
}

# What a shell there would show, for a run without a terminal: who and where, and that nothing outside changes.
# shellcheck disable=SC2016 # the container's shell expands these
demonstration='
echo "  I am $(id -un) ($(id -u):$(id -g)) in $PWD, on $(. /etc/os-release; echo "$PRETTY_NAME")"
'
# shellcheck disable=SC2016
root_demonstration='
echo "made inside" >/etc/enter-was-here
echo "  I am $(id -un) ($(id -u):$(id -g)); in here /etc/enter-was-here says: $(cat /etc/enter-was-here)"
'

open_host() {
    say
    if [ -t 0 ] && [ -t 1 ]; then
        say "This is \`enter host\`: everything outside your home is a throwaway copy. Leave it with exit."
        exec "$program" host
    fi
    say "No terminal here, so instead of a shell, a command in \`enter host\`:"
    "$program" host -- sh -c "$demonstration"
    "$program" host -u root -- sh -c "$root_demonstration"
    if [ -e /etc/enter-was-here ]; then
        die "a file made inside is outside too: /etc/enter-was-here; please report this"
    fi
    say "  and out here there is no /etc/enter-was-here"
}

look
announce
case "${1:-}" in
--dry-run) exit 0 ;;
"") ;;
*) die "unknown argument $1 (there is only --dry-run)" ;;
esac
provide
build
install_files
case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) say "Add $prefix/bin to your PATH to type \`enter\`: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
open_host
