//! Data for stdout: gathered, written once, and checked, since a script must not take half a table for the whole.

use std::io::{ErrorKind, Write as _};

use super::{escape, style};
use crate::failure::Failure;

/// What a command wants on stdout.
#[derive(Debug)]
pub struct Output {
    bytes: Vec<u8>,
    terminal: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), terminal: style::stdout_is_terminal() }
    }

    /// Adds `text` and a newline.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.text(text);
        self.bytes.push(b'\n');
    }

    /// Adds `text`, which may come from anywhere: on a terminal its control characters are shown, not sent.
    pub fn text(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.terminal { self.styled(&escape::page(text)) } else { self.styled(text) }
    }

    /// Adds `text`, which stays one line on a terminal whatever it holds: nothing in it can pass for a line of ours.
    pub fn row(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.terminal {
            self.styled(&escape::line(text))
        } else {
            self.styled(text)
        }
        self.bytes.push(b'\n');
    }

    /// Adds `text` in place of what a terminal showed before; elsewhere, below it.
    pub fn screen(&mut self, text: &str) {
        const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";
        if self.terminal {
            self.styled(HOME_AND_CLEAR);
        }
        self.text(text);
    }

    /// Adds text of ours, with the escape sequences that it may have.
    pub fn styled(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Writes what was gathered. A reader that went away (`enter images | head -1`) ends the process as it ends every
    /// other Unix program: by SIGPIPE, silently.
    pub fn finish(self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(&self.bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => sys::broken_pipe::die(),
            written => written.map_err(|error| Failure::new("cannot write to the standard output").because(error)),
        }
    }
}
