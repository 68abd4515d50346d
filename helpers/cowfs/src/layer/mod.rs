//! One layer: a tar on one side, its index on the other.
//!
//! [`index_tar`] reads a tar once, from first byte to last, and notes of every entry what it says and
//! where in the tar its content lies. The index is a faithful list, in the tar's own order: what the
//! entries amount to (replaced types, duplicates, whiteouts, hard links) is settled by
//! [`crate::tree::merge`], which sees the layers below as well. Called by the image store.

mod file;
mod header;
mod headers;
mod listing;
mod name;
mod pax;
mod room;
mod scan;
mod sparse;
mod stream;

pub use file::LayerIndex;
pub use listing::{Item, Listing, What};
pub use room::Room;
pub use scan::{Seen, index_tar, index_tar_told};
pub use stream::{Kind, Member, Stream};

/// The most that is accepted of one layer. What exceeds a limit is an error that names it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes in a path or a link target. The kernel's `PATH_MAX` is 4096, with its final NUL.
    pub path_bytes: usize,
    /// Components in a path.
    pub depth: usize,
    /// Entries in a layer.
    pub entries: usize,
    /// Bytes in the names and values of one entry's extended attributes.
    pub xattr_bytes: usize,
    /// Extended attributes of one entry.
    pub xattrs: usize,
    /// Bytes in one extended header (pax) or long name.
    pub header_bytes: u64,
    /// Pieces of data in all sparse files of a layer together, besides the first one of each.
    pub segments: usize,
    /// Bytes in one file, holes included. 8 EiB is where the kernel ends.
    pub file_bytes: u64,
    /// Bytes in the whole tar.
    pub tar_bytes: u64,
    /// Bytes of memory for all indexes that are being made with clones of these limits.
    pub room: Room,
}

/// What is too large where a tar is longer than it may be.
pub(crate) const TAR_BYTES: &str = "bytes in a tar";

impl Default for Limits {
    fn default() -> Self {
        Limits {
            path_bytes: 4095,
            depth: 2048,
            entries: 4_000_000,
            xattr_bytes: 256 << 10,
            xattrs: 1000,
            // What Go's archive/tar accepts, and with it the tools that make images.
            header_bytes: 1 << 20,
            segments: 250_000,
            file_bytes: i64::MAX as u64,
            tar_bytes: 1 << 40,
            room: Room::new(64 << 20),
        }
    }
}

/// A component of a path may have this many bytes: the kernel's `NAME_MAX`.
pub const NAME_MAX: usize = 255;

/// A point in time: seconds since 1970, and nanoseconds that are always added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970; negative before.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// What an entry of any type has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permissions with set-id and sticky bits: at most `0o7777`.
    pub mode: u32,
    /// The owner, as the image numbers users.
    pub uid: u32,
    /// The group, as the image numbers groups.
    pub gid: u32,
    /// Time of the last change of the content.
    pub mtime: Time,
}

/// A piece of a file's content. What lies between pieces is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in the file the piece begins.
    pub start: u64,
    /// Its length in bytes, never 0.
    pub len: u64,
    /// Where in the tar it lies.
    pub tar: u64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A regular file, with its pieces in order and without overlaps.
    File {
        /// Its size in bytes, holes included.
        size: u64,
        /// Where its content lies.
        segments: Vec<Segment>,
    },
    /// Another name of the file at this path.
    HardLink(&'a [u8]),
    /// A symbolic link with this target, exactly as in the tar.
    Symlink(&'a [u8]),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
    /// Hides what lower layers have at the entry's path (OCI image-spec, layer.md, "Whiteouts").
    Whiteout,
    /// Hides what lower layers have inside the directory at the entry's path.
    Opaque,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path without a leading slash, `.` or `..`; empty for the root itself.
    pub path: &'a [u8],
    /// What it is.
    pub body: Body<'a>,
    /// Owner, mode and time. Without meaning for a hard link, a whiteout and an opaque mark.
    pub meta: Meta,
    /// Extended attributes, names with their prefix, in the tar's order, each name once.
    pub xattrs: Vec<(&'a [u8], &'a [u8])>,
}

/// The attribute that gives a program capabilities (capabilities(7), "File capabilities").
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// Whether a lower may show an extended attribute of this name: capabilities and the user's own, but none
/// with which an image could speak to an overlayfs above it, or to this filesystem.
pub(crate) fn may_be_shown(name: &[u8]) -> bool {
    let reserved = name.starts_with(b"user.overlay.") || name.starts_with(b"user.cowfs.");
    let of_the_user = name.len() > 5 && name.starts_with(b"user.") && !reserved;
    (name == CAPABILITY || of_the_user) && !name.contains(&0)
}
