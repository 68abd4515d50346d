//! A client that asks by a connection (RFC 7766): several questions, answered in any order, each with its length before it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;

use super::flight::is_patience;

/// For how long a client may say nothing.
const IDLE: Duration = Duration::from_secs(10);

/// How many of its questions are answered at the same time: before there is room nothing is read.
const PENDING: usize = 32;

/// How much a client that does not read is sent.
const UNREAD: usize = 256 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Client {
    /// The network whose server it asks.
    pub network: String,
    /// Who it is.
    pub address: IpAddr,
    /// When it is closed.
    pub deadline: Instant,
    /// How many of its questions are on their way.
    pub pending: usize,
    stream: TcpStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// It will ask nothing more.
    is_done: bool,
}

impl Client {
    /// A new one. The stream does not block.
    pub fn new(stream: TcpStream, network: String, address: IpAddr) -> Self {
        let deadline = Instant::now() + IDLE;
        Self {
            network,
            address,
            deadline,
            pending: 0,
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            is_done: false,
        }
    }

    /// What it has asked; errors where it is gone.
    pub fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Vec<Vec<u8>>> {
        // One read for one event: who sends without end is not the only one.
        if self.may_ask() {
            match self.stream.read(buffer) {
                Ok(0) => self.is_done = true,
                Ok(length) => self.incoming.extend(&buffer[..length]),
                Err(error) if is_patience(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let questions = self.take();
        if !questions.is_empty() {
            self.deadline = Instant::now() + IDLE;
        }
        Ok(questions)
    }

    /// What it has asked before, as far as there is room for it now.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let room = PENDING.saturating_sub(self.pending);
        std::iter::from_fn(|| take_message(&mut self.incoming)).take(room).collect()
    }

    fn may_ask(&self) -> bool {
        !self.is_done && self.pending < PENDING && self.outgoing.len() < UNREAD
    }

    /// Sends an answer, now or when there is room.
    pub fn say(&mut self, answer: &[u8]) {
        if let Ok(length) = u16::try_from(answer.len()) {
            self.outgoing.extend(length.to_be_bytes());
            self.outgoing.extend(answer);
        }
    }

    /// Sends what there is room for; errors where it is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(length) => {
                    drop(self.outgoing.drain(..length));
                    self.deadline = Instant::now() + IDLE;
                }
                Err(error) if is_patience(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What to wait for; `None` where nothing more will come of it.
    pub fn interest(&self) -> Option<EpollFlags> {
        if self.is_done && self.pending == 0 && self.outgoing.is_empty() {
            return None;
        }
        let read = if self.may_ask() { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        let write = if self.outgoing.is_empty() { EpollFlags::empty() } else { EpollFlags::EPOLLOUT };
        Some(read | write)
    }

    /// Whether there is room for questions that were not taken.
    pub fn has_more(&self) -> bool {
        self.pending < PENDING && is_whole(&self.incoming)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|length| bytes.len() >= 2 + usize::from(u16::from_be_bytes(*length)))
}

/// Takes the first whole message out of what a connection has brought.
pub fn take_message(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    if !is_whole(bytes) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
    let rest = bytes.split_off(2 + length);
    let mut message = std::mem::replace(bytes, rest);
    message.drain(..2);
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_however_they_come() {
        let mut bytes = Vec::new();
        let mut taken = Vec::new();
        for byte in [0, 3, b'o', b'n', b'e', 0, 0, 0, 1, b'x', 0] {
            bytes.push(byte);
            taken.extend(take_message(&mut bytes));
        }
        assert_eq!(taken, [b"one".to_vec(), Vec::new(), b"x".to_vec()]);
        assert_eq!(bytes, [0]);
    }
}
