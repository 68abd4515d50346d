//! A running container, as a command sees it that has not started it: asked for things through its socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::client::{self, Attach};
use super::collection::Container;
use super::error::Told;
use super::protocol::{Ask, End, LIMIT, Reply, Request, Until, Word};
use super::{Error, Left, door};

/// A connection to the monitor of a container.
#[derive(Debug)]
pub struct Remote {
    socket: OwnedFd,
    name: String,
    terminal: bool,
}

impl Remote {
    /// Connects to the monitor of a container.
    ///
    /// # Errors
    /// [`Error::NotRunning`] where it has none, and what the kernel says.
    pub fn of(container: &Container) -> Result<Self, Error> {
        let name = container.record.name.clone();
        match door::knock(&container.folder) {
            Ok(socket) => Ok(Self { socket, name, terminal: container.record.spec.terminal }),
            // A container that is only just being started is not running yet either.
            Err(Errno::ECONNREFUSED | Errno::ENOENT) => Err(Error::NotRunning(name)),
            Err(errno) => Err(Error::Monitor(errno.into())),
        }
    }

    /// Sends the payload a signal, or its whole process group.
    ///
    /// # Errors
    /// [`Error::NotRunning`], also where it has just ended.
    pub fn signal(&self, number: i32, group: bool) -> Result<(), Error> {
        self.asked(&Ask::Kill { number, group })
    }

    /// Sends the payload a signal that ends it, and returns when it has ended.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn end_for_good(&self, number: i32) -> Result<(), Error> {
        self.ask(&Ask::Wait(Until::Gone), &[])?;
        self.asked(&Ask::Kill { number, group: false })?;
        self.until_gone()
    }

    /// Ends the container, by force after `grace`, and returns when it has ended. `None`: as the container was made.
    ///
    /// # Errors
    /// What the kernel says. One that has just ended is what was asked for.
    pub fn stop(&self, signal: Option<i32>, grace: Option<Duration>) -> Result<(), Error> {
        self.ask_to_stop(signal, grace)?;
        self.until_gone()
    }

    /// Begins what [`Remote::stop`] does; [`Remote::until_gone`] waits for it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ask_to_stop(&self, signal: Option<i32>, grace: Option<Duration>) -> Result<(), Error> {
        match self.ask(&Ask::Stop { signal, grace }, &[]) {
            Err(Error::NotRunning(_)) => Ok(()),
            done => done,
        }
    }

    /// Waits until the monitor has let go of the container.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn until_gone(&self) -> Result<(), Error> {
        while self.hear()?.is_some() {}
        Ok(())
    }

    /// Sees to it that a box runs on while this connection is there.
    ///
    /// # Errors
    /// [`Error::NotRunning`], also of one that is about to end; then nothing was done in it.
    pub fn hold(&self) -> Result<(), Error> {
        match self.asked(&Ask::Hold) {
            Err(Error::Told(_)) => Err(Error::NotRunning(self.name.clone())),
            done => done,
        }
    }

    /// Makes a throwaway shell a box of this name.
    ///
    /// # Errors
    /// Why it cannot be: above all [`Error::NotRunning`], also of one that is about to end.
    pub fn keep(&self, name: &str) -> Result<(), Error> {
        self.asked(&Ask::Keep(name.to_owned()))
    }

    /// How many are in a box.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn count(&self) -> Result<u32, Error> {
        self.ask(&Ask::Count, &[])?;
        loop {
            match self.hear()? {
                Some(Word::Inside(count)) => return Ok(count),
                Some(_) => {}
                None => return Err(Error::NotRunning(self.name.clone())),
            }
        }
    }

    /// What a container's starter is connected by, for a container of this name without a terminal of its own.
    pub(super) fn by(socket: OwnedFd, name: String) -> Self {
        Self { socket, name, terminal: false }
    }

    /// Holds all its processes.
    ///
    /// # Errors
    /// [`Error::NotRunning`], or that it is held already.
    pub fn pause(&self) -> Result<(), Error> {
        self.asked(&Ask::Pause)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`Error::NotRunning`], or that it is not held.
    pub fn resume(&self) -> Result<(), Error> {
        self.asked(&Ask::Resume)
    }

    /// Puts it on the networks that its leases name now, and off all others, and has these files written in it; returns when that is so.
    ///
    /// # Errors
    /// [`Error::NotRunning`], or why it cannot be.
    pub fn rejoin(&self, files: Vec<(String, String)>) -> Result<(), Error> {
        self.asked(&Ask::Rejoin(files))
    }

    /// Makes ports of the container reachable by these sockets, in their order.
    ///
    /// # Errors
    /// [`Error::NotRunning`], and why they cannot be.
    pub fn publish(&self, ports: &[plan::Port], sockets: &[OwnedFd]) -> Result<(), Error> {
        // A message carries at most 253 descriptors (SCM_MAX_FD in unix(7)).
        const AT_ONCE: usize = 200;
        for (ports, sockets) in ports.chunks(AT_ONCE).zip(sockets.chunks(AT_ONCE)) {
            let sockets: Vec<BorrowedFd> = sockets.iter().map(AsFd::as_fd).collect();
            self.ask(&Ask::Publish(ports.to_vec()), &sockets)?;
            self.until_done()?;
        }
        Ok(())
    }

    /// Takes ports of the container back.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn unpublish(&self, ports: &[plan::Port]) -> Result<(), Error> {
        const AT_ONCE: usize = 200;
        ports.chunks(AT_ONCE).try_for_each(|ports| self.asked(&Ask::Unpublish(ports.to_vec())))
    }

    /// Has it checked soon whether the container is well; its state tells what was found.
    ///
    /// # Errors
    /// [`Error::NotRunning`], or that nothing is checked.
    pub fn check_health(&self) -> Result<(), Error> {
        self.asked(&Ask::Check)
    }

    /// Waits until the container has ended, and tells how: its payload alone, or the container for good, so that nothing holds it
    /// any more.
    ///
    /// # Errors
    /// [`Error::MonitorGone`] where the monitor is killed meanwhile.
    pub fn wait(&self, until: Until) -> Result<End, Error> {
        self.ask(&Ask::Wait(until), &[])?;
        loop {
            let mut end = None;
            let went_on = self.heed(&mut |reply| {
                if let Reply::End(said) = reply {
                    end = Some(said);
                }
            })?;
            match (end, until) {
                (Some(end), Until::Exit) => return Ok(end),
                (Some(end), Until::Gone) => {
                    while self.hear()?.is_some() {}
                    return Ok(end);
                }
                (None, _) if went_on => {}
                (None, _) => return Err(Error::MonitorGone),
            }
        }
    }

    /// Is with the container until it ends or is left.
    ///
    /// # Errors
    /// [`Error::NotRunning`], and [`Error::MonitorGone`].
    pub fn attach(self, attach: &Attach, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
        self.asked(&Ask::Attach(attach.attachment()))?;
        client::serve(self.socket, self.terminal, attach, warn)
    }

    /// Says something, and waits for its being done.
    pub(super) fn asked(&self, ask: &Ask) -> Result<(), Error> {
        self.ask(ask, &[])?;
        self.until_done()
    }

    fn until_done(&self) -> Result<(), Error> {
        loop {
            match self.hear()? {
                Some(Word::Done) => return Ok(()),
                Some(Word::Refused(told)) => return Err(Error::Told(told)),
                Some(_) => {}
                None => return Err(Error::NotRunning(self.name.clone())),
            }
        }
    }

    /// Says something.
    pub(super) fn ask(&self, ask: &Ask, descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let message = Request::Ask(ask.clone()).encode();
        sys::socket::send_with(&self.socket, &message, descriptors).map_err(|errno| match errno {
            Errno::EPIPE | Errno::ECONNRESET => Error::NotRunning(self.name.clone()),
            errno => Error::Monitor(errno.into()),
        })
    }

    /// The next word; `None` once the monitor has said its last.
    fn hear(&self) -> Result<Option<Word>, Error> {
        loop {
            let mut word = None;
            let went_on = self.heed(&mut |reply| {
                if let Reply::Word(said) = reply {
                    word = Some(said);
                }
            })?;
            if word.is_some() || !went_on {
                return Ok(word);
            }
        }
    }

    /// Takes one message; false once there are no more.
    fn heed(&self, take: &mut dyn FnMut(Reply<'_>)) -> Result<bool, Error> {
        let mut buffer = [0; LIMIT];
        let length = match sys::socket::receive(&self.socket, &mut buffer) {
            Ok((length, _)) => length,
            Err(Errno::ECONNRESET) => 0,
            Err(errno) => return Err(Error::Monitor(errno.into())),
        };
        if length == 0 {
            return Ok(false);
        }
        take(Reply::decode(&buffer[..length]).map_err(|_| Error::MonitorGone)?);
        Ok(true)
    }

    /// The socket, for who goes on by himself.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}
