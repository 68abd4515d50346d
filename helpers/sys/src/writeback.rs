//! Having the kernel begin to write a file out before it must.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Errno, Result};

/// Starts writing the pages of `length` bytes from `offset` on to the disk, and does not wait for it (sync_file_range(2)).
///
/// What is written this way is not yet safe: that takes an fsync, which then finds little left to do.
pub fn start(file: BorrowedFd, offset: u64, length: u64) -> Result<()> {
    let offset = libc::off64_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let length = libc::off64_t::try_from(length).map_err(|_| Errno::EINVAL)?;
    // SAFETY: takes numbers only; the descriptor is borrowed for the call.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_file_can_be_written_out_early() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        start(file.as_fd(), 0, 10_000).unwrap();
        assert_eq!(start(file.as_fd(), u64::MAX, 1), Err(Errno::EINVAL));
    }
}
