//! What is read of a layer's tar is written and hashed on its way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::sys::statvfs::fstatvfs;

use super::watch::{Unwatched, Watch};
use crate::image::Hasher;

/// After so many bytes of a tar the disk is set to work, so that it is nearly done when all have come.
pub const WRITEBACK: u64 = 16 << 20;

/// A layer that is longer than this does not take the last of the disk:
const LONG: u64 = 1 << 30;
/// so many bytes are left, or a part of the disk if that is less.
const LEFT: u64 = 1 << 30;
const PART: u64 = 20;

/// What the last of the disk is kept from: nobody meant to fill it, and a few bytes of gzip could.
#[derive(Debug, thiserror::Error)]
#[error("it has {written} bytes already, and only {free} are free on its disk: the rest of those is left to others")]
struct Kept {
    written: u64,
    free: u64,
}

/// Writes and hashes what is read through it.
pub struct Tee<'a, R> {
    input: R,
    watch: &'a dyn Watch,
    tar: &'a mut File,
    hasher: Hasher,
    /// Bytes written, and how many of them the kernel has been told to bring to the disk.
    written: u64,
    begun: u64,
    failed: Option<io::Error>,
}

impl<'a, R: Read> Tee<'a, R> {
    pub fn new(input: R, tar: &'a mut File, hasher: Hasher) -> Self {
        Self { input, watch: &Unwatched, tar, hasher, written: 0, begun: 0, failed: None }
    }

    /// Tells somebody how much has been written.
    pub fn watched(self, watch: &'a dyn Watch) -> Self {
        Self { watch, ..self }
    }

    /// Why writing failed, if it did, and the hash of all that passed.
    pub fn finish(self) -> (Option<io::Error>, Hasher) {
        (self.failed, self.hasher)
    }
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(into)?;
        self.hasher.update(&into[..got]);
        if let Err(error) = self.tar.write_all(&into[..got]) {
            self.failed = Some(error);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.written += got as u64;
        self.watch.written(self.written);
        if self.written - self.begun >= WRITEBACK {
            // An early start is all that is lost if the file system does not know this.
            let _ = sys::writeback::start(self.tar.as_fd(), self.begun, self.written - self.begun);
            self.begun = self.written;
            if self.written > LONG
                && let Some(free) = last_of(self.tar)
            {
                let kept = Kept { written: self.written, free };
                self.failed = Some(io::Error::new(io::ErrorKind::StorageFull, kept));
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(got)
    }
}

/// How many bytes are free where a file is, if that is the last of them.
fn last_of(file: &File) -> Option<u64> {
    let disk = fstatvfs(file).ok()?;
    is_last(disk.blocks_available() * disk.fragment_size(), disk.blocks() * disk.fragment_size())
}

fn is_last(free: u64, all: u64) -> Option<u64> {
    (free < LEFT.min(all / PART)).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_disk_is_a_gigabyte_or_a_twentieth() {
        assert_eq!(is_last(LEFT - 1, 100 << 30), Some(LEFT - 1));
        assert_eq!(is_last(LEFT, 100 << 30), None);
        assert_eq!(is_last(LEFT / 2, 2 << 30), None);
        assert_eq!(is_last(103 << 20, 2 << 30), None);
        assert_eq!(is_last(50 << 20, 2 << 30), Some(50 << 20));
    }
}
