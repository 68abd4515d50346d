//! The client's side of the protocol: one question, its answer, and what becomes of a holder that gives none.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;

use super::protocol::{Ask, LIMIT, Reply, VERSION};
use super::{Error, name};

/// How long it may take for an answer: to plug in a hundred containers takes less. One that takes longer is stuck, or stopped, and is
/// replaced: nothing is lost with it.
const ANSWER: Duration = Duration::from_secs(20);

/// How long it may take for the first answer, for which nothing is to be done.
const GREETING: Duration = Duration::from_secs(5);

/// What became of a first word.
pub enum Greeted {
    /// A connection that the holder has answered.
    Answered(OwnedFd),
    /// There is none, or one that is ending.
    Nobody,
    /// There was one that did not answer. It is gone.
    Stuck,
}

/// Knocks at the holder's door, and says the first word.
pub fn greeted(folder: &Path) -> Result<Greeted, Error> {
    let socket = match sys::door::knock(folder, name::SOCKET) {
        Ok(socket) => socket,
        Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ECONNRESET) => return Ok(Greeted::Nobody),
        Err(errno) => return Err(Error::refused("cannot reach the process that holds your networks", errno)),
    };
    let hello = serde_json::to_vec(&Ask::Hello(VERSION)).map_err(|_| confused())?;
    if sys::socket::send(&socket, &hello, None).is_err() {
        return Ok(Greeted::Nobody);
    }
    match hear(&socket, GREETING)? {
        Heard::Reply(Reply::Done(_), _) => Ok(Greeted::Answered(socket)),
        Heard::Reply(Reply::Failed(error), _) => Err(error),
        Heard::End => Ok(Greeted::Nobody),
        Heard::Nothing => {
            end(&socket);
            Ok(Greeted::Stuck)
        }
    }
}

/// Ends the process at the other end, which does not answer. Whoever is attached starts another one.
fn end(socket: &OwnedFd) {
    let Ok(peer) = getsockopt(socket, PeerCredentials) else { return };
    let Ok(process) = sys::process::pidfd_open(Pid::from_raw(peer.pid())) else { return };
    // As long as the connection lasts, the number is still its own.
    let mut end = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    if poll(&mut end, PollTimeout::ZERO) == Ok(0) {
        let _ = sys::process::pidfd_send_signal(process.as_fd(), Signal::SIGKILL);
    }
}

/// The descriptors that were asked for, and what is to be known beside.
pub type Answer = (Vec<OwnedFd>, Option<Error>);

/// What is answered; `None` where the holder was killed meanwhile, or does not answer and was ended for it.
pub fn ask(socket: &OwnedFd, ask: &Ask, given: &[BorrowedFd<'_>]) -> Result<Option<Answer>, Error> {
    let message = serde_json::to_vec(ask).map_err(|_| confused())?;
    if sys::socket::send_with(socket, &message, given).is_err() {
        return Ok(None);
    }
    match hear(socket, ANSWER)? {
        Heard::Reply(Reply::Done(warning), descriptors) => Ok(Some((descriptors, warning))),
        Heard::Reply(Reply::Failed(error), _) => Err(error),
        Heard::End => Ok(None),
        Heard::Nothing => {
            end(socket);
            Ok(None)
        }
    }
}

/// What was heard.
enum Heard {
    /// An answer, with what came along.
    Reply(Reply, Vec<OwnedFd>),
    /// That there is nobody any more.
    End,
    /// Nothing, for too long.
    Nothing,
}

fn hear(socket: &OwnedFd, limit: Duration) -> Result<Heard, Error> {
    let started = Instant::now();
    loop {
        let left = limit.saturating_sub(started.elapsed());
        let mut sources = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(Heard::Nothing),
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::refused("cannot wait for the process that holds your networks", errno)),
        }
    }
    let mut buffer = [0; LIMIT];
    match sys::socket::receive_with(socket, &mut buffer) {
        Ok((0, _)) | Err(Errno::ECONNRESET) => Ok(Heard::End),
        Ok((length, descriptors)) => {
            let reply = serde_json::from_slice(&buffer[..length]).map_err(|_| confused())?;
            Ok(Heard::Reply(reply, descriptors))
        }
        Err(errno) => Err(Error::refused("cannot hear the process that holds your networks", errno)),
    }
}

/// What cannot be understood.
pub fn confused() -> Error {
    Error::new("the process that holds your networks says something that cannot be understood").with_hint(
        "it may be of another version of enter: stop the containers that are on networks, and start them again"
            .to_owned(),
    )
}
