//! What is read of a layer's tar is written and hashed on its way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use super::watch::{Unwatched, Watch};
use crate::image::Hasher;

/// After so many bytes of a tar the disk is set to work, so that it is nearly done when all have come.
pub const WRITEBACK: u64 = 16 << 20;

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
        }
        Ok(got)
    }
}
