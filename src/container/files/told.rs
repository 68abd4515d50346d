//! Whom a file belongs to where all files seem to belong to one user: cowfs tells it by an attribute of its own, of every file.
//!
//! `UID GID MODE` in the ids of the image, the mode in octal; `UID GID` sets it.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::errno::Errno;

/// The attribute. No file has it on disk.
const OWNER: &CStr = c"system.cowfs.owner";

/// The attribute by which a volume remembers the same, as its filesystem tells nothing. See `pretend`.
const REMEMBERED: &CStr = c"user.enter.owner";

/// The owner of `name` in a directory, or of `file` itself for an empty name. Needs this machine's own /proc.
pub fn owner(file: impl AsFd, name: &CStr) -> Result<(u32, u32), Errno> {
    let path = path(file, name);
    // A descriptor's name in /proc leads to the file itself, and no further where that is a link.
    let get = |attribute| match name.is_empty() {
        true => sys::xattr::get_following(&path, attribute),
        false => sys::xattr::get(&path, attribute),
    };
    let value = get(OWNER).or_else(|_| get(REMEMBERED));
    parse(&value?).ok_or(Errno::EIO)
}

/// Gives away `name` in a directory, or `file` itself for an empty name. What is not in the container's own filesystem stays the user's.
pub fn give(file: impl AsFd, name: &CStr, uid: u32, gid: u32) -> Result<(), Errno> {
    match set(file, name, OWNER, uid, gid) {
        Err(Errno::EOPNOTSUPP) => Ok(()),
        done => done,
    }
}

/// Has a volume remember the owner of `name` in a directory, or of `file` itself for an empty name. Links and fifos have no attributes, and
/// so are root's.
pub fn remember(file: impl AsFd, name: &CStr, uid: u32, gid: u32) -> Result<(), Errno> {
    match set(file, name, REMEMBERED, uid, gid) {
        Err(Errno::EOPNOTSUPP | Errno::EPERM) => Ok(()),
        done => done,
    }
}

fn set(file: impl AsFd, name: &CStr, attribute: &CStr, uid: u32, gid: u32) -> Result<(), Errno> {
    let (path, value) = (path(file, name), format!("{uid} {gid}"));
    match name.is_empty() {
        true => sys::xattr::set(&path, attribute, value.as_bytes()),
        false => sys::xattr::set_itself(&path, attribute, value.as_bytes()),
    }
}

fn path(file: impl AsFd, name: &CStr) -> PathBuf {
    let own = PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()));
    if name.is_empty() { own } else { own.join(OsStr::from_bytes(name.to_bytes())) }
}

fn parse(value: &[u8]) -> Option<(u32, u32)> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn two_numbers_are_an_owner() {
        assert_eq!(parse(b"101 4294967295 100644"), Some((101, u32::MAX)));
        assert_eq!(parse(b"0 0"), Some((0, 0)));
        for none in [&b""[..], b"1", b"a b", b"1 \xff"] {
            assert_eq!(parse(none), None);
        }
    }
}
