//! The monitor's work: one loop that waits for the payload, for clients, and for the time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use plan::report::{Event, Order, PAYLOAD, Report};
use plan::{Network, Plan};
use sys::terminal::Size;

use super::clients::Clients;
use super::follow::Follower;
use super::health::Checks;
use super::ledger::Ledger;
use super::life::{Life, process_id};
use super::link::Said;
use super::outlet::Outlet;
use super::policy::Policy;
use super::ports::Ports;
use super::sessions::Sessions;
use crate::container::error::Told;
use crate::container::logs::Stream;
use crate::container::protocol::{Attachment, End, Reply, Word};
use crate::container::signals;

/// How long the payload of a shell has, once its terminal is gone, to end by itself; and anything that was sent SIGKILL.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// Everything that the monitor knows.
pub struct Keeper<'a> {
    pub(super) plan: &'a Plan,
    pub(super) users: OwnedFd,
    /// Descriptors that the payload gets beyond its standard streams.
    pub(super) passed: Vec<OwnedFd>,
    pub(super) ports: Ports,
    pub(super) ledger: Ledger,
    pub(super) clients: Clients,
    pub(super) sessions: Sessions,
    /// Where those in it ask for something outside.
    pub(super) outlet: Outlet,
    pub(super) policy: Policy,
    /// What runs; nothing while a restart is waited for.
    pub(super) life: Option<Life>,
    /// When it is started again.
    pub(super) again: Option<Instant>,
    /// When the payload is to be killed: it was asked to stop, or its time is over.
    pub(super) kill_at: Option<Instant>,
    /// When all of the container is to be killed.
    pub(super) force_at: Option<Instant>,
    /// When its time is over.
    pub(super) timeout_at: Option<Instant>,
    /// When somebody last sent it a signal that ends most programs.
    pub(super) asked_to_end: Option<Instant>,
    /// The size of the terminal that was resized last.
    pub(super) size: Option<Size>,
    /// How its health is looked after, while it runs.
    pub(super) checks: Option<Checks>,
    /// All in it have been asked to end, and nobody gets in any more.
    pub(super) is_ending: bool,
    /// Somebody has been in it, or has wanted to be.
    pub(super) was_held: bool,
    /// It was killed because it was not well.
    pub(super) unwell: bool,
    /// How it follows the host, while it runs.
    pub(super) follower: Option<Follower>,
    /// How the first shell of a box has ended that goes on for others.
    pub(super) first_end: Option<End>,
}

/// What there is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Door,
    Client(u64),
    Init,
    Server,
    Way,
    Holder,
    Output,
    Error,
    Pretender,
    Losses,
    Ports,
    Outlet,
    /// What is looked at in any case after a wait.
    Other,
}

impl<'a> Keeper<'a> {
    /// One who is about to start the container.
    pub fn new(
        plan: &'a Plan,
        users: OwnedFd,
        passed: Vec<OwnedFd>,
        ports: Ports,
        (ledger, clients, outlet): (Ledger, Clients, Outlet),
    ) -> Self {
        Self {
            plan,
            users,
            passed,
            ports,
            ledger,
            clients,
            sessions: Sessions::new(),
            outlet,
            policy: Policy::new(),
            life: None,
            again: None,
            kill_at: None,
            force_at: None,
            timeout_at: None,
            asked_to_end: None,
            size: None,
            checks: None,
            is_ending: false,
            was_held: false,
            unwell: false,
            follower: None,
            first_end: None,
        }
    }

    /// Keeps a container from its start to its end, and returns what is still to be said to whom.
    pub fn keep(mut self, first: Option<Attachment>) -> Clients {
        if let Some(client) = self.clients.get(0) {
            client.attached = first;
        }
        self.begin();
        while self.life.is_some() || self.again.is_some() {
            match self.wait() {
                Ok(places) => places.into_iter().for_each(|place| self.look(place)),
                Err(errno) => self.has_ended(End::Broken(Told::refused("cannot wait for the container", errno, None))),
            }
            self.after_a_look();
        }
        self.clients.shut();
        self.clients
    }

    /// Starts the payload.
    pub(super) fn begin(&mut self) {
        self.again = None;
        self.is_ending = false;
        match Life::start(self.plan, &self.users, &self.passed) {
            Ok(mut life) => {
                if !self.ledger.is_shell() && !self.ledger.spec().open_input {
                    life.end_input();
                }
                self.life = Some(life);
            }
            Err(told) => self.never_began(End::Broken(told)),
        }
    }

    fn wait(&self) -> Result<Vec<Place>, Errno> {
        let (read, write) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        let mut wanted: Vec<(Place, Option<BorrowedFd>, PollFlags)> = vec![(Place::Door, self.clients.door(), read)];
        let mut room = true;
        // Who is not read from does not get more to say: a slow client slows the payload, and nothing grows.
        let listening = self.clients.are_keeping_up();
        if let Some(life) = &self.life {
            wanted.push((Place::Init, life.init(), read));
            wanted.push((Place::Other, life.init_end(), read));
            wanted.extend(life.servers().map(|fd| (Place::Server, fd, read)));
            wanted.push((Place::Way, life.way.descriptor(), read));
            wanted.push((Place::Holder, life.way.holder(), read));
            wanted.push((Place::Pretender, life.pretender(), read));
            wanted.push((Place::Losses, life.losses(), read));
            wanted.push((Place::Ports, self.ports.descriptor(), read));
            wanted.push((Place::Output, life.output.descriptor().filter(|_| listening), read));
            wanted.push((Place::Error, life.error.descriptor().filter(|_| listening), read));
            wanted.push((Place::Other, life.input.descriptor(), write));
            room = life.input.has_room();
        }
        for client in self.clients.iter() {
            let flags = match client.is_keeping_up() {
                false => write,
                true if room || !client.attached.is_some_and(|attached| attached.input) => read,
                true => PollFlags::empty(),
            };
            wanted.push((Place::Client(client.number), client.descriptor(), flags));
        }
        wanted.extend(self.outlet.descriptors().map(|fd| (Place::Outlet, Some(fd), read)));
        wanted.extend(self.sessions.descriptors().map(|fd| (Place::Other, Some(fd), read)));
        wanted.push((Place::Other, self.check_output(), read));
        wanted.push((Place::Other, self.follower.as_ref().and_then(Follower::descriptor), read));
        let interests: Vec<_> = wanted.into_iter().filter_map(|(place, fd, flags)| Some((place, fd?, flags))).collect();
        let mut sources: Vec<PollFd> = interests.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut sources, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let happened = interests.iter().zip(&sources).filter(|(_, source)| source.any().unwrap_or(false));
        Ok(happened.map(|((place, ..), _)| *place).collect())
    }

    /// How long there is nothing to do but to wait.
    fn timeout(&self) -> PollTimeout {
        let draining = self.life.as_ref().and_then(|life| life.ended.as_ref()).map(|(_, until)| *until);
        let times = [
            self.again,
            self.kill_at,
            self.force_at,
            self.timeout_at,
            draining,
            self.clients.next_check(),
            self.outlet.next(),
            self.next_health_check(),
            self.life.as_ref().and_then(|life| life.way.again()),
            self.follower.as_ref().and_then(Follower::next),
        ];
        match times.into_iter().flatten().min() {
            Some(time) => {
                let left = time.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left + 1).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn look(&mut self, place: Place) {
        match place {
            Place::Door => self.clients.let_in(),
            Place::Client(number) => self.hear_client(number),
            Place::Init => self.hear_init(),
            Place::Server => self.server_has_ended(),
            Place::Way => {
                let told = self.life.as_mut().and_then(|life| life.way.ended());
                told.iter().for_each(|told| self.clients.warn(told));
            }
            Place::Holder => self.renew_networks(),
            Place::Pretender => {
                let told = self.life.as_mut().and_then(Life::hear_pretender);
                told.iter().for_each(|told| self.warn_everybody(told));
            }
            Place::Losses => {
                let reason = self.life.as_mut().and_then(Life::hear_of_loss);
                reason.iter().for_each(|reason| self.has_lost(reason));
            }
            Place::Ports => {
                let again = self.ports.has_ended(&self.users);
                self.warn_where_refused(again);
            }
            Place::Outlet => self.look_outward(),
            Place::Output => _ = self.pass_on(Stream::Output),
            Place::Error => _ = self.pass_on(Stream::Error),
            Place::Other => {}
        }
    }

    /// What is done whatever has happened: it costs next to nothing where there is nothing to do.
    fn after_a_look(&mut self) {
        self.clients.iter_mut().for_each(super::link::Client::flush);
        let done: Vec<u64> = self
            .clients
            .iter()
            .filter(|client| client.done && client.is_keeping_up())
            .map(|client| client.number)
            .collect();
        done.into_iter().for_each(|number| self.forget(number));
        self.clients.check();
        self.sessions.drain();
        if let Some(life) = &mut self.life {
            life.input.flush();
        }
        let now = Instant::now();
        let is_due = |time: &mut Option<Instant>| time.take_if(|time| *time <= now).is_some();
        if is_due(&mut self.timeout_at) {
            self.ledger.state.timed_out = true;
            self.kill_at = Some(now);
        }
        if is_due(&mut self.kill_at)
            && let Some(life) = &self.life
        {
            life.signal(Signal::SIGKILL as i32, false);
            self.force_at = Some(now + GRACE);
        }
        if is_due(&mut self.force_at)
            && let Some(life) = &self.life
        {
            life.kill();
        }
        self.check_health();
        if self.life.as_ref().and_then(|life| life.way.again()).is_some_and(|time| time <= now) {
            self.renew_networks();
        }
        self.follow_host();
        if self.life.as_ref().is_some_and(Life::is_over) {
            self.is_over();
        }
        if is_due(&mut self.again) {
            self.begin();
        }
    }

    /// The process that holds the user's networks has died: another is to.
    fn renew_networks(&mut self) {
        let told = self.life.as_mut().and_then(|life| life.way.renew());
        told.iter().for_each(|told| self.clients.warn(told));
    }

    /// Keeps what the payload wrote, and shows it to those who are with it; false if that was nothing.
    pub(super) fn pass_on(&mut self, stream: Stream) -> bool {
        let Some(life) = &mut self.life else { return false };
        let source = if stream == Stream::Output { &mut life.output } else { &mut life.error };
        let bytes = source.read();
        if bytes.is_empty() {
            return false;
        }
        self.ledger.log(stream, &bytes);
        self.clients.show(stream, &bytes);
        true
    }

    fn hear_client(&mut self, number: u64) {
        let Some(client) = self.clients.get(number) else { return };
        client.flush();
        if !client.is_keeping_up() {
            return;
        }
        match client.hear() {
            Some(Said::Gone) => self.is_gone(number),
            Some(said) => self.answer(number, said),
            None => {}
        }
    }

    /// Takes one report of init's.
    fn hear_init(&mut self) {
        let Some(life) = &mut self.life else { return };
        let (report, descriptor) = match life.hear() {
            None => {
                let end = life.why_init_is_gone();
                return self.has_ended(end);
            }
            Some(Err(told)) => return self.has_ended(End::Broken(told)),
            Some(Ok(heard)) => heard,
        };
        match report {
            Report::Interface => {
                let connected = life.connect(self.plan, &self.users);
                let is_own = matches!(self.plan.network, Network::Own(_));
                match connected {
                    Ok(()) if is_own => {
                        life.order(Order::Connected, &[]);
                        let told = life.way.warning();
                        told.iter().for_each(|told| self.clients.warn(told));
                    }
                    Ok(()) => {}
                    // It was to be on these networks, and not to go without.
                    Err(told) if is_own => {
                        life.kill();
                        self.has_ended(End::Broken(told));
                    }
                    Err(told) => self.clients.warn(&told),
                }
            }
            Report::Listener { uid, gid, groups } => {
                if let Some(listener) = descriptor {
                    life.answer_calls(&pretend::Start { uid, gid, groups }, &listener);
                }
            }
            Report::Process { id: PAYLOAD, event } => match event {
                Event::Terminal => {
                    if let Some(master) = descriptor {
                        life.take_terminal(master, self.size);
                    }
                }
                Event::Started => {
                    life.started = Some(Instant::now());
                    let (pid, init) = (process_id(descriptor.as_ref()), life.init_pid());
                    self.has_started(pid, init);
                }
                Event::Failed(failure) => self.has_ended(End::Failed(failure)),
                Event::Exited(code) => self.payload_has_ended(End::Exited(code)),
                Event::Killed(signal) => self.payload_has_ended(End::Killed(signal)),
            },
            Report::Process { id, event } => self.hear_of_session(id, event, descriptor),
        }
    }

    /// Also those who are with something beside the payload.
    fn warn_everybody(&mut self, told: &Told) {
        self.clients.warn(told);
        for number in self.sessions.clients() {
            if let Some(client) = self.clients.get(number).filter(|client| !client.first && client.attached.is_none()) {
                client.warn(told.clone());
            }
        }
    }

    /// A part of the image cannot be read that has not come. Who is not here now finds it in the log.
    fn has_lost(&mut self, reason: &str) {
        let told = Told::loss(reason, &self.ledger.spec().image.name);
        self.ledger.log(Stream::Error, format!("enter: {}\n", told.line()).as_bytes());
        self.warn_everybody(&told);
    }

    pub(super) fn warn_where_refused(&mut self, outcome: Result<(), Told>) {
        if let Err(told) = outcome {
            self.clients.warn(&told);
        }
    }

    fn has_started(&mut self, pid: i32, init: i32) {
        let group = self.life.as_ref().map(|life| life.confines.path()).unwrap_or_default();
        self.ledger.started(pid, init, group);
        let published = self.ports.begin(&self.users, init);
        self.warn_where_refused(published);
        self.timeout_at = self.ledger.spec().timeout.map(after);
        self.begin_health_checks();
        self.follower = Follower::new(self.plan);
        if !self.ledger.is_shell() {
            // What it takes to start one is not done again for long; it costs memory, and is there again when it is.
            let _ = sys::program::forget_code();
        }
        if let Some(client) = self.clients.get(0).filter(|client| client.first) {
            client.say(&Reply::Word(Word::Started));
        }
        self.let_in_who_waits();
        // Asked to stop before there was anything to be asked.
        if self.ledger.state.stopped {
            self.ask_to_end(self.stop_signal(), false);
        }
    }

    /// Has the container ask whom the host asks for names, where that has changed.
    fn follow_host(&mut self) {
        let Some(life) = self.life.as_mut().filter(|life| life.is_going_on()) else {
            self.follower = None;
            return;
        };
        let Some(follower) = &mut self.follower else { return };
        let init = nix::unistd::Pid::from_raw(life.init_pid());
        let anew = follower.follow(self.ledger.spec(), &self.users, init);
        let told = anew.and_then(|interface| life.way.open_anew(&interface, init).err());
        told.iter().for_each(|told| self.clients.warn(told));
    }

    /// The signal that asks the payload to end.
    pub(super) fn stop_signal(&self) -> i32 {
        signals::parse(&self.ledger.spec().stop_signal).unwrap_or(Signal::SIGTERM as i32)
    }

    /// One of the filesystem's servers has ended before the payload did: init died with it. If it had something to say before,
    /// that is what counts.
    fn server_has_ended(&mut self) {
        if self.life.as_ref().is_none_or(|life| life.ended.is_some()) {
            return;
        }
        while self.life.as_ref().is_some_and(|life| life.ended.is_none() && life.has_news()) {
            self.hear_init();
        }
        self.has_ended(Life::broken());
    }

    /// The payload has ended, or nothing will come of it.
    pub(super) fn has_ended(&mut self, end: End) {
        if let Some(life) = &mut self.life {
            life.has_ended(end);
        }
    }
}

/// The moment that is so far away; a time without end is a year.
pub(super) fn after(time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + time.min(YEAR)
}

/// What a keeper holds of a file descriptor that it was given.
pub(super) fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}
