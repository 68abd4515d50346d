//! The user's end of a container: keys, output, window size and signals, passed between a terminal and the monitor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::terminal::{self, Raw};

use super::Error;
use super::error::Told;
use super::protocol::{CHUNK, End, LIMIT, Reply, Request};

/// Signals that are the payload's to deal with.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// Serves until the container ends. `terminal`: the payload has a terminal, and ours is to be raw meanwhile.
pub fn serve(socket: OwnedFd, terminal: bool, input: bool, warn: &mut dyn FnMut(Told)) -> Result<End, Error> {
    let mut client = Client::new(socket, terminal, input).map_err(|errno| Error::Monitor(errno.into()))?;
    client.run(warn)
}

struct Client {
    monitor: OwnedFd,
    signals: SignalFd,
    raw: Option<Raw<BorrowedFd<'static>>>,
    /// Whether standard input is still to be read.
    input: bool,
    /// What the monitor had no room for yet.
    unsent: Option<Vec<u8>>,
    /// The terminal is gone, and the monitor has been told so.
    hung_up: bool,
}

impl Client {
    fn new(monitor: OwnedFd, terminal: bool, input: bool) -> Result<Self, Errno> {
        let handled = PASSED_ON.into_iter().chain([Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT]);
        // What the caller has us ignore stays ignored: nohup's SIGHUP, and the SIGINT of what a script runs in the background.
        let set: SigSet = handled.filter(|signal| sys::process::is_ignored(*signal) != Ok(true)).collect();
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&monitor, nix::fcntl::FcntlArg::F_SETFL(flags))?;
        let raw = if terminal { Some(Raw::enter(sys::descriptor::borrow(0)?)?) } else { None };
        let input = input && sys::descriptor::borrow(0).is_ok();
        let mut client = Self { monitor, signals, raw, input, unsent: None, hung_up: false };
        // The window may have changed since the plan was made.
        client.resize();
        Ok(client)
    }

    fn run(&mut self, warn: &mut dyn FnMut(Told)) -> Result<End, Error> {
        let failed = |errno: Errno| Error::Monitor(errno.into());
        loop {
            let [spoken, typed, signalled] = self.wait().map_err(failed)?;
            if spoken && let Some(end) = self.hear(warn)? {
                return Ok(end);
            }
            if typed {
                self.read_input();
            }
            if signalled {
                self.take_signals();
            }
        }
    }

    /// Waits for the monitor, for standard input and for signals; says which of them have something.
    fn wait(&mut self) -> Result<[bool; 3], Errno> {
        let nothing = PollFlags::empty();
        let waiting = self.unsent.is_some();
        let talk = if waiting { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let read = self.input && !waiting;
        let stdin = std::io::stdin();
        let mut sources =
            vec![PollFd::new(self.monitor.as_fd(), talk), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if read {
            sources.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let events = |at: usize| sources.get(at).and_then(PollFd::revents).unwrap_or(nothing);
        let [talk, signals, stdin] = [events(0), events(1), events(2)];
        if talk.contains(PollFlags::POLLOUT)
            && let Some(message) = self.unsent.take()
        {
            self.send(message);
        }
        Ok([talk.intersects(PollFlags::POLLIN | PollFlags::POLLHUP), !stdin.is_empty(), !signals.is_empty()])
    }

    /// Takes one message from the monitor; how the container ended, if that is what it says.
    fn hear(&mut self, warn: &mut dyn FnMut(Told)) -> Result<Option<End>, Error> {
        let mut buffer = [0; LIMIT];
        let length = match sys::socket::receive(&self.monitor, &mut buffer) {
            Ok((length, _)) => length,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(_) => 0,
        };
        if length == 0 {
            // One that was told of a hang-up has nobody to report to.
            return if self.hung_up { Ok(Some(End::Killed(Signal::SIGHUP as i32))) } else { Err(Error::MonitorGone) };
        }
        match Reply::decode(&buffer[..length]) {
            Ok(Reply::Output(bytes)) => write_all(1, bytes),
            Ok(Reply::Error(bytes)) => write_all(2, bytes),
            Ok(Reply::Warning(told)) => warn(told),
            Ok(Reply::End(end)) => return Ok(Some(end)),
            Err(_) => return Err(Error::MonitorGone),
        }
        Ok(None)
    }

    fn read_input(&mut self) {
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(std::io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // A raw terminal has no end of input: it is gone. SIGHUP tells only some of those who use it.
            Ok(0) | Err(_) if self.raw.is_some() => self.pass_on(Signal::SIGHUP, true),
            Ok(0) | Err(_) => {
                self.input = false;
                self.send(Request::InputEnd.encode());
            }
            Ok(length) => self.send(Request::Input(&buffer[..length]).encode()),
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(information)) = self.signals.read_signal() {
            let Ok(signal) = Signal::try_from(information.ssi_signo as i32) else { continue };
            match signal {
                Signal::SIGWINCH => self.resize(),
                Signal::SIGTSTP => self.stop(),
                Signal::SIGCONT => self.pass_on(Signal::SIGCONT, true),
                // What the terminal sends for a key goes to all that it would reach in a local shell.
                Signal::SIGINT | Signal::SIGQUIT | Signal::SIGHUP => self.pass_on(signal, true),
                other => self.pass_on(other, false),
            }
        }
    }

    fn pass_on(&mut self, signal: Signal, group: bool) {
        self.send(Request::Signal { number: signal as i32, group }.encode());
        if signal == Signal::SIGHUP {
            // The terminal is gone or going: closing the socket ends everything that was started in it.
            let _ = nix::sys::socket::shutdown(
                std::os::fd::AsRawFd::as_raw_fd(&self.monitor),
                nix::sys::socket::Shutdown::Write,
            );
            self.input = false;
            self.hung_up = true;
        }
    }

    /// Stops with the payload, as a job of a shell does, and goes on with it.
    fn stop(&mut self) {
        // SIGTSTP would be lost: inside, the payload's session has no shell that could wake it again (setpgid(2), orphaned groups).
        self.pass_on(Signal::SIGSTOP, true);
        if let Some(raw) = &self.raw {
            let _ = raw.suspend();
        }
        // SIGTSTP itself is blocked for signalfd; SIGSTOP has the same effect and cannot be.
        let _ = raise(Signal::SIGSTOP);
        if let Some(raw) = &self.raw {
            let _ = raw.resume();
        }
        self.resize();
    }

    fn resize(&mut self) {
        if self.raw.is_none() {
            return;
        }
        if let Ok(size) = terminal::size(std::io::stdin()) {
            self.send(Request::Resize(plan::Rows { rows: size.rows, columns: size.columns }).encode());
        }
    }

    /// Sends a message now, or keeps it until there is room. A monitor that is gone is noticed when it is heard.
    fn send(&mut self, message: Vec<u8>) {
        if self.unsent.is_some() {
            // Only small control messages come here while input waits; the socket's own queue is what is full.
            self.wait_for_room();
        }
        if sys::socket::send(&self.monitor, &message, None) == Err(Errno::EAGAIN) {
            self.unsent = Some(message);
        }
    }

    fn wait_for_room(&mut self) {
        let Some(message) = self.unsent.take() else { return };
        let mut room = [PollFd::new(self.monitor.as_fd(), PollFlags::POLLOUT)];
        // Half a second: the payload's own end comes over the same loop.
        let _ = poll(&mut room, PollTimeout::from(500_u16));
        let _ = sys::socket::send(&self.monitor, &message, None);
    }
}

/// Writes the payload's output to one of our streams. A reader that is gone is the payload's to notice.
fn write_all(stream: i32, mut bytes: &[u8]) {
    let Ok(fd) = sys::descriptor::borrow(stream) else { return };
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut room = [PollFd::new(fd, PollFlags::POLLOUT)];
                let _ = poll(&mut room, PollTimeout::NONE);
            }
            Err(_) => return,
        }
    }
}
