//! The filesystems and devices that every container has (HARDENING's order: mounts, masks).

use plan::{Filesystem, Restrictions, Step};

use super::request::Source;

/// Devices that are the host's own, and harmless.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/core", "/proc/kcore"),
];

const SEALED: Restrictions = Restrictions { read_only: false, no_suid: true, no_dev: true, no_exec: true };

/// The steps, in order. `host_network`: the network namespace is not ours, and so sysfs is the host's.
pub fn steps(source: &Source<'_>, host_network: bool) -> Vec<Step> {
    let mut steps = vec![mount("/proc", Filesystem::Proc, SEALED), system_files(host_network)];
    steps.push(Step::Mount {
        target: "/sys/fs/cgroup".into(),
        filesystem: Filesystem::Cgroup2,
        restrictions: Restrictions { read_only: true, ..SEALED },
        // A kernel with the first version only, or a container without cgroups around us.
        optional: true,
    });
    let in_memory = |mode, size| Filesystem::Tmpfs { mode, size: Some(size) };
    let no_suid = Restrictions { no_suid: true, ..Restrictions::default() };
    steps.push(mount("/dev", in_memory(0o755, 1 << 16), Restrictions { no_exec: true, ..no_suid }));
    for device in DEVICES {
        let path = format!("/dev/{device}");
        steps.push(Step::Bind {
            source: path.as_str().into(),
            target: path.as_str().into(),
            recursive: false,
            restrictions: Restrictions { no_exec: true, ..no_suid },
        });
    }
    steps.push(mount("/dev/pts", Filesystem::Devpts, Restrictions { no_exec: true, ..no_suid }));
    steps.push(mount("/dev/mqueue", Filesystem::Mqueue, SEALED));
    steps.push(mount("/dev/shm", Filesystem::Tmpfs { mode: 0o1777, size: None }, SEALED));
    for (target, points_to) in LINKS {
        steps.push(Step::Link { target: target.into(), points_to: points_to.into() });
    }
    if matches!(source, Source::Host) {
        // The host's sockets and locks are not a container's; its names for them would only mislead.
        steps.push(mount(
            "/run",
            Filesystem::Tmpfs { mode: 0o755, size: None },
            Restrictions { no_dev: true, ..no_suid },
        ));
        steps.push(Step::Directory { target: "/run/lock".into(), mode: 0o1777, owner: (0, 0) });
    }
    steps
}

fn system_files(host_network: bool) -> Step {
    let restrictions = Restrictions { read_only: true, ..SEALED };
    if host_network {
        return Step::Bind { source: "/sys".into(), target: "/sys".into(), recursive: true, restrictions };
    }
    mount("/sys", Filesystem::Sysfs, restrictions)
}

/// What is hidden and what is made read-only, after everything else is in place.
pub fn masks(masked: &[&str], read_only: &[&str]) -> Vec<Step> {
    let hide = masked.iter().map(|path| Step::Mask { target: (*path).into() });
    hide.chain(read_only.iter().map(|path| Step::ReadOnly { target: (*path).into() })).collect()
}

fn mount(target: &str, filesystem: Filesystem, restrictions: Restrictions) -> Step {
    Step::Mount { target: target.into(), filesystem, restrictions, optional: false }
}
