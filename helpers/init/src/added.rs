//! Processes that `exec` adds to a container: forked by init, which stays outside of the payload's user namespace, so that no
//! process of the host's ever enters the container.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use plan::{Plan, Process};
use sys::namespace::Clone;

use crate::failure::{Doing, Failure, Result};
use crate::first::{First, failure};
use crate::monitor::Monitor;
use crate::payload::{self, Gifts};
use crate::terminal;

/// A process on its way to its command.
#[derive(Debug)]
pub struct Added {
    /// As init counts processes.
    pub pid: Pid,
    /// Stands for it (pidfd_open(2)).
    pub pidfd: OwnedFd,
    /// It has a terminal of its own.
    pub has_terminal: bool,
    /// Closes when it has become the command; says before why it has not. Does not block.
    pub socket: OwnedFd,
}

/// Forks a process that becomes what `descriptors` say: a description of it, three streams, what is passed on beyond those.
pub fn start(plan: &Plan, first: &First, monitor: &Monitor, id: u32, descriptors: Vec<OwnedFd>) -> Result<Added> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or(Errno::EBADF).doing("take", "the descriptors of a command");
    let (description, streams) = (next()?, [next()?, next()?, next()?]);
    let passed: Vec<OwnedFd> = descriptors.collect();
    let process = read(description)?;
    let terminal = match process.terminal {
        Some(size) => {
            let terminal = terminal::open(&first.terminals, size, plan, process.uid)?;
            monitor.hand_over(id, &terminal.master)?;
            Some(terminal.slave)
        }
        None => None,
    };
    let (ours, theirs) = sys::socket::pair().doing("make", "a socket")?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("prepare", "a socket")?;
    match sys::namespace::clone(CloneFlags::empty()).doing("start", "a process in the container")? {
        Clone::Child => {
            drop(ours);
            if let Err(failure) = join(first, &streams) {
                payload::tell(&theirs, failure);
                sys::process::exit_now(125)
            }
            drop(streams);
            payload::become_command(&process, &Gifts { terminal: terminal.as_ref(), passed: &passed, monitor }, theirs)
        }
        Clone::Parent { child, pidfd } => {
            Ok(Added { pid: child, pidfd, has_terminal: terminal.is_some(), socket: ours })
        }
    }
}

fn read(description: OwnedFd) -> Result<Process> {
    let mut text = Vec::new();
    File::from(description).read_to_end(&mut text).doing("read", "the description of a command")?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::setup("understand the description of a command:", &error.to_string(), Errno::EINVAL))
}

/// In the new process: takes its streams, and enters the payload's namespaces. It is not dumpable, as init is not, so that
/// nobody in there can look into it before it has become the command.
fn join(first: &First, streams: &[OwnedFd; 3]) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("follow", "init")?;
    for (number, stream) in (0..).zip(streams) {
        sys::descriptor::replace(stream.as_fd(), number).doing("connect", "the standard streams")?;
    }
    first
        .namespaces
        .iter()
        .try_for_each(|(namespace, kind)| setns(namespace, *kind))
        .doing("join", "the container's namespaces")
}

impl Added {
    /// What has become of it since: `None` while it is on its way; `Some(Ok)` once it is its command.
    pub fn settled(&self) -> Option<std::result::Result<(), Failure>> {
        let mut buffer = [0; plan::report::LIMIT];
        match sys::socket::receive(&self.socket, &mut buffer) {
            Err(Errno::EAGAIN) => None,
            Ok((0, _)) => Some(Ok(())),
            Ok((length, _)) => Some(Err(failure(&buffer[..length]))),
            Err(errno) => Some(Err(Failure::setup("wait for", "a command", errno))),
        }
    }
}
