//! Looking at one file of a layer: its status, what its attributes make of it, and whether it is there at all.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use sys::statx::{Status, statx};

use crate::serve::view::{Answer, Attr};
use crate::upper::record::{self, Record};
use crate::upper::{OPAQUE, OPAQUE_OF_FUSE, WHITEOUT};

/// What is kept of a file that was looked at.
#[derive(Debug)]
pub struct Found {
    pub attr: Attr,
    /// It has attributes, of any name.
    pub has_xattrs: bool,
    /// It is a regular file that stands for something else.
    pub stands_for_another: bool,
}

/// A file as a layer has it.
pub struct Looked {
    /// What the host says, or what is recorded.
    pub status: Status,
    pub has_xattrs: bool,
    /// It is a regular file that stands for something else.
    pub stands_for_another: bool,
    /// A directory that hides those below it.
    pub opaque: bool,
}

/// Attributes with an owner, permissions and perhaps a type, in the form of fuse-overlayfs and containers/storage.
const OVERRIDES: [&CStr; 2] = [c"user.containers.override_stat", c"user.fuseoverlayfs.override_stat"];

/// Attributes of directories that hide those below them.
const OPAQUES: [&CStr; 3] = [OPAQUE, c"trusted.overlay.opaque", OPAQUE_OF_FUSE];

/// Whether an attribute is for the eyes of filesystems only.
pub fn is_mark(name: &[u8]) -> bool {
    name.starts_with(b"user.fuseoverlayfs.") || name == OVERRIDES[0].to_bytes()
}

/// A path that leads to a file in a directory whatever the working directory. Its end is not to be followed.
pub fn path(dir: &OwnedFd, name: &CStr) -> PathBuf {
    let end = if name.is_empty() { c"." } else { name };
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(OsStr::from_bytes(end.to_bytes()))
}

/// What `name` in a layer's directory is; an empty name is the directory itself. `None`: a whiteout, or nothing any more.
pub fn look(dir: &OwnedFd, name: &CStr) -> Answer<Option<Looked>> {
    let mut status = match statx(dir, name) {
        Err(Errno::ENOENT) => return Ok(None),
        other => other?,
    };
    let kind = status.mode & libc::S_IFMT;
    if kind == libc::S_IFCHR && status.represents == (0, 0) {
        return Ok(None);
    }
    let names = if matches!(kind, libc::S_IFREG | libc::S_IFDIR) { attributes(dir, name)? } else { Vec::new() };
    let has = |mark: &CStr| names.split(|&b| b == 0).any(|name| name == mark.to_bytes());
    if kind == libc::S_IFREG && status.size == 0 && has(WHITEOUT) {
        return Ok(None);
    }
    let value = |mark: &CStr| sys::xattr::get(&path(dir, name), mark);
    let opaque = kind == libc::S_IFDIR && OPAQUES.iter().any(|&mark| has(mark) && value(mark).is_ok_and(|v| v == b"y"));
    let mut looked = Looked { status, has_xattrs: !names.is_empty(), stands_for_another: false, opaque };
    let record = if has(record::NAME) {
        Some(Record::parse(&value(record::NAME)?).ok_or(Errno::EIO)?)
    } else if let Some(&mark) = OVERRIDES.iter().find(|&&mark| has(mark)) {
        Some(parse_override(&value(mark)?, kind).ok_or(Errno::EIO)?)
    } else {
        None
    };
    if let Some(record) = record {
        let recorded = record.mode & libc::S_IFMT;
        looked.stands_for_another = recorded != kind;
        if looked.stands_for_another && kind != libc::S_IFREG {
            return Err(Errno::EIO);
        }
        if looked.stands_for_another && recorded != libc::S_IFLNK {
            (status.size, status.blocks) = (0, 0);
        }
        (status.uid, status.gid, status.mode, status.represents) = (record.uid, record.gid, record.mode, record.device);
        looked.status = status;
    }
    Ok(Some(looked))
}

/// The names of a file's attributes, each ended by a NUL.
fn attributes(dir: &OwnedFd, name: &CStr) -> Answer<Vec<u8>> {
    match sys::xattr::names(&path(dir, name)) {
        // Looking at a file must not fail where its attributes may not be seen.
        Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM | Errno::ENOENT) => Ok(Vec::new()),
        other => other,
    }
}

/// Reads `UID:GID:MODE`, `MODE` in octal, and behind it perhaps a colon and the type. `kind` is the file's own, as in `st_mode`.
fn parse_override(value: &[u8], kind: u32) -> Option<Record> {
    let text = std::str::from_utf8(value).ok()?;
    let mut words = text.trim_end_matches('\0').splitn(4, ':');
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let permissions = u32::from_str_radix(words.next()?, 8).ok()? & 0o7777;
    let mut device = (0, 0);
    let kind = match words.next() {
        None => kind,
        Some("dir") => libc::S_IFDIR,
        Some("file") => libc::S_IFREG,
        Some("symlink") => libc::S_IFLNK,
        Some("pipe") => libc::S_IFIFO,
        Some("socket") => libc::S_IFSOCK,
        Some(other) => {
            let (kind, numbers) = other.split_once('-')?;
            let (major, minor) = numbers.split_once('-')?;
            device = (major.parse().ok()?, minor.parse().ok()?);
            match kind {
                "block" => libc::S_IFBLK,
                "char" => libc::S_IFCHR,
                _ => return None,
            }
        }
    };
    Some(Record { uid, gid, mode: kind | permissions, device })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_of_other_programs() {
        let parse = |text: &str| parse_override(text.as_bytes(), libc::S_IFREG);
        let record = |uid, gid, mode, device| Some(Record { uid, gid, mode, device });
        assert_eq!(parse("0:42:04755"), record(0, 42, libc::S_IFREG | 0o4755, (0, 0)));
        assert_eq!(parse("1:2:755:dir"), record(1, 2, libc::S_IFDIR | 0o755, (0, 0)));
        assert_eq!(parse("1:2:777:symlink"), record(1, 2, libc::S_IFLNK | 0o777, (0, 0)));
        assert_eq!(parse("0:6:0660:block-8-1"), record(0, 6, libc::S_IFBLK | 0o660, (8, 1)));
        assert_eq!(parse("0:6"), None);
        assert_eq!(parse("0:6:0660:door"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(value in "[0-9:a-z-]{0,24}") {
            if let Some(record) = parse_override(value.as_bytes(), libc::S_IFREG) {
                prop_assert_eq!(record.mode & !(libc::S_IFMT | 0o7777), 0);
            }
        }
    }
}
