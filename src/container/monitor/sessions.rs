//! Processes that clients have started beside the payload (`exec`): whose they are, and what is done about them.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use plan::report::{Event, Order, PAYLOAD};

use super::keeper::{Keeper, borrowed};
use super::life::process_id;
use super::relay::Source;
use crate::container::error::Told;
use crate::container::protocol::{Reply, Word};

/// A process beside the payload.
#[derive(Debug)]
struct Session {
    id: u32,
    /// Its process, once it runs.
    pid: i32,
    /// Who is told of it.
    client: Option<u64>,
    /// That one waits for its end.
    stays: bool,
    /// Its terminal, since its client has left it: emptied, so that it is never held up.
    master: Option<Source>,
}

/// All of them.
#[derive(Debug)]
pub struct Sessions {
    all: Vec<Session>,
    next: u32,
}

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Self { all: Vec::new(), next: PAYLOAD + 1 }
    }

    /// A number that nothing has had before.
    pub fn new_id(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// The terminals that are to be emptied.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().filter_map(|session| session.master.as_ref()?.descriptor())
    }

    /// Empties them.
    pub fn drain(&mut self) {
        for master in self.all.iter_mut().filter_map(|session| session.master.as_mut()) {
            master.read();
        }
    }

    /// Those who wait for the end of what they have started.
    pub fn clients(&self) -> impl Iterator<Item = u64> {
        self.all.iter().filter(|session| session.stays).filter_map(|session| session.client)
    }

    /// The process that a client has started last.
    pub fn of(&self, client: u64) -> Option<u32> {
        self.all.iter().rev().find(|session| session.client == Some(client)).map(|session| session.id)
    }

    /// The processes that clients have started, each with its client, the latest last.
    fn processes(&self) -> impl Iterator<Item = (u64, i32)> {
        self.all.iter().filter_map(|session| Some((session.client?, session.pid)))
    }

    /// Whether somebody waits for the end of what he has started.
    pub fn has_clients(&self) -> bool {
        self.clients().next().is_some()
    }

    /// A client is gone. Whoever has its terminal from it is hung up on by that alone.
    pub fn forget(&mut self, client: u64) {
        for session in self.all.iter_mut().filter(|session| session.client == Some(client)) {
            session.client = None;
        }
    }

    /// The payload has ended, and all of them with it; whose they were.
    pub fn end(&mut self) -> Vec<u64> {
        self.all.drain(..).filter_map(|session| session.client.filter(|_| session.stays)).collect()
    }

    /// Takes a terminal back from who leaves it.
    fn hand_back(&mut self, client: u64, master: OwnedFd) {
        let _ = fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        if let Some(session) = self.all.iter_mut().rev().find(|session| session.client == Some(client)) {
            session.master = Some(Source::new(Some(master)));
            session.client = None;
        }
    }
}

impl Keeper<'_> {
    /// Runs one more process for a client.
    pub(super) fn execute(&mut self, client: u64, detached: bool, command: String, descriptors: &[OwnedFd]) {
        let Some(life) = self.life.as_ref().filter(|life| life.is_going_on() && !self.is_ending) else {
            return self.refuse_dead(client);
        };
        if self.ledger.state.status == crate::container::record::Status::Paused {
            let hint = Some("let it go on first, with `enter unpause`".into());
            let told = Told { message: "the container is paused".into(), cause: None, hint };
            return self.say(client, Word::Refused(told));
        }
        let id = self.sessions.new_id();
        life.order(Order::Execute { id }, &borrowed(descriptors));
        for action in ["exec_create", "exec_start"] {
            self.ledger.tell(self.ledger.event(format!("{action}: {command}")).with("execID", id));
        }
        self.sessions.all.push(Session { id, pid: 0, client: Some(client), stays: !detached, master: None });
    }

    /// Passes on what init tells of such a process.
    pub(super) fn hear_of_session(&mut self, id: u32, event: Event, descriptor: Option<OwnedFd>) {
        if self.hear_of_check(id, &event) {
            return;
        }
        let Some(at) = self.sessions.all.iter().position(|session| session.id == id) else { return };
        let code = match event {
            Event::Exited(code) => Some(code),
            Event::Killed(signal) => Some(128 + signal),
            Event::Failed(_) => Some(126),
            Event::Terminal | Event::Started => None,
        };
        if let Some(code) = code {
            self.ledger.tell(self.ledger.event("exec_die").with("execID", id).with("exitCode", code));
        }
        if event == Event::Started {
            self.sessions.all[at].pid = process_id(descriptor.as_ref());
        }
        let session = &self.sessions.all[at];
        if let Some(client) = session.client.and_then(|number| self.clients.get(number)) {
            // The client has no use for a descriptor of a process that the monitor's own pid namespace numbers.
            let descriptor = descriptor.filter(|_| event == Event::Terminal);
            client.say_with(&Reply::Word(Word::Process(event)), descriptor);
        }
        if code.is_some() {
            self.sessions.all.remove(at);
        }
    }

    /// Somebody inside asks for something outside, or is done with that.
    pub(super) fn look_outward(&mut self) {
        let Self { outlet, sessions, clients, ledger, .. } = self;
        outlet.look(|| {
            let first = clients.iter().find(|client| client.first && ledger.spec().shell);
            let first = first.map(|client| (client.number, ledger.state.pid));
            let all = first.into_iter().chain(sessions.processes());
            all.filter_map(|(client, process)| {
                let client = clients.iter().find(|known| known.number == client)?;
                Some((client.process()?, process))
            })
            .collect()
        });
    }

    /// Takes a terminal back.
    pub(super) fn take_back(&mut self, client: u64, master: Option<OwnedFd>) {
        if let Some(master) = master {
            self.sessions.hand_back(client, master);
        }
        self.say(client, Word::Done);
    }
}
