# shellcheck shell=sh
# What helpers/*.sh and .ci/run share: messages, root's rights, packages, subordinate ids, devices, Rust.
# Sourced, never run. POSIX sh. Every step here looks first and does nothing where nothing is to be done, so
# that each script can be run again at any time.

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, after showing it. Nothing else in these scripts does anything as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        say "  # $*"
        "$@"
    elif have sudo; then
        say "  \$ sudo $*"
        sudo -- "$@"
    elif have doas; then
        say "  \$ doas $*"
        doas -- "$@"
    else
        die "this step needs root, and neither sudo nor doas is here; run as root, then start again:
    $*"
    fi
}

# Writes standard input to file $1, as root.
write_as_root() { as_root tee "$1" >/dev/null; }

# --- packages -------------------------------------------------------------------------------------------

# The first package manager of this machine that we know.
package_manager() {
    for pm in apt-get dnf pacman zypper apk; do
        if have "$pm"; then
            say "$pm"
            return
        fi
    done
}

# The packages that bring what is asked for. A capability that a distribution's base system always has is absent.
packages_for() {
    case "$(package_manager):$1" in
    apt-get:cc) say gcc libc6-dev ;;
    dnf:cc) say gcc glibc-devel glibc-static ;;
    pacman:cc) say gcc glibc ;;
    zypper:cc) say gcc glibc-devel glibc-devel-static ;;
    apk:cc) say gcc musl-dev ;;
    apt-get:newuidmap) say uidmap ;;
    dnf:newuidmap) say /usr/bin/newuidmap /usr/bin/newgidmap ;;
    apk:newuidmap) say cmd:newuidmap cmd:newgidmap ;;
    *:newuidmap) say shadow ;;
    *:pasta) say passt ;;
    *:certificates) say ca-certificates ;;
    *) say "$1" ;;
    esac
}

# Refreshes the lists of packages, once in a run.
refresh_packages() {
    [ -z "${packages_refreshed:-}" ] || return 0
    packages_refreshed=yes
    case "$(package_manager)" in
    apt-get) as_root apt-get update -qq ;;
    apk) as_root apk update -q ;;
    pacman) as_root pacman -Sy --noconfirm ;;
    *) : ;; # dnf and zypper refresh by themselves
    esac
}

# Installs packages by their names here, without asking and without what they only recommend.
install_packages() {
    refresh_packages
    case "$(package_manager)" in
    apt-get)
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 --no-install-recommends "$@"
        ;;
    dnf) as_root dnf install -y -q --setopt=install_weak_deps=False "$@" ;;
    pacman) as_root pacman -S --needed --noconfirm "$@" ;;
    zypper) as_root zypper --non-interactive install --no-recommends "$@" ;;
    apk) as_root apk add "$@" ;;
    *) die "no package manager that this script knows (apt, dnf, pacman, zypper, apk); please install: $*" ;;
    esac
}

# --- Rust -----------------------------------------------------------------------------------------------

# The oldest Rust that builds this source, from Cargo.toml.
rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# Whether version $1 is at least $2 (both as 1.88 or 1.88.0).
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

# Whether a new enough cargo is at hand; puts rustup's own folder on PATH where that is what is missing.
rust_ready() {
    have cargo || [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    rust_version=$(cargo --version 2>/dev/null | cut -d' ' -f2)
    [ -n "$rust_version" ] && at_least "$rust_version" "$(rust_wanted)"
}

# The distribution's package of cargo that is new enough, if it has one. Debian's `cargo-web` and Ubuntu's
# `cargo-1.NN` are newer than their plain `cargo`; all of them bring the compiler along.
cargo_package() {
    case "$(package_manager)" in
    apt-get)
        for package in cargo cargo-web $(apt-cache pkgnames cargo-1. | sort -t. -k2,2nr); do
            version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
            if [ -n "$version" ] && at_least "$version" "$(rust_wanted)"; then
                say "$package"
                return
            fi
        done
        ;;
    pacman) say rust ;;
    dnf | zypper | apk) say cargo ;;
    *) : ;;
    esac
}

# Makes rust_ready true, or ends with what the user can do.
install_rust() {
    if have rustup; then
        rustup toolchain install stable --profile default
        rustup default stable
    else
        refresh_packages
        package=$(cargo_package)
        [ -z "$package" ] || install_packages "$package"
        # Ubuntu's cargo-1.NN package installs the commands cargo-1.NN and rustc-1.NN.
        case "$package" in
        cargo-1.*) use_versioned_rust "${package#cargo-}" ;;
        esac
    fi
    rust_ready || die "this needs Rust $(rust_wanted) or newer, and the distribution has none (found: ${rust_version:-none});
    install it from https://rustup.rs, then start again"
}

# Sees to clippy and rustfmt, which contributors and CI need beside the compiler.
install_rust_tools() {
    ! { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1 || return 0
    if have rustup; then
        rustup component add clippy rustfmt
        return
    fi
    package=$(cargo_package)
    case "$(package_manager):$package" in
    apt-get:cargo-web) install_packages rust-web-clippy rustfmt-web ;;
    apt-get:cargo) install_packages rust-clippy rustfmt ;;
    apt-get:cargo-1.*) install_packages "rust-${package#cargo-}-clippy" "rustfmt-${package#cargo-}" ;;
    apk:*) install_packages rust-clippy rustfmt ;;
    *) install_packages clippy rustfmt ;;
    esac
}

# Puts the commands cargo and rustc for cargo-$1 and rustc-$1 on PATH, in a folder of our own.
use_versioned_rust() {
    mkdir -p "$HOME/.cache/enter/rust-$1"
    for tool in cargo rustc rustdoc rustfmt cargo-fmt cargo-clippy clippy-driver; do
        ln -sf "/usr/bin/$tool-$1" "$HOME/.cache/enter/rust-$1/$tool"
    done
    PATH="$HOME/.cache/enter/rust-$1:$PATH"
}

# --- what the build and the program need ------------------------------------------------------------------

# Whether a C compiler can link a static program: crates with C parts and PID 1 need it.
static_cc_works() {
    have cc || return 1
    scratch=$(mktemp -d)
    printf 'int main(void) { return 0; }\n' >"$scratch/a.c"
    if cc -static -o "$scratch/a" "$scratch/a.c" 2>/dev/null; then
        rm -rf "$scratch"
    else
        rm -rf "$scratch"
        return 1
    fi
}

# Capabilities of this machine that enter's build and running need and that are not there.
missing_needs() {
    static_cc_works || say cc
    { have newuidmap && have newgidmap; } || say newuidmap
    have pasta || say pasta
    [ -n "$(ls -A /etc/ssl/certs 2>/dev/null)" ] || say certificates
}

# --- subordinate ids --------------------------------------------------------------------------------------

# Whether user $1 has subordinate uids and gids.
has_subids() {
    for kind in uid gid; do
        if have getsubids; then
            flag=; [ $kind = uid ] || flag=-g
            # shellcheck disable=SC2086 # the flag is empty or one word
            getsubids $flag "$1" 2>/dev/null | grep -q : || return 1
        else
            grep -q -e "^$1:" -e "^$(id -u "$1"):" "/etc/sub$kind" 2>/dev/null || return 1
        fi
    done
}

# The first id of a free range of 65536: above every range and every account there is, on a round number.
free_subid_start() {
    {
        say 100000
        cat /etc/subuid /etc/subgid 2>/dev/null | awk -F: 'NF == 3 { print $2 + $3 }'
        { getent passwd || cat /etc/passwd; } | awk -F: '$3 >= 100000 && $3 < 600000000 { print $3 + 1 }'
        { getent group || cat /etc/group; } | awk -F: '$3 >= 100000 && $3 < 600000000 { print $3 + 1 }'
    } | sort -n | tail -n 1 | awk '{ print 100000 + int(($1 - 100000 + 65535) / 65536) * 65536 }'
}

# Gives user $1 a range of subordinate uids and gids of its own.
add_subids() {
    start=$(free_subid_start)
    end=$((start + 65535))
    if have usermod || [ -x /usr/sbin/usermod ]; then
        as_root env PATH="$PATH:/usr/sbin:/sbin" \
            usermod --add-subuids "$start-$end" --add-subgids "$start-$end" "$1"
    else
        for file in /etc/subuid /etc/subgid; do
            say "$1:$start:65536" | as_root tee -a "$file" >/dev/null
        done
    fi
}

# --- the user who runs tests and benchmarks ------------------------------------------------------------------

# The ordinary user who does so: the caller, or one made for it where the caller is root.
tester_name() {
    if [ "$(id -u)" -eq 0 ]; then say enter-test; else id -un; fi
}

# Sees to it that user $1 exists, has subordinate ids, and can open the devices.
provide_tester() {
    if ! id "$1" >/dev/null 2>&1; then
        say "Creating the ordinary user $1, who runs the tests:"
        as_root useradd --create-home --shell /bin/bash "$1"
    fi
    has_subids "$1" || add_subids "$1"
    for device in $(closed_devices); do
        open_device "$device"
    done
}

# Runs a command as user $1, in the environment of a login of its own.
as_user() {
    as=$1
    shift
    if [ "$(id -un)" = "$as" ]; then
        "$@"
    else
        # What ignores a hang-up (nohup, some services) or ^C (a shell's background) leaves that to its children, and a terminal's are to be felt.
        runuser -u "$as" -- env --default-signal=HUP,INT,QUIT -u XDG_RUNTIME_DIR -u XDG_CONFIG_HOME -u XDG_DATA_HOME -u XDG_CACHE_HOME \
            -u XDG_STATE_HOME -u CARGO_HOME -u RUSTUP_HOME -u MAIL -u SUDO_USER -u SUDO_UID -u SUDO_GID \
            HOME="$(getent passwd "$as" | cut -d: -f6)" USER="$as" LOGNAME="$as" SHELL=/bin/bash "$@"
    fi
}

# --- devices and the kernel's settings --------------------------------------------------------------------

# The device nodes that this user cannot open. `udev` opens both to everyone; a machine without it may not.
closed_devices() {
    for device in /dev/fuse /dev/net/tun; do
        # Root passes every permission check: for root look at what others may do.
        if [ "$(id -u)" -eq 0 ]; then
            [ -c "$device" ] && case "$(stat -c %a "$device")" in *[67]) continue ;; esac
        elif [ -r "$device" ] && [ -w "$device" ]; then
            continue
        fi
        say "$device"
    done
}

# Opens device $1 to everyone, as udev's own rules do, now and at the next start where udev or tmpfiles.d run.
open_device() {
    case "$1" in
    /dev/fuse) module=fuse node="10 229" ;;
    /dev/net/tun) module=tun node="10 200" ;;
    *) die "no rule for device $1" ;;
    esac
    if [ ! -c "$1" ] && have modprobe; then
        as_root modprobe "$module" || say "  (no kernel module $module: built in, or not there)"
    fi
    if [ ! -c "$1" ]; then
        as_root mkdir -p "${1%/*}"
        # shellcheck disable=SC2086 # major and minor are two words
        as_root mknod "$1" c $node
    fi
    as_root chmod 0666 "$1"
    if [ -d /etc/tmpfiles.d ]; then
        say "z $1 0666 root root -" | write_as_root "/etc/tmpfiles.d/enter-$module.conf"
    fi
    if [ -d /etc/udev/rules.d ]; then
        say "KERNEL==\"$module\", MODE=\"0666\"" | write_as_root "/etc/udev/rules.d/60-enter-$module.rules"
    fi
}

# The value of sysctl $1 (in /proc/sys form), or nothing where this kernel has none.
kernel_setting() { cat "/proc/sys/$1" 2>/dev/null || true; }

# Whether the kernel refuses user namespaces to ordinary users by a switch of its own (Debian up to 10, Arch's hardened kernel).
userns_switched_off() { [ "$(kernel_setting kernel/unprivileged_userns_clone)" = 0 ]; }

switch_userns_on() {
    say "kernel.unprivileged_userns_clone = 1" | write_as_root /etc/sysctl.d/60-enter-userns.conf
    as_root sysctl -q -p /etc/sysctl.d/60-enter-userns.conf
}

# Whether AppArmor takes the capabilities out of an ordinary user's namespaces (Ubuntu from 23.10).
apparmor_restricts() { [ "$(kernel_setting kernel/apparmor_restrict_unprivileged_userns)" = 1 ]; }

# The name of the AppArmor profile for the program at path $1: one for each place of installation.
apparmor_profile() { say "enter$(say "${1%/enter}" | tr -c 'A-Za-z0-9\n' -)"; }

# Allows the program at path $1 its user namespaces: the mend that Ubuntu documents, and not the sysctl for all.
write_apparmor_profile() {
    profile=$(apparmor_profile "$1")
    write_as_root "/etc/apparmor.d/$profile" <<PROFILE
# Written by enter's setup. enter makes containers in user namespaces of its own; nothing else is allowed by this.
abi <abi/4.0>,
include <tunables/global>

profile $profile $1 flags=(unconfined) {
  userns,
  include if exists <local/$profile>
}
PROFILE
    as_root env PATH="$PATH:/usr/sbin:/sbin" apparmor_parser -r "/etc/apparmor.d/$profile"
}
