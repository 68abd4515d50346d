//! The writable side: a directory in the form of the kernel's overlay filesystem.
//!
//! Kernel documentation, "Overlay Filesystem", with the `userxattr` names: a *whiteout* (a character device 0:0, or an empty
//! file with the attribute `user.overlay.whiteout`) says that a name of the lower side is gone; a directory with
//! `user.overlay.opaque` = `y` has nothing of the lower directory at its place; a file with `user.overlay.metacopy` has attributes of its
//! own and the content of the lower file that `user.overlay.redirect` names. ([`record`] says what is added to that.)

pub mod below;
pub mod marks;
pub mod record;

use std::ffi::CStr;

use nix::errno::Errno;
use sys::statx::{Status, statx};

use marks::{At, Marks};
use record::Record;

/// The attribute of an opaque directory; its value is `y`. (`x`: it may hold whiteouts that are empty files.)
pub const OPAQUE: &CStr = c"user.overlay.opaque";
/// What fuse-overlayfs gives an opaque directory in its place, with the value `y`.
pub const OPAQUE_OF_FUSE: &CStr = c"user.fuseoverlayfs.opaque";
/// A file that fuse-overlayfs puts into such a directory as well.
pub const OPAQUE_FILE: &[u8] = b".wh..wh..opq";
/// The attribute that makes an empty file a whiteout.
pub const WHITEOUT: &CStr = c"user.overlay.whiteout";
/// The attribute of a file whose content is still the lower side's.
pub const METACOPY: &CStr = c"user.overlay.metacopy";
/// The attribute with the path of that lower file, from the root on.
pub const REDIRECT: &CStr = c"user.overlay.redirect";

/// Whose files those of the upper side are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// They belong on the host to whom they belong in the mount, as the kernel's overlay has it.
    Native,
    /// They all belong to the user, and say in an attribute to whom they belong in the mount.
    Recorded,
}

/// What a name in the upper side stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The lower side's file of this name is gone.
    Whiteout,
    /// A file, with what is recorded put in the place of what the host says: `mode`, `uid`, `gid`, `represents`. The flag: its
    /// type is only recorded.
    File(Status, bool),
}

/// What `at` is.
///
/// # Errors
///
/// Those of statx(2).
pub fn look(marks: &Marks, ownership: Ownership, at: At<'_>) -> Result<Found, Errno> {
    let status = statx(at.dir, at.name)?;
    interpret(marks, ownership, at, status)
}

/// What `at` is whose status is known.
///
/// # Errors
///
/// Those of getxattr(2).
pub fn interpret(marks: &Marks, ownership: Ownership, at: At<'_>, mut status: Status) -> Result<Found, Errno> {
    let kind = status.mode & libc::S_IFMT;
    if kind == libc::S_IFCHR && status.represents == (0, 0) {
        return Ok(Found::Whiteout);
    }
    let may_be_marked = kind == libc::S_IFREG || kind == libc::S_IFDIR;
    if kind == libc::S_IFREG && status.size == 0 && marks.get(at, WHITEOUT).is_ok() {
        return Ok(Found::Whiteout);
    }
    // Devices are only recorded wherever they cannot be made, so that the attribute is read for both kinds of ownership.
    let record = if may_be_marked { marks.get(at, record::NAME) } else { Err(Errno::ENODATA) };
    let record = match record {
        Ok(value) => Record::parse(&value).ok_or(Errno::EIO)?,
        Err(Errno::ENODATA) if ownership == Ownership::Native => return Ok(Found::File(status, false)),
        Err(Errno::ENODATA) => Record::silent(status.mode),
        Err(errno) => return Err(errno),
    };
    let other = record.mode & libc::S_IFMT != kind;
    record.apply(&mut status, other);
    Ok(Found::File(status, other))
}
