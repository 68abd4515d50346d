//! A container's life, as its monitor sees it: start, pass things on, end.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use plan::report::{self, Event, Order, PAYLOAD, Report};
use plan::{Plan, Stream};

use super::link::{Asked, Client};
use super::network::Way;
use super::outside::Outside;
use super::relay::{Sink, Source};
use super::server::{Parts, Server};
use super::streams::{self, Kept};
use crate::container::error::Told;
use crate::container::protocol::{End, Reply};

/// How long the payload has, once its terminal is gone, to end by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How long output is still taken from a container whose payload has ended.
const DRAIN: Duration = Duration::from_millis(500);

/// Runs the container to its end, tells the client how it ended, and clears up: the client does not wait for that.
pub fn container(plan: &Plan, users: OwnedFd, client: &mut Client, locks: &[OwnedFd]) {
    match Watch::start(plan, users, client, locks) {
        Ok(mut watch) => {
            let end = watch.run(client);
            client.end(&end);
            watch.finish();
        }
        Err(told) => client.end(&End::Broken(told)),
    }
}

struct Watch<'a> {
    plan: &'a Plan,
    server: Server,
    outside: Option<Outside>,
    init: OwnedFd,
    way: Way,
    terminal: Option<OwnedFd>,
    /// The size of the client's terminal, if it has told one.
    size: Option<sys::terminal::Size>,
    input: Sink,
    output: Source,
    error: Source,
    /// Set once the client has gone: when the container is ended by force.
    deadline: Option<Instant>,
}

/// What there is to be looked at after a wait.
#[derive(Default)]
struct Events {
    client: bool,
    init: bool,
    server: bool,
    way: bool,
    output: bool,
    error: bool,
}

impl<'a> Watch<'a> {
    fn start(plan: &'a Plan, users: OwnedFd, client: &Client, locks: &[OwnedFd]) -> Result<Self, Told> {
        let refused = |errno| Told::refused("cannot make the container's streams", errno, None);
        let (given, kept) = streams::make(&plan.process).map_err(refused)?;
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        let started = {
            let mut private: Vec<BorrowedFd> = vec![ours.as_fd()];
            private.extend(locks.iter().map(AsFd::as_fd));
            private.extend(client.descriptor());
            private.extend([&kept.input, &kept.output, &kept.error].into_iter().flatten().map(AsFd::as_fd));
            start(plan, Parts { users: &users, given, control: theirs }, &private)
        };
        let (server, outside) = started?;
        let_go_of_streams().map_err(refused)?;
        let Kept { input, output, error } = kept;
        Ok(Self {
            plan,
            server,
            outside,
            init: ours,
            way: Way::default(),
            terminal: None,
            size: None,
            input: if plan.process.streams[0] == Stream::Terminal { Sink::expecting() } else { Sink::new(input) },
            output: Source::new(output),
            error: Source::new(error),
            deadline: None,
        })
    }

    fn run(&mut self, client: &mut Client) -> End {
        loop {
            let events = match self.wait(client) {
                Ok(events) => events,
                Err(errno) => return End::Broken(Told::refused("cannot wait for the container", errno, None)),
            };
            client.flush();
            self.input.flush();
            if events.output {
                pass_on(&mut self.output, client, |bytes| Reply::Output(bytes));
            }
            if events.error {
                pass_on(&mut self.error, client, |bytes| Reply::Error(bytes));
            }
            if events.client
                && let Some(asked) = client.hear()
            {
                self.obey(asked, client);
            }
            if events.way
                && let Some(told) = self.way.ended()
            {
                client.warn(told);
            }
            if events.init
                && let Some(end) = self.hear_init(client)
            {
                self.drain(client);
                return end;
            }
            if events.server {
                return self.server_ended(client);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.server.kill();
                self.deadline = None;
            }
        }
    }

    fn wait(&self, client: &Client) -> Result<Events, Errno> {
        // Who is not read from does not get more to say: a slow client slows the payload, and nothing grows.
        let listening = client.is_keeping_up();
        let client_flags = match (listening, self.input.has_room()) {
            (true, true) => PollFlags::POLLIN,
            (true, false) => PollFlags::empty(),
            (false, true) => PollFlags::POLLIN | PollFlags::POLLOUT,
            (false, false) => PollFlags::POLLOUT,
        };
        let read = PollFlags::POLLIN;
        let interests = [
            client.descriptor().map(|fd| (fd, client_flags)),
            Some((self.init.as_fd(), read)),
            Some((self.server.pidfd.as_fd(), read)),
            self.outside.as_ref().map(|outside| (outside.pidfd.as_fd(), read)),
            self.way.descriptor().map(|fd| (fd, read)),
            self.output.descriptor().filter(|_| listening).map(|fd| (fd, read)),
            self.error.descriptor().filter(|_| listening).map(|fd| (fd, read)),
            self.input.descriptor().map(|fd| (fd, PollFlags::POLLOUT)),
        ];
        let mut sources: Vec<PollFd> = interests.iter().flatten().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
        let timeout = match self.deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left + 1).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut results = sources.iter().map(|source| source.revents().unwrap_or(PollFlags::empty()));
        let happened = interests.map(|interest| interest.and_then(|_| results.next()).unwrap_or(PollFlags::empty()));
        let readable = |at: usize| happened[at].intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR);
        Ok(Events {
            client: readable(0),
            init: readable(1),
            server: readable(2) || readable(3),
            way: readable(4),
            output: readable(5),
            error: readable(6),
        })
    }

    fn obey(&mut self, asked: Asked, client: &mut Client) {
        match asked {
            Asked::Input(bytes) => self.input.write(&bytes),
            // A terminal has no end of input; a program that is gone from it is told by its hanging up.
            Asked::InputEnd if self.terminal.is_some() => {}
            Asked::InputEnd => self.input.end(),
            Asked::Resize(size) => {
                self.size = Some(sys::terminal::Size { rows: size.rows, columns: size.columns });
                self.resize();
            }
            Asked::Signal { number, group } => self.signal(number, group),
            Asked::Gone => self.hang_up(client),
        }
    }

    /// Gives the terminal, once there is one, the size of the client's.
    fn resize(&self) {
        if let (Some(terminal), Some(size)) = (&self.terminal, self.size) {
            let _ = sys::terminal::set_size(terminal, size);
        }
    }

    fn signal(&self, number: i32, group: bool) {
        let order = Order::Signal { id: PAYLOAD, number, group };
        if let Ok(message) = serde_json::to_vec(&order) {
            // An init that is gone is noticed by its socket.
            let _ = sys::socket::send(&self.init, &message, None);
        }
    }

    /// The client has gone: what was started in it ends, by itself or by force.
    fn hang_up(&mut self, client: &mut Client) {
        *client = Client::gone();
        self.terminal = None;
        self.input = Sink::new(None);
        if self.deadline.is_none() {
            self.signal(Signal::SIGHUP as i32, true);
            self.signal(Signal::SIGCONT as i32, true);
            self.deadline = Some(Instant::now() + GRACE);
        }
    }

    /// Takes one report of init's; how the container ended, if that is what it says.
    fn hear_init(&mut self, client: &mut Client) -> Option<End> {
        let mut buffer = [0; report::LIMIT];
        let (length, descriptor) = match sys::socket::receive(&self.init, &mut buffer) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return None,
            Err(_) => (0, None),
        };
        if length == 0 {
            return Some(End::Killed(Signal::SIGKILL as i32));
        }
        match serde_json::from_slice(&buffer[..length]) {
            Ok(Report::Interface) => {
                let opened = self.way.open(&self.plan.network, self.server.init_pid);
                // A command that is done before pasta can be started needed none.
                if let Err(told) = opened
                    && !self.server.init_has_ended()
                {
                    client.warn(told);
                }
            }
            Ok(Report::Process { id: PAYLOAD, event }) => match event {
                Event::Terminal => self.take_terminal(descriptor),
                Event::Started => {}
                Event::Failed(failure) => return Some(End::Failed(failure)),
                Event::Exited(code) => return Some(End::Exited(code)),
                Event::Killed(signal) => return Some(End::Killed(signal)),
            },
            Ok(Report::Process { .. }) => {}
            Err(error) => return Some(End::Broken(Told::by(&error, None))),
        }
        None
    }

    fn take_terminal(&mut self, master: Option<OwnedFd>) {
        let Some(master) = master else { return };
        let _ = fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        self.output = Source::new(master.try_clone().ok());
        self.input.open(master.try_clone().ok());
        self.terminal = Some(master);
        self.resize();
    }

    /// Passes on what the payload wrote before it ended. init has ended with it, or is about to.
    fn drain(&mut self, client: &mut Client) {
        let mut end = Instant::now() + DRAIN;
        while client.descriptor().is_some() && Instant::now() < end {
            let sources = [self.output.descriptor(), self.error.descriptor()];
            let listening = client.is_keeping_up();
            let mut waits: Vec<PollFd> = Vec::new();
            if listening {
                waits.extend(sources.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            } else {
                waits.extend(client.descriptor().map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
            }
            if waits.is_empty() {
                return;
            }
            // A client that reads slowly may take all the time that it needs; a payload that holds a pipe may not.
            let patience = if listening { PollTimeout::from(100_u16) } else { PollTimeout::NONE };
            let before = Instant::now();
            let ready = poll(&mut waits, patience);
            if !listening {
                end += before.elapsed();
            }
            if matches!(ready, Ok(0)) {
                return;
            }
            client.flush();
            if client.is_keeping_up() {
                pass_on(&mut self.output, client, |bytes| Reply::Output(bytes));
                pass_on(&mut self.error, client, |bytes| Reply::Error(bytes));
            }
        }
    }

    /// The filesystem server has ended before the container did.
    fn server_ended(&mut self, client: &mut Client) -> End {
        // init died with it; if it had something to say before, that is what counts.
        while let Ok(true) = readable(self.init.as_fd()) {
            if let Some(end) = self.hear_init(client) {
                if end != End::Killed(Signal::SIGKILL as i32) {
                    self.drain(client);
                    return end;
                }
                break;
            }
        }
        End::Broken(Told {
            message: "the container's filesystem server was killed, and the container with it".into(),
            cause: None,
            hint: Some("nothing in your home is lost; start it again".into()),
        })
    }

    fn finish(self) {
        let Self { server, outside, mut way, init, .. } = self;
        way.close();
        drop(init);
        server.kill();
        server.finish();
        if let Some(outside) = outside {
            outside.finish();
        }
    }
}

fn start(plan: &Plan, parts: Parts<'_>, private: &[BorrowedFd<'_>]) -> Result<(Server, Option<Outside>), Told> {
    let Some((outside, socket)) = Outside::start(plan, private)? else {
        return Ok((Server::start(plan, parts, None, private)?, None));
    };
    match Server::start(plan, parts, Some(socket), private) {
        Ok(server) => Ok((server, Some(outside))),
        Err(told) => {
            outside.finish();
            Err(told)
        }
    }
}

fn pass_on(source: &mut Source, client: &mut Client, reply: for<'b> fn(&'b [u8]) -> Reply<'b>) {
    let bytes = source.read();
    if !bytes.is_empty() {
        client.say(&reply(&bytes));
    }
}

/// Whether there is something to be read, or the end of it.
pub fn readable(fd: BorrowedFd) -> Result<bool, Errno> {
    let mut source = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut source, PollTimeout::ZERO).map(|ready| ready > 0)
}

/// The payload has the standard streams now: a pipe must end when the payload, and not the monitor, lets go of it.
pub fn let_go_of_streams() -> Result<(), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let null = nix::fcntl::open("/dev/null", flags, nix::sys::stat::Mode::empty())?;
    for number in 0..3 {
        if null.as_raw_fd() != number {
            sys::descriptor::replace(null.as_fd(), number)?;
        }
    }
    Ok(())
}
