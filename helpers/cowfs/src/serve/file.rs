//! Reading an open file of the host on a program's behalf.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::uio::pread;
use nix::unistd::{Whence, lseek};
use sys::cached_read::cached_read;

use super::view::Answer;

/// Reads what is in memory already into the beginning of `buffer`; how much that is. `EAGAIN` where there is nothing.
pub fn read_cached(file: &impl AsFd, offset: u64, buffer: &mut [u8]) -> Answer<usize> {
    match cached_read(file, buffer, offset) {
        // It cannot tell, and has everything there.
        Err(Errno::EOPNOTSUPP) if fstatfs(file)?.filesystem_type() == TMPFS_MAGIC => read(file, offset, buffer),
        read => read.map_err(|_| Errno::EAGAIN),
    }
}

/// Fills `buffer` as far as the file goes; how far that is. A short read would be the end of the file to the kernel.
pub fn read(file: &impl AsFd, offset: u64, buffer: &mut [u8]) -> Answer<usize> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let mut filled = 0;
    while filled < buffer.len() {
        match pread(file, &mut buffer[filled..], offset.saturating_add(filled as i64)) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

/// The next data or hole. (Reads give their own offsets, so that the descriptor's does not matter.)
pub fn seek(file: &impl AsFd, offset: u64, hole: bool) -> Answer<u64> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let found = lseek(file, offset, if hole { Whence::SeekHole } else { Whence::SeekData })?;
    u64::try_from(found).map_err(|_| Errno::EIO)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    #[test]
    fn what_is_nowhere_but_in_memory_is_read_without_waiting() {
        // A file of a tmpfs that is mounted nowhere.
        let mut file = File::from(memfd_create(c"file", MFdFlags::MFD_CLOEXEC).unwrap());
        file.write_all(b"content").unwrap();
        let mut buffer = [0; 10];
        assert_eq!(read_cached(&file, 2, &mut buffer), Ok(5));
        assert_eq!(&buffer[..5], b"ntent");
        assert_eq!(read_cached(&file, 7, &mut buffer), Ok(0));
    }
}
