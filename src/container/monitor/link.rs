//! The monitor's side of the socket to the client.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::container::error::Told;
use crate::container::protocol::{End, LIMIT, Reply, Request};

/// What a client asked for, owned.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Bytes for the payload.
    Input(Vec<u8>),
    /// No more of them.
    InputEnd,
    /// Another window size.
    Resize(plan::Rows),
    /// A signal for the payload.
    Signal {
        /// Its number.
        number: i32,
        /// To its whole process group.
        group: bool,
    },
    /// The client is gone, or talks nonsense.
    Gone,
}

/// The client, who may be slow, and may go at any moment.
#[derive(Debug)]
pub struct Client {
    socket: Option<OwnedFd>,
    /// What it had no room for yet, in order.
    unsent: VecDeque<Vec<u8>>,
}

impl Client {
    /// The client at the other end of `socket`.
    pub fn new(socket: OwnedFd) -> Self {
        let _ = fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        Self { socket: Some(socket), unsent: VecDeque::new() }
    }

    /// One that has gone.
    pub fn gone() -> Self {
        Self { socket: None, unsent: VecDeque::new() }
    }

    /// What to wait on; `None` once it is gone.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Whether everything said so far is on its way: only then is more to be read for it.
    pub fn is_keeping_up(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Takes one message.
    pub fn hear(&mut self) -> Option<Asked> {
        let socket = self.socket.as_ref()?;
        let mut buffer = [0; LIMIT];
        let length = match sys::socket::receive(socket, &mut buffer) {
            Ok((length, _)) => length,
            Err(Errno::EAGAIN) => return None,
            Err(_) => 0,
        };
        let asked = match Request::decode(&buffer[..length]) {
            Ok(Request::Input(bytes)) => Asked::Input(bytes.to_vec()),
            Ok(Request::InputEnd) => Asked::InputEnd,
            Ok(Request::Resize(size)) => Asked::Resize(size),
            Ok(Request::Signal { number, group }) => Asked::Signal { number, group },
            Err(_) => Asked::Gone,
        };
        Some(asked)
    }

    /// Says something, now or as soon as there is room.
    pub fn say(&mut self, reply: &Reply<'_>) {
        self.unsent.push_back(reply.encode());
        self.flush();
    }

    /// Sends what was kept, as far as there is room. A client that is gone misses nothing.
    pub fn flush(&mut self) {
        let Some(socket) = &self.socket else { return self.unsent.clear() };
        while let Some(message) = self.unsent.front() {
            match sys::socket::send(socket, message, None) {
                Err(Errno::EAGAIN) => return,
                Ok(()) => drop(self.unsent.pop_front()),
                Err(_) => return self.unsent.clear(),
            }
        }
    }

    /// Something the user should know, and that stops nothing.
    pub fn warn(&mut self, told: Told) {
        self.say(&Reply::Warning(told));
    }

    /// Says the last word, and waits until it is taken: everything before it comes first.
    pub fn end(&mut self, end: &End) {
        if let Some(socket) = &self.socket {
            let _ = fcntl(socket, FcntlArg::F_SETFL(OFlag::empty()));
        }
        self.say(&Reply::End(end.clone()));
        self.socket = None;
    }
}
