//! The framing of netlink(7): messages with attributes, written and read. What they mean is for the other modules.

/// The length of a message's header.
const HEADER: usize = 16;
const NLM_F_REQUEST: u16 = 0x1;
/// Make the object (`NLM_F_…` of linux/netlink.h).
pub const CREATE: u16 = 0x400;
/// Change the object where it exists.
pub const REPLACE: u16 = 0x100;
/// Refuse where the object exists.
pub const EXCLUSIVE: u16 = 0x200;
/// Put it after those that are there.
pub const APPEND: u16 = 0x800;
const NLA_TYPE_MASK: u16 = 0x3fff;
const NLA_F_NESTED: u16 = 0x8000;

/// A message under construction: a fixed part, then attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// A message of type `kind` (`RTM_…`) that begins with `fixed` (`struct ifinfomsg` and the like).
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        let mut message = Message { kind, flags, body: fixed.to_vec() };
        message.pad();
        message
    }

    /// Adds an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Message {
        let length = u16::try_from(value.len() + 4).expect("our attributes are short");
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(value);
        self.pad();
        self
    }

    /// Adds an attribute of attributes, which `fill` adds to a message of their own.
    pub fn with_nested(self, kind: u16, fill: impl FnOnce(Message) -> Message) -> Message {
        let inner = fill(Message::new(0, 0, &[]));
        self.with(kind | NLA_F_NESTED, &inner.body)
    }

    /// What follows the header: how an attribute holds a whole message.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    fn pad(&mut self) {
        self.body.resize(self.body.len().next_multiple_of(4), 0);
    }

    pub(crate) fn bytes(&self, flags: u16, sequence: u32) -> Vec<u8> {
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
#[derive(Clone, Debug)]
pub struct Answer {
    body: Vec<u8>,
    fixed: usize,
}

impl Answer {
    /// `fixed`: how many bytes come before the attributes; no more than there are.
    pub(crate) fn new(body: &[u8], fixed: usize) -> Answer {
        Answer { body: body.to_vec(), fixed: fixed.min(body.len()) }
    }

    /// The part before the attributes.
    pub fn fixed(&self) -> &[u8] {
        &self.body[..self.fixed]
    }

    /// The value of the first attribute of type `kind`.
    pub fn attribute(&self, kind: u16) -> Option<&[u8]> {
        attribute(self.body.get(self.fixed.next_multiple_of(4)..)?, kind)
    }

    /// The value of a text, without its NUL.
    pub fn text(&self, kind: u16) -> Option<&str> {
        let value = self.attribute(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }

    /// The value of a 32-bit attribute.
    pub fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.attribute(kind)?.try_into().ok()?))
    }
}

/// The value of the first attribute of type `kind` among several, as they also are inside of a nested one.
pub fn attribute(mut rest: &[u8], kind: u16) -> Option<&[u8]> {
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

/// The messages in what one recv(2) gave: type, sequence number and what follows the header.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
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
        let answer = Answer::new(body, 8);
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
            let answer = Answer::new(&bytes, fixed);
            for kind in 0..8 {
                answer.attribute(kind);
                answer.text(kind);
            }
        }
    }
}
