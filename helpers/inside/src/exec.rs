//! `enter host-exec`: runs a command outside, and is here what that command is there: its input, its output, its end.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use plan::Rows;
use plan::outward::{Reply, Word, line};

use crate::ask::{connect, end, gone, hear, request, say};
use crate::show::{self, FAILED};
use crate::streams::Streams;

/// Signals that are the command's.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// Those by which a command ends that end this program in the same way, so that whoever waits for it sees the same.
const ENDING: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGPIPE,
];

/// The verb.
pub const VERB: &str = "host-exec";

/// Runs it.
pub fn exec(arguments: Vec<OsString>) -> ExitCode {
    let socket = match connect() {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    match begin(socket, arguments) {
        Ok(mut running) => running.run(),
        Err(code) => code,
    }
}

fn begin(socket: OwnedFd, arguments: Vec<OsString>) -> Result<Running, ExitCode> {
    let failed = |errno: Errno| {
        let reasons = ["cannot pass the streams on".to_owned(), errno.desc().to_lowercase()];
        show::failure(&reasons, None, FAILED)
    };
    let mut streams = Streams::make().map_err(failed)?;
    let mut request = request(OsStr::new(VERB), arguments);
    request.terminal = streams.terminal;
    request.streams = streams.given;
    let term = std::env::var("TERM").unwrap_or_default();
    let is_name = |char: char| char.is_ascii_alphanumeric() || "-+._".contains(char);
    request.term = if term.len() <= 64 && term.chars().all(is_name) { term } else { String::new() };
    // From here on none is lost, nor does one end this program before it has put the terminal back.
    let is_ignored = |signal: &Signal| sys::process::is_ignored(*signal) == Ok(true);
    let others = [Signal::SIGWINCH, Signal::SIGCONT, Signal::SIGTSTP];
    let handled: SigSet = PASSED_ON.into_iter().chain(others).filter(|signal| !is_ignored(signal)).collect();
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    handled.thread_block().map_err(failed)?;
    let signals = SignalFd::with_flags(&handled, flags).map_err(failed)?;
    let sent: Vec<_> = streams.sent.iter().map(AsFd::as_fd).collect();
    say(&socket, &line(&request), &sent)?;
    streams.sent.clear();
    Ok(Running { socket, streams, signals })
}

struct Running {
    socket: OwnedFd,
    streams: Streams,
    signals: SignalFd,
}

impl Running {
    fn run(&mut self) -> ExitCode {
        loop {
            let Ok([spoken, signalled]) = self.wait() else { return gone() };
            if signalled {
                self.hear_signals();
            }
            if !spoken {
                continue;
            }
            let reply = hear(&self.socket);
            match &reply {
                Some(Reply::Started) => self.has_started(),
                Some(Reply::Stopped(_)) => self.stop(),
                _ => return self.end(reply.as_ref()),
            }
        }
    }

    /// Waits, and passes on what comes meanwhile.
    fn wait(&mut self) -> Result<[bool; 2], Errno> {
        let mut sources = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        // What is typed before the command runs is not read here: if it is refused, it is the next program's.
        let has_begun = self.streams.terminal.is_none() || self.streams.raw.is_some();
        let flows = || self.streams.flows.iter().enumerate().filter(|_| has_begun);
        let wanted: Vec<usize> = flows().filter(|(_, flow)| flow.interest().is_some()).map(|(at, _)| at).collect();
        sources.extend(
            wanted.iter().filter_map(|at| self.streams.flows[*at].interest()).map(|(fd, flags)| PollFd::new(fd, flags)),
        );
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let any = |at: usize| sources[at].any().unwrap_or(false);
        let happened = [any(0), any(1)];
        let ready: Vec<usize> =
            wanted.iter().enumerate().filter(|(at, _)| any(at + 2)).map(|(_, flow)| *flow).collect();
        drop(sources);
        for at in ready {
            self.streams.flows[at].step();
        }
        Ok(happened)
    }

    /// The command has the terminal from now on.
    fn has_started(&mut self) {
        if self.streams.terminal.is_some()
            && let Ok(input) = sys::descriptor::borrow(0)
        {
            self.streams.raw = sys::terminal::Raw::enter(input).ok();
            self.resize();
        }
    }

    fn hear_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Signal::try_from(i32::try_from(signal.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGWINCH) => self.resize(),
                Ok(Signal::SIGCONT) => self.go_on(),
                Ok(signal) => self.send(&Word::Signal(signal as i32)),
                Err(_) => {}
            }
        }
    }

    fn resize(&self) {
        if self.streams.terminal.is_some()
            && let Ok(size) = sys::terminal::size(std::io::stdin())
        {
            self.send(&Word::Resize(Rows { rows: size.rows, columns: size.columns }));
        }
    }

    /// Stops with the command, as a job of a shell does, and goes on with it.
    fn stop(&mut self) {
        if let Some(raw) = &self.streams.raw {
            let _ = raw.suspend();
        }
        // All of the job, as if the key had been typed here. Where no shell is there to wake it, the kernel takes no notice, and it goes on.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
        let stop: SigSet = [Signal::SIGTSTP].into_iter().collect();
        let _ = stop.thread_unblock();
        let _ = stop.thread_block();
        self.go_on();
    }

    fn go_on(&mut self) {
        if let Some(raw) = &self.streams.raw {
            let _ = raw.resume();
        }
        self.resize();
        self.send(&Word::Resume);
    }

    /// One who is gone is noticed when it is heard.
    fn send(&self, word: &Word) {
        let _ = sys::socket::send(&self.socket, &line(word), None);
    }

    fn end(&mut self, reply: Option<&Reply>) -> ExitCode {
        let mut streams = std::mem::take(&mut self.streams);
        // Written before the terminal is put back, as the command has left it.
        let raw = streams.raw.take();
        streams.finish();
        drop(raw);
        let Some(reply) = reply else { return gone() };
        if let Reply::Killed(number) = reply {
            die_by(*number);
        }
        end(reply).unwrap_or(ExitCode::from(FAILED))
    }
}

/// Ends by this signal, as the command did; returns where it does not end a program here, such as process 1.
fn die_by(number: i32) {
    let Some(signal) = ENDING.into_iter().find(|signal| *signal as i32 == number) else { return };
    // No dump of a program that did nothing wrong.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let _ = sys::process::restore_signal(signal);
    let _ = raise(signal);
    let _ = [signal].into_iter().collect::<SigSet>().thread_unblock();
}
