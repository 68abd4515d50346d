//! Reading one file of a container: what it is, what it holds, and its attributes.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::Whence;
use sys::statx::Status;

use super::View;
use crate::archive::{Entry, Kind, Writer};

/// As many pieces of a file with holes are kept apart; one with more is written whole.
const MOST_PIECES: usize = 100_000;
/// A hole smaller than this is not worth a map, in bytes.
const SMALLEST_HOLE: u64 = 64 << 10;

/// Holes of as many bytes in one file are written as the zeroes that they read as. podman and docker write an image again from the files that they
/// made of its layers, and no tar with holes comes out the same: they could pull such an image, and not push it. Above that, a file would
/// fill disks.
const HOLES_AS_ZEROES: u64 = 1 << 30;

/// What a file is, by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    File,
    Directory,
    Symlink,
    Fifo,
    CharDevice,
    BlockDevice,
    Socket,
}

impl Type {
    pub fn of(mode: u32) -> Self {
        match mode & libc::S_IFMT {
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFCHR => Self::CharDevice,
            libc::S_IFBLK => Self::BlockDevice,
            libc::S_IFSOCK => Self::Socket,
            _ => Self::File,
        }
    }
}

/// The names in a directory, sorted.
pub fn names(view: &View, directory: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut directory = nix::dir::Dir::from_fd(view.reopen(directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?)?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The target of a link that was found by O_PATH.
pub fn target(link: impl AsFd) -> Result<Vec<u8>, Errno> {
    use std::os::unix::ffi::OsStringExt;
    nix::fcntl::readlinkat(link, "").map(OsStringExt::into_vec)
}

/// The attributes of a file that mean something elsewhere: capabilities, and the user's own.
pub fn attributes(view: &View, file: impl AsFd) -> Vec<(Vec<u8>, Vec<u8>)> {
    // A filesystem without attributes has none.
    let Ok(names) = sys::xattr::names_of(&file) else { return Vec::new() };
    let mut attributes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| is_kept(name)) {
        let Ok(c_name) = CString::new(name) else { continue };
        let Ok(value) = sys::xattr::get_of(&file, &c_name) else { continue };
        let value = if name == CAPABILITY { capability(view, value) } else { value };
        attributes.push((name.to_vec(), value));
    }
    attributes
}

/// The attribute that gives a program capabilities.
pub const CAPABILITY: &[u8] = b"security.capability";

/// Neither overlayfs's own attributes nor this program's.
pub fn is_kept(name: &[u8]) -> bool {
    let reserved = [&b"user.overlay."[..], b"user.cowfs.", b"user.enter."].iter().any(|own| name.starts_with(own));
    name == CAPABILITY || name.starts_with(b"user.") && !reserved
}

/// File capabilities as an image has them: those of its own root have no user namespace (capabilities(7), "version 2").
fn capability(view: &View, value: Vec<u8>) -> Vec<u8> {
    let root = match value.get(20..24) {
        Some(root) if value.len() == 24 && value[3] == 3 => u32::from_le_bytes([root[0], root[1], root[2], root[3]]),
        _ => return value,
    };
    let mut value = value;
    match view.uid(root) {
        0 => {
            value.truncate(20);
            value[3] = 2;
        }
        root => value[20..24].copy_from_slice(&root.to_le_bytes()),
    }
    value
}

/// Where a file has content, as far as its filesystem tells; `None` where it has no holes to speak of.
fn pieces(file: &OwnedFd, status: &Status) -> Option<Vec<(u64, u64)>> {
    if status.size < SMALLEST_HOLE || status.blocks.saturating_mul(512) + SMALLEST_HOLE > status.size {
        return None;
    }
    let seek = |from: u64, whence| {
        let found = nix::unistd::lseek(file, i64::try_from(from).map_err(|_| Errno::EOVERFLOW)?, whence)?;
        u64::try_from(found).map_err(|_| Errno::EINVAL)
    };
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < status.size {
        let start = match seek(at, Whence::SeekData) {
            Ok(start) => start,
            Err(Errno::ENXIO) => break,
            Err(_) => return None,
        };
        let end = seek(start, Whence::SeekHole).ok()?.min(status.size);
        // Readers want whole blocks.
        let (start, end) = (start / 512 * 512, end.div_ceil(512).saturating_mul(512).min(status.size));
        if start >= end || pieces.len() >= MOST_PIECES {
            return None;
        }
        pieces.push((start, end - start));
        at = end;
    }
    Some(pieces)
}

/// Adds a regular file that is open for reading to a tar, without its holes where those are large.
pub fn add_file<W: Write>(writer: &mut Writer<W>, entry: &Entry<'_>, file: OwnedFd, status: &Status) -> io::Result<()> {
    let holes =
        |pieces: &Vec<(u64, u64)>| status.size - pieces.iter().map(|piece| piece.1).sum::<u64>().min(status.size);
    let Some(pieces) = pieces(&file, status).filter(|pieces| holes(pieces) > HOLES_AS_ZEROES) else {
        let mut file = File::from(file);
        // Looking for holes has moved it.
        file.rewind()?;
        return writer.file(&Entry { kind: Kind::File(status.size), ..*entry }, &mut file);
    };
    writer.entry(&Entry { kind: Kind::Sparse(status.size, &pieces), ..*entry })?;
    let mut file = File::from(file);
    for (at, length) in &pieces {
        file.seek(SeekFrom::Start(*at))?;
        writer.content(*length, &mut (&file).take(*length))?;
    }
    writer.pad(pieces.iter().map(|piece| piece.1).sum())
}
