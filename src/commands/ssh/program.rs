//! One program in the box, as a channel of ssh's is connected to it: `enter` once more, which goes in as from any terminal.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, read, write};
use ssh::Size;

/// The client that every box has.
const CLIENT: &str = "/run/enter/enter";

/// What is run.
#[derive(Debug)]
pub enum What {
    /// A shell to type into.
    Shell,
    /// A line for the user's shell.
    Line(Vec<u8>),
    /// The server of files.
    Files,
    /// A connection: to a host and a port, or to a socket.
    Connect(Vec<String>),
}

/// What is asked for beside it.
#[derive(Debug, Default)]
pub struct Asked {
    /// The kind of terminal, and its size.
    pub terminal: Option<(String, Size)>,
    /// Variables.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A program that was started.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pidfd: OwnedFd,
    input: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    ends: bool,
    /// Where it writes; those of its standard error are true.
    pub outputs: Vec<(OwnedFd, bool)>,
    master: Option<OwnedFd>,
    /// How it has ended.
    pub ended: Option<Result<u8, &'static str>>,
    /// It is a connection: what it says on its standard error is that the other end will say nothing more. Its own end could not tell: the
    /// `enter` around it has the same pipe.
    pub connects: bool,
    /// That has been said.
    pub shut: bool,
    /// The channel is only opened when the connection is made; what it says until then.
    pub opening: Option<Vec<u8>>,
}

/// Where a program is started.
#[derive(Debug)]
pub struct Place<'a> {
    /// The box.
    pub name: &'a str,
    /// Who is to run it; `None`: the caller.
    pub user: Option<&'a str>,
}

impl Program {
    /// Starts one.
    pub fn start(place: &Place<'_>, what: &What, asked: &Asked) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // Outside of any home, so that it begins in that of who runs it; and out of reach of a terminal's keys, which are ssh's.
        command.arg0("enter").current_dir("/").process_group(0).args(["shell"]);
        command.args(place.user.map(|user| format!("--user={user}")));
        for (name, value) in &asked.variables {
            let pair = [&name[..], b"=", &value[..]].concat();
            command.arg("-e").arg(OsStr::from_bytes(&pair));
        }
        command.arg(place.name);
        let words = words(what);
        if !words.is_empty() {
            command.arg("--").args(words);
        }
        let opening = matches!(what, What::Connect(_)).then(Vec::new);
        match &asked.terminal {
            Some((term, size)) => Self::on_terminal(command, term, *size),
            None => Self::on_pipes(command, opening),
        }
    }

    fn on_pipes(mut command: Command, opening: Option<Vec<u8>>) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let input = child.stdin.take().map(OwnedFd::from);
        let outputs =
            [child.stdout.take().map(|pipe| (pipe.into(), false)), child.stderr.take().map(|pipe| (pipe.into(), true))];
        let outputs: Vec<(OwnedFd, bool)> = outputs.into_iter().flatten().collect();
        input.iter().chain(outputs.iter().map(|(pipe, _)| pipe)).try_for_each(|pipe| nonblocking(pipe.as_fd()))?;
        Self::of(child, input, outputs, None, opening)
    }

    fn on_terminal(mut command: Command, term: &str, size: Size) -> io::Result<Self> {
        let pair = nix::pty::openpty(None, None)?;
        for side in [&pair.master, &pair.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        sys::terminal::set_size(&pair.master, sized(size))?;
        // What is typed is for the box's own terminal, from the first key on.
        let mut settings = tcgetattr(&pair.slave)?;
        let output = settings.output_flags;
        cfmakeraw(&mut settings);
        // The lines of `enter` itself end as usual.
        settings.output_flags = output;
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
        nonblocking(pair.master.as_fd())?;
        command.env("TERM", term).stdin(pair.slave.try_clone()?).stdout(pair.slave.try_clone()?).stderr(pair.slave);
        let child = command.spawn()?;
        // The command holds the other side, too.
        drop(command);
        let (input, output) = (pair.master.try_clone()?, pair.master.try_clone()?);
        Self::of(child, Some(input), vec![(output, false)], Some(pair.master), None)
    }

    fn of(
        child: Child,
        input: Option<OwnedFd>,
        outputs: Vec<(OwnedFd, bool)>,
        master: Option<OwnedFd>,
        opening: Option<Vec<u8>>,
    ) -> io::Result<Self> {
        let pidfd = sys::process::pidfd_open(Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX)))?;
        let (waiting, ends, ended) = (VecDeque::new(), false, None);
        let connects = opening.is_some();
        Ok(Self { child, pidfd, input, waiting, ends, outputs, master, ended, connects, shut: false, opening })
    }

    /// Becomes readable when it ends.
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.ended.is_none().then(|| self.pidfd.as_fd())
    }

    /// Where it can be written to, if there is something to write.
    pub fn wants(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// Takes what is for it.
    pub fn take(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    /// There is nothing more for it.
    pub fn take_end(&mut self) {
        self.ends = true;
    }

    /// Writes what it takes now; returns how much is done with, be it because nobody will ever read it.
    pub fn feed(&mut self) -> usize {
        let mut done = 0;
        while let (Some(input), false) = (&self.input, self.waiting.is_empty()) {
            match write(input, self.waiting.as_slices().0) {
                Ok(count) => {
                    self.waiting.drain(..count);
                    done += count;
                }
                Err(Errno::EAGAIN) => return done,
                Err(Errno::EINTR) => {}
                Err(_) => self.input = None,
            }
        }
        if self.input.is_none() {
            done += self.waiting.len();
            self.waiting.clear();
        }
        if self.ends
            && self.waiting.is_empty()
            && let Some(input) = self.input.take()
            && self.master.is_some()
        {
            // A terminal does not end; what is typed last in it does that.
            self.input = Some(input);
            self.ends = false;
            self.waiting.push_back(4);
        }
        done
    }

    /// Reads from one of its outputs, at most `room` bytes. `None`: nothing now. An output that has ended is taken off.
    pub fn read(&mut self, output: usize, room: usize) -> Option<(Vec<u8>, bool)> {
        let mut buffer = vec![0; room.min(1 << 16)];
        let (source, error) = self.outputs.get(output)?;
        match read(source, &mut buffer) {
            Ok(count) if count > 0 => {
                buffer.truncate(count);
                Some((buffer, *error))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            // A terminal whose other side is closed is EIO.
            _ => {
                self.outputs.remove(output);
                None
            }
        }
    }

    /// Finds out whether it has ended.
    pub fn look(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let Ok(Some(status)) = self.child.try_wait() else { return };
        self.ended = Some(match status.code() {
            Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            // `enter` itself was killed.
            None => Err(match status.signal().and_then(|number| Signal::try_from(number).ok()) {
                Some(signal) => signal.as_str().trim_start_matches("SIG"),
                None => "KILL",
            }),
        });
    }

    /// Gives its terminal another size.
    pub fn resize(&self, size: Size) {
        if let Some(master) = &self.master {
            let _ = sys::terminal::set_size(master, sized(size));
            self.send(Signal::SIGWINCH);
        }
    }

    /// Sends it a signal, which `enter` passes on to what it runs.
    pub fn send(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap_or(i32::MAX)), signal);
        }
    }
}

/// Whoever is at the other end has gone.
impl Drop for Program {
    fn drop(&mut self) {
        self.send(Signal::SIGHUP);
        self.look();
    }
}

/// The command to run in the box.
fn words(what: &What) -> Vec<OsString> {
    // Whatever the user's shell is, it reads the line; every box with a shell has this one.
    const READ: &str = "exec \"${SHELL:-/bin/sh}\" -c \"$0\"";
    match what {
        What::Shell => Vec::new(),
        What::Line(line) => ["/bin/sh", "-c", READ]
            .into_iter()
            .map(OsString::from)
            .chain([OsStr::from_bytes(line).to_owned()])
            .collect(),
        What::Files => vec![CLIENT.into(), "__sftp".into()],
        What::Connect(to) => {
            [CLIENT, "__connect"].into_iter().map(OsString::from).chain(to.iter().map(OsString::from)).collect()
        }
    }
}

fn sized(size: Size) -> sys::terminal::Size {
    sys::terminal::Size { rows: size.rows, columns: size.columns }
}

/// Reads and writes do not wait.
pub fn nonblocking(file: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
