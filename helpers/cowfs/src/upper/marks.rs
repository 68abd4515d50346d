//! The extended attributes that files of the upper side carry, also where their filesystem has none.
//!
//! Mostly they are `user.*` attributes of the files themselves. A filesystem without such (tmpfs before Linux 6.6, NFS) gets
//! a *sidecar*: in the directory `attributes` of the work directory a file for each inode that has any, called by the
//! inode's number in decimal. It is a sequence of names and values, each preceded by its length, a little-endian
//! `u32`. It goes with the inode's last name.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use sys::statx::statx;

use crate::bytes::{Put, u32_at};
use crate::error::errno;

/// A file of the upper side: its directory, and its name there; or a file itself, for an empty name.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// A directory, or the file itself.
    pub dir: BorrowedFd<'a>,
    /// A path below it, or nothing.
    pub name: &'a CStr,
}

impl At<'_> {
    /// The open file itself.
    pub fn file(fd: &impl AsFd) -> At<'_> {
        At { dir: fd.as_fd(), name: c"" }
    }

    /// Does something with the open file; by its path where it is open for its number alone, which takes longer.
    fn open<T>(
        &self,
        by_descriptor: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
        by_path: impl FnOnce(&Path) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match by_descriptor(self.dir) {
            Err(Errno::EBADF) => by_path(&self.path()),
            done => done,
        }
    }

    /// A path that leads there whatever the working directory. The last component is not to be followed, but where the name is
    /// empty it must be.
    fn path(&self) -> PathBuf {
        let fd = PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd()));
        if self.name.is_empty() { fd } else { fd.join(OsStr::from_bytes(self.name.to_bytes())) }
    }
}

/// Where the attributes are kept.
#[derive(Debug)]
pub enum Marks {
    /// With the files.
    Files,
    /// In a directory beside them.
    Sidecar(PathBuf),
}

/// The sidecar's name in the work directory.
pub const SIDECAR: &str = "attributes";

type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

impl Marks {
    /// Finds out what the filesystem can do, by trying it on the work directory.
    ///
    /// # Errors
    ///
    /// Where it has no attributes, and no sidecar can be made.
    pub fn find(work: &Path) -> Result<Marks, Errno> {
        let sidecar = work.join(SIDECAR);
        if !sidecar.is_dir() {
            match sys::xattr::set(work, c"user.cowfs.trial", b"1") {
                Ok(()) => {
                    sys::xattr::remove_of(open_path(work)?, c"user.cowfs.trial").ok();
                    return Ok(Marks::Files);
                }
                Err(Errno::EOPNOTSUPP | Errno::EPERM) => {}
                Err(errno) => return Err(errno),
            }
            fs::create_dir(&sidecar).map_err(|error| errno(&error))?;
        }
        Ok(Marks::Sidecar(sidecar))
    }

    /// As they were found before, by whoever wrote there: nothing is tried.
    pub fn of(work: &Path) -> Marks {
        let sidecar = work.join(SIDECAR);
        if sidecar.is_dir() { Marks::Sidecar(sidecar) } else { Marks::Files }
    }

    /// The value of an attribute.
    ///
    /// # Errors
    ///
    /// `ENODATA` where there is none.
    pub fn get(&self, at: At<'_>, name: &CStr) -> Result<Vec<u8>, Errno> {
        match self {
            Marks::Files if at.name.is_empty() => {
                follow(at.open(|fd| sys::xattr::get_of(fd, name), |path| sys::xattr::get_following(path, name)))
            }
            Marks::Files => follow(sys::xattr::get(&at.path(), name)),
            Marks::Sidecar(dir) => read(&file_of(dir, at)?)?.remove(name.to_bytes()).ok_or(Errno::ENODATA),
        }
    }

    /// The names of all attributes.
    ///
    /// # Errors
    ///
    /// Those of listxattr(2).
    pub fn names(&self, at: At<'_>) -> Result<Vec<Vec<u8>>, Errno> {
        let listed = match self {
            Marks::Files if at.name.is_empty() => at.open(|fd| sys::xattr::names_of(fd), sys::xattr::names_following),
            Marks::Files => sys::xattr::names(&at.path()),
            Marks::Sidecar(dir) => return Ok(read(&file_of(dir, at)?)?.into_keys().collect()),
        };
        match listed {
            Err(Errno::EOPNOTSUPP) => Ok(Vec::new()),
            listed => Ok(listed?.split(|&b| b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()),
        }
    }

    /// Gives a file or directory an attribute. Others take none (`EPERM`).
    ///
    /// # Errors
    ///
    /// Those of setxattr(2).
    pub fn set(&self, at: At<'_>, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        match self {
            Marks::Files if at.name.is_empty() => {
                at.open(|fd| sys::xattr::set_of(fd, name, value), |path| sys::xattr::set(path, name, value))
            }
            Marks::Files => sys::xattr::set_itself(&at.path(), name, value),
            Marks::Sidecar(dir) => {
                let file = file_of(dir, at)?;
                let mut all = read(&file)?;
                all.insert(name.to_bytes().to_vec(), value.to_vec());
                write(&file, &all)
            }
        }
    }

    /// Takes an attribute away.
    ///
    /// # Errors
    ///
    /// `ENODATA` where there is none.
    pub fn remove(&self, at: At<'_>, name: &CStr) -> Result<(), Errno> {
        match self {
            Marks::Files if at.name.is_empty() => {
                at.open(|fd| sys::xattr::remove_of(fd, name), |path| sys::xattr::remove(path, name))
            }
            Marks::Files => sys::xattr::remove_itself(&at.path(), name),
            Marks::Sidecar(dir) => {
                let file = file_of(dir, at)?;
                let mut all = read(&file)?;
                all.remove(name.to_bytes()).ok_or(Errno::ENODATA)?;
                write(&file, &all)
            }
        }
    }

    /// Forgets all about an inode that has lost its last name.
    pub fn forget(&self, inode: u64) {
        if let Marks::Sidecar(dir) = self {
            // Where nothing was kept there is nothing to forget; and what cannot be removed is overwritten by the next of that number.
            let _ = fs::remove_file(dir.join(inode.to_string()));
        }
    }
}

/// A file of a kind that has no `user.*` attributes has none.
fn follow(value: Result<Vec<u8>, Errno>) -> Result<Vec<u8>, Errno> {
    value.map_err(|errno| if errno == Errno::EOPNOTSUPP { Errno::ENODATA } else { errno })
}

fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

fn file_of(sidecar: &Path, at: At<'_>) -> Result<PathBuf, Errno> {
    Ok(sidecar.join(statx(at.dir, at.name)?.inode.to_string()))
}

fn read(file: &Path) -> Result<Attributes, Errno> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Attributes::new()),
        read => read.map_err(|error| errno(&error))?,
    };
    parse(&bytes).ok_or(Errno::EIO)
}

fn parse(mut bytes: &[u8]) -> Option<Attributes> {
    let mut next = || -> Option<Vec<u8>> {
        let (value, rest) = bytes.get(4..)?.split_at_checked(u32_at(bytes, 0)? as usize)?;
        bytes = rest;
        Some(value.to_vec())
    };
    let mut all = Attributes::new();
    while let Some(name) = next() {
        all.insert(name, next()?);
    }
    bytes.is_empty().then_some(all)
}

fn write(file: &Path, all: &Attributes) -> Result<(), Errno> {
    let mut bytes = Vec::new();
    for part in all.iter().flat_map(|(name, value)| [name, value]) {
        bytes.put_u32(part.len() as u32);
        bytes.put(part);
    }
    let fresh = file.with_extension("new");
    let written =
        File::create(&fresh).and_then(|mut new| new.write_all(&bytes)).and_then(|()| fs::rename(&fresh, file));
    written.map_err(|error| errno(&error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both() -> (tempfile::TempDir, [Marks; 2]) {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::create_dir(dir.path().join("sidecar")).unwrap();
        let sidecar = Marks::Sidecar(dir.path().join("sidecar"));
        let found = Marks::find(dir.path()).unwrap();
        (dir, [found, sidecar])
    }

    #[test]
    fn attributes_are_kept_either_way() {
        let (dir, both) = both();
        assert!(matches!(both[0], Marks::Files));
        fs::write(dir.path().join("file"), "").unwrap();
        let top = File::open(dir.path()).unwrap();
        for marks in both {
            let by_name = At { dir: top.as_fd(), name: c"file" };
            let open = File::open(dir.path().join("file")).unwrap();
            assert_eq!(marks.get(by_name, c"user.a"), Err(Errno::ENODATA));
            marks.set(by_name, c"user.a", b"1").unwrap();
            marks.set(At::file(&open), c"user.b", b"\0").unwrap();
            assert_eq!(marks.get(At::file(&open), c"user.a").unwrap(), b"1");
            assert_eq!(marks.names(by_name).unwrap(), [b"user.a", b"user.b"]);
            marks.remove(by_name, c"user.a").unwrap();
            assert_eq!(marks.remove(At::file(&open), c"user.a"), Err(Errno::ENODATA));
            marks.remove(At::file(&open), c"user.b").unwrap();
        }
    }

    #[test]
    fn a_symlink_is_not_followed_and_has_none() {
        let (dir, [files, _]) = both();
        std::os::unix::fs::symlink(".", dir.path().join("link")).unwrap();
        let top = File::open(dir.path()).unwrap();
        let link = At { dir: top.as_fd(), name: c"link" };
        assert_eq!(files.get(link, c"user.a"), Err(Errno::ENODATA));
        assert_eq!(files.set(link, c"user.a", b""), Err(Errno::EPERM));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_sidecar_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            parse(&bytes);
        }
    }
}
