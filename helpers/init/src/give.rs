//! Gives everything in a directory to somebody (`U`). What is in it may be hostile: no link is followed.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fchownat};
use sys::statx::{Status, statx};

use crate::failure::{Doing, Failure, Result};
use crate::fill::{REMEMBERED, names};

/// To whom.
pub enum Whose {
    /// Ids of the outer user namespace.
    Real(Uid, Gid),
    /// Ids of the container, where there is one real id for all: a volume remembers them.
    Remembered(u32, u32),
}

/// Gives away what is at a path of the host, with all that is below it. What belongs to them already is left alone.
pub fn give(source: &Path, whose: &Whose) -> Result<()> {
    let doing = "give to the container's user";
    let top = open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing(doing, source.display())?;
    let status = statx(&top, c"").doing(doing, source.display())?;
    if status.mode & libc::S_IFMT != libc::S_IFDIR {
        return one(&top, &status, whose).doing(doing, source.display());
    }
    let top = open(source, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let top = top.doing(doing, source.display())?;
    one(&top, &status, whose).doing(doing, source.display())?;
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let failed = |errno: Errno| Failure::setup(doing, &source.join(&path).display().to_string(), errno);
        let below = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let directory = sys::path::open_beneath(&top, below, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty());
        let directory = directory.map_err(failed)?;
        for name in names(&directory).map_err(failed)? {
            let child = path.join(OsStr::from_bytes(name.to_bytes()));
            let file = sys::path::open_beneath(
                &directory,
                Path::new(OsStr::from_bytes(name.to_bytes())),
                OFlag::O_PATH,
                Mode::empty(),
            );
            let given = file.and_then(|file| {
                let status = statx(&file, c"")?;
                one(&file, &status, whose).map(|()| status)
            });
            let status = given.doing(doing, source.join(&child).display())?;
            if status.mode & libc::S_IFMT == libc::S_IFDIR {
                waiting.push(child);
            }
        }
    }
    Ok(())
}

fn one(file: &OwnedFd, status: &Status, whose: &Whose) -> std::result::Result<(), Errno> {
    match *whose {
        Whose::Real(uid, gid) if (status.uid, status.gid) == (uid.as_raw(), gid.as_raw()) => Ok(()),
        Whose::Real(uid, gid) => fchownat(file, c"", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH),
        Whose::Remembered(uid, gid) => {
            if !matches!(status.mode & libc::S_IFMT, libc::S_IFDIR | libc::S_IFREG) {
                // These have no attributes.
                return Ok(());
            }
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
            sys::xattr::set(Path::new(&path), REMEMBERED, format!("{uid} {gid}").as_bytes())
        }
    }
}
