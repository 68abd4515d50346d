//! What a client (`enter` at a terminal) and the monitor say to each other, over a socket that keeps messages apart.
//!
//! A message is one tag byte and its content. Both sides bound what they send by [`CHUNK`], and what they take by [`LIMIT`].
//! What is said often has a tag of its own; the rest is JSON: [`Ask`] and [`Word`].

use std::time::Duration;

use plan::report::{self, Event, Stage};
use serde::{Deserialize, Serialize};

use super::error::Told;

/// The most bytes of a stream in one message.
pub const CHUNK: usize = 32 * 1024;

/// The largest message.
pub const LIMIT: usize = CHUNK + 1;

/// From the client to the monitor.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Bytes for the payload's standard input or terminal.
    Input(&'a [u8]),
    /// There will be no more of them.
    InputEnd,
    /// The client's terminal has another size.
    Resize(plan::Rows),
    /// The process that the client is attached to, or has started, is to get a signal. Not answered.
    Signal {
        /// Its number.
        number: i32,
        /// To its whole process group.
        group: bool,
    },
    /// Anything else.
    Ask(Ask),
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// From the client that started the monitor, first of all: the user namespace is mapped, and the container may be made. It is
    /// attached from the first byte on, if it wants that. Answered by [`Word::Started`], unless the container ends before.
    Go(Option<Attachment>),
    /// To get what the payload writes from now on. Answered by [`Word::Done`].
    Attach(Attachment),
    /// The payload is to get a signal. Answered by [`Word::Done`].
    Kill {
        /// The signal's number.
        number: i32,
        /// To its whole process group.
        group: bool,
    },
    /// To end the container, by force after the time. Answered by [`Reply::End`], for good.
    Stop {
        /// The signal to ask the payload with; `None`: its own.
        signal: Option<i32>,
        /// How long it has; `None`: as it was made.
        grace: Option<Duration>,
    },
    /// To hold all processes. Answered by [`Word::Done`].
    Pause,
    /// To let them go on. Answered by [`Word::Done`].
    Resume,
    /// To see now whether the container is well. Answered by [`Word::Done`] before that is seen, which the state tells.
    Check,
    /// To be on the networks that its leases name now, and then to have these files: paths and contents. Answered by [`Word::Done`].
    Rejoin(Vec<(String, String)>),
    /// To be told of an end by [`Reply::End`].
    Wait(Until),
    /// To run one more process. The descriptors of [`report::Order::Execute`] come with this message. Answered by [`Word::Process`],
    /// until the process has ended.
    Execute {
        /// Nobody waits for its end: only whether it starts is to be told.
        detached: bool,
        /// The command, for the journal.
        command: String,
    },
    /// To make these ports reachable. Their sockets come with this message, in their order. Answered by [`Word::Done`].
    Publish(Vec<plan::Port>),
    /// To take these ports back. Answered by [`Word::Done`].
    Unpublish(Vec<plan::Port>),
    /// A box is not to end for want of anybody in it while this client is there. Answered by [`Word::Done`], once it runs.
    Hold,
    /// This client needs it no more. Answered by [`Word::Done`]; or, where nobody else is in the box, by its end for good.
    Leave,
    /// A throwaway shell is to be a box of this name from now on. Answered by [`Word::Done`].
    Keep(String),
    /// How many are in it. Answered by [`Word::Inside`].
    Count,
    /// From who has started a process with a terminal and leaves it: the terminal's master side comes with this message. Answered by
    /// [`Word::Done`].
    HandBack,
}

/// What a client that is attached gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// It sends input, and its end is the end of the input.
    pub input: bool,
    /// It gets standard output, and what is written to the terminal.
    pub output: bool,
    /// It gets standard error.
    pub error: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The payload's next end, even if it is started again by its policy.
    Exit,
    /// The end for good.
    Gone,
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
    /// Anything else. A descriptor comes with [`Event::Terminal`].
    Word(Word),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The payload runs.
    Started,
    /// What was asked for is done.
    Done,
    /// What was asked for cannot be.
    Refused(Told),
    /// So many are in the box.
    Inside(u32),
    /// Something about the process that the client has started.
    Process(Event),
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

impl End {
    /// The exit code, as `enter run` gives it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Exited(code) => *code,
            Self::Killed(signal) => 128 + signal,
            Self::Failed(failure) => match failure.stage {
                Stage::Setup => 125,
                Stage::Execute => 126,
                Stage::Find => 127,
            },
            Self::Broken(_) => 125,
        }
    }

    /// Why it did not run, or not to its end, in one line; empty where it did.
    pub fn reason(&self) -> String {
        match self {
            Self::Exited(_) | Self::Killed(_) => String::new(),
            Self::Failed(report::Failure { stage: Stage::Find, subject, .. }) => {
                format!("cannot run `{subject}`: there is no such command")
            }
            Self::Failed(report::Failure { stage: Stage::Execute, subject, errno, .. }) => {
                format!("cannot run `{subject}`: {}", nix::errno::Errno::from_raw(*errno).desc().to_lowercase())
            }
            Self::Failed(report::Failure { doing, subject, errno, .. }) => {
                format!("cannot {doing} {subject}: {}", nix::errno::Errno::from_raw(*errno).desc().to_lowercase())
            }
            Self::Broken(told) => told.line(),
        }
    }
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
            Self::Ask(ask) => tagged(b'j', &json(ask)),
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
            [b'j', bytes @ ..] => serde_json::from_slice(bytes).map(Self::Ask).map_err(|_| Nonsense),
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
            Self::Word(word) => tagged(b'j', &json(word)),
        }
    }

    /// As it was received.
    pub fn decode(message: &'a [u8]) -> Result<Self, Nonsense> {
        match message {
            [b'o', bytes @ ..] => Ok(Self::Output(bytes)),
            [b'x', bytes @ ..] => Ok(Self::Error(bytes)),
            [b'w', bytes @ ..] => serde_json::from_slice(bytes).map(Self::Warning).map_err(|_| Nonsense),
            [b'z', bytes @ ..] => serde_json::from_slice(bytes).map(Self::End).map_err(|_| Nonsense),
            [b'j', bytes @ ..] => serde_json::from_slice(bytes).map(Self::Word).map_err(|_| Nonsense),
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
            Request::Ask(Ask::Go(Some(Attachment { input: true, output: true, error: false }))),
            Request::Ask(Ask::Stop { signal: None, grace: Some(Duration::from_millis(1500)) }),
            Request::Ask(Ask::Wait(Until::Gone)),
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
            Reply::End(End::Broken(told.clone())),
            Reply::Word(Word::Refused(told)),
            Reply::Word(Word::Process(Event::Exited(3))),
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
