//! Copying between files without the content passing through this process.

use std::os::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

/// Copies up to `length` bytes from one offset to another, by sharing blocks where the filesystem can (copy_file_range(2)). Returns
/// how many; 0 at the end of the source.
///
/// `EXDEV`, `EOPNOTSUPP`: not between these two.
pub fn copy_range(from: impl AsFd, offset: u64, to: impl AsFd, target: u64, length: usize) -> Result<usize> {
    let signed = |offset: u64| libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL);
    let (mut offset, mut target) = (signed(offset)?, signed(target)?);
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    // SAFETY: both offsets are ours and live for the call; nothing else of this process's memory is involved.
    let copied = unsafe { libc::copy_file_range(from, &raw mut offset, to, &raw mut target, length, 0) };
    Errno::result(copied).map(|copied| copied as usize)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    #[test]
    fn a_part_is_copied_to_another_place() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = |name| dir.path().join(name);
        std::fs::File::create(path("from")).unwrap().write_all(b"0123456789").unwrap();
        let from = std::fs::File::open(path("from")).unwrap();
        let to = std::fs::File::create(path("to")).unwrap();
        assert_eq!(super::copy_range(&from, 4, &to, 2, 100), Ok(6));
        let mut content = Vec::new();
        std::fs::File::open(path("to")).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"\0\x00456789");
        assert_eq!(super::copy_range(&from, 10, &to, 0, 100), Ok(0));
    }
}
