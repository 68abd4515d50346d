//! What a client (`enter` at a terminal) and the monitor say to each other, over a socket that keeps messages apart.
//!
//! A message is one tag byte and its content. Both sides bound what they send by [`CHUNK`], and what they take by [`LIMIT`].

use plan::report;
use serde::{Deserialize, Serialize};

use super::error::Told;

/// The most bytes of a stream in one message.
pub const CHUNK: usize = 32 * 1024;

/// The largest message.
pub const LIMIT: usize = CHUNK + 1;

/// The client's first message: the user namespace is mapped, and the container may be made.
pub const GO: &[u8] = b"go";

/// From the client to the monitor.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Bytes for the payload's standard input or terminal.
    Input(&'a [u8]),
    /// There will be no more of them.
    InputEnd,
    /// The client's terminal has another size.
    Resize(plan::Rows),
    /// The payload is to get a signal.
    Signal {
        /// Its number.
        number: i32,
        /// To its whole process group.
        group: bool,
    },
}

/// From the monitor to the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Bytes that the payload wrote to standard output or its terminal.
    Output(&'a [u8]),
    /// Bytes that it wrote to standard error.
    Error(&'a [u8]),
    /// Something that the user should know, and that stops nothing.
    Warning(Told),
    /// The last message.
    End(End),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The payload ended with a code.
    Exited(i32),
    /// The payload was ended by a signal.
    Killed(i32),
    /// The payload never ran, by init's account.
    Failed(report::Failure),
    /// The payload never ran, or was ended because a part of the container broke.
    Broken(Told),
}

/// A message that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("a message that makes no sense")]
pub struct Nonsense;

impl<'a> Request<'a> {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Input(bytes) => tagged(b'i', bytes),
            Self::InputEnd => vec![b'e'],
            Self::Resize(size) => tagged(b'r', &[size.rows.to_le_bytes(), size.columns.to_le_bytes()].concat()),
            Self::Signal { number, group } => {
                let mut message = tagged(b's', &number.to_le_bytes());
                message.push(u8::from(*group));
                message
            }
        }
    }

    /// As it was received.
    pub fn decode(message: &'a [u8]) -> Result<Self, Nonsense> {
        match message {
            [b'i', bytes @ ..] => Ok(Self::Input(bytes)),
            [b'e'] => Ok(Self::InputEnd),
            [b'r', r0, r1, c0, c1] => Ok(Self::Resize(plan::Rows {
                rows: u16::from_le_bytes([*r0, *r1]),
                columns: u16::from_le_bytes([*c0, *c1]),
            })),
            [b's', n0, n1, n2, n3, group @ (0 | 1)] => {
                Ok(Self::Signal { number: i32::from_le_bytes([*n0, *n1, *n2, *n3]), group: *group == 1 })
            }
            _ => Err(Nonsense),
        }
    }
}

impl<'a> Reply<'a> {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Output(bytes) => tagged(b'o', bytes),
            Self::Error(bytes) => tagged(b'x', bytes),
            Self::Warning(told) => tagged(b'w', &json(told)),
            Self::End(end) => tagged(b'z', &json(end)),
        }
    }

    /// As it was received.
    pub fn decode(message: &'a [u8]) -> Result<Self, Nonsense> {
        match message {
            [b'o', bytes @ ..] => Ok(Self::Output(bytes)),
            [b'x', bytes @ ..] => Ok(Self::Error(bytes)),
            [b'w', bytes @ ..] => serde_json::from_slice(bytes).map(Self::Warning).map_err(|_| Nonsense),
            [b'z', bytes @ ..] => serde_json::from_slice(bytes).map(Self::End).map_err(|_| Nonsense),
            _ => Err(Nonsense),
        }
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 + content.len());
    message.push(tag);
    message.extend_from_slice(content);
    message
}

/// These types have string keys only, and so cannot fail to become JSON.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_survive_the_socket() {
        let size = plan::Rows { rows: 50, columns: 300 };
        for request in [
            Request::Input(b"ls\r"),
            Request::InputEnd,
            Request::Resize(size),
            Request::Signal { number: 15, group: true },
        ] {
            assert_eq!(Request::decode(&request.encode()).unwrap(), request);
        }
    }

    #[test]
    fn replies_survive_the_socket() {
        let told = Told { message: "no".into(), cause: None, hint: Some("yes".into()) };
        for reply in [
            Reply::Output(b"a"),
            Reply::Error(b""),
            Reply::Warning(told.clone()),
            Reply::End(End::Killed(9)),
            Reply::End(End::Broken(told)),
        ] {
            assert_eq!(Reply::decode(&reply.encode()).unwrap(), reply);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_nonsense(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Request::decode(&bytes);
            let _ = Reply::decode(&bytes);
        }
    }
}
