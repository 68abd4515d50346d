//! Bytes that go from one descriptor to another as they come, at the pace of who reads them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;

use crate::{Errno, Result};

/// As much as a pipe takes at once without waiting (PIPE_BUF in pipe(7)): a descriptor that blocks does not, once it was found ready.
const CHUNK: usize = 4096;

/// One way, in use until its source ends or its sink takes no more.
#[derive(Debug)]
pub struct Flow {
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    buffer: Vec<u8>,
    at: usize,
}

impl Flow {
    /// From one to the other. Either may block, or not.
    pub fn new(from: OwnedFd, to: OwnedFd) -> Self {
        Self { from: Some(from), to: Some(to), buffer: Vec::new(), at: 0 }
    }

    /// What is waited for, and with what.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.is_full() {
            return self.to.as_ref().map(|to| (to.as_fd(), PollFlags::POLLOUT));
        }
        self.from.as_ref().map(|from| (from.as_fd(), PollFlags::POLLIN))
    }

    /// Nothing more will go this way.
    pub fn is_over(&self) -> bool {
        self.to.is_none()
    }

    /// How many bytes were read that are not written yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.at
    }

    fn is_full(&self) -> bool {
        self.pending() > 0
    }

    /// Reads or writes once, for what was waited for is there. False where nothing happened.
    pub fn step(&mut self) -> bool {
        if self.is_full() { self.write() } else { self.read() }
    }

    fn read(&mut self) -> bool {
        let Some(from) = &self.from else { return false };
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(from, &mut buffer) {
            Ok(length @ 1..) => {
                self.buffer.clear();
                self.buffer.extend_from_slice(&buffer[..length]);
                self.at = 0;
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            // The end; for a terminal whose other side is closed, that is EIO.
            Ok(_) | Err(_) => {
                self.end();
                false
            }
        }
    }

    fn write(&mut self) -> bool {
        let Some(to) = &self.to else { return false };
        match nix::unistd::write(to, &self.buffer[self.at..]) {
            Ok(length) => {
                self.at += length;
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(_) => {
                self.end();
                false
            }
        }
    }

    /// Lets go of both ends.
    pub fn end(&mut self) {
        self.from = None;
        self.to = None;
        self.buffer.clear();
        self.at = 0;
    }

    /// Passes on what is there by now, for who has written it has ended. Waits for nobody to write, but for the reader, by `ready`, which says
    /// whether a descriptor has become so.
    pub fn finish(&mut self, mut ready: impl FnMut(BorrowedFd<'_>, PollFlags) -> Result<bool>) {
        while let Some((descriptor, flags)) = self.interest() {
            if !ready(descriptor, flags).unwrap_or(false) || (!self.step() && !self.is_full()) {
                break;
            }
        }
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, read, write};

    #[test]
    fn bytes_arrive_and_so_does_the_end() {
        let (from, source) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let (sink, to) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let mut flow = Flow::new(from, to);
        write(&source, b"abc").unwrap();
        assert!(flow.step());
        assert_eq!((flow.pending(), flow.interest().unwrap().1), (3, PollFlags::POLLOUT));
        assert!(flow.step());
        let mut buffer = [0; 8];
        assert_eq!(read(&sink, &mut buffer), Ok(3));
        drop(source);
        assert!(!flow.step() && flow.is_over());
        assert_eq!(read(&sink, &mut buffer), Ok(0));
    }
}
