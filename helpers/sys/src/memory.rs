//! The memory of another process (process_vm_readv(2)), which the caller must be allowed to trace.

use std::ffi::{CStr, CString};
use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use crate::{Errno, Result};

/// The kernel's `PATH_MAX`, the final NUL included.
pub const LONGEST_PATH: usize = 4096;

/// Any page's size is a multiple of this.
const PAGE: u64 = 4096;

/// Fills `buffer` from an address of a process. `EFAULT`: there is not so much memory there.
pub fn read(process: i32, address: u64, buffer: &mut [u8]) -> Result<()> {
    let length = buffer.len();
    let remote = [RemoteIoVec { base: number(address)?, len: length }];
    match process_vm_readv(Pid::from_raw(process), &mut [IoSliceMut::new(buffer)], &remote)? {
        read if read == length => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Writes `bytes` to an address of a process. `EFAULT`: there is no memory that it could write to itself.
pub fn write(process: i32, address: u64, bytes: &[u8]) -> Result<()> {
    let remote = [RemoteIoVec { base: number(address)?, len: bytes.len() }];
    match process_vm_writev(Pid::from_raw(process), &[IoSlice::new(bytes)], &remote)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// The path at an address of a process. `ENAMETOOLONG`: it does not end where every path does.
pub fn read_path(process: i32, address: u64) -> Result<CString> {
    let mut buffer = [0; LONGEST_PATH];
    let mut length = 0;
    while length < LONGEST_PATH {
        // Not beyond a page at a time, as the next may not be there; and most paths are short.
        let at = address.checked_add(length as u64).ok_or(Errno::EFAULT)?;
        let end = usize::try_from(PAGE - at % PAGE).map_err(|_| Errno::EFAULT)?;
        let take = end.min(LONGEST_PATH - length).min(if length == 0 { 256 } else { LONGEST_PATH });
        let part = &mut buffer[length..length + take];
        read(process, at, part)?;
        length += take;
        if let Ok(path) = CStr::from_bytes_until_nul(&buffer[..length]) {
            return Ok(path.to_owned());
        }
    }
    Err(Errno::ENAMETOOLONG)
}

fn number(address: u64) -> Result<usize> {
    usize::try_from(address).map_err(|_| Errno::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> i32 {
        std::process::id() as i32
    }

    #[test]
    fn a_path_is_read_up_to_its_end_and_not_beyond() {
        for length in [0, 1, 255, 256, 257, 4000, 4095] {
            let path = CString::new(vec![b'x'; length]).unwrap();
            assert_eq!(read_path(own(), path.as_ptr() as u64).unwrap(), path, "{length}");
        }
        let long = CString::new(vec![b'x'; 5000]).unwrap();
        assert_eq!(read_path(own(), long.as_ptr() as u64), Err(Errno::ENAMETOOLONG));
        assert_eq!(read_path(own(), 8), Err(Errno::EFAULT));
        assert_eq!(read_path(own(), u64::MAX), Err(Errno::EFAULT));
    }

    #[test]
    fn what_is_written_is_read() {
        let place = Box::new([0u8; 8]);
        let address = place.as_ptr() as u64;
        write(own(), address, b"12345678").unwrap();
        let mut back = [0; 8];
        read(own(), address, &mut back).unwrap();
        assert_eq!(&back, b"12345678");
        assert_eq!(write(own(), 8, b"1"), Err(Errno::EFAULT));
    }
}
