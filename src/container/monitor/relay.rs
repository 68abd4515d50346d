//! One direction of a stream: what was read on one side and has not found room on the other yet.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::container::protocol::CHUNK;

/// A place that the payload's output is read from, until its end.
#[derive(Debug)]
pub struct Source(Option<OwnedFd>);

impl Source {
    /// Reads from `fd`; `None` is a source that has ended.
    pub fn new(fd: Option<OwnedFd>) -> Self {
        Self(fd)
    }

    /// What to wait on; `None` at its end.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// What can be read without waiting; empty for nothing, or at its end.
    pub fn read(&mut self) -> Vec<u8> {
        let Some(fd) = &self.0 else { return Vec::new() };
        let mut buffer = vec![0; CHUNK];
        match nix::unistd::read(fd, &mut buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => Vec::new(),
            // A pty whose last user is gone says EIO.
            Ok(0) | Err(_) => {
                self.0 = None;
                Vec::new()
            }
            Ok(length) => {
                buffer.truncate(length);
                buffer
            }
        }
    }
}

/// The payload's input: bytes wait here until it takes them.
#[derive(Debug)]
pub struct Sink {
    fd: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    /// Whether a place to write to is still to come.
    expecting: bool,
    ending: bool,
}

impl Sink {
    /// Writes to `fd`, which must not block; `None` swallows everything.
    pub fn new(fd: Option<OwnedFd>) -> Self {
        Self { fd, waiting: VecDeque::new(), expecting: false, ending: false }
    }

    /// Keeps everything until [`Sink::open`] says where it goes: what is typed ahead of the payload's terminal.
    pub fn expecting() -> Self {
        Self { expecting: true, ..Self::new(None) }
    }

    /// Writes to `fd` from now on, what was kept first.
    pub fn open(&mut self, fd: Option<OwnedFd>) {
        self.fd = fd;
        self.expecting = false;
        self.flush();
    }

    /// What to wait on for room; `None` while nothing waits.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// Whether more may come.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < CHUNK
    }

    /// Takes bytes, and passes on what it can.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.fd.is_some() || self.expecting {
            self.waiting.extend(bytes);
        }
        self.flush();
    }

    /// No more bytes will come: closed as soon as the rest is taken.
    pub fn end(&mut self) {
        self.ending = true;
        self.flush();
    }

    /// Passes on what it can.
    pub fn flush(&mut self) {
        while let Some(fd) = &self.fd {
            let (front, _) = self.waiting.as_slices();
            if front.is_empty() {
                break;
            }
            match nix::unistd::write(fd, front) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.waiting.clear();
                    self.fd = None;
                }
            }
        }
        if self.ending {
            self.fd = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;

    #[test]
    fn what_comes_before_there_is_a_reader_is_kept() {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let mut sink = Sink::expecting();
        sink.write(b"typed ");
        sink.write(b"ahead");
        assert!(sink.descriptor().is_none());
        sink.open(Some(write));
        assert_eq!(Source::new(Some(read)).read(), b"typed ahead");
    }

    #[test]
    fn a_slow_reader_gets_every_byte_and_then_the_end() {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let mut sink = Sink::new(Some(write));
        let sent: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        sink.write(&sent);
        sink.end();
        assert!(!sink.has_room());
        let mut source = Source::new(Some(read));
        let mut received = Vec::new();
        while source.descriptor().is_some() {
            received.extend(source.read());
            sink.flush();
        }
        assert!(received == sent);
    }
}
