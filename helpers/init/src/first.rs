//! Starts the payload: a child that makes the root what it is to be, enters the inner user namespace, and becomes the command.
//!
//! The child does the furnishing, and not init, as it may be the first process of a pid namespace below init's: only from in there
//! can a /proc be mounted that shows the processes of that namespace.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use passt::Outcome;
use plan::report::{self, PAYLOAD};
use plan::{Namespace, Network, Plan, Power, Processes};
use sys::namespace::Clone;

use crate::failure::{Doing, Failure, Result};
use crate::monitor::Monitor;
use crate::payload::{self, Gifts};
use crate::{PATIENCE, furnish, network_failure, root, terminal};

/// What the child needs of what init was given.
pub struct Parts {
    /// A detached mount for each bind of the plan.
    pub binds: Vec<OwnedFd>,
    /// Descriptors to be passed on to the command.
    pub passed: Vec<OwnedFd>,
    /// The network, which may not be ready yet.
    pub interface: Option<Outcome>,
    /// The inner user namespace, where there is one already.
    pub users: Option<OwnedFd>,
}

/// The payload, and what it takes to start more processes beside it.
#[derive(Debug)]
pub struct First {
    /// As init counts processes.
    pub pid: Pid,
    /// Stands for it (pidfd_open(2)).
    pub pidfd: OwnedFd,
    /// The namespaces that the payload has entered, in the order in which they are entered.
    pub namespaces: Vec<(OwnedFd, CloneFlags)>,
    /// The container's own devpts.
    pub terminals: OwnedFd,
}

/// Starts the payload, and returns once it has become the command.
pub fn start(plan: &Plan, monitor: &Monitor, parts: Parts) -> Result<First> {
    if plan.namespaces.processes == Processes::Payload {
        // For the children: the first is process 1 there, and what `exec` adds joins it.
        nix::sched::unshare(CloneFlags::CLONE_NEWPID).doing("make", "a pid namespace")?;
    }
    let (ours, theirs) = sys::socket::pair().doing("make", "a socket")?;
    match sys::namespace::clone(CloneFlags::empty()).doing("start", "the container's first process")? {
        Clone::Child => {
            drop(ours);
            match prepare(plan, monitor, parts, &theirs) {
                Ok((terminal, passed)) => {
                    let gifts = Gifts { terminal: terminal.as_ref(), passed: &passed, monitor };
                    payload::become_command(&plan.process, &gifts, theirs)
                }
                Err(failure) => {
                    payload::tell(&theirs, failure);
                    sys::process::exit_now(125)
                }
            }
        }
        Clone::Parent { child, pidfd } => {
            let is_mapped = parts.users.is_some();
            drop((theirs, parts));
            let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
            let namespaces = map(plan, &ours, is_mapped)?;
            if matches!(plan.network, Network::Own(_)) {
                monitor.until_connected()?;
            }
            // Before anything of the image's runs that could put something else there.
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let terminals = open("/dev/pts", flags, Mode::empty()).doing("open", "/dev/pts")?;
            // From here on nobody in the container may look into init, nor into what it forks.
            nix::sys::prctl::set_dumpable(false).doing("shield", "init")?;
            sys::socket::send(&ours, b"mapped", None).doing("wake", "the command")?;
            for number in 0..3 {
                sys::descriptor::replace(null.as_fd(), number).doing("let go of", "the standard streams")?;
            }
            settled(&ours)?;
            Ok(First { pid: child, pidfd, namespaces, terminals })
        }
    }
}

/// Maps the user namespace of the child, unless it `is_mapped`, once it says, by its number in /proc, that it has entered its namespaces.
/// Returns those.
fn map(plan: &Plan, child: &OwnedFd, is_mapped: bool) -> Result<Vec<(OwnedFd, CloneFlags)>> {
    let mut buffer = [0; report::LIMIT];
    let (length, _) = sys::socket::receive(child, &mut buffer).doing("wait for", "the container's first process")?;
    let number = match serde_json::from_slice::<i32>(&buffer[..length]) {
        Ok(number) => Pid::from_raw(number),
        Err(_) => return Err(failure(&buffer[..length])),
    };
    let namespaces = entered(plan);
    if namespaces.contains(CloneFlags::CLONE_NEWUSER) && !is_mapped {
        uidmap::write_as_owner(number, &plan.users.inner)
            .map_err(|error| Failure::setup("map the container's users:", &error.to_string(), Errno::EPERM))?;
    }
    [("user", CloneFlags::CLONE_NEWUSER), ("mnt", CloneFlags::CLONE_NEWNS), ("uts", CloneFlags::CLONE_NEWUTS)]
        .into_iter()
        .filter(|(_, kind)| namespaces.contains(*kind))
        .map(|(name, kind)| {
            let path = format!("/proc/{number}/ns/{name}");
            let opened = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).doing("open", path);
            opened.map(|namespace| (namespace, kind))
        })
        .collect()
}

/// The namespaces that the payload makes and enters.
fn entered(plan: &Plan) -> CloneFlags {
    match plan.users.power {
        Power::Nothing => CloneFlags::CLONE_NEWUSER,
        Power::Mounts if plan.namespaces.uts == Namespace::Own => {
            CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS
        }
        Power::Mounts => CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS,
        Power::All => CloneFlags::empty(),
    }
}

/// Waits until the child has become the command (the socket closes) or says why it did not.
fn settled(child: &OwnedFd) -> Result<()> {
    let mut buffer = [0; report::LIMIT];
    match sys::socket::receive(child, &mut buffer).doing("wait for", "the command")? {
        (0, _) => Ok(()),
        (length, _) => Err(failure(&buffer[..length])),
    }
}

/// What a child says of its failure; one that was killed before it could say anything says nothing.
pub fn failure(message: &[u8]) -> Failure {
    match serde_json::from_slice(message) {
        Ok(report::Failure { stage, doing, subject, errno }) => {
            Failure { stage, doing, subject, errno: Errno::from_raw(errno) }
        }
        Err(_) => Failure::setup("start", "the command: it was killed on the way", Errno::ECHILD),
    }
}

/// In the child: furnishes the root, enters it, and makes the namespaces that are the payload's. Returns the payload's side of the terminal,
/// and what is to be passed on.
fn prepare(plan: &Plan, monitor: &Monitor, parts: Parts, parent: &OwnedFd) -> Result<(Option<OwnedFd>, Vec<OwnedFd>)> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("follow", "init")?;
    let root = root::mount(plan)?;
    furnish::walk(plan, &root, parts.binds)?;
    root::seal(plan, &root)?;
    root::enter(&root)?;
    drop(root);
    let terminal = match plan.process.terminal {
        Some(size) => {
            let devpts = open("/dev/pts", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/pts")?;
            let opened = terminal::open(&devpts, size, plan, plan.process.uid)?;
            monitor.hand_over(PAYLOAD, &opened.master)?;
            Some(opened.slave)
        }
        None => None,
    };
    if let Some(interface) = parts.interface {
        // At once, but on kernels before 5.16; what then has not come in time, the payload sees as a network that is late.
        interface.wait_until_usable(PATIENCE).map_err(|error| network_failure(&error))?;
    }
    let mut made = entered(plan);
    if let Some(users) = &parts.users {
        nix::sched::setns(users, CloneFlags::CLONE_NEWUSER).doing("enter", "the container's user namespace")?;
        made.remove(CloneFlags::CLONE_NEWUSER);
    }
    nix::sched::unshare(made).doing("make", "the container's user namespace")?;
    let number = nix::unistd::getpid().to_string();
    sys::socket::send(parent, number.as_bytes(), None).doing("ask for", "the user mapping")?;
    sys::socket::receive(parent, &mut [0; 16]).doing("wait for", "the user mapping")?;
    Ok((terminal, parts.passed))
}
