//! Which process has which credentials: each carries the number of its own, in a place that the kernel hands down.
//!
//! A child inherits its parent's timer slack by fork(2) and clone(2), keeps it over execve(2), and also when its parent has ended; and
//! every thread has its own (PR_SET_TIMERSLACK in prctl(2), proc_pid_timerslack_ns(5)). So a thread with the credentials number N is
//! given a slack of 50,000 + N nanoseconds instead of the usual 50,000. Nothing has to be watched or forgotten, and no process is
//! ever taken for another. One that sets its own slack is taken for what it was when the container began, which
//! gives it nothing: what is pretended is no border.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::credentials::Credentials;

/// The slack of a process that never asked for another.
const USUAL: u64 = 50_000;

/// So many different credentials are told apart: the slack stays below twice the usual.
const MOST: usize = 49_999;

/// The credentials that are carried, by their numbers, from 1 on.
#[derive(Debug, Default)]
pub struct Carried {
    known: Vec<Arc<Credentials>>,
    numbers: HashMap<Arc<Credentials>, usize>,
}

impl Carried {
    /// Those of a thread; `None` where it has not been given any. `proc`: a /proc that shows it.
    pub fn of(&self, proc: &OwnedFd, thread: i32) -> Option<Arc<Credentials>> {
        if self.known.is_empty() {
            return None;
        }
        let mut text = [0; 24];
        let length = File::from(open(proc, thread, OFlag::O_RDONLY).ok()?).read(&mut text).ok()?;
        let slack: u64 = std::str::from_utf8(&text[..length]).ok()?.trim_end().parse().ok()?;
        let index = usize::try_from(slack.checked_sub(USUAL + 1)?).ok()?;
        self.known.get(index).cloned()
    }

    /// The number of some credentials.
    ///
    /// # Errors
    /// `EAGAIN`: there are too many already.
    pub fn number(&mut self, credentials: &Credentials) -> Result<usize, Errno> {
        if let Some(number) = self.numbers.get(credentials) {
            return Ok(*number);
        }
        if self.known.len() >= MOST {
            return Err(Errno::EAGAIN);
        }
        let credentials = Arc::new(credentials.clone());
        self.known.push(credentials.clone());
        self.numbers.insert(credentials, self.known.len());
        Ok(self.known.len())
    }
}

/// Gives a thread the credentials with this number. The caller has CAP_SYS_NICE over it.
///
/// # Errors
/// Where the thread is gone, or is one of those that real-time scheduling leaves no slack.
pub fn give(proc: &OwnedFd, thread: i32, number: usize) -> Result<(), Errno> {
    let slack = USUAL + number as u64;
    let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    File::from(open(proc, thread, OFlag::O_WRONLY)?).write_all(slack.to_string().as_bytes()).map_err(errno)
}

fn open(proc: &OwnedFd, thread: i32, flags: OFlag) -> Result<OwnedFd, Errno> {
    openat(proc, format!("{thread}/timerslack_ns").as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn proc() -> OwnedFd {
        File::open("/proc").unwrap().into()
    }

    #[test]
    fn a_child_carries_what_its_parent_was_given_also_as_an_orphan_and_as_another_program() {
        let mut carried = Carried::default();
        let credentials = [1, 2, 3].map(|id| Credentials::new(id, id, Some(vec![id])));
        let numbers = credentials.clone().map(|one| carried.number(&one).unwrap());
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(carried.number(&credentials[1]), Ok(2), "known already");
        // Of itself a thread may see and set it without any privilege.
        let own = nix::unistd::gettid().as_raw();
        assert_eq!(carried.of(&proc(), own), None);
        give(&proc(), own, 2).unwrap();
        assert_eq!(carried.of(&proc(), own).as_deref(), Some(&credentials[1]));
        let script = "(setsid sh -c 'sleep 0.1; exec cat /proc/self/timerslack_ns' &) | cat";
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "50002\n");
    }

    #[test]
    fn a_thread_that_is_gone_carries_nothing() {
        let mut carried = Carried::default();
        carried.number(&Credentials::new(0, 0, None)).unwrap();
        assert_eq!(carried.of(&proc(), i32::MAX), None);
        assert_eq!(give(&proc(), i32::MAX, 1), Err(Errno::ENOENT));
    }
}
