//! Files mapped into memory: whole for reading, and for a moment to be written.

use std::fs::File;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use crate::{Errno, Result};

/// A whole file, mapped read-only and privately.
///
/// The file must be one that nobody changes while it is mapped, such as one that its writer has renamed
/// into place and never opens again: to shorten it would raise `SIGBUS` on access.
#[derive(Debug)]
pub struct Mapping {
    // `None` for an empty file, which cannot be mapped.
    start: Option<NonNull<u8>>,
    len: usize,
}

// SAFETY: the memory is only ever read, and belongs to this value alone.
unsafe impl Send for Mapping {}
// SAFETY: as above; reading from several threads at once is no race.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `file` from its first to its last byte.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and mmap(2).
    pub fn of(file: &File) -> Result<Mapping> {
        let len = usize::try_from(fstat(file)?.st_size).map_err(|_| Errno::EFBIG)?;
        let Some(size) = NonZeroUsize::new(len) else {
            return Ok(Mapping { start: None, len: 0 });
        };
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(None, size, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, file, 0)? };
        Ok(Mapping { start: Some(start.cast()), len })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.start {
            // SAFETY: `of` mapped `len` readable bytes there, which stay mapped until `drop`, and by the
            // type's contract nobody changes the file.
            Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) },
            None => &[],
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            // SAFETY: exactly what `of` mapped; no reference outlives `self`. It can only fail for an
            // address that is no mapping, which this is not.
            let _ = unsafe { munmap(start.cast(), self.len) };
        }
    }
}

/// Writes `bytes` at `offset` of a file by way of a shared mapping, as programs do that keep databases.
///
/// The file must reach beyond them, and stay so long as this takes: a shorter one would raise `SIGBUS`.
///
/// # Errors
///
/// `EINVAL` where the file ends before, else those of fstat(2) and mmap(2).
pub fn write_shared(file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
    const PAGE: u64 = 4096;
    let within = (offset % PAGE) as usize;
    let size = NonZeroUsize::new(within + bytes.len()).ok_or(Errno::EINVAL)?;
    let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::EINVAL)?;
    if bytes.is_empty() || u64::try_from(fstat(file)?.st_size).is_ok_and(|length| length < end) {
        return Err(Errno::EINVAL);
    }
    let begin = i64::try_from(offset - offset % PAGE).map_err(|_| Errno::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, begin)? };
    // SAFETY: `within + bytes.len()` bytes are mapped for writing from `start` on, and nothing of ours lies there.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast::<u8>().as_ptr().add(within), bytes.len()) };
    // SAFETY: exactly what was mapped above; no reference to it exists.
    unsafe { munmap(start, size.get()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapping_shows_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(Mapping::of(&file).unwrap().is_empty());
        file.write_all(b"content").unwrap();
        assert_eq!(&Mapping::of(&file).unwrap()[..], b"content");
    }

    #[test]
    fn what_is_written_to_a_mapping_is_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'.'; 8192]).unwrap();
        write_shared(&file, 4090, b"over the edge").unwrap();
        assert_eq!(&Mapping::of(&file).unwrap()[4089..4104], b".over the edge.");
        assert_eq!(write_shared(&file, 8190, b"beyond"), Err(Errno::EINVAL));
    }
}
