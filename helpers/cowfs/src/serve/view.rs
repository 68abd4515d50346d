//! What both kinds of lower, images and host directories, offer to the FUSE side.

use std::borrow::Cow;
use std::ffi::CString;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use fuser::{FileHandle, INodeNo};
use nix::errno::Errno;
use sys::statx::Status;

use super::change::{Caller, Change};
use crate::layer::Time;
use crate::owners::Owners;
use crate::upper::below::Looks;

/// The result of one request; the error is what the calling process sees. (`fuser::Errno` is no error that Rust knows.)
pub type Answer<T> = std::result::Result<T, Errno>;

/// What stat(2) tells of an inode, in the ids of the mount's user namespace.
#[derive(Clone, Copy, Debug)]
pub struct Attr {
    /// The inode's number.
    pub inode: INodeNo,
    /// Length in bytes.
    pub size: u64,
    /// Blocks of 512 bytes that it holds.
    pub blocks: u64,
    /// Time of the last access.
    pub atime: Time,
    /// Time of the last change of the content.
    pub mtime: Time,
    /// Time of the last change of the attributes.
    pub ctime: Time,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// How many names it has.
    pub nlink: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The number of a device, in the kernel's 32-bit encoding.
    pub device: u32,
}

impl Attr {
    /// What the host says of a file, with its owners translated.
    pub fn of(inode: INodeNo, status: &Status, owners: &Owners) -> Attr {
        let time = |(secs, nanos)| Time { secs, nanos };
        let (major, minor) = status.represents;
        Attr {
            inode,
            size: status.size,
            blocks: status.blocks,
            atime: time(status.atime),
            mtime: time(status.mtime),
            ctime: time(status.ctime),
            mode: status.mode,
            nlink: status.nlink,
            uid: owners.uid(status.uid),
            gid: owners.gid(status.gid),
            device: device_number(major, minor),
        }
    }
}

/// A name of a file, for the system. `EINVAL` where a NUL is in it.
pub fn c_string(name: &[u8]) -> Answer<CString> {
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// What is to be read of an open file, or of an open directory.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// What opening has given.
    pub handle: FileHandle,
    /// Where to begin: in bytes, or at a position in a directory.
    pub offset: u64,
    /// Bytes at most.
    pub size: usize,
}

/// A device's number in the kernel's 32-bit encoding (`new_encode_dev` in include/linux/kdev_t.h).
pub fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// A device's number from the kernel's 32-bit encoding (`new_decode_dev` in include/linux/kdev_t.h).
pub fn device_pair(number: u32) -> (u32, u32) {
    ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xf_ff00))
}

/// Takes the entries of a directory: inode, the position after it, name, attributes. `true` when full.
pub type Fill<'f> = &'f mut dyn FnMut(u64, &[u8], &Attr) -> bool;

/// Sizes of the whole filesystem, for statvfs(3). One that cannot be written to is full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Bytes that there are in all: of what is read-only, those that its files hold.
    pub bytes: u64,
    /// Bytes that nobody uses.
    pub free: u64,
    /// Bytes that a user may use.
    pub available: u64,
    /// The number of inodes.
    pub files: u64,
    /// The number of inodes that could be made.
    pub free_files: u64,
}

/// How a filesystem is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// The kernel collects small writes (`FUSE_WRITEBACK_CACHE`).
    pub writeback: bool,
}

/// A filesystem. The root is [`INodeNo::ROOT`].
pub trait View: Send + Sync + 'static {
    /// How long the kernel may keep what it has been told.
    fn lifetime(&self) -> Duration;

    /// Whether files must be opened before they are read. If not, the kernel need not ask.
    fn needs_open(&self) -> bool;

    /// Whether any file may have extended attributes. If not, the kernel need not ask again.
    fn has_xattrs(&self) -> bool;

    /// Whether any file may have holes. If not, the kernel need not ask again.
    fn has_holes(&self) -> bool {
        true
    }

    /// Whether a request about this inode may be long in coming, for another reason than a disk.
    fn may_wait(&self, inode: INodeNo) -> bool;

    /// What `name` in a directory is. `ENOENT` may be kept like any other answer.
    fn lookup(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr>;

    /// The kernel has forgotten as many lookups (and listings with attributes) of an inode.
    fn forget(&self, inode: INodeNo, lookups: u64);

    /// The attributes of an inode.
    fn attributes(&self, inode: INodeNo) -> Answer<Attr>;

    /// The target of a symbolic link.
    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>>;

    /// Opens a file for reading; the number is given back to `read` and `close`.
    fn open(&self, inode: INodeNo) -> Answer<FileHandle>;

    /// Closes what `open` opened.
    fn close(&self, handle: FileHandle);

    /// Reads what is wanted, as far as there is, into `buffer`, which is empty. Without `wait`, `EAGAIN` where that would mean
    /// waiting for a disk.
    fn read(&self, inode: INodeNo, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()>;

    /// Opens a directory for listing.
    fn open_directory(&self, inode: INodeNo) -> Answer<FileHandle>;

    /// Closes what `open_directory` opened.
    fn close_directory(&self, handle: FileHandle);

    /// Lists a directory from a position on; 0 is its beginning. With `looked_up`, each entry that `fill`
    /// takes, but `.` and `..`, counts as a lookup.
    fn list(&self, inode: INodeNo, handle: FileHandle, position: u64, looked_up: bool, fill: Fill<'_>) -> Answer<()>;

    /// The value of an extended attribute.
    fn xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<Cow<'_, [u8]>>;

    /// The names of the extended attributes, each ended by a NUL.
    fn xattr_names(&self, inode: INodeNo) -> Answer<Vec<u8>>;

    /// The next data or hole from `offset` on, as lseek(2) finds it.
    fn seek(&self, inode: INodeNo, handle: FileHandle, offset: u64, hole: bool) -> Answer<u64>;

    /// The sizes of the whole.
    fn sizes(&self) -> Sizes;

    /// Like `lookup`, for the server's own sake: the kernel does not come to know the inode.
    fn find(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr> {
        let found = self.lookup(parent, name)?;
        self.forget(found.inode, 1);
        Ok(found)
    }

    /// All names of an inode: the directory that each is in, and the name. As far as they can be known.
    fn names(&self, inode: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>>;

    /// Counts a lookup of an inode that the kernel has come to know by another way than `lookup`.
    fn hold(&self, inode: INodeNo);

    /// How a file that may change at any time looks now; `None` where nothing is, or nothing changes.
    fn looks(&self, _parent: INodeNo, _name: &[u8]) -> Option<Looks> {
        None
    }

    /// Whether the links of directories are counted. If not, each has one.
    fn counts_directories(&self) -> bool {
        true
    }

    /// The file that holds all of an inode's content, as it may be read and written.
    fn backing(&self, _: INodeNo) -> Option<Arc<File>> {
        None
    }

    /// How it is written to, if it is.
    fn writing(&self) -> Option<Writing> {
        None
    }

    /// Changes something; the reply goes into `out`. Without `wait`, `EAGAIN` where that would take long; then nothing has
    /// been changed.
    fn change(&self, _: Caller, _: &Change<'_>, _wait: bool, _out: &mut Vec<u8>) -> Answer<()> {
        Err(Errno::EROFS)
    }
}
