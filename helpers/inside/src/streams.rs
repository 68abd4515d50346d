//! The standard streams of a command outside: what it gets of them, and what is passed on here.
//!
//! A pipe goes to the command as it is. Anything else stays here, and a pipe is put between: a file of the container may be one that nobody
//! outside may even look at, and a terminal is this container's own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::statfs::fstatfs;
use nix::unistd::{Whence, lseek, pipe2};
use plan::Rows;
use sys::flow::Flow;
use sys::terminal::Raw;

/// PIPEFS_MAGIC and SOCKFS_MAGIC in linux/magic.h.
const STREAMS: [i64; 2] = [0x5049_5045, 0x534f_434b];

/// For how long somebody here is waited for who does not take what the command wrote last, in milliseconds.
const PATIENCE: u16 = 2000;

/// What stays here of the streams.
#[derive(Default)]
pub struct Streams {
    /// The size of the terminal, where the command has one.
    pub terminal: Option<Rows>,
    /// Which streams go along.
    pub given: [bool; 3],
    /// What goes along, in the order of the protocol. Let go of as soon as it was sent.
    pub sent: Vec<OwnedFd>,
    /// What is passed on.
    pub flows: Vec<Flow>,
    /// Where the command reads what is passed on of standard input: to see at the end what it has not read.
    unread: Option<OwnedFd>,
    /// This side's terminal, while every key goes to the command.
    pub raw: Option<Raw<BorrowedFd<'static>>>,
}

impl Streams {
    /// Looks at this process's own.
    pub fn make() -> Result<Self, Errno> {
        let own = [0, 1, 2].map(|number| sys::descriptor::borrow(number).ok());
        let is_terminal = |number: usize| own[number].is_some_and(sys::terminal::is_terminal);
        let mut streams = Self::default();
        let mut through = None;
        if let (Some(input), true, true) = (own[0], is_terminal(0), is_terminal(1)) {
            let size = sys::terminal::size(input)?;
            streams.terminal = Some(Rows { rows: size.rows, columns: size.columns });
            let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
            not_blocking(&ours)?;
            streams.flows.push(Flow::new(input.try_clone_to_owned().map_err(errno)?, clone(&ours)?));
            let output = own[1].unwrap_or(input);
            streams.flows.push(Flow::new(ours, output.try_clone_to_owned().map_err(errno)?));
            through = Some(theirs);
        }
        for (number, stream) in own.into_iter().enumerate() {
            // With a terminal of its own the command has that for all streams that are one.
            let Some(stream) = stream.filter(|_| streams.terminal.is_none() || !is_terminal(number)) else { continue };
            streams.given[number] = true;
            streams.give(number, stream)?;
        }
        streams.sent.extend(through);
        Ok(streams)
    }

    fn give(&mut self, number: usize, stream: BorrowedFd<'static>) -> Result<(), Errno> {
        let own = stream.try_clone_to_owned().map_err(errno)?;
        if fstatfs(&own).is_ok_and(|status| STREAMS.contains(&status.filesystem_type().0)) {
            self.sent.push(own);
            return Ok(());
        }
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        if number == 0 {
            not_blocking(&writer)?;
            self.flows.push(Flow::new(own, writer));
            self.unread = Some(clone(&reader)?);
            self.sent.push(reader);
        } else {
            not_blocking(&reader)?;
            self.flows.push(Flow::new(reader, own));
            self.sent.push(writer);
        }
        Ok(())
    }

    /// Passes on the last that the command has written, and gives back what it has not read.
    pub fn finish(mut self) {
        let ready = |descriptor: BorrowedFd<'_>, flags: PollFlags| {
            // What was written is there; who reads it may need a moment.
            let patience = if flags == PollFlags::POLLOUT { PATIENCE } else { 0 };
            poll(&mut [PollFd::new(descriptor, flags)], patience).map(|ready| ready > 0)
        };
        let first_is_input = self.terminal.is_some() || self.unread.is_some();
        for (number, flow) in self.flows.iter_mut().enumerate() {
            if number == 0 && first_is_input {
                continue;
            }
            flow.finish(ready);
        }
        if let Some((unread, flow)) = self.unread.as_ref().zip(self.flows.first()) {
            // A file that is read by several, one after another, as by a loop of a script: the next goes on where the command stopped.
            let unread = flow.pending() + sys::descriptor::waiting(unread.as_fd()).unwrap_or(0);
            if let Ok(unread @ 1..) = i64::try_from(unread)
                && let Ok(input) = sys::descriptor::borrow(0)
            {
                let _ = lseek(input, -unread, Whence::SeekCur);
            }
        }
    }
}

fn clone(descriptor: &OwnedFd) -> Result<OwnedFd, Errno> {
    descriptor.try_clone().map_err(errno)
}

fn not_blocking(descriptor: impl AsFd) -> Result<(), Errno> {
    fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
