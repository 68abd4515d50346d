//! The filesystems and devices that every container has (HARDENING's order: mounts, masks).

use plan::{Filesystem, Restrictions, Step};

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

/// What there is to choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Furniture {
    /// The root is this machine's.
    pub host_root: bool,
    /// The network namespace is not ours, and so sysfs is the host's.
    pub host_network: bool,
    /// The processes are the host's, and so /proc is.
    pub host_processes: bool,
    /// What lies in /dev/shm, and whose message queues there are.
    pub memory: Memory,
    /// Drivers and control groups can be written, as far as the user may write them.
    pub writable_system: bool,
}

/// Shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// There is none.
    None,
    /// The container's own, of at most so many bytes.
    Own(Option<u64>),
    /// The host's.
    Host,
}

impl Default for Memory {
    fn default() -> Self {
        Self::Own(None)
    }
}

impl Furniture {
    /// The steps, in order.
    pub fn steps(self) -> Vec<Step> {
        let mut steps = vec![self.processes(), self.drivers()];
        steps.push(Step::Mount {
            target: "/sys/fs/cgroup".into(),
            filesystem: Filesystem::Cgroup2,
            restrictions: Restrictions { read_only: !self.writable_system, ..SEALED },
            // A kernel with the first version only, or a container without cgroups around us.
            optional: true,
        });
        let in_memory = |mode, size| Filesystem::memory(mode, Some(size));
        let no_suid = Restrictions { no_suid: true, ..Restrictions::default() };
        steps.push(mount("/dev", in_memory(0o755, 1 << 16), Restrictions { no_exec: true, ..no_suid }));
        steps.extend(DEVICES.map(|device| bound(&format!("/dev/{device}"), Restrictions { no_exec: true, ..no_suid })));
        steps.push(mount("/dev/pts", Filesystem::Devpts, Restrictions { no_exec: true, ..no_suid }));
        steps.extend(self.shared());
        for (target, points_to) in LINKS {
            steps.push(Step::Link { target: target.into(), points_to: points_to.into() });
        }
        if self.host_root {
            // The host's sockets and locks are not a container's; its names for them would only mislead.
            steps.push(mount("/run", Filesystem::memory(0o755, None), Restrictions { no_dev: true, ..no_suid }));
            steps.push(Step::Directory { target: "/run/lock".into(), mode: 0o1777, owner: (0, 0) });
        }
        steps
    }

    fn processes(self) -> Step {
        if self.host_processes { bound("/proc", SEALED) } else { mount("/proc", Filesystem::Proc, SEALED) }
    }

    fn drivers(self) -> Step {
        let restrictions = Restrictions { read_only: !self.writable_system, ..SEALED };
        if self.host_network { bound("/sys", restrictions) } else { mount("/sys", Filesystem::Sysfs, restrictions) }
    }

    fn shared(self) -> Vec<Step> {
        match self.memory {
            Memory::None => vec![mount("/dev/mqueue", Filesystem::Mqueue, SEALED)],
            Memory::Own(size) => vec![
                mount("/dev/mqueue", Filesystem::Mqueue, SEALED),
                mount("/dev/shm", Filesystem::memory(0o1777, size), SEALED),
            ],
            Memory::Host => ["/dev/mqueue", "/dev/shm"]
                .into_iter()
                .filter(|path| std::path::Path::new(path).is_dir())
                .map(|path| bound(path, SEALED))
                .collect(),
        }
    }
}

/// What is hidden and what is made read-only, after everything else is in place.
pub fn masks<'a>(masked: impl IntoIterator<Item = &'a str>, read_only: impl IntoIterator<Item = &'a str>) -> Vec<Step> {
    let hide = masked.into_iter().map(|path| Step::Mask { target: path.into() });
    hide.chain(read_only.into_iter().map(|path| Step::ReadOnly { target: path.into() })).collect()
}

/// What this machine has at a path, at the same path.
pub fn bound(path: &str, restrictions: Restrictions) -> Step {
    let recursive = std::path::Path::new(path).is_dir();
    Step::Bind { source: path.into(), target: path.into(), recursive, restrictions }
}

/// A new filesystem.
pub fn mount(target: &str, filesystem: Filesystem, restrictions: Restrictions) -> Step {
    Step::Mount { target: target.into(), filesystem, restrictions, optional: false }
}
