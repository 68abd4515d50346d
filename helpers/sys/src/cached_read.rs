//! Reading what is in memory already, and only that.

use std::os::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

/// Reads from `offset` on into `buffer`, as far as the page cache goes, without waiting for a disk
/// (preadv2(2), `RWF_NOWAIT`). May return less than there is.
///
/// `EAGAIN`: nothing of it is in memory. `EOPNOTSUPP`: this filesystem cannot tell.
pub fn cached_read(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the one part is the whole of `buffer`, which may be written to for the length of the call.
    let length = unsafe { libc::preadv2(file.as_fd().as_raw_fd(), &part, 1, offset, libc::RWF_NOWAIT) };
    Errno::result(length).map(|length| length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_has_just_been_written_is_in_memory() {
        // On a disk, since tmpfs may not be able to tell.
        let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
        file.write_all(b"some content").unwrap();
        let mut buffer = [0; 20];
        match cached_read(&file, &mut buffer, 5) {
            Ok(length) => assert_eq!(&buffer[..length], b"content"),
            Err(errno) => assert_eq!(errno, Errno::EOPNOTSUPP),
        }
    }
}
