//! What is said between a program inside a container and the `enter` outside, at the socket [`SOCKET`].
//!
//! The socket keeps messages apart (SOCK_SEQPACKET); each is one line of JSON, of at most [`LIMIT`] bytes. Whoever is inside speaks first,
//! once: a [`Request`]. What is answered is a [`Reply`]; one that ends it all is the last. For a command that runs outside, streams come along
//! with the request, and [`Word`]s may follow it. Both sides take the other's bytes for what a stranger wrote.

use serde::{Deserialize, Serialize};

use crate::{Rows, Text};

/// The folder inside, with the socket, the client, and [`NAMES`].
pub const FOLDER: &str = "/run/enter";

/// Where `enter` listens, inside.
pub const SOCKET: &str = "/run/enter/socket";

/// The client, in [`FOLDER`].
pub const CLIENT: &str = "enter";

/// The folder that ends the PATH inside.
pub const PROGRAMS: &str = "/run/enter/bin";

/// What the client is called in [`PROGRAMS`].
pub const NAMES: [&str; 6] = ["enter", "xdg-open", "sensible-browser", "x-www-browser", "www-browser", "open"];

/// The version of all this.
pub const VERSION: u32 = 1;

/// The largest message.
pub const LIMIT: usize = 192 * 1024;

/// More arguments make no sense.
pub const MOST_ARGUMENTS: usize = 16 * 1024;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The word after `enter`; empty for none.
    pub verb: String,
    /// The words after that.
    #[serde(default)]
    pub arguments: Vec<Text>,
    /// Where whoever asks is: its working directory, as it is called inside.
    #[serde(default)]
    pub directory: Text,
    /// The kind of its terminal, as `TERM` has it.
    #[serde(default)]
    pub term: String,
    /// The size of its terminal, where what it asks for is to have one.
    #[serde(default)]
    pub terminal: Option<Rows>,
    /// Which of the standard streams come along, each a pipe or a socket, in this order. One more comes with [`Self::terminal`].
    #[serde(default)]
    pub streams: [bool; 3],
}

/// What may follow a request for a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Word {
    /// The terminal has another size.
    Resize(Rows),
    /// The command is to get this signal.
    Signal(i32),
    /// It was stopped, and is to go on.
    Resume,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Reply {
    /// The command runs.
    Started,
    /// It was stopped, by this signal.
    Stopped(i32),
    /// The last: it is done, and this is to be written to standard output.
    Done(String),
    /// The last: it is not done.
    Refused {
        /// What failed, and why, outermost first.
        reasons: Vec<String>,
        /// What can be done about it.
        hint: Option<String>,
        /// What to end with.
        code: u8,
    },
    /// The last: the command has ended with this code.
    Exited(i32),
    /// The last: this signal has ended it.
    Killed(i32),
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not of this form.
    Form,
    /// It is of another version, and so of another `enter`.
    Version(u32),
}

impl std::fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form => formatter.write_str("a message that makes no sense"),
            Self::Version(version) => write!(formatter, "a message of version {version}, not {VERSION}"),
        }
    }
}

impl std::error::Error for Nonsense {}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// Where it is none, or asks for more than makes sense.
    pub fn parse(line: &[u8]) -> Result<Self, Nonsense> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let version = serde_json::from_slice::<Versioned>(line).map_err(|_| Nonsense::Form)?.version;
        if version != VERSION {
            return Err(Nonsense::Version(version));
        }
        let request: Self = serde_json::from_slice(line).map_err(|_| Nonsense::Form)?;
        let is_word = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic());
        let makes_sense = is_word(&request.verb, 64)
            && is_word(&request.term, 64)
            && !request.term.contains(['/', '%'])
            && request.arguments.len() <= MOST_ARGUMENTS
            && request.directory.as_bytes().len() < 4096;
        if makes_sense { Ok(request) } else { Err(Nonsense::Form) }
    }

    /// How many descriptors come along.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.streams.iter().filter(|comes| **comes).count() + usize::from(self.terminal.is_some())
    }
}

impl Word {
    /// Reads one line.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(line: &[u8]) -> Result<Self, Nonsense> {
        serde_json::from_slice(line).map_err(|_| Nonsense::Form)
    }
}

impl Reply {
    /// Reads one line.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(line: &[u8]) -> Result<Self, Nonsense> {
        serde_json::from_slice(line).map_err(|_| Nonsense::Form)
    }

    /// What a program ends with whose answer this is; `None` where more follows.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        match self {
            Self::Started | Self::Stopped(_) => None,
            Self::Done(_) => Some(0),
            Self::Refused { code, .. } => Some(*code),
            Self::Exited(code) => Some(u8::try_from(*code & 0xff).unwrap_or(255)),
            Self::Killed(signal) => Some(u8::try_from(128 + (*signal & 0x7f)).unwrap_or(255)),
        }
    }
}

/// A message as it is sent. These types have string keys only, and so cannot fail to become JSON.
#[must_use]
pub fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Request {
        Request { version: VERSION, verb: "keep".into(), ..Request::default() }
    }

    #[test]
    fn what_is_sent_is_read() {
        let full = Request {
            arguments: vec!["a b".into(), "".into()],
            directory: "/home".into(),
            term: "xterm-256color".into(),
            terminal: Some(Rows { rows: 3, columns: 4 }),
            streams: [false, true, true],
            ..request()
        };
        assert_eq!(full.descriptors(), 3);
        for request in [request(), full] {
            assert_eq!(Request::parse(&line(&request)), Ok(request));
        }
        for word in [Word::Resume, Word::Signal(15), Word::Resize(Rows { rows: 1, columns: 2 })] {
            assert_eq!(Word::parse(&line(&word)), Ok(word));
        }
        let refused = Reply::Refused { reasons: vec!["no".into()], hint: None, code: 126 };
        for reply in [Reply::Started, Reply::Stopped(20), Reply::Done("x\n".into()), refused, Reply::Killed(9)] {
            assert_eq!(Reply::parse(&line(&reply)), Ok(reply));
        }
    }

    #[test]
    fn another_version_is_told_from_nonsense() {
        assert_eq!(Request::parse(br#"{"version":2,"verb":[],"more":1}"#), Err(Nonsense::Version(2)));
        for bad in [&b""[..], b"{}", b"[]", b"\"enter\"", br#"{"version":1}"#, br#"{"version":1,"verb":"a","b":1}"#] {
            assert_eq!(Request::parse(bad), Err(Nonsense::Form));
        }
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for bad in ["a b", "\u{1b}[31m", "é", &"a".repeat(65)] {
            assert_eq!(Request::parse(&line(&Request { verb: bad.into(), ..request() })), Err(Nonsense::Form));
            assert_eq!(Request::parse(&line(&Request { term: bad.into(), ..request() })), Err(Nonsense::Form));
        }
        assert_eq!(Request::parse(&line(&Request { term: "../../tmp/x".into(), ..request() })), Err(Nonsense::Form));
        let many = vec![Text::from("a"); MOST_ARGUMENTS + 1];
        assert_eq!(Request::parse(&line(&Request { arguments: many, ..request() })), Err(Nonsense::Form));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_nonsense(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = (Request::parse(&bytes), Word::parse(&bytes), Reply::parse(&bytes));
        }

        #[test]
        fn any_json_is_a_message_or_nonsense(text in r#"\{"version":1,"verb":"[a-z]{0,3}"(,"[a-z]{1,9}":(\[\]|"[^"]{0,5}"|[0-9]{1,20}|null|\{\})){0,3}\}"#) {
            let _ = Request::parse(text.as_bytes());
        }

        #[test]
        fn any_request_survives(verb in "[a-z-]{0,20}", arguments in proptest::collection::vec("[^\0]{0,20}", 0..5), directory in "/[^\0]{0,20}") {
            let arguments = arguments.into_iter().map(Text::from).collect();
            let request = Request { verb, arguments, directory: directory.into(), ..request() };
            prop_assert_eq!(Request::parse(&line(&request)), Ok(request));
        }
    }
}
