//! The monitor's side of the socket to one client, who may be slow, and may go at any moment.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use crate::container::error::Told;
use crate::container::protocol::{Ask, Attachment, LIMIT, Reply, Request, Until};

/// For how long a client that takes nothing may hold the payload up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a client says, owned.
#[derive(Debug)]
pub enum Said {
    /// Bytes for the payload.
    Input(Vec<u8>),
    /// No more of them.
    InputEnd,
    /// Another window size.
    Resize(plan::Rows),
    /// A signal for the process that it is with.
    Signal {
        /// Its number.
        number: i32,
        /// To its whole process group.
        group: bool,
    },
    /// Anything else, with the descriptors that came along.
    Ask(Ask, Vec<OwnedFd>),
    /// The client is gone, or talks nonsense.
    Gone,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// How it is spoken of.
    pub number: u64,
    /// It gets what the payload writes.
    pub attached: Option<Attachment>,
    /// It waits for an end.
    pub waits: Option<Until>,
    /// It has been told how the container ended, and is done with as soon as it has taken that.
    pub done: bool,
    /// It has started the monitor: the payload waits for it as for a terminal or a pipe of its own.
    pub first: bool,
    /// A box does not end while it is there.
    pub holds: bool,
    /// It has asked to hold a box that does not run yet, and waits for the answer.
    pub waits_to_hold: bool,
    socket: Option<OwnedFd>,
    /// What it had no room for yet, in order.
    unsent: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    /// When it last took something, since it has had no room.
    stalled: Option<Instant>,
}

impl Client {
    /// The client at the other end of `socket`.
    pub fn new(number: u64, socket: OwnedFd) -> Self {
        let _ = fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        let socket = Some(socket);
        Self {
            number,
            attached: None,
            waits: None,
            done: false,
            first: false,
            holds: false,
            waits_to_hold: false,
            socket,
            unsent: VecDeque::new(),
            stalled: None,
        }
    }

    /// What to wait on; `None` once it is gone.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Whether everything said so far is on its way: only then is more to be read for it.
    pub fn is_keeping_up(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Whether the payload is not to write more before this client has taken what there is.
    pub fn holds_up(&self) -> bool {
        self.attached.is_some_and(|attached| attached.output || attached.error) && !self.is_keeping_up()
    }

    /// Since when it has taken nothing that it should.
    pub fn stalled(&self) -> Option<Instant> {
        self.stalled.filter(|_| self.holds_up())
    }

    /// The process at the other end.
    pub fn process(&self) -> Option<i32> {
        let peer = self.socket.as_ref().map(|socket| getsockopt(socket, PeerCredentials))?;
        peer.ok().map(|peer| peer.pid())
    }

    /// Whether the process at the other end is stopped, as by SIGSTOP: the state in proc_pid_stat(5).
    pub fn is_stopped(&self) -> bool {
        let Some(peer) = self.process() else { return false };
        let stat = std::fs::read_to_string(format!("/proc/{peer}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't']))
    }

    /// Takes one message.
    pub fn hear(&mut self) -> Option<Said> {
        let socket = self.socket.as_ref()?;
        let mut buffer = [0; LIMIT];
        let (length, descriptors) = match sys::socket::receive_with(socket, &mut buffer) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return None,
            Err(_) => (0, Vec::new()),
        };
        Some(match Request::decode(&buffer[..length]) {
            Ok(Request::Input(bytes)) => Said::Input(bytes.to_vec()),
            Ok(Request::InputEnd) => Said::InputEnd,
            Ok(Request::Resize(size)) => Said::Resize(size),
            Ok(Request::Signal { number, group }) => Said::Signal { number, group },
            Ok(Request::Ask(ask)) => Said::Ask(ask, descriptors),
            Err(_) => Said::Gone,
        })
    }

    /// Says something, now or as soon as there is room.
    pub fn say(&mut self, reply: &Reply<'_>) {
        self.say_with(reply, None);
    }

    /// Says something with which a descriptor comes.
    pub fn say_with(&mut self, reply: &Reply<'_>, descriptor: Option<OwnedFd>) {
        self.unsent.push_back((reply.encode(), descriptor));
        self.flush();
    }

    /// Sends what was kept, as far as there is room. A client that is gone misses nothing.
    pub fn flush(&mut self) {
        let Some(socket) = &self.socket else { return self.unsent.clear() };
        while let Some((message, descriptor)) = self.unsent.front() {
            let raw = descriptor.as_ref().map(AsRawFd::as_raw_fd);
            match sys::socket::send(socket, message, raw) {
                Err(Errno::EAGAIN) => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return;
                }
                Ok(()) => drop(self.unsent.pop_front()),
                Err(_) => self.unsent.clear(),
            }
            self.stalled = None;
        }
    }

    /// Something the user should know, and that stops nothing.
    pub fn warn(&mut self, told: Told) {
        self.say(&Reply::Warning(told));
    }

    /// Gives it more time.
    pub fn bear_with(&mut self) {
        self.stalled = Some(Instant::now());
    }

    /// Lets go of one that holds the payload up: it gets no more of what that writes, and learns so when it next reads.
    pub fn mute(&mut self) {
        self.unsent.clear();
        if let Some(attached) = &mut self.attached {
            (attached.output, attached.error) = (false, false);
        }
        self.warn(Told {
            message: "what the container wrote was not read for 10 seconds, and is shown here no more".into(),
            cause: None,
            hint: Some("see it with `enter logs`".into()),
        });
    }
}
