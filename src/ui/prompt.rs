//! Questions to whoever sits at the terminal: a line that is seen, a secret that is not, one of several.
//!
//! The answer is read from standard input, the question stands on standard error, so that a command whose output goes elsewhere can
//! still ask. While a secret is typed the terminal is raw, and nothing that ends or stops this process leaves it so.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::terminal::Raw;

use super::Ui;
use crate::failure::Failure;

/// The most that somebody may type, in bytes.
const LONGEST: usize = 64 << 10;

/// Whether there is somebody to ask.
pub fn is_answerable() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// What a key does while a secret is typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// It belongs to the secret, or changes it.
    On,
    /// The secret is complete.
    Done,
    /// There will be none.
    Nothing,
    /// What the terminal would have sent, were it not raw.
    Signal(Signal),
}

impl Ui {
    /// Asks for a line; `None` at the end of the input.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn ask_line(&self, question: &str) -> Result<Option<String>, Failure> {
        self.ask(question);
        let mut answer = String::new();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        match std::io::stdin().lock().take(limit).read_line(&mut answer) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(answer.trim_end_matches(['\n', '\r']).to_owned())),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Asks for one of several things, by its number; the first where Enter alone is typed. `None` where no answer is one.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn choose(&self, question: &str, things: &[String]) -> Result<Option<usize>, Failure> {
        const TRIES: usize = 3;
        let width = things.len().to_string().len();
        let numbered = things.iter().enumerate().map(|(at, thing)| format!("  {:>width$}) {thing}\n", at + 1));
        self.ask(&format!("{question}\n{}", numbered.collect::<String>()));
        for _ in 0..TRIES {
            let Some(answer) = self.ask_line(&format!("Which one? [1-{}, Enter for 1] ", things.len()))? else {
                self.ask("\n");
                return Ok(None);
            };
            let number = if answer.trim().is_empty() { Ok(1) } else { answer.trim().parse::<usize>() };
            if let Some(at) = number.ok().and_then(|number| number.checked_sub(1)).filter(|at| *at < things.len()) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Asks for a secret, which does not appear on the terminal; `None` at the end of the input.
    ///
    /// # Errors
    /// Where the terminal is gone, or what is typed is no text.
    pub fn ask_secret(&self, question: &str) -> Result<Option<String>, Failure> {
        self.ask(question);
        let secret = read_secret(&mut || self.ask(&format!("\n{question}")));
        // Enter was not shown either.
        self.ask("\n");
        match secret.map_err(unreadable)? {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Failure::new("cannot take this as a password: it is not written in UTF-8")),
        }
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new("cannot read what is typed").because(error)
}

fn read_secret(again: &mut dyn FnMut()) -> std::io::Result<Option<Vec<u8>>> {
    let stdin = std::io::stdin();
    // Heard instead of suffered, so that the terminal is put back first.
    let deadly = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGALRM];
    let set: SigSet = deadly.into_iter().filter(|signal| sys::process::is_ignored(*signal) == Ok(false)).collect();
    let before = SigSet::thread_get_mask()?;
    set.thread_block()?;
    let read = (|| {
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let raw = Raw::enter(stdin.as_fd())?;
        let mut secret = Vec::new();
        loop {
            let mut ready =
                [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            if let Some(heard) = signals.read_signal()? {
                let signal = Signal::try_from(i32::try_from(heard.ssi_signo).unwrap_or_default())?;
                drop(raw);
                die_of(signal, &before)?;
                return Ok(None);
            }
            let mut key = [0];
            if nix::unistd::read(stdin.as_fd(), &mut key)? == 0 {
                return Ok(None);
            }
            match typed(&mut secret, key[0]) {
                Typed::On => {}
                Typed::Done => return Ok(Some(secret)),
                Typed::Nothing => return Ok(None),
                Typed::Signal(Signal::SIGTSTP) => {
                    raw.suspend()?;
                    raise(Signal::SIGTSTP)?;
                    raw.resume()?;
                    again();
                }
                Typed::Signal(signal) => {
                    drop(raw);
                    die_of(signal, &before)?;
                    return Ok(None);
                }
            }
        }
    })();
    before.thread_set_mask()?;
    read
}

/// Ends this process as the signal would have, now that the terminal is as it was.
fn die_of(signal: Signal, before: &SigSet) -> Result<(), Errno> {
    raise(signal)?;
    before.thread_set_mask()
}

/// What one more byte does. The keys are those that terminals have for it by default (termios(3), `stty sane`).
fn typed(secret: &mut Vec<u8>, key: u8) -> Typed {
    match key {
        b'\r' | b'\n' => return Typed::Done,
        0x03 => return Typed::Signal(Signal::SIGINT),
        0x1c => return Typed::Signal(Signal::SIGQUIT),
        0x1a => return Typed::Signal(Signal::SIGTSTP),
        0x04 => return if secret.is_empty() { Typed::Nothing } else { Typed::Done },
        0x15 => secret.clear(),
        // A character may have several bytes.
        0x08 | 0x7f => while secret.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
        0x00..0x20 => {}
        _ if secret.len() < LONGEST => secret.push(key),
        _ => {}
    }
    Typed::On
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_secret() {
        let mut secret = Vec::new();
        for key in "hi\u{15}pä\u{7f}\u{1b}aß".bytes() {
            assert_eq!(typed(&mut secret, key), Typed::On);
        }
        assert_eq!(secret, "paß".as_bytes());
        assert_eq!(typed(&mut secret, 4), Typed::Done);
        assert_eq!(typed(&mut secret, b'\r'), Typed::Done);
        assert_eq!(typed(&mut secret, 3), Typed::Signal(Signal::SIGINT));
        assert_eq!(typed(&mut Vec::new(), 4), Typed::Nothing);
        let mut none = Vec::new();
        assert_eq!(typed(&mut none, 0x7f), Typed::On);
    }
}
