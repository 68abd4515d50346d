//! All clients of a container, and the door by which more come in.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::link::{Client, PATIENCE};
use crate::container::door;
use crate::container::error::Told;
use crate::container::logs::Stream;
use crate::container::protocol::{End, Reply, Until};

/// More than these wait outside: half of what a process may have open by default is for the container itself.
const MOST: usize = 400;

/// Everybody who is connected.
#[derive(Debug)]
pub struct Clients {
    door: Option<OwnedFd>,
    all: Vec<Client>,
    next: u64,
    /// The first client has a right to hold the payload up for as long as it likes: the container is its own.
    pub first_may_stop: bool,
}

impl Clients {
    /// Opens the door in `folder`; the client that started the monitor is in already.
    pub fn new(folder: &Path, first: OwnedFd) -> Result<Self, Errno> {
        let door = door::open_in(folder)?;
        let mut first = Client::new(0, first);
        first.first = true;
        Ok(Self { door: Some(door), all: vec![first], next: 1, first_may_stop: false })
    }

    /// What to wait on for new ones; `None` while there is no room for any.
    pub fn door(&self) -> Option<BorrowedFd<'_>> {
        self.door.as_ref().filter(|_| self.all.len() < MOST).map(AsFd::as_fd)
    }

    /// Lets everybody in who waits.
    pub fn let_in(&mut self) {
        while self.all.len() < MOST
            && let Some(Ok(Some(socket))) = self.door.as_ref().map(door::let_in)
        {
            self.all.push(Client::new(self.next, socket));
            self.next += 1;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.all.iter()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.all.iter_mut()
    }

    /// One of them, if it is still there.
    pub fn get(&mut self, number: u64) -> Option<&mut Client> {
        self.all.iter_mut().find(|client| client.number == number)
    }

    /// Forgets one.
    pub fn remove(&mut self, number: u64) {
        self.all.retain(|client| client.number != number);
    }

    /// Whether the payload may write more.
    pub fn are_keeping_up(&self) -> bool {
        !self.all.iter().any(Client::holds_up)
    }

    /// Passes on what the payload wrote.
    pub fn show(&mut self, stream: Stream, bytes: &[u8]) {
        for client in &mut self.all {
            let Some(attached) = client.attached else { continue };
            match stream {
                Stream::Output if attached.output => client.say(&Reply::Output(bytes)),
                Stream::Error if attached.error => client.say(&Reply::Error(bytes)),
                _ => {}
            }
        }
    }

    /// Tells those who are with the payload, and whoever started it.
    pub fn warn(&mut self, told: &Told) {
        for client in self.all.iter_mut().filter(|client| client.first || client.attached.is_some()) {
            client.warn(told.clone());
        }
    }

    /// When to look after those who hold the payload up.
    pub fn next_check(&self) -> Option<Instant> {
        self.all.iter().filter_map(Client::stalled).min().map(|since| since + PATIENCE)
    }

    /// Lets go of those who have held the payload up for too long. One that was there first may do so, as long as it is not stopped.
    pub fn check(&mut self) {
        let first_may_stop = self.first_may_stop;
        for client in &mut self.all {
            let Some(since) = client.stalled() else { continue };
            if since.elapsed() < PATIENCE {
                continue;
            }
            if client.first && (first_may_stop || !client.is_stopped()) {
                client.bear_with();
            } else {
                client.mute();
            }
        }
    }

    /// Tells how the payload ended to those who are to know: all who are with it, and those who wait for such an end. They are
    /// told nothing more.
    pub fn ended(&mut self, end: &End, for_good: bool) {
        for client in &mut self.all {
            if for_good || client.attached.is_some() || client.waits == Some(Until::Exit) || client.first {
                client.say(&Reply::End(end.clone()));
                client.attached = None;
                client.waits = None;
                client.done = true;
            }
        }
    }

    /// Tells whoever started the container how what he runs has ended, which was not the end of the container.
    pub fn first_has_ended(&mut self, end: &End) {
        if let Some(first) = self.all.iter_mut().find(|client| client.first) {
            first.say(&Reply::End(end.clone()));
            (first.attached, first.holds, first.done) = (None, false, true);
        }
    }

    /// Lets nobody in any more.
    pub fn shut(&mut self) {
        self.door = None;
    }

    /// Waits until everybody has taken what was said. Who was there first may take all the time that it needs.
    pub fn settle(mut self) {
        let patience = Instant::now() + PATIENCE;
        loop {
            for client in &mut self.all {
                client.flush();
            }
            self.all.retain(|client| !client.is_keeping_up() && (client.first || Instant::now() < patience));
            let mut waits: Vec<PollFd> = (self.all.iter().filter_map(Client::descriptor))
                .map(|socket| PollFd::new(socket, PollFlags::POLLOUT))
                .collect();
            if waits.is_empty() {
                return;
            }
            match poll(&mut waits, PollTimeout::from(1000_u16)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}
