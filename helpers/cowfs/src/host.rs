//! A directory of the host as a lower: which one it is, and what of it is not shown.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Error, Result};

/// A host directory, opened, that is to be shown with everything below it, other mounted filesystems
/// included. Filesystems that are the kernel's own face (`/proc`, `/sys`, device nodes, control groups and
/// their like), automount points and filesystems of this crate appear as empty directories.
#[derive(Debug)]
pub struct HostDir {
    pub(crate) root: OwnedFd,
    pub(crate) excluded: Vec<PathBuf>,
}

impl HostDir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where it is none, or may not be looked at.
    pub fn open(path: &Path) -> Result<HostDir> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|errno| Error::File {
            action: "open",
            path: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(HostDir { root, excluded: Vec::new() })
    }

    /// Shows the directory at `path` (as the host names it) as an empty one. One that does not exist is
    /// not shown anyway.
    pub fn exclude(mut self, path: impl Into<PathBuf>) -> HostDir {
        self.excluded.push(path.into());
        self
    }
}

/// Filesystems that are not files but the kernel speaking, by the names of `/proc/filesystems`.
const NOT_SHOWN: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.cowfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Filesystems whose answers may come from another machine or process, and may be long in coming.
const SLOW: &[&str] = &["9p", "afs", "ceph", "cifs", "fuse", "nfs", "nfs4", "smb3"];

/// The mounts that are shown, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    shown: HashSet<u64>,
    slow: HashSet<u64>,
}

impl Mounts {
    /// Those of this process's mount namespace.
    pub fn now() -> io::Result<Mounts> {
        Ok(Mounts::parse(&fs::read("/proc/self/mountinfo")?))
    }

    /// Reads proc_pid_mountinfo(5).
    fn parse(text: &[u8]) -> Mounts {
        let mut mounts = Mounts::default();
        for line in String::from_utf8_lossy(text).lines() {
            let id = line.split(' ').next().and_then(|id| id.parse().ok());
            let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
            let (Some(id), Some(kind)) = (id, kind) else { continue };
            if NOT_SHOWN.contains(&kind) {
                continue;
            }
            mounts.shown.insert(id);
            if SLOW.contains(&kind) || kind.starts_with("fuse.") {
                mounts.slow.insert(id);
            }
        }
        mounts
    }

    /// Whether files seen through this mount are shown.
    pub fn shows(&self, mount: u64) -> bool {
        // Before kernel 5.8 mounts have no ids here; then all are shown.
        mount == 0 || self.shown.contains(&mount)
    }

    /// Whether its files may be long in coming.
    pub fn is_slow(&self, mount: u64) -> bool {
        self.slow.contains(&mount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_apart_by_type() {
        let text = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            23 22 0:20 / /proc rw - proc proc rw\n\
            24 22 0:33 / /mnt/a\\040b rw shared:2 master:3 - fuse.sshfs host:/ rw\n\
            25 22 0:34 / /lower ro - fuse.cowfs cowfs ro\n\
            odd line\n";
        let mounts = Mounts::parse(text);
        assert_eq!((mounts.shown, mounts.slow), (HashSet::from([22, 24]), HashSet::from([24])));
    }
}
