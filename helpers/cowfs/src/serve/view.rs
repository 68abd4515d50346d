//! What both kinds of lower, images and host directories, offer to the FUSE side.

use std::borrow::Cow;
use std::time::Duration;

use fuser::FileAttr;
use nix::errno::Errno;

/// The result of one request; the error is what the calling process sees.
pub type Answer<T> = std::result::Result<T, Errno>;

/// The inode number that the kernel gives the root.
pub const ROOT: u64 = 1;

/// Takes the entries of a directory: inode, the position after it, name, attributes. `true` when full.
pub type Fill<'f> = &'f mut dyn FnMut(u64, &[u8], &FileAttr) -> bool;

/// Sizes of the whole filesystem, for statvfs(3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Bytes that all files hold.
    pub bytes: u64,
    /// The number of inodes.
    pub files: u64,
}

/// A read-only filesystem. Inode numbers are the kernel's: the root is [`ROOT`].
pub trait View: Send + Sync + 'static {
    /// How long the kernel may keep what it has been told.
    fn lifetime(&self) -> Duration;

    /// Whether files must be opened before they are read. If not, the kernel need not ask.
    fn needs_open(&self) -> bool;

    /// Whether any file may have extended attributes. If not, the kernel need not ask again.
    fn has_xattrs(&self) -> bool;

    /// What `name` in a directory is. `ENOENT` may be kept like any other answer.
    fn lookup(&self, parent: u64, name: &[u8]) -> Answer<FileAttr>;

    /// The kernel has forgotten as many lookups (and listings with attributes) of an inode.
    fn forget(&self, inode: u64, lookups: u64);

    /// The attributes of an inode.
    fn attributes(&self, inode: u64) -> Answer<FileAttr>;

    /// The target of a symbolic link.
    fn target(&self, inode: u64) -> Answer<Cow<'_, [u8]>>;

    /// Opens a file for reading; the number is given back to `read` and `close`.
    fn open(&self, inode: u64) -> Answer<u64>;

    /// Closes what `open` opened.
    fn close(&self, handle: u64);

    /// Reads up to `size` bytes into `buffer`, which is empty.
    fn read(&self, inode: u64, handle: u64, offset: u64, size: usize, buffer: &mut Vec<u8>) -> Answer<()>;

    /// Opens a directory for listing.
    fn open_directory(&self, inode: u64) -> Answer<u64>;

    /// Closes what `open_directory` opened.
    fn close_directory(&self, handle: u64);

    /// Lists a directory from a position on; 0 is its beginning. With `looked_up`, each entry that `fill`
    /// takes, but `.` and `..`, counts as a lookup.
    fn list(&self, inode: u64, handle: u64, position: u64, looked_up: bool, fill: Fill<'_>) -> Answer<()>;

    /// The value of an extended attribute.
    fn xattr(&self, inode: u64, name: &[u8]) -> Answer<Cow<'_, [u8]>>;

    /// The names of the extended attributes, each ended by a NUL.
    fn xattr_names(&self, inode: u64) -> Answer<Vec<u8>>;

    /// The next data or hole from `offset` on, as lseek(2) finds it.
    fn seek(&self, inode: u64, handle: u64, offset: u64, hole: bool) -> Answer<u64>;

    /// The sizes of the whole.
    fn sizes(&self) -> Sizes;
}
