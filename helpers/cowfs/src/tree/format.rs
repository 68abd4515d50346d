//! The tree file: a header, tables of fixed-size records, and a pool of names and values.
//!
//! All numbers are little-endian. Inode 0 is the root. The children of a directory are contiguous among
//! the directory entries and sorted by name, bytewise. Hard links are entries with one inode.
//!
//! | table | record |
//! |---|---|
//! | layers | length of the tar `u64` |
//! | inodes | [`INODE`] bytes, see the constants below |
//! | entries | name: offset `u32`, length `u32`; inode `u32` |
//! | segments | start in the file, length, start in the tar: `u64` each |
//! | xattrs | name: offset, length; value: offset, length: `u32` each |
//! | pool | bytes |

pub const MAGIC: &[u8; 8] = b"cowfstre";
pub const VERSION: u32 = 1;

/// Header: magic, version `u32`, then six counts `u32` (layers, inodes, entries, segments, xattrs, bytes
/// of the pool), then flags `u32`, then the sum of the files' allocated bytes `u64`.
pub const HEADER: usize = 48;
pub const COUNTS_AT: usize = 12;
pub const FLAGS_AT: usize = 36;
pub const ALLOCATED_AT: usize = 40;

/// Among the header's flags: no file has holes. (Where it is missing nobody has looked: older trees have no flags.)
pub const NO_HOLES: u32 = 1;

pub const LAYER: usize = 8;
pub const INODE: usize = 64;
pub const ENTRY: usize = 12;
pub const SEGMENT: usize = 24;
pub const XATTR: usize = 16;

/// Offsets in an inode's record.
pub mod inode {
    /// `u32`: type and permissions as in `st_mode`.
    pub const MODE: usize = 0;
    /// `u32`
    pub const NLINK: usize = 4;
    /// `u32`
    pub const UID: usize = 8;
    /// `u32`
    pub const GID: usize = 12;
    /// `u64`: of a file or of a symbolic link's target.
    pub const SIZE: usize = 16;
    /// `i64`
    pub const MTIME: usize = 24;
    /// `u32`
    pub const MTIME_NANOS: usize = 32;
    /// `u32`: of a file its layer, of a directory its parent's inode, of a device its major number.
    pub const OWNER: usize = 36;
    /// `u64`: of a file in one piece where it lies in the tar, of a sparse file its first segment, of a
    /// directory its first entry, of a symbolic link its target in the pool, of a device its minor number.
    pub const DATA: usize = 40;
    /// `u32`: of a sparse file its segments, of a directory its entries.
    pub const COUNT: usize = 48;
    /// `u32`
    pub const XATTR_FIRST: usize = 52;
    /// `u32`
    pub const XATTR_COUNT: usize = 56;
    /// `u32`: [`SPARSE`], and above it of a sparse file how many blocks of 4096 bytes it holds.
    pub const FLAGS: usize = 60;
    /// The file's content is a list of segments.
    pub const SPARSE: u32 = 1;
    /// The most blocks that fit above it; more are not told.
    pub const MOST_BLOCKS: u64 = (u32::MAX >> 1) as u64;
}
