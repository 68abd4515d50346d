//! A process in a user namespace of its own in which something is tried, and the conversation with it.
//!
//! The process is a fork that executes no program. It tries, tells over a socket how it went, and ends; whatever it mounted or
//! made ends with it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sys::process::{Fork, exit_now, fork};
use uidmap::Maps;

/// How long anything may take. On a machine where it takes longer it does not work.
const LIMIT: Duration = Duration::from_secs(20);

/// What each side tells the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// The namespaces are made: its ids can be mapped.
    Unshared,
    /// Its ids are mapped: it may go on.
    Mapped,
    /// This went well.
    Done(String),
    /// This did not: what, why, and the errno if there is one.
    Failed(String, Option<i32>),
}

/// Why there is no namespace to try anything in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks the means even to try.
    #[error("cannot start a process to try it in")]
    Start(#[source] Errno),
    /// The namespace was refused.
    #[error("cannot make a user namespace")]
    Unshare(#[source] Errno),
    /// The namespace was made, and its ids could not be mapped.
    #[error(transparent)]
    Map(#[from] uidmap::Error),
    /// The process ended, or was silent for too long.
    #[error("the process that tried it ended without a word")]
    Silent,
}

/// One side of the conversation.
pub struct Side(OwnedFd);

impl Side {
    /// Tells the other side. That it may have gone is noticed by whoever waits for its answer.
    pub fn tell(&self, word: &Word) {
        let text = serde_json::to_vec(word).unwrap_or_default();
        let _ = sys::socket::send(&self.0, &text, None);
    }

    /// What the other side tells, within the limit.
    pub fn hear(&self) -> Result<Word, Error> {
        let limit = PollTimeout::try_from(LIMIT).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], limit) {
            Ok(1..) => {}
            _ => return Err(Error::Silent),
        }
        let mut buffer = vec![0; 64 * 1024];
        let (length, _) = sys::socket::receive(&self.0, &mut buffer).map_err(|_| Error::Silent)?;
        serde_json::from_slice(&buffer[..length]).map_err(|_| Error::Silent)
    }
}

/// A process in which something is being tried.
pub struct Trial {
    /// Its id.
    pub pid: Pid,
    side: Side,
}

impl Trial {
    /// Makes a process in new namespaces, a user namespace with `maps` among them, and has it try `work`.
    pub fn start(namespaces: CloneFlags, maps: &Maps, work: impl FnOnce(&Side)) -> Result<Trial, Error> {
        let (ours, theirs) = sys::socket::pair().map_err(Error::Start)?;
        let trial = match fork().map_err(Error::Start)? {
            Fork::Parent(pid) => Trial { pid, side: Side(ours) },
            Fork::Child => {
                drop(ours);
                let side = Side(theirs);
                match unshare(namespaces | CloneFlags::CLONE_NEWUSER) {
                    Ok(()) => side.tell(&Word::Unshared),
                    Err(errno) => {
                        side.tell(&Word::Failed(String::new(), Some(errno as i32)));
                        exit_now(1);
                    }
                }
                if matches!(side.hear(), Ok(Word::Mapped)) {
                    work(&side);
                }
                exit_now(0)
            }
        };
        drop(theirs);
        match trial.side.hear()? {
            Word::Unshared => {}
            Word::Failed(_, errno) => return Err(Error::Unshare(Errno::from_raw(errno.unwrap_or(0)))),
            _ => return Err(Error::Silent),
        }
        uidmap::write(trial.pid, maps)?;
        trial.side.tell(&Word::Mapped);
        Ok(trial)
    }

    /// What the process tells next.
    pub fn hear(&self) -> Result<Word, Error> {
        self.side.hear()
    }

    /// Tells the process.
    pub fn tell(&self, word: &Word) {
        self.side.tell(word);
    }
}

/// Ends the process, and what it made with it.
impl Drop for Trial {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}
