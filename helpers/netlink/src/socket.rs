//! Talking to the kernel: one message and its acknowledgement, one question and its many answers, or several messages of which all
//! take effect or none.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use crate::Result;
use crate::message::{Answer, Message, messages};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;

/// A netlink socket in the network namespace of the thread that opened it, wherever it is used then.
///
/// The kernel asks for CAP_NET_ADMIN over that namespace of both, the one that opened it and the one that sends.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// One for rtnetlink(7).
    pub fn open() -> Result<Socket> {
        Self::of(SockProtocol::NetlinkRoute)
    }

    /// One for nf_tables.
    pub fn open_netfilter() -> Result<Socket> {
        Self::of(SockProtocol::NetlinkNetFilter)
    }

    fn of(protocol: SockProtocol) -> Result<Socket> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Hears of every change of addresses and routes: readable when there was one, which [`Socket::drain`] says.
    pub fn watch() -> Result<Socket> {
        const RTMGRP_IPV4_IFADDR: u32 = 0x10;
        const RTMGRP_IPV4_ROUTE: u32 = 0x40;
        const RTMGRP_IPV6_IFADDR: u32 = 0x100;
        const RTMGRP_IPV6_ROUTE: u32 = 0x400;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        let groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Takes a socket that somebody else opened.
    pub fn from_fd(fd: OwnedFd) -> Socket {
        // A number that the opener cannot have used: what was answered to it is nothing to us.
        Socket { fd, sequence: 1 << 16 }
    }

    /// Reads all that a watching socket has heard; whether that was anything.
    pub fn drain(&self) -> bool {
        let mut heard = false;
        loop {
            match recv(self.fd.as_raw_fd(), &mut [0; 8192], MsgFlags::MSG_DONTWAIT) {
                // More was to be heard than fits: that is news, too.
                Ok(_) | Err(Errno::ENOBUFS) => heard = true,
                Err(Errno::EINTR) => {}
                Err(_) => return heard,
            }
        }
    }

    /// Sends a message and waits for the kernel's verdict.
    pub fn request(&mut self, message: &Message) -> Result<()> {
        self.send(&message.bytes(NLM_F_ACK, self.sequence.wrapping_add(1)))?;
        self.verdict()
    }

    /// Sends several messages between two that say where they begin and end; all of them take effect, or none.
    pub(crate) fn batch(&mut self, begin: &Message, messages: &[Message], end: &Message) -> Result<()> {
        let Some((last, others)) = messages.split_last() else { return Ok(()) };
        let number = self.sequence.wrapping_add(1);
        let mut bytes = begin.bytes(0, number);
        others.iter().for_each(|message| bytes.extend(message.bytes(0, number)));
        // Before Linux 6.10 the end itself is not acknowledged. What is refused is told in order: the first word is the verdict.
        bytes.extend(last.bytes(NLM_F_ACK, number));
        bytes.extend(end.bytes(0, number));
        self.send(&bytes)?;
        self.verdict()
    }

    /// Asks for one object, whose answer begins with `fixed` bytes before its attributes.
    pub fn ask(&mut self, message: &Message, fixed: usize) -> Result<Answer> {
        self.send(&message.bytes(0, self.sequence.wrapping_add(1)))?;
        let mut answer = Err(Errno::EBADMSG);
        self.receive(|kind, body| {
            answer = match kind {
                NLMSG_ERROR => error_of(body).and(Err(Errno::EBADMSG)),
                _ if body.len() >= fixed => Ok(Answer::new(body, fixed)),
                _ => Err(Errno::EBADMSG),
            };
            false
        })?;
        answer
    }

    /// Asks for all objects of a kind, whose answers begin with `fixed` bytes before their attributes.
    pub fn dump(&mut self, message: &Message, fixed: usize) -> Result<Vec<Answer>> {
        self.send(&message.bytes(NLM_F_DUMP, self.sequence.wrapping_add(1)))?;
        let mut answers = Vec::new();
        let mut verdict = Ok(());
        self.receive(|kind, body| match kind {
            NLMSG_DONE => false,
            NLMSG_ERROR => {
                verdict = error_of(body);
                false
            }
            _ => {
                if body.len() >= fixed {
                    answers.push(Answer::new(body, fixed));
                }
                true
            }
        })?;
        verdict.map(|()| answers)
    }

    fn verdict(&mut self) -> Result<()> {
        let mut verdict = Ok(());
        self.receive(|kind, body| {
            if kind == NLMSG_ERROR {
                verdict = error_of(body);
            }
            kind != NLMSG_ERROR
        })?;
        verdict
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()).map(drop)
    }

    /// Hands each message that answers the last one sent to `handle`, until that says there are no more.
    fn receive(&self, mut handle: impl FnMut(u16, &[u8]) -> bool) -> Result<()> {
        // The kernel fills at most 32 KiB at a time (netlink_dump).
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let length = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for (kind, sequence, body) in messages(&buffer[..length]) {
                if sequence == self.sequence && !handle(kind, body) {
                    return Ok(());
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> OwnedFd {
        socket.fd
    }
}

/// An NLMSG_ERROR begins with a negative errno, or with 0 for an acknowledgement.
fn error_of(body: &[u8]) -> Result<()> {
    let code = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.saturating_neg())) }
}
