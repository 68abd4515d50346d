//! One run of the payload, with all that is made for it: streams, filesystem server, init, network. A restart policy has several.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use plan::report::{self, Order, PAYLOAD, Report};
use plan::{Plan, Stream};
use sys::terminal::Size;

use super::aside::Aside;
use super::confines::Confines;
use super::network::{Owner, Way};
use super::outside::Outside;
use super::pretender::Pretender;
use super::relay::{Sink, Source};
use super::server::{Elsewhere, Parts, Server};
use super::streams::{self, Kept};
use super::{let_go_of_streams, namespaces, readable};
use crate::container::dropped::Left;
use crate::container::error::Told;
use crate::container::protocol::{End, LIMIT};

/// How long output is still taken from a container whose payload has ended.
const DRAIN: Duration = Duration::from_millis(500);

/// A payload that runs, or is about to, or has just ended.
pub struct Life {
    /// Where the payload reads.
    pub input: Sink,
    /// What it writes to standard output or to its terminal.
    pub output: Source,
    /// What it writes to standard error.
    pub error: Source,
    /// Its way to the network.
    pub way: Way,
    /// Since when it runs.
    pub started: Option<Instant>,
    /// How it ended, and until when its last output is waited for.
    pub ended: Option<(End, Instant)>,
    /// What it uses at most.
    pub confines: Confines,
    server: Server,
    /// Whether the server may still tell of what is lost of the image.
    losing: bool,
    /// What was changed, where the server has told it already.
    counted: Option<Left>,
    outside: Option<Outside>,
    aside: Option<Aside>,
    pretender: Option<Pretender>,
    init: OwnedFd,
    terminal: Option<OwnedFd>,
}

impl Life {
    /// Starts everything up to init; what becomes of the payload is told by [`Life::hear`].
    pub fn start(plan: &Plan, users: &OwnedFd, passed: &[OwnedFd]) -> Result<Self, Told> {
        let refused = |errno| Told::refused("cannot make the container's streams", errno, None);
        let (given, kept) = streams::make(&plan.process).map_err(refused)?;
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        let shared = namespaces::open(plan)?;
        let confines = Confines::make(plan)?;
        let group = confines.door()?;
        let pretender = Pretender::start(plan, users)?;
        let (server, outside, aside) = start(plan, Parts { users, passed, given, control: theirs, shared, group })?;
        let_go_of_streams().map_err(refused)?;
        let Kept { input, output, error } = kept;
        Ok(Self {
            input: if plan.process.streams[0] == Stream::Terminal { Sink::expecting() } else { Sink::new(input) },
            output: Source::new(output),
            error: Source::new(error),
            way: Way::default(),
            started: None,
            ended: None,
            confines,
            server,
            losing: true,
            counted: None,
            outside,
            aside,
            pretender,
            init: ours,
            terminal: None,
        })
    }

    /// The container's init, as the host numbers it.
    pub fn init_pid(&self) -> i32 {
        self.server.init_pid.as_raw()
    }

    /// Whether there is something that takes orders.
    pub fn is_going_on(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }

    /// Where init speaks; `None` once the payload has ended.
    pub fn init(&self) -> Option<BorrowedFd<'_>> {
        self.ended.is_none().then(|| self.init.as_fd())
    }

    /// What tells of the end of init itself; of interest once the payload has ended.
    pub fn init_end(&self) -> Option<BorrowedFd<'_>> {
        self.ended.is_some().then(|| self.server.init.as_fd())
    }

    /// What tells of the end of the filesystem's servers, which nobody asked for.
    pub fn servers(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let server = self.ended.is_none().then(|| self.server.pidfd.as_fd());
        let outside = self.outside.as_ref().filter(|_| self.ended.is_none()).map(|outside| outside.pidfd.as_fd());
        [server, outside, self.aside.as_ref().filter(|_| self.ended.is_none()).map(|aside| aside.pidfd.as_fd())]
    }

    /// What has something to tell of files of the image that cannot be read.
    pub fn losses(&self) -> Option<BorrowedFd<'_>> {
        self.losing.then(|| self.server.losses.as_fd())
    }

    /// Takes what it has to tell: the reason.
    pub fn hear_of_loss(&mut self) -> Option<String> {
        let mut buffer = [0; LIMIT];
        let length = sys::socket::receive(&self.server.losses, &mut buffer).map_or(0, |(length, _)| length);
        if let Some(left) = super::changes::counted(&buffer[..length]) {
            // Nothing runs any more: the payload's end is about to be heard of, if it was not yet.
            self.counted = Some(left);
            self.losing = false;
            return None;
        }
        self.losing = length > 0;
        let text = String::from_utf8_lossy(&buffer[..length]);
        self.losing.then(|| text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
    }

    /// What has something to tell of users who are only pretended.
    pub fn pretender(&self) -> Option<BorrowedFd<'_>> {
        self.pretender.as_ref().map(Pretender::descriptor)
    }

    /// Takes what it has to tell, the last of it that it has ended, which nobody asked for.
    pub fn hear_pretender(&mut self) -> Option<Told> {
        let pretender = self.pretender.take()?;
        match pretender.hear() {
            Some(told) => {
                self.pretender = Some(pretender);
                Some(told)
            }
            None => self.ended.is_none().then(Pretender::has_ended),
        }
    }

    /// Has the calls answered that arrive at `listener`.
    pub fn answer_calls(&self, start: &pretend::Start, listener: &OwnedFd) {
        if let Some(pretender) = &self.pretender {
            pretender.answer(start, listener);
        }
    }

    /// Takes one report of init's with what came along; `None` once init is gone.
    pub fn hear(&self) -> Option<Result<(Report, Option<OwnedFd>), Told>> {
        let mut buffer = [0; report::LIMIT];
        match sys::socket::receive(&self.init, &mut buffer) {
            Ok((0, _)) | Err(_) => None,
            Ok((length, descriptor)) => {
                let report = serde_json::from_slice(&buffer[..length]);
                Some(report.map(|report| (report, descriptor)).map_err(|error| Told::by(&error, None)))
            }
        }
    }

    /// Whether init has said something that was not taken yet.
    pub fn has_news(&self) -> bool {
        readable(self.init.as_fd()).unwrap_or(false)
    }

    /// Gives init an order, with what comes along. An init that is gone is noticed by its socket.
    pub fn order(&self, order: Order, descriptors: &[BorrowedFd<'_>]) {
        if let Ok(message) = serde_json::to_vec(&order) {
            let _ = sys::socket::send_with(&self.init, &message, descriptors);
        }
    }

    /// Sends the payload a signal.
    pub fn signal(&self, number: i32, group: bool) {
        self.order(Order::Signal { id: PAYLOAD, number, group }, &[]);
    }

    /// Opens the way to the network. A command that is done before pasta can be started needed none.
    pub fn connect(&mut self, plan: &Plan, users: &OwnedFd) -> Result<(), Told> {
        let opened = self.way.open(Owner { plan, users, init: self.server.init_pid });
        if self.server.init_has_ended() { Ok(()) } else { opened }
    }

    /// Puts the container on the networks that its leases name now.
    pub fn rejoin(&mut self, plan: &Plan, users: &OwnedFd) -> Result<(), Told> {
        self.way.rejoin(Owner { plan, users, init: self.server.init_pid })
    }

    /// Takes the payload's terminal, and gives it a size.
    pub fn take_terminal(&mut self, master: OwnedFd, size: Option<Size>) {
        let _ = fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        self.output = Source::new(master.try_clone().ok());
        self.input.open(master.try_clone().ok());
        self.terminal = Some(master);
        self.resize(size);
    }

    /// Gives the terminal a size, if there is one.
    pub fn resize(&self, size: Option<Size>) {
        if let (Some(terminal), Some(size)) = (&self.terminal, size) {
            let _ = sys::terminal::set_size(terminal, size);
        }
    }

    /// There will be no more input. A terminal has no end of input: a program that is gone from it is told by its hanging up.
    pub fn end_input(&mut self) {
        if self.terminal.is_none() {
            self.input.end();
        }
    }

    /// Lets go of the terminal and of the input: whoever reads there is hung up on.
    pub fn hang_up(&mut self) {
        self.terminal = None;
        self.input = Sink::new(None);
        for signal in [Signal::SIGHUP, Signal::SIGCONT] {
            self.signal(signal as i32, true);
        }
    }

    /// The payload has ended; what it wrote before is still to be taken.
    pub fn has_ended(&mut self, end: End) {
        self.ended.get_or_insert_with(|| (end, Instant::now() + DRAIN));
    }

    /// Whether nothing more is to be expected.
    pub fn is_over(&self) -> bool {
        let Some((_, patience)) = &self.ended else { return false };
        let at_end = self.output.descriptor().is_none() && self.error.descriptor().is_none();
        at_end || self.server.init_has_ended() || Instant::now() >= *patience
    }

    /// Why it ended, where init has ended without a word.
    pub fn why_init_is_gone(&self) -> End {
        if self.server.has_failed() { Self::broken() } else { End::Killed(Signal::SIGKILL as i32) }
    }

    /// Why it ended, where a server has ended before init said anything.
    pub fn broken() -> End {
        End::Broken(Told {
            message: "the container's filesystem server was killed, and the container with it".into(),
            cause: None,
            hint: Some("nothing in your home is lost; start it again".into()),
        })
    }

    /// Ends the container at once.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// As [`Server::count`].
    pub fn count(&mut self) -> Option<Left> {
        self.counted.take().or_else(|| self.server.count())
    }

    /// As [`Server::throw_away`].
    pub fn throw_away(&self) {
        self.server.throw_away();
    }

    /// Ends what is left of it, and waits until it is gone. `volumes`: with the volumes that were made for it alone.
    pub fn finish(self, volumes: bool) {
        let Self { server, outside, aside, pretender, mut way, init, confines, .. } = self;
        way.close();
        drop(init);
        server.kill();
        // It may have the container's root as its own, which then is not unmounted.
        drop(pretender);
        server.finish(volumes);
        outside.into_iter().for_each(Outside::finish);
        aside.into_iter().for_each(Aside::finish);
        confines.end();
    }
}

/// Starts the servers: that of the container, and those of what is the host's, which serve outside of its namespaces.
fn start(plan: &Plan, parts: Parts<'_>) -> Result<(Server, Option<Outside>, Option<Aside>), Told> {
    let (outside, root) = Outside::start(plan)?.unzip();
    let aside = Aside::start(plan);
    let (aside, home) = match aside {
        Ok(aside) => aside.unzip(),
        Err(told) => {
            outside.into_iter().for_each(Outside::finish);
            return Err(told);
        }
    };
    match Server::start(plan, parts, Elsewhere { root, home }) {
        Ok(server) => Ok((server, outside, aside)),
        Err(told) => {
            outside.into_iter().for_each(Outside::finish);
            aside.into_iter().for_each(Aside::finish);
            Err(told)
        }
    }
}

/// The process id behind a descriptor that stands for a process, as this process's /proc counts (`Pid:` in fdinfo); 0 where it
/// cannot be told.
pub fn process_id(pidfd: Option<&OwnedFd>) -> i32 {
    let Some(pidfd) = pidfd else { return 0 };
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.and_then(|pid| pid.trim().parse().ok()).filter(|pid| *pid > 0).unwrap_or(0)
}
