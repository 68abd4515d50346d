//! Reading an open file of the host on a program's behalf.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::uio::pread;
use nix::unistd::{Whence, lseek};
use sys::cached_read::cached_read;

use super::view::Answer;

/// Reads what is in memory already into the beginning of `buffer`; how much that is. `EAGAIN` where there is nothing.
pub fn read_cached(file: &impl AsFd, offset: u64, buffer: &mut [u8]) -> Answer<usize> {
    cached_read(file, buffer, offset).map_err(|_| Errno::EAGAIN)
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
