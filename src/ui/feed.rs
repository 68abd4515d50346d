//! A stream of what a container has written, for stdout and stderr: as long as it is, in the order in which it comes, and harmless
//! on a terminal.

use std::io::{ErrorKind, Write as _};

use super::{escape, style};
use crate::failure::Failure;

/// As much is gathered before it is written.
const BATCH: usize = 64 << 10;

/// Two streams of bytes. What was given stays here until [`Feed::flush`], or until it is much.
#[derive(Debug)]
pub struct Feed {
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    error: bool,
    bytes: Vec<u8>,
    escape: bool,
}

impl Feed {
    /// To the standard streams; `raw` sends to a terminal whatever comes.
    pub(super) fn new(raw: bool) -> Self {
        let side = |error, terminal| Side { error, bytes: Vec::new(), escape: terminal && !raw };
        Self { sides: [side(false, style::stdout_is_terminal()), side(true, style::stderr_is_terminal())] }
    }

    /// Adds bytes of ours to stdout, or stderr.
    pub fn own(&mut self, error: bool, text: &str) -> Result<(), Failure> {
        self.side(error)?.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Adds a line, or a piece of one, without its newline. On a terminal, colours stay, and other control characters are shown.
    pub fn foreign(&mut self, error: bool, text: &[u8]) -> Result<(), Failure> {
        let side = self.side(error)?;
        if side.escape {
            escape::log(text, &mut side.bytes);
        } else {
            side.bytes.extend_from_slice(text);
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.sides.iter_mut().try_for_each(Side::flush)
    }

    /// The side to add to, with room, and with nothing on the other that came before.
    fn side(&mut self, error: bool) -> Result<&mut Side, Failure> {
        let [output, errors] = &mut self.sides;
        let (side, other) = if error { (errors, output) } else { (output, errors) };
        other.flush()?;
        if side.bytes.len() >= BATCH {
            side.flush()?;
        }
        Ok(side)
    }
}

impl Side {
    /// A reader that went away ends the process as it ends every other Unix program.
    fn flush(&mut self) -> Result<(), Failure> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let written = if self.error {
            std::io::stderr().lock().write_all(&self.bytes)
        } else {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&self.bytes).and_then(|()| stdout.flush())
        };
        self.bytes.clear();
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => sys::broken_pipe::die(),
            written => written.map_err(|error| Failure::new("cannot write to the standard output").because(error)),
        }
    }
}
