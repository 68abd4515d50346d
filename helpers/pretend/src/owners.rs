//! Whose a file is said to be.
//!
//! The container's own filesystem records it, as the virtual attribute [`ATTRIBUTE`]. A file of a volume keeps it in an attribute of its own,
//! [`KEPT`]. Elsewhere (in memory, or on what is bound from the host) it is remembered here, until the container ends: nothing on the host
//! changes by it.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::{AT_EMPTY_PATH, S_IFDIR, S_IFMT};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags};
use nix::sys::stat::{FchmodatFlags, Mode};
use sys::statx::{Status, statx, statx_unsynced};

use crate::credentials::SAME;
use crate::target::Patience;

/// Its value is `UID GID MODE[ MAJOR:MINOR]`, the mode in octal digits; it is set by `UID GID`.
pub const ATTRIBUTE: &CStr = c"system.cowfs.owner";

/// Its value is `UID GID`, in the container's ids. Links, fifos and sockets cannot have it.
pub const KEPT: &CStr = c"user.enter.owner";

/// Makes a device in the directory that it is set on: `UID GID MODE MAJOR:MINOR NAME`.
const DEVICE: &CStr = c"system.cowfs.device";

/// So many answers of the filesystem are kept: about 2 MB.
const MOST_KNOWN: usize = 32 * 1024;

/// So many owners are remembered of files elsewhere.
const MOST_REMEMBERED: usize = 16 * 1024;

/// Whose a file is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// A file, wherever it is named.
type Key = ((u32, u32), u64);

/// An answer of the filesystem, good as long as nothing has changed about the file.
#[derive(Clone, Copy, Debug)]
struct Known {
    ctime: (i64, u32),
    owner: Owner,
}

/// What a file on another filesystem says, good as long as nothing has changed about it.
#[derive(Clone, Copy, Debug)]
struct Said {
    ctime: (i64, u32),
    owner: Option<Owner>,
}

#[derive(Debug, Default)]
struct Tables {
    /// Whether a filesystem records owners.
    records: HashMap<(u32, u32), bool>,
    known: HashMap<Key, Known>,
    /// What files say that are not on such a filesystem, where there are volumes.
    said: HashMap<Key, Said>,
    /// With the time of the file's birth: the number may be another file's by now.
    remembered: HashMap<Key, ((i64, u32), Owner)>,
}

impl Tables {
    fn remembered(&self, key: Key, birth: (i64, u32)) -> Option<Owner> {
        self.remembered.get(&key).filter(|(born, _)| *born == birth).map(|(_, owner)| *owner)
    }
}

/// A place in the container that something is mounted at, and whether that is a volume.
pub type Mounted = (PathBuf, bool);

/// All that is known of owners.
#[derive(Debug)]
pub struct Owners {
    /// The container's only real user and group.
    real: Owner,
    mounted: Vec<Mounted>,
    has_volumes: bool,
    tables: Mutex<Tables>,
    /// How many devices have been made.
    devices: AtomicU64,
}

impl Owners {
    /// For a container whose only real user and group these are, with what is mounted in it.
    pub fn new(real: Owner, mounted: Vec<Mounted>) -> Self {
        let has_volumes = mounted.iter().any(|(_, is_volume)| *is_volume);
        Self { real, mounted, has_volumes, tables: Mutex::default(), devices: AtomicU64::new(0) }
    }

    /// Whether a file is a volume's. The container's mounts hang together below its root, and so the kernel names the file by its whole
    /// path in there, also to this process, which is elsewhere (`d_path` in the kernel's fs/d_path.c).
    fn is_in_volume(&self, file: BorrowedFd<'_>) -> bool {
        if !self.has_volumes {
            return false;
        }
        let Ok(path) = nix::fcntl::readlink(&by_number(file)) else { return false };
        let around = self.mounted.iter().filter(|(place, _)| Path::new(&path).starts_with(place));
        around.max_by_key(|(place, _)| place.as_os_str().len()).is_some_and(|(_, is_volume)| *is_volume)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose a file is said to be; `None`: what the kernel says holds. `file` may stand for it only (O_PATH).
    ///
    /// # Errors
    /// `EAGAIN`, where that cannot be told without patience; and those of the filesystem.
    pub fn of(&self, file: BorrowedFd<'_>, patience: Patience) -> Result<Option<Owner>, Errno> {
        let ask = if patience == Patience::None { statx_unsynced } else { statx };
        let status = ask(file, c"")?;
        let key = (status.device, status.inode);
        {
            let tables = self.tables();
            match tables.records.get(&status.device) {
                Some(true) => {
                    if let Some(known) = tables.known.get(&key).filter(|known| known.ctime == status.ctime) {
                        return Ok(Some(known.owner));
                    }
                }
                Some(false) => {
                    let remembered = tables.remembered(key, status.btime);
                    match tables.said.get(&key).filter(|said| said.ctime == status.ctime) {
                        Some(said) => return Ok(said.owner.or(remembered)),
                        None if !self.has_volumes => return Ok(remembered),
                        None => {}
                    }
                }
                None => {}
            }
        }
        if patience == Patience::None {
            return Err(Errno::EAGAIN);
        }
        let recorded = recorded(file)?;
        let kept = if recorded.is_none() && self.is_in_volume(file) { kept(file) } else { None };
        let mut tables = self.tables();
        tables.records.insert(status.device, recorded.is_some());
        let Some(owner) = recorded else {
            if tables.said.len() >= MOST_KNOWN {
                tables.said.clear();
            }
            if self.has_volumes {
                tables.said.insert(key, Said { ctime: status.ctime, owner: kept });
            }
            return Ok(kept.or(tables.remembered(key, status.btime)));
        };
        if tables.known.len() >= MOST_KNOWN {
            tables.known.clear();
        }
        tables.known.insert(key, Known { ctime: status.ctime, owner });
        Ok(Some(owner))
    }

    /// Whose a file is said to be, or else is by the kernel's word, in the container's ids.
    pub fn said(&self, file: BorrowedFd<'_>) -> Result<Owner, Errno> {
        if let Some(owner) = self.of(file, Patience::Some)? {
            return Ok(owner);
        }
        let Status { uid, gid, .. } = statx(file, c"")?;
        // Here the only real ids are 0; there is nobody else but nobody.
        let inside = |id: u32, real: u32| if id == 0 { real } else { id };
        Ok(Owner { uid: inside(uid, self.real.uid), gid: inside(gid, self.real.gid) })
    }

    /// Makes a file somebody's; [`SAME`] leaves the user or the group as it is.
    ///
    /// # Errors
    /// Those of chown(2).
    pub fn give(&self, file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
        match sys::xattr::set(&by_number(file), ATTRIBUTE, format!("{uid} {gid}").as_bytes()) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) if self.is_in_volume(file) => self.keep(file, uid, gid),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.remember(file, uid, gid),
            done => {
                let status = statx(file, c"")?;
                self.tables().known.remove(&(status.device, status.inode));
                done?;
                drop_set_id_bits(file, status.mode)
            }
        }
    }

    /// Whose a file is to be, after the kernel has been asked whether it can be given away.
    fn to_be(&self, file: BorrowedFd<'_>, status: &Status, uid: u32, gid: u32) -> Result<Owner, Errno> {
        if status.uid != 0 {
            // Nobody in the container may give away what is not the user's.
            return Err(Errno::EPERM);
        }
        // By this the kernel checks that the file can be changed, and takes the set-id bits that a change of owners takes.
        nix::unistd::fchownat(file, c"", None, None, AtFlags::from_bits_retain(AT_EMPTY_PATH))?;
        let before = self.said(file)?;
        let or = |id: u32, old: u32| if id == SAME { old } else { id };
        Ok(Owner { uid: or(uid, before.uid), gid: or(gid, before.gid) })
    }

    /// Has a file of a volume say whose it is.
    fn keep(&self, file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
        let status = statx(file, c"")?;
        let owner = self.to_be(file, &status, uid, gid)?;
        let set = sys::xattr::set(&by_number(file), KEPT, format!("{} {}", owner.uid, owner.gid).as_bytes());
        self.tables().said.remove(&(status.device, status.inode));
        match set {
            // What has no attributes, or a filesystem without.
            Err(Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP) => self.remember(file, uid, gid),
            set => set,
        }
    }

    fn remember(&self, file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
        let status = statx(file, c"")?;
        let owner = self.to_be(file, &status, uid, gid)?;
        let key = (status.device, status.inode);
        let mut tables = self.tables();
        if owner == self.real {
            tables.remembered.remove(&key);
        } else if tables.remembered.len() < MOST_REMEMBERED || tables.remembered.contains_key(&key) {
            tables.remembered.insert(key, (status.btime, owner));
        }
        Ok(())
    }

    /// Makes a file that has just been made its maker's; its group is the directory's where that says so (S_ISGID).
    ///
    /// # Errors
    /// Those of chown(2).
    pub fn give_new(&self, file: BorrowedFd<'_>, directory: BorrowedFd<'_>, maker: Owner) -> Result<(), Errno> {
        let status = statx(directory, c"")?;
        let hands_down = status.mode & libc::S_ISGID != 0 && status.mode & S_IFMT == S_IFDIR;
        let gid = if hands_down { self.said(directory)?.gid } else { maker.gid };
        self.give(file, maker.uid, gid)
    }

    /// Makes a device as data, where the filesystem keeps such.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where it does not; `EEXIST`.
    pub fn make_device(
        &self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        owner: Owner,
        mode: u32,
        (major, minor): (u32, u32),
    ) -> Result<(), Errno> {
        // Under a name that nobody has ever asked for, as the filesystem wants it; then it gets its own.
        let number = self.devices.fetch_add(1, Ordering::Relaxed);
        let passing = format!(".enter-device-{}-{number}", std::process::id());
        let value = format!("{} {} {mode:o} {major}:{minor} {passing}", owner.uid, owner.gid);
        sys::xattr::set(&by_number(directory), DEVICE, value.as_bytes())?;
        nix::fcntl::renameat2(directory, passing.as_str(), directory, name, RenameFlags::RENAME_NOREPLACE).inspect_err(
            |_| {
                let _ = nix::unistd::unlinkat(directory, passing.as_str(), nix::unistd::UnlinkatFlags::NoRemoveDir);
            },
        )
    }

    /// Whether the filesystem of a file keeps owners itself.
    pub fn are_recorded(&self, file: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.of(file, Patience::Some)?;
        let device = statx(file, c"")?.device;
        Ok(self.tables().records.get(&device).copied().unwrap_or(false))
    }
}

/// A file that is given away loses them. The filesystem knows, but the kernel may not have asked it again.
fn drop_set_id_bits(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let group = if mode & libc::S_IXGRP == 0 { 0 } else { libc::S_ISGID };
    let kept = mode & 0o7777 & !(libc::S_ISUID | group);
    if mode & S_IFMT != libc::S_IFREG || kept == mode & 0o7777 {
        return Ok(());
    }
    nix::sys::stat::fchmodat(AT_FDCWD, &by_number(file), Mode::from_bits_truncate(kept), FchmodatFlags::FollowSymlink)
}

/// What the filesystem says; `None` where it does not keep owners.
fn recorded(file: BorrowedFd<'_>) -> Result<Option<Owner>, Errno> {
    match sys::xattr::get_following(&by_number(file), ATTRIBUTE) {
        Ok(value) => parse(&value).ok_or(Errno::EIO).map(Some),
        Err(Errno::EOPNOTSUPP | Errno::ENODATA | Errno::ENOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What a file of a volume says.
fn kept(file: BorrowedFd<'_>) -> Option<Owner> {
    sys::xattr::get_following(&by_number(file), KEPT).ok().and_then(|value| parse(&value))
}

/// Of a descriptor that only stands for a file attributes are found by its name in /proc, this thread's working directory.
fn by_number(file: BorrowedFd<'_>) -> PathBuf {
    format!("self/fd/{}", file.as_raw_fd()).into()
}

fn parse(value: &[u8]) -> Option<Owner> {
    let mut words = std::str::from_utf8(value).ok()?.trim_end_matches('\0').split_ascii_whitespace();
    Some(Owner { uid: words.next()?.parse().ok()?, gid: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_is_understood() {
        assert_eq!(parse(b"0 0 100644"), Some(Owner { uid: 0, gid: 0 }));
        assert_eq!(parse(b"107 42 20600 1:3"), Some(Owner { uid: 107, gid: 42 }));
        for wrong in [&b""[..], b"1", b"-1 2", b"x y", b"4294967296 0"] {
            assert_eq!(parse(wrong), None);
        }
    }
}
