//! What the monitor writes down: the container's state, what its payload writes, and what happens to it.

use std::path::PathBuf;

use jiff::Timestamp;
use plan::Plan;

use crate::container::collection::{Container, Containers};
use crate::container::error::Told;
use crate::container::events::{Event, Journal};
use crate::container::folder::name;
use crate::container::logs::{About, Stream, Writer};
use crate::container::protocol::End;
use crate::container::record::{Record, Spec, State, Status};

/// The books of one container.
pub struct Ledger {
    /// How the container is.
    pub state: State,
    record: Record,
    folder: PathBuf,
    log: Option<Writer>,
    journal: Journal,
    is_shell: bool,
}

impl Ledger {
    /// Opens the books of the container that `plan` speaks of.
    pub fn open(plan: &Plan) -> Result<Self, Told> {
        let folder: PathBuf = plan.container.folder.clone().into();
        let failed = |error: crate::container::Error| Told::by(&error, error.hint());
        let lost = || Told::plain("the container's record is gone");
        let record = Record::read(&folder).map_err(failed)?.ok_or_else(lost)?;
        let before = State::read(&folder).map_err(failed)?.unwrap_or_default();
        let state = State { stopped: false, timed_out: false, restarts: 0, health: None, ..before };
        let log = if record.spec.shell {
            None
        } else {
            let writer = Writer::open(&record.spec.log, &folder, &About::of(&record));
            Some(writer.map_err(|error| Told::by(&error, error.hint()))?)
        };
        let journal = Journal::beside(&folder);
        let is_shell = record.spec.shell;
        Ok(Self { state, record, folder, log, journal, is_shell })
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.record.spec
    }

    /// Takes what commands have changed since: its name, its restart policy.
    pub fn read_again(&mut self) {
        if let Ok(Some(record)) = Record::read(&self.folder) {
            self.record = record;
        }
    }

    /// Keeps what the payload wrote.
    pub fn log(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(log) = &mut self.log {
            log.write(stream, bytes, Timestamp::now());
        }
    }

    /// The payload runs.
    pub fn started(&mut self, pid: i32, init: i32, cgroup: PathBuf) {
        let state = &mut self.state;
        state.status = Status::Running;
        (state.pid, state.init, state.monitor) = (pid, init, std::process::id().cast_signed());
        state.started = Some(Timestamp::now());
        (state.exit_code, state.error) = (0, String::new());
        (state.cgroup, state.out_of_memory) = (cgroup, false);
        self.write();
        if let Some(file) = &self.record.spec.pid_file {
            // A file that cannot be written ends no container that runs.
            let _ = std::fs::write(file, pid.to_string());
        }
        self.tell(self.event("start"));
    }

    /// A process of it was killed for want of memory.
    pub fn ran_out_of_memory(&mut self) {
        if !self.state.out_of_memory {
            self.state.out_of_memory = true;
            self.tell(self.event("oom"));
        }
    }

    /// It is held, or goes on.
    pub fn paused(&mut self, paused: bool) {
        self.state.status = if paused { Status::Paused } else { Status::Running };
        self.write();
        self.tell(self.event(if paused { "pause" } else { "unpause" }));
    }

    /// The payload has ended. `ran`: it had begun to run. `again`: it is to be started again.
    pub fn ended(&mut self, end: &End, ran: bool, again: bool) {
        if let Some(log) = &mut self.log {
            log.finish(Timestamp::now());
        }
        let state = &mut self.state;
        (state.pid, state.init, state.cgroup) = (0, 0, PathBuf::new());
        (state.exit_code, state.error) = (end.code(), end.reason());
        state.status = match (again, ran, state.status) {
            (true, ..) => Status::Restarting,
            // What has never run is what it was.
            (false, false, Status::Created) => Status::Created,
            (false, ..) => Status::Exited,
        };
        if !again {
            state.monitor = 0;
        }
        if ran {
            state.finished = Some(Timestamp::now());
            self.tell(self.event("die").with("exitCode", end.code()));
            if self.state.stopped {
                self.tell(self.event("stop"));
            }
        }
        // The end of what nobody will see again need not be written.
        if again || !self.is_throwaway() {
            self.write();
        }
    }

    /// Nobody is to start it again, so that it stays as it is now.
    pub fn given_up(&mut self) {
        self.state.status = Status::Exited;
        self.state.monitor = 0;
        self.write();
    }

    /// Takes the container off the list, and gives its name free. What is left of it is rubbish.
    pub fn strike(&mut self) {
        self.read_again();
        let _ = std::fs::remove_file(self.folder.join(name::RECORD));
        self.forget();
        self.tell(self.event("destroy"));
    }

    /// Gives its name free.
    pub fn forget(&self) {
        if let Some(root) = self.folder.ancestors().nth(2) {
            Containers::below(root).forget(&self.record.name, &self.record.id);
        }
    }

    /// It was started as a shell, whatever it is by now: its payload is somebody's, and not the container's own.
    pub fn is_shell(&self) -> bool {
        self.is_shell
    }

    /// Makes a throwaway shell a box of this name.
    pub fn keep(&mut self, name: &str) -> Result<(), Told> {
        let failed = |error: crate::container::Error| Told::by(&error, error.hint());
        self.read_again();
        if !self.record.spec.shell {
            let hint = Some(format!("give it another name: enter rename {} NEW-NAME", self.record.name));
            return Err(Told { message: format!("it is the box {} already", self.record.name), cause: None, hint });
        }
        let containers =
            self.folder.ancestors().nth(2).map(Containers::below).ok_or_else(|| Told::plain("it is lost"))?;
        let container =
            Container { folder: self.folder.clone(), record: self.record.clone(), state: self.state.clone() };
        self.record = containers.keep(&container, name).map_err(failed)?;
        self.write();
        Ok(())
    }

    /// It is removed when it ends.
    pub fn is_throwaway(&self) -> bool {
        self.record.spec.shell || self.record.spec.remove
    }

    /// Something that has just happened to the container.
    pub fn event(&self, action: impl Into<String>) -> Event {
        Event::of_container(&self.record, action)
    }

    /// Writes into the journal. Shells come and go, and are nobody's news.
    pub fn tell(&self, event: Event) {
        if !self.record.spec.shell {
            self.journal.add(&event);
        }
    }

    /// Writes the state. A full disk is no reason to end a container; the next change is written again.
    pub fn write(&self) {
        let _ =
            if self.is_throwaway() { self.state.write_passing(&self.folder) } else { self.state.write(&self.folder) };
    }
}
