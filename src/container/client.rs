//! The user's end of a container: keys, output, window size and signals, passed between a terminal and the monitor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::terminal::{self, Raw};

use super::error::Told;
use super::keys::{DetachKeys, Watcher};
use super::protocol::{Attachment, CHUNK, End, LIMIT, Reply, Request};
use super::{Error, Left};

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

/// How somebody is with a container.
#[derive(Clone, Debug)]
pub struct Attach {
    /// What is typed is passed on.
    pub input: bool,
    /// Standard output, or the terminal's, is shown.
    pub output: bool,
    /// Standard error is shown.
    pub error: bool,
    /// The keys that leave, where the container has a terminal.
    pub keys: DetachKeys,
    /// Signals are the payload's, and not this process's.
    pub proxy_signals: bool,
    /// The container is a shell of this terminal's: it ends with it, and the terminal's signals reach all that runs in its foreground.
    pub shell: bool,
}

impl Attach {
    /// What the monitor is told of it.
    pub(super) fn attachment(&self) -> Attachment {
        Attachment { input: self.input, output: self.output, error: self.error }
    }
}

/// Serves until the container ends or is left. `terminal`: the payload has a terminal, and ours is to be raw meanwhile.
pub(super) fn serve(
    socket: OwnedFd,
    terminal: bool,
    attach: &Attach,
    warn: &mut dyn FnMut(Told),
) -> Result<Left, Error> {
    let mut client = Client::new(socket, terminal, attach).map_err(|errno| Error::Monitor(errno.into()))?;
    client.run(warn)
}

struct Client<'a> {
    monitor: OwnedFd,
    attach: &'a Attach,
    signals: SignalFd,
    /// Signals that the caller has us ignore, and of which only those are heard that somebody sent on purpose.
    deaf: SigSet,
    raw: Option<Raw<BorrowedFd<'static>>>,
    keys: Watcher,
    /// Whether standard input is still to be read.
    input: bool,
    /// What the monitor had no room for yet.
    unsent: Option<Vec<u8>>,
    /// The terminal is gone, and the monitor has been told so.
    hung_up: bool,
    /// How it is left, once that is clear.
    left: Option<Left>,
}

impl<'a> Client<'a> {
    fn new(monitor: OwnedFd, terminal: bool, attach: &'a Attach) -> Result<Self, Errno> {
        let handled = PASSED_ON.into_iter().chain([Signal::SIGWINCH, Signal::SIGCONT]);
        let handled = handled.chain(attach.proxy_signals.then_some(Signal::SIGTSTP));
        // What the caller has us ignore stays ignored: nohup's SIGHUP, and the SIGINT of what a script runs in the background.
        // But a script that runs a container in the background and then sends it that SIGINT by kill(1) means it, and docker passes it on.
        let is_ignored = |signal: &Signal| sys::process::is_ignored(*signal) == Ok(true);
        let meant = |signal: &Signal| {
            attach.proxy_signals && !attach.shell && matches!(signal, Signal::SIGINT | Signal::SIGQUIT)
        };
        let deaf: SigSet = PASSED_ON.into_iter().filter(is_ignored).collect();
        let set: SigSet = handled.filter(|signal| !is_ignored(signal) || meant(signal)).collect();
        // The kernel keeps even an ignored signal for who blocks it.
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&monitor, nix::fcntl::FcntlArg::F_SETFL(flags))?;
        let stdin = sys::descriptor::borrow(0);
        // Without input nothing is typed, and what interrupts is this terminal's own.
        let raw = match stdin {
            Ok(stdin) if terminal && attach.input && terminal::is_terminal(stdin) => Some(Raw::enter(stdin)?),
            _ => None,
        };
        let keys = if terminal { attach.keys.clone() } else { DetachKeys::none() };
        let input = attach.input && stdin.is_ok();
        let keys = Watcher::new(keys);
        let mut client =
            Self { monitor, attach, signals, deaf, raw, keys, input, unsent: None, hung_up: false, left: None };
        // The window may have changed since the plan was made.
        if terminal {
            client.resize();
        }
        Ok(client)
    }

    fn run(&mut self, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
        let failed = |errno: Errno| Error::Monitor(errno.into());
        loop {
            let [spoken, typed, signalled] = self.wait().map_err(failed)?;
            if spoken && let Some(end) = self.hear(warn)? {
                return Ok(Left::Ended(end));
            }
            if typed {
                self.read_input();
            }
            if signalled {
                self.take_signals();
            }
            if let Some(left) = self.left.take() {
                self.wait_for_room();
                return Ok(left);
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
            Ok(Reply::Word(_)) => {}
            Err(_) => return Err(Error::MonitorGone),
        }
        Ok(None)
    }

    fn read_input(&mut self) {
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(std::io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // A raw terminal has no end of input: it is gone. SIGHUP tells only some of those who use it.
            Ok(0) | Err(_) if self.raw.is_some() => self.hang_up(),
            Ok(0) | Err(_) => {
                self.input = false;
                self.send(Request::InputEnd.encode());
            }
            Ok(length) => {
                let (passed, detached) = self.keys.take(&buffer[..length]);
                if !passed.is_empty() {
                    self.send(Request::Input(&passed).encode());
                }
                if detached {
                    self.left = Some(Left::Detached);
                }
            }
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(information)) = self.signals.read_signal() {
            let Ok(signal) = Signal::try_from(information.ssi_signo as i32) else { continue };
            // sigaction(2): SI_KERNEL is what a terminal sends for a key, to all in its foreground.
            if self.deaf.contains(signal) && information.ssi_code == nix::libc::SI_KERNEL {
                continue;
            }
            match signal {
                Signal::SIGWINCH => self.resize(),
                Signal::SIGTSTP => self.stop(),
                Signal::SIGCONT if self.attach.proxy_signals => self.pass_on(Signal::SIGCONT, true),
                Signal::SIGCONT => self.resume(),
                Signal::SIGHUP if self.attach.shell || self.raw.is_some() => self.hang_up(),
                other if !self.attach.proxy_signals => self.left = Some(Left::Interrupted(other as i32)),
                // What the terminal sends for a key goes to all that it would reach in a local shell.
                Signal::SIGINT | Signal::SIGQUIT => self.pass_on(signal, self.attach.shell),
                other => self.pass_on(other, false),
            }
        }
    }

    fn pass_on(&mut self, signal: Signal, group: bool) {
        self.send(Request::Signal { number: signal as i32, group }.encode());
    }

    /// The terminal is gone or going: what was started in it ends, but for a container, which goes on.
    fn hang_up(&mut self) {
        self.input = false;
        if !self.attach.shell {
            self.left = Some(Left::Interrupted(Signal::SIGHUP as i32));
            return;
        }
        self.pass_on(Signal::SIGHUP, true);
        // Closing the socket ends everything.
        let _ = nix::sys::socket::shutdown(
            std::os::fd::AsRawFd::as_raw_fd(&self.monitor),
            nix::sys::socket::Shutdown::Write,
        );
        self.hung_up = true;
    }

    fn resume(&mut self) {
        if let Some(raw) = &self.raw {
            let _ = raw.resume();
        }
        self.resize();
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
        self.resume();
    }

    fn resize(&mut self) {
        // A container without a terminal has no size; its monitor knows.
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
pub(super) fn write_all(stream: i32, mut bytes: &[u8]) {
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
