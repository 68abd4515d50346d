//! Files on their way into a home: what a copy gets of what was set aside; and trees that go.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, UnlinkatFlags, fchown, unlinkat};
use sys::statx::{Status, statx};

use super::changes::{attributes, goal_mode, is_member};
use super::{is_dir, names};
use crate::container::duplicate;

/// Copies a file's content, attributes, permissions and times; it is on the disk then.
pub(super) fn fill(from: &File, to: &File, upper: &Status) -> Result<(), Errno> {
    duplicate::fill(from, to, upper.size).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    for (name, value) in attributes(from)? {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        match sys::xattr::set_of(to.as_fd(), &name, &value) {
            // The home's filesystem has none.
            Err(Errno::EOPNOTSUPP) => {}
            set => set?,
        }
    }
    own_group(to, upper);
    fchmod(to, Mode::from_bits_truncate(goal_mode(upper)))?;
    let (access, modified) = times(upper);
    nix::sys::stat::futimens(to, &access, &modified)?;
    nix::unistd::fsync(to)
}

/// Gives a file to its group, if that is one of the user's; else it stays in his own.
pub(super) fn own_group(file: impl AsFd, upper: &Status) {
    if is_member(upper.gid) {
        let _ = fchown(file, None, Some(Gid::from_raw(upper.gid)));
    }
}

pub(super) fn times(status: &Status) -> (TimeSpec, TimeSpec) {
    let time = |(seconds, nanoseconds): (i64, u32)| TimeSpec::new(seconds, nanoseconds.into());
    (time(status.atime), time(status.mtime))
}

/// Removes what has a name in a directory, with all that is in it; nothing there is no failure. `unlink`: removes what is no directory.
pub(super) fn remove_tree(
    dir: &OwnedFd,
    name: &CStr,
    unlink: &mut dyn FnMut(&OwnedFd, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let status = match statx(dir, name) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status?,
    };
    if !is_dir(&status) {
        return unlink(dir, name);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let inner = openat(dir, name, flags, Mode::empty())?;
    for child in names(&inner)? {
        remove_tree(&inner, &child, unlink)?;
    }
    unlinkat(dir, name, UnlinkatFlags::RemoveDir)
}
