//! One more process in a running container, with this process's own streams or a terminal.
//!
//! A stream that is no terminal is handed over as it is. What the caller has of a terminal is passed on here: no container may
//! hold it.

use std::fs::File;
use std::io::{IsTerminal, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::pipe2;
use plan::report::Event;
use plan::{Process, Stream};
use sys::terminal::{self, Raw};

use super::client::write_all;
use super::error::Told;
use super::keys::{DetachKeys, Watcher};
use super::monitor::{Sink, Source};
use super::protocol::{Ask, CHUNK, End, LIMIT, Reply, Word};
use super::remote::Remote;
use super::{Error, Left};

/// What is run.
#[derive(Debug)]
pub struct Execute {
    /// The process; its terminal decides whether it has one. Where its streams lead is decided here.
    pub process: Process,
    /// Descriptors that it gets beyond the standard streams.
    pub passed: Vec<OwnedFd>,
    /// It reads this process's standard input.
    pub input: bool,
    /// The keys that leave it, where it has a terminal.
    pub keys: DetachKeys,
    /// Nobody stays with it: returns as soon as it runs.
    pub detached: bool,
    /// The container is a box that is held by this connection: it is left with the end of the process, and perhaps ends then.
    pub leaves: bool,
}

impl Remote {
    /// Runs one more process, and is with it until it ends or is left.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::MonitorGone`], and that a standard stream is a directory.
    pub fn execute(self, execute: Execute, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
        let failed = |errno: Errno| Error::Monitor(errno.into());
        let Execute { mut process, passed, input, keys, detached, leaves } = execute;
        let has_terminal = process.terminal.is_some();
        process.streams = [if has_terminal { Stream::Terminal } else { Stream::Direct }; 3];
        process.passed = u32::try_from(passed.len()).unwrap_or(u32::MAX);
        let relays_input = input && !has_terminal && !detached && std::io::stdin().is_terminal();
        if !has_terminal && !detached {
            super::launch::refuse_directories([input, true, true])?;
        }
        let streams = Streams::make(!has_terminal && !detached, input).map_err(failed)?;
        let Streams { given, input: typed, outputs } = streams;
        let file = memory(&process).map_err(Error::Monitor)?;
        let null = null().map_err(failed)?;
        let mut descriptors: Vec<BorrowedFd> = vec![file.as_fd()];
        for (number, given) in (0..).zip(&given) {
            descriptors.push(match given {
                Given::Own(pipe) => pipe.as_fd(),
                Given::Callers => sys::descriptor::borrow(number).map_err(failed)?,
                Given::Nothing => null.as_fd(),
            });
        }
        descriptors.extend(passed.iter().map(AsFd::as_fd));
        let command =
            process.arguments.iter().map(|word| word.as_path().to_string_lossy()).collect::<Vec<_>>().join(" ");
        // Words that are many times as long as a journal's line help nobody.
        let command = command.chars().take(1000).collect();
        self.ask(&Ask::Execute { detached, command }, &descriptors)?;
        drop(descriptors);
        drop((given, passed));
        let mut with = With {
            monitor: self.into_socket(),
            signals: signals(has_terminal, leaves).map_err(failed)?,
            watcher: Watcher::new(if has_terminal { keys } else { DetachKeys::none() }),
            awaits: has_terminal,
            reads: relays_input || (input && has_terminal && !detached),
            typed,
            outputs,
            raw: None,
            master: None,
            detached,
            passes_signals: leaves,
        };
        if has_terminal && with.reads && terminal::is_terminal(std::io::stdin()) {
            with.raw = Some(Raw::enter(sys::descriptor::borrow(0).map_err(failed)?).map_err(failed)?);
        }
        let left = with.run(warn)?;
        if leaves && let Left::Ended(_) = left {
            with.leave();
        }
        Ok(left)
    }
}

/// What a process is given as one of its streams.
enum Given {
    /// What this process has.
    Callers,
    /// A pipe to this process.
    Own(OwnedFd),
    /// Neither input nor anybody who reads.
    Nothing,
}

struct Streams {
    given: [Given; 3],
    /// Where what is typed goes.
    input: Sink,
    /// Where what comes is to be shown.
    outputs: Vec<(Source, i32)>,
}

impl Streams {
    /// The streams of a process that has no terminal of its own, if it is to have `any`.
    fn make(any: bool, input: bool) -> Result<Self, Errno> {
        let mut streams = Self {
            given: [Given::Nothing, Given::Nothing, Given::Nothing],
            input: Sink::new(None),
            outputs: Vec::new(),
        };
        if !any {
            return Ok(streams);
        }
        if input && std::io::stdin().is_terminal() {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            nonblocking(&write)?;
            streams.given[0] = Given::Own(read);
            streams.input = Sink::new(Some(write));
        } else if input {
            streams.given[0] = Given::Callers;
        }
        for (number, is_terminal) in [(1, std::io::stdout().is_terminal()), (2, std::io::stderr().is_terminal())] {
            streams.given[number] = if is_terminal {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                nonblocking(&read)?;
                streams.outputs.push((Source::new(Some(read)), if number == 1 { 1 } else { 2 }));
                Given::Own(write)
            } else {
                Given::Callers
            };
        }
        Ok(streams)
    }
}

/// This process, while it is with another.
struct With {
    monitor: OwnedFd,
    signals: SignalFd,
    watcher: Watcher,
    /// Whether standard input is still to be read.
    reads: bool,
    /// Its terminal has not come yet: what is typed before stays where it is.
    awaits: bool,
    typed: Sink,
    outputs: Vec<(Source, i32)>,
    raw: Option<Raw<BorrowedFd<'static>>>,
    master: Option<OwnedFd>,
    detached: bool,
    /// Signals are for the process, but for that of a terminal which is gone.
    passes_signals: bool,
}

impl With {
    fn run(&mut self, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
        let mut end = None;
        loop {
            // What a process that has ended wrote is still in its pipes; what others write that it left behind is not waited for.
            let patience = if end.is_some() { PollTimeout::ZERO } else { PollTimeout::NONE };
            let [spoken, typed, signalled] = self.wait(patience, end.is_none())?;
            self.typed.flush();
            let mut shown = false;
            for (source, stream) in &mut self.outputs {
                let bytes = source.read();
                shown |= !bytes.is_empty();
                write_all(*stream, &bytes);
            }
            if let Some(end) = end.take_if(|_| !shown) {
                return Ok(Left::Ended(end));
            }
            if spoken && end.is_none() {
                match self.hear(warn)? {
                    Some(Left::Ended(said)) => end = Some(said),
                    Some(left) => return Ok(left),
                    None => {}
                }
            }
            if typed && let Some(left) = self.read_input()? {
                return Ok(left);
            }
            if signalled && let Some(signal) = self.take_signals() {
                return Ok(Left::Interrupted(signal));
            }
        }
    }

    /// Is done with the box; where that ends it, returns when it has ended. Nobody waits for ever for a monitor that is held up.
    fn leave(&mut self) {
        const PATIENCE: u16 = 10_000;
        // What was typed is for this terminal again.
        self.raw = None;
        let leave = super::protocol::Request::Ask(Ask::Leave).encode();
        if sys::socket::send(&self.monitor, &leave, None).is_err() {
            return;
        }
        let mut buffer = [0; LIMIT];
        loop {
            let mut answer = [PollFd::new(self.monitor.as_fd(), PollFlags::POLLIN)];
            match poll(&mut answer, PATIENCE) {
                Ok(1..) => {}
                Err(Errno::EINTR) => continue,
                Ok(_) | Err(_) => return,
            }
            let length = sys::socket::receive(&self.monitor, &mut buffer).map_or(0, |(length, _)| length);
            if length == 0 || matches!(Reply::decode(&buffer[..length]), Ok(Reply::Word(Word::Done)) | Err(_)) {
                return;
            }
        }
    }

    /// Waits for the monitor, for standard input and for signals; says which of them have something.
    fn wait(&self, patience: PollTimeout, listening: bool) -> Result<[bool; 3], Error> {
        let stdin = std::io::stdin();
        let read = PollFlags::POLLIN;
        let interests = [
            Some((self.monitor.as_fd(), read)).filter(|_| listening),
            Some((stdin.as_fd(), read)).filter(|_| self.reads && !self.awaits && self.typed.has_room()),
            Some((self.signals.as_fd(), read)),
            self.typed.descriptor().map(|fd| (fd, PollFlags::POLLOUT)),
        ];
        let outputs = self.outputs.iter().map(|(source, _)| source.descriptor().map(|fd| (fd, read)));
        let mut sources: Vec<PollFd> =
            interests.into_iter().chain(outputs).flatten().map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        match poll(&mut sources, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::Monitor(errno.into())),
        }
        let mut results = sources.iter().map(|source| source.any().unwrap_or(false));
        let mut next = |is_there: bool| is_there && results.next().unwrap_or(false);
        Ok([next(interests[0].is_some()), next(interests[1].is_some()), next(true)])
    }

    /// Takes one message from the monitor; how this ends, if that is what it says.
    fn hear(&mut self, warn: &mut dyn FnMut(Told)) -> Result<Option<Left>, Error> {
        let mut buffer = [0; LIMIT];
        let received = sys::socket::receive(&self.monitor, &mut buffer);
        let (length, descriptor) = received.unwrap_or((0, None));
        match Reply::decode(&buffer[..length]) {
            Ok(Reply::Word(Word::Process(event))) => match event {
                Event::Terminal => self.take_terminal(descriptor),
                Event::Started if self.detached => return Ok(Some(Left::Detached)),
                Event::Started => {}
                Event::Failed(failure) => return Ok(Some(Left::Ended(End::Failed(failure)))),
                Event::Exited(code) => return Ok(Some(Left::Ended(End::Exited(code)))),
                Event::Killed(signal) => return Ok(Some(Left::Ended(End::Killed(signal)))),
            },
            Ok(Reply::Word(Word::Refused(told))) => return Err(Error::Told(told)),
            Ok(Reply::Warning(told)) => warn(told),
            // The container has ended, and the process with it.
            Ok(Reply::End(_)) => return Ok(Some(Left::Ended(End::Killed(Signal::SIGKILL as i32)))),
            Ok(_) => {}
            Err(_) => return Err(Error::MonitorGone),
        }
        Ok(None)
    }

    fn take_terminal(&mut self, master: Option<OwnedFd>) {
        let Some(master) = master else { return };
        let _ = nonblocking(&master);
        self.typed = Sink::new(master.try_clone().ok());
        if !self.detached {
            self.outputs = vec![(Source::new(master.try_clone().ok()), 1)];
        }
        self.master = Some(master);
        self.awaits = false;
        self.resize();
    }

    /// Passes on what was typed; how this ends, if it does by that.
    fn read_input(&mut self) -> Result<Option<Left>, Error> {
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(std::io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => {
                self.reads = false;
                // A terminal has no end of input: it is gone, and the process is hung up on.
                if self.raw.is_some() {
                    return Ok(Some(Left::Interrupted(Signal::SIGHUP as i32)));
                }
                // That of what feeds one is the key that says so.
                match &self.master {
                    Some(_) => self.typed.write(&[0x04]),
                    None => self.typed.end(),
                }
            }
            Ok(length) => {
                let (passed, leaves) = self.watcher.take(&buffer[..length]);
                self.typed.write(&passed);
                if leaves {
                    self.hand_back()?;
                    return Ok(Some(Left::Detached));
                }
            }
        }
        Ok(None)
    }

    /// Leaves the terminal to the monitor: with its last holder gone, the process would be hung up on.
    fn hand_back(&mut self) -> Result<(), Error> {
        let Some(master) = self.master.take() else { return Ok(()) };
        let ask = super::protocol::Request::Ask(Ask::HandBack).encode();
        let failed = |errno: Errno| Error::Monitor(errno.into());
        sys::socket::send_with(&self.monitor, &ask, &[master.as_fd()]).map_err(failed)?;
        let mut buffer = [0; LIMIT];
        loop {
            let (length, _) = sys::socket::receive(&self.monitor, &mut buffer).map_err(failed)?;
            match Reply::decode(&buffer[..length]) {
                Ok(Reply::Word(Word::Done)) | Err(_) => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    /// The signal that ends this, if there was one.
    fn take_signals(&mut self) -> Option<i32> {
        while let Ok(Some(information)) = self.signals.read_signal() {
            match Signal::try_from(information.ssi_signo as i32) {
                Ok(Signal::SIGWINCH) => self.resize(),
                Ok(Signal::SIGCONT) => {
                    if let Some(raw) = &self.raw {
                        let _ = raw.resume();
                    }
                    self.resize();
                }
                Ok(other) if self.passes_signals && other != Signal::SIGHUP => self.pass_on(other),
                Ok(other) => return Some(other as i32),
                Err(_) => {}
            }
        }
        None
    }

    /// What a terminal sends for a key is for all in its foreground.
    fn pass_on(&self, signal: Signal) {
        let group = matches!(signal, Signal::SIGINT | Signal::SIGQUIT);
        let message = super::protocol::Request::Signal { number: signal as i32, group }.encode();
        // A monitor that is gone is noticed when it is heard.
        let _ = sys::socket::send(&self.monitor, &message, None);
    }

    fn resize(&self) {
        if let (Some(master), Ok(size)) = (&self.master, terminal::size(std::io::stdin())) {
            let _ = terminal::set_size(master, size);
        }
    }
}

/// The signals that are dealt with here: those that would leave a terminal raw, those that tell of its size, and those that are passed on.
fn signals(has_terminal: bool, passes: bool) -> Result<SignalFd, Errno> {
    const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGHUP];
    let mut handled = if has_terminal || passes { ENDING.to_vec() } else { Vec::new() };
    if has_terminal {
        handled.extend([Signal::SIGWINCH, Signal::SIGCONT]);
    }
    if passes {
        handled.extend([Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM]);
    }
    let set: SigSet = handled.into_iter().filter(|signal| sys::process::is_ignored(*signal) != Ok(true)).collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

fn null() -> Result<OwnedFd, Errno> {
    nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
}

fn memory(process: &Process) -> std::io::Result<File> {
    let fd = nix::sys::memfd::memfd_create("enter-process", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(fd);
    serde_json::to_writer(&mut file, process)?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}
