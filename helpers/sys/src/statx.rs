//! statx(2): what stat(2) tells, and the mount that a file is seen through.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

/// What there is to know of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// How many names the file has.
    pub nlink: u32,
    /// The owner, in the caller's user namespace.
    pub uid: u32,
    /// The group, in the caller's user namespace.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Blocks of 512 bytes that the file holds.
    pub blocks: u64,
    /// Inode number on its filesystem.
    pub inode: u64,
    /// The filesystem's device number (major, minor).
    pub device: (u32, u32),
    /// Of a device its number (major, minor).
    pub represents: (u32, u32),
    /// The id of the mount, as in `/proc/PID/mountinfo`; 0 before kernel 5.8.
    pub mount: u64,
    /// Times of the last access, change of content and change of attributes: seconds, nanoseconds.
    pub atime: (i64, u32),
    /// See `atime`.
    pub mtime: (i64, u32),
    /// See `atime`.
    pub ctime: (i64, u32),
    /// When the file was made; zeroes where its filesystem does not know.
    pub btime: (i64, u32),
}

/// The status of `name` in the directory `dir`, or of `dir` itself for an empty name. A symbolic link at
/// the end is not followed, and an automount point is not triggered.
pub fn statx(dir: impl AsFd, name: &CStr) -> Result<Status> {
    ask(dir, name, libc::AT_STATX_SYNC_AS_STAT)
}

/// Like [`statx`], with what is known of a file on a network filesystem, also where that is out of date; its
/// server is not asked.
pub fn statx_unsynced(dir: impl AsFd, name: &CStr) -> Result<Status> {
    ask(dir, name, libc::AT_STATX_DONT_SYNC)
}

fn ask(dir: impl AsFd, name: &CStr, sync: i32) -> Result<Status> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH | sync;
    let mask = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID | libc::STATX_BTIME;
    let mut buffer = MaybeUninit::<libc::statx>::zeroed();
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: the name ends in NUL, the buffer is a statx structure, and both live for the call.
    let status = unsafe { libc::statx(dir, name.as_ptr(), flags, mask, buffer.as_mut_ptr()) };
    Errno::result(status)?;
    // SAFETY: all of its fields are numbers, for which zeroes are valid; the kernel has filled it since.
    let found = unsafe { buffer.assume_init() };
    let time = |time: libc::statx_timestamp| (time.tv_sec, time.tv_nsec);
    Ok(Status {
        mode: found.stx_mode.into(),
        nlink: found.stx_nlink,
        uid: found.stx_uid,
        gid: found.stx_gid,
        size: found.stx_size,
        blocks: found.stx_blocks,
        inode: found.stx_ino,
        device: (found.stx_dev_major, found.stx_dev_minor),
        represents: (found.stx_rdev_major, found.stx_rdev_minor),
        mount: if found.stx_mask & libc::STATX_MNT_ID != 0 { found.stx_mnt_id } else { 0 },
        atime: time(found.stx_atime),
        mtime: time(found.stx_mtime),
        ctime: time(found.stx_ctime),
        btime: if found.stx_mask & libc::STATX_BTIME != 0 { time(found.stx_btime) } else { (0, 0) },
    })
}

/// The `struct stat` that stat(2) would write for an open file, after `change` has been made to it.
pub fn stat_bytes(file: impl AsFd, change: impl FnOnce(&mut libc::stat)) -> Result<Vec<u8>> {
    let mut found = nix::sys::stat::fstat(file)?;
    change(&mut found);
    Ok(bytes(&found))
}

/// The `struct statx` that statx(2) would write for an open file, after `change` has been made to it. Of `flags` only those
/// count that say how current it is to be.
pub fn statx_bytes(file: impl AsFd, flags: i32, mask: u32, change: impl FnOnce(&mut libc::statx)) -> Result<Vec<u8>> {
    let flags = libc::AT_EMPTY_PATH | flags & (libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC);
    // SAFETY: all of its fields are numbers, for which zeroes are valid.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends in NUL, the buffer is a statx structure, and both live for the call.
    let status = unsafe { libc::statx(file.as_fd().as_raw_fd(), c"".as_ptr(), flags, mask, &raw mut found) };
    Errno::result(status)?;
    change(&mut found);
    Ok(bytes(&found))
}

/// A structure of the kernel's as it is in memory.
fn bytes<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: these structures are made of numbers without gaps between them (the kernel pads by fields), and zeroed before they
    // were filled; so all of their bytes have values. The slice does not outlive the reference.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) }.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_agrees_with_stat() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "content").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let open = File::open(dir.path()).unwrap();
        let found = statx(&open, c"file").unwrap();
        let meta = fs::metadata(dir.path().join("file")).unwrap();
        assert_eq!((found.inode, found.mode, found.size, found.nlink), (meta.ino(), meta.mode(), 7, 1));
        assert_eq!(found.mtime, (meta.mtime(), meta.mtime_nsec() as u32));
        assert_eq!(statx(&open, c"link").unwrap().mode & libc::S_IFMT, libc::S_IFLNK);
        assert_eq!(statx(&open, c"").unwrap().mode & libc::S_IFMT, libc::S_IFDIR);
        assert_eq!(statx(&open, c"none"), Err(Errno::ENOENT));
        assert_eq!(statx_unsynced(&open, c"file").unwrap(), found, "on a local filesystem they are the same");
    }
}
