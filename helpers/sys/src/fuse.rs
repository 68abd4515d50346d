//! What can be asked of the FUSE device beside reading and writing (include/uapi/linux/fuse.h).

use std::os::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

#[repr(C)]
struct BackingMap {
    fd: i32,
    flags: u32,
    padding: u64,
}

mod request {
    #![allow(missing_docs, reason = "the macro makes public functions")]
    nix::ioctl_write_ptr!(backing_open, 229, 1, super::BackingMap);
    nix::ioctl_write_ptr!(backing_close, 229, 2, u32);
}

/// Lets the kernel read and write `file` by itself where a file is opened that it stands for; returns the number that says so
/// in the answer (FUSE_DEV_IOC_BACKING_OPEN, Linux 6.9).
///
/// `EPERM`: only a process with CAP_SYS_ADMIN in the first user namespace may, and only where that was agreed on.
pub fn open_backing(device: impl AsFd, file: impl AsFd) -> Result<i32> {
    let map = BackingMap { fd: file.as_fd().as_raw_fd(), flags: 0, padding: 0 };
    // SAFETY: the structure is the one that this request reads, and lives for the call.
    unsafe { request::backing_open(device.as_fd().as_raw_fd(), &raw const map) }
}

/// Takes that back. Files that are open with it stay so.
pub fn close_backing(device: impl AsFd, number: i32) -> Result<()> {
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    // SAFETY: this request reads one number, which lives for the call.
    unsafe { request::backing_close(device.as_fd().as_raw_fd(), &raw const number) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fuse_device_refuses() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(open_backing(&file, &file), Err(Errno::ENOTTY));
        assert_eq!(close_backing(&file, 1), Err(Errno::ENOTTY));
        assert_eq!(close_backing(&file, -1), Err(Errno::EINVAL));
    }
}
