//! Talking to the kernel over a netlink(7) socket: one message and its acknowledgement, or one question and its many answers.
//!
//! Knows the framing only; what the messages mean is for [`crate::rtnetlink`].

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

pub(crate) type Result<T> = std::result::Result<T, Errno>;

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
/// Make the object; with [`NLM_F_REPLACE`], or change it where it exists.
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_DUMP: u16 = 0x300;
const NLA_TYPE_MASK: u16 = 0x3fff;
const NLA_F_NESTED: u16 = 0x8000;

/// A message under construction: a fixed part, then attributes.
pub(crate) struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// A message of type `kind` (`RTM_…`) that begins with `fixed` (`struct ifinfomsg` and the like).
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        let mut message = Message { kind, flags, body: fixed.to_vec() };
        message.pad();
        message
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Message {
        let length = u16::try_from(value.len() + 4).expect("our attributes are short");
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(value);
        self.pad();
        self
    }

    /// Adds an attribute of attributes, which `fill` adds to a message of their own.
    pub(crate) fn with_nested(self, kind: u16, fill: impl FnOnce(Message) -> Message) -> Message {
        let inner = fill(Message::new(0, 0, &[]));
        self.with(kind | NLA_F_NESTED, &inner.body)
    }

    fn pad(&mut self) {
        self.body.resize(self.body.len().next_multiple_of(4), 0);
    }

    fn bytes(&self, flags: u16, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(HEADER + self.body.len()).expect("our messages are short");
        let mut bytes = Vec::with_capacity(length as usize);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend((self.flags | flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// An answer to a dump.
pub(crate) struct Answer {
    body: Vec<u8>,
    fixed: usize,
}

impl Answer {
    /// The fixed part, as long as the caller of [`Socket::dump`] said.
    pub(crate) fn fixed(&self) -> &[u8] {
        &self.body[..self.fixed]
    }

    /// The value of the first attribute of type `kind`.
    pub(crate) fn attribute(&self, kind: u16) -> Option<&[u8]> {
        let mut rest = self.body.get(self.fixed.next_multiple_of(4)..)?;
        while rest.len() >= 4 {
            let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
            let value = rest.get(4..length)?;
            if u16::from_ne_bytes([rest[2], rest[3]]) & NLA_TYPE_MASK == kind {
                return Some(value);
            }
            rest = rest.get(length.next_multiple_of(4)..)?;
        }
        None
    }

    /// The value of a 32-bit attribute.
    pub(crate) fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.attribute(kind)?.try_into().ok()?))
    }
}

/// A socket for rtnetlink(7) in the network namespace of the thread that opened it.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open() -> Result<Socket> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Sends a message and waits for the kernel's verdict.
    pub(crate) fn request(&mut self, message: &Message) -> Result<()> {
        self.send(message, NLM_F_ACK)?;
        let mut verdict = Ok(());
        self.receive(|kind, body| {
            if kind == NLMSG_ERROR {
                verdict = error_of(body);
                return false;
            }
            true
        })?;
        verdict
    }

    /// Asks for all objects of a kind, whose answers begin with `fixed` bytes before their attributes.
    pub(crate) fn dump(&mut self, message: &Message, fixed: usize) -> Result<Vec<Answer>> {
        self.send(message, NLM_F_DUMP)?;
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
                    answers.push(Answer { body: body.to_vec(), fixed });
                }
                true
            }
        })?;
        verdict.map(|()| answers)
    }

    fn send(&mut self, message: &Message, flags: u16) -> Result<()> {
        self.sequence += 1;
        let bytes = message.bytes(flags, self.sequence);
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()).map(drop)
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

/// The messages in what one recv(2) gave: type, sequence number and what follows the header.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, sequence, body))
    })
}

/// An NLMSG_ERROR begins with a negative errno, or with 0 for an acknowledgement.
fn error_of(body: &[u8]) -> Result<()> {
    let code = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(-code)) }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Message, messages};
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        let message = Message::new(20, 0, &[1, 2, 3, 4, 5, 6, 7, 8]).with(3, b"eth0\0").with(4, &7u32.to_ne_bytes());
        let bytes = message.bytes(0, 9);
        let (kind, sequence, body) = messages(&bytes).next().unwrap();
        assert_eq!((kind, sequence), (20, 9));
        let answer = Answer { body: body.to_vec(), fixed: 8 };
        assert_eq!(answer.fixed(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(answer.attribute(3), Some(&b"eth0\0"[..]));
        assert_eq!(answer.number(4), Some(7));
        assert_eq!(answer.attribute(5), None);
        assert_eq!(messages(&bytes).count(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic_or_hang(bytes: Vec<u8>, fixed in 0usize..16) {
            prop_assert!(messages(&bytes).take(bytes.len() + 1).count() <= bytes.len());
            if bytes.len() >= fixed {
                let answer = Answer { body: bytes, fixed };
                for kind in 0..8 {
                    answer.attribute(kind);
                }
            }
        }
    }
}
