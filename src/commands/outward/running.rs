//! A command outside, for somebody inside: started, fed, and ended with who asked for it.
//!
//! This process leads a session of its own. Where the command has a terminal, that is one of this machine's, made for it: keys and output
//! pass through here, and no descriptor of this machine's goes inside. The command is a job of its own in the session, in the foreground, so that
//! keys reach it as in any shell, and so that it can be stopped. Everything else that it has are pipes of who asked.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::posix_openpt;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::statfs::fstatfs;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use plan::outward::{LIMIT, Reply, Request, Word, line};
use sys::flow::Flow;
use sys::process::Fork;

use super::Call;
use crate::failure::{CANNOT_RUN, Failure};

/// How long a command may take to end by itself once nobody is there who asked for it.
const GRACE: Duration = Duration::from_secs(2);

/// How long the last output is offered, in milliseconds.
const PATIENCE: u16 = 2000;

/// PIPEFS_MAGIC and SOCKFS_MAGIC in linux/magic.h.
const STREAMS: [i64; 2] = [0x5049_5045, 0x534f_434b];

/// Signals that may be sent from inside.
const PASSED_ON: [Signal; 9] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGTSTP,
];

/// What is run.
pub struct Command {
    /// The program.
    pub path: CString,
    /// What it is called, and its arguments.
    pub arguments: Vec<CString>,
    /// All of its environment.
    pub environment: Vec<CString>,
    /// Where it begins; the root directory where there is none.
    pub directory: Option<OwnedFd>,
    /// What it is called in messages.
    pub name: String,
}

/// Runs it to its end.
pub fn run(command: &Command, mut call: Call<'_>) -> Result<Reply, Failure> {
    let failed = |errno: Errno| Failure::new(format!("cannot run `{}` outside", command.name)).because(errno);
    let came = std::mem::take(&mut call.streams);
    let (streams, terminal) = streams(&call.request, &came)?;
    for signal in [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGTTOU, Signal::SIGTTIN, Signal::SIGTSTP] {
        sys::process::ignore_signal(signal).map_err(failed)?;
    }
    let children: SigSet = [Signal::SIGCHLD].into_iter().collect();
    children.thread_block().map_err(failed)?;
    let deaths = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    nix::unistd::setsid().map_err(failed)?;
    let terminal = terminal.map(|(size, through)| Terminal::open(size, through)).transpose().map_err(failed)?;
    let (child, terminal) = start(command, &streams, terminal)?;
    // The pipes are the command's: they end with it.
    drop(came);
    let mut running = Running { socket: call.socket.as_fd(), child, deaths, terminal, kill_at: None, hung_up: false };
    running.say(&Reply::Started);
    let end = running.until_the_end().map_err(failed)?;
    if let Some(terminal) = &mut running.terminal {
        terminal.output.finish(|descriptor, flags| {
            let patience = if flags == PollFlags::POLLOUT { PATIENCE } else { 0 };
            poll(&mut [PollFd::new(descriptor, flags)], patience).map(|ready| ready > 0)
        });
    }
    Ok(end)
}

/// What came along, in its places.
type Given<'a> = ([Option<BorrowedFd<'a>>; 3], Option<(plan::Rows, BorrowedFd<'a>)>);

fn streams<'a>(request: &Request, came: &'a [OwnedFd]) -> Result<Given<'a>, Failure> {
    let is_stream = |fd: &OwnedFd| {
        fstatfs(fd).is_ok_and(|status| STREAMS.contains(&status.filesystem_type().0))
            && fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| flags & OFlag::O_PATH.bits() == 0)
    };
    if !came.iter().all(is_stream) {
        return Err(Failure::new("cannot use a stream that is neither a pipe nor a socket"));
    }
    let mut given = came.iter().map(AsFd::as_fd);
    let streams = request.streams.map(|comes| if comes { given.next() } else { None });
    Ok((streams, request.terminal.zip(given.next())))
}

/// A terminal of this machine's, with who is at the other end.
struct Terminal {
    master: OwnedFd,
    slave: Option<OwnedFd>,
    input: Flow,
    output: Flow,
}

impl Terminal {
    /// Opens one, and makes it that of this session.
    fn open(size: plan::Rows, through: BorrowedFd<'_>) -> Result<Self, Errno> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let master = posix_openpt(flags)?;
        sys::terminal::unlock(&master)?;
        let slave = sys::terminal::peer(&master)?;
        sys::terminal::set_size(&master, sys::terminal::Size { rows: size.rows, columns: size.columns })?;
        sys::terminal::control(&slave)?;
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(errno);
        let through = copy(through)?;
        fcntl(&through, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let input = Flow::new(copy(through.as_fd())?, copy(master.as_fd())?);
        let output = Flow::new(copy(master.as_fd())?, through);
        let master = copy(master.as_fd())?;
        Ok(Self { master, slave: Some(slave), input, output })
    }
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Starts the command; waits until it is the program.
fn start(
    command: &Command,
    streams: &[Option<BorrowedFd<'_>>; 3],
    mut terminal: Option<Terminal>,
) -> Result<(Pid, Option<Terminal>), Failure> {
    let failed = |errno: Errno| Failure::new(format!("cannot run `{}` outside", command.name)).because(errno);
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty());
    let null = null.map_err(failed)?;
    let slave = terminal.as_mut().and_then(|terminal| terminal.slave.take());
    match sys::process::fork().map_err(failed)? {
        Fork::Child => {
            let errno = become_command(command, streams, slave.as_ref(), &null);
            let _ = nix::unistd::write(&writer, &(errno as i32).to_le_bytes());
            sys::process::exit_now(1)
        }
        Fork::Parent(child) => {
            drop((writer, slave));
            let mut told = [0; 4];
            let length = loop {
                match nix::unistd::read(&reader, &mut told) {
                    Err(Errno::EINTR) => {}
                    done => break done.unwrap_or(0),
                }
            };
            if length == told.len() {
                let _ = waitpid(child, None);
                let errno = Errno::from_raw(i32::from_le_bytes(told));
                // It was there a moment ago; what a script names to be run by may not be.
                return Err(failed(errno).with_code(CANNOT_RUN));
            }
            Ok((child, terminal))
        }
    }
}

/// In the child: what is left is to become the program. Returns why that failed.
fn become_command(
    command: &Command,
    streams: &[Option<BorrowedFd<'_>>; 3],
    slave: Option<&OwnedFd>,
    null: &OwnedFd,
) -> Errno {
    let prepare = || -> Result<(), Errno> {
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        if let Some(slave) = slave {
            nix::unistd::tcsetpgrp(slave, nix::unistd::getpid())?;
        }
        match &command.directory {
            Some(directory) => nix::unistd::fchdir(directory).or_else(|_| nix::unistd::chdir("/"))?,
            None => nix::unistd::chdir("/")?,
        }
        let default = slave.unwrap_or(null).as_fd();
        // None of what came along is a standard one here: they can be replaced in any order.
        for (number, stream) in (0..).zip(streams) {
            sys::descriptor::replace(stream.unwrap_or(default), number)?;
        }
        sys::process::reset_signals()
    };
    if let Err(errno) = prepare() {
        return errno;
    }
    fn texts(texts: &[CString]) -> Vec<&CStr> {
        texts.iter().map(CString::as_c_str).collect()
    }
    match nix::unistd::execve(&command.path, &texts(&command.arguments), &texts(&command.environment)) {
        Err(errno) => errno,
        Ok(never) => match never {},
    }
}

/// A command that runs.
struct Running<'a> {
    socket: BorrowedFd<'a>,
    child: Pid,
    deaths: SignalFd,
    terminal: Option<Terminal>,
    /// When it is ended by force, nobody being there any more.
    kill_at: Option<Instant>,
    hung_up: bool,
}

impl Running<'_> {
    fn until_the_end(&mut self) -> Result<Reply, Errno> {
        loop {
            if let Some(end) = self.reap()? {
                return Ok(end);
            }
            let [spoken, typed, written] = self.wait()?;
            while matches!(self.deaths.read_signal(), Ok(Some(_))) {}
            if let Some(terminal) = &mut self.terminal {
                if typed {
                    terminal.input.step();
                }
                if written {
                    terminal.output.step();
                }
            }
            if spoken {
                self.hear();
            }
            if self.kill_at.is_some_and(|time| time <= Instant::now()) {
                self.signal(Signal::SIGKILL);
            }
        }
    }

    fn wait(&self) -> Result<[bool; 3], Errno> {
        let deaf = PollFlags::empty();
        // Where there is nobody to wait for, this one is never ready.
        let never = (self.deaths.as_fd(), deaf);
        let terminal = self.terminal.as_ref();
        let [input, output] = [terminal.map(|terminal| &terminal.input), terminal.map(|terminal| &terminal.output)]
            .map(|flow| flow.and_then(Flow::interest).unwrap_or(never));
        let mut sources = [
            PollFd::new(self.deaths.as_fd(), PollFlags::POLLIN),
            // Who has hung up is heard no more.
            if self.hung_up {
                PollFd::new(self.deaths.as_fd(), deaf)
            } else {
                PollFd::new(self.socket, PollFlags::POLLIN)
            },
            PollFd::new(input.0, input.1),
            PollFd::new(output.0, output.1),
        ];
        let timeout = self.kill_at.map_or(PollTimeout::NONE, |time| {
            let left = time.saturating_duration_since(Instant::now()).as_millis() + 1;
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok([1, 2, 3].map(|at| sources[at].any().unwrap_or(false)))
    }

    /// What has become of the command.
    fn reap(&mut self) -> Result<Option<Reply>, Errno> {
        loop {
            match waitpid(self.child, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(Some(Reply::Exited(code))),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Some(Reply::Killed(signal as i32))),
                Ok(WaitStatus::Stopped(_, _)) if self.hung_up => self.signal(Signal::SIGCONT),
                Ok(WaitStatus::Stopped(_, signal)) => self.say(&Reply::Stopped(signal as i32)),
                Ok(_) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Hears who asked for it.
    fn hear(&mut self) {
        let mut buffer = vec![0; LIMIT];
        // Nothing comes along that is kept.
        let length = match sys::socket::receive_with(self.socket, &mut buffer) {
            Ok((length, _)) => length,
            Err(Errno::EAGAIN) => return,
            Err(_) => 0,
        };
        match Word::parse(&buffer[..length]) {
            Ok(Word::Resize(size)) => {
                if let Some(terminal) = &self.terminal {
                    let size = sys::terminal::Size { rows: size.rows, columns: size.columns };
                    let _ = sys::terminal::set_size(&terminal.master, size);
                }
            }
            Ok(Word::Signal(number)) => {
                PASSED_ON.into_iter().filter(|signal| *signal as i32 == number).for_each(|signal| self.signal(signal));
            }
            Ok(Word::Resume) => self.signal(Signal::SIGCONT),
            Err(_) => self.hang_up(),
        }
    }

    /// Nobody is there any more: the command is told, as by a terminal, and ended in the end.
    fn hang_up(&mut self) {
        self.hung_up = true;
        self.kill_at = Some(Instant::now() + GRACE);
        self.terminal = None;
        [Signal::SIGHUP, Signal::SIGCONT].into_iter().for_each(|signal| self.signal(signal));
    }

    fn signal(&self, signal: Signal) {
        // It may be in the act of ending, which is seen next.
        let _ = kill(Pid::from_raw(-self.child.as_raw()), signal);
    }

    fn say(&mut self, reply: &Reply) {
        if sys::socket::send(self.socket, &line(reply), None).is_err() && !self.hung_up {
            self.hang_up();
        }
    }
}
