//! The monitor: the one small process beside each container.
//!
//! It owns the lock, the streams, the exit code, pasta and the filesystem server, whose child the container's init is. It has
//! one thread. What it starts dies with it: the server and init by PR_SET_PDEATHSIG, pasta when the namespace is gone.
//! `enter __monitor SOCKET PLAN USERS PASSED… PORT… LOCK…` names descriptors: USERS is the outer user namespace, PASSED are those that
//! the payload is to have, PORT the sockets of the plan's ports, the last are files whose locks last as long as the container.

mod answers;
mod aside;
mod binds;
mod changes;
mod clients;
mod confines;
mod ends;
mod follow;
mod guests;
mod health;
mod keeper;
mod ledger;
mod life;
mod link;
mod namespaces;
mod network;
mod outlet;
mod outside;
mod policy;
mod ports;
mod pretender;
mod relay;
mod server;
mod sessions;
mod streams;

pub use outlet::ROLE as OUTWARD_ROLE;
pub(super) use relay::{Sink, Source};

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use plan::Plan;

use super::error::Told;
use super::protocol::{Ask, Attachment, End, LIMIT, Reply, Request};
use super::{folder, sweep};
use clients::Clients;
use keeper::Keeper;
use ledger::Ledger;
use outlet::Outlet;
use ports::Ports;

/// The first argument that makes this program a monitor.
pub const ROLE: &str = "__monitor";

/// Plays the monitor from its first moment to its last.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let Ok((socket, plan, users, mut rest)) = descriptors(arguments) else { return ExitCode::FAILURE };
    let plan = match prepare(plan) {
        Ok(plan) => plan,
        Err(told) => return give_up(&socket, told),
    };
    let mut ports = rest.split_off(rest.len().min(plan.process.passed as usize));
    let locks = ports.split_off(ports.len().min(plan.ports.len()));
    let opened = match open(&plan, &socket) {
        Ok(opened) => opened,
        Err(told) => {
            clear(&plan);
            return give_up(&socket, told);
        }
    };
    // Where it is not told to go on, nobody is there any more who wants the container.
    let Some(first) = told_to_go(&socket) else {
        clear(&plan);
        return ExitCode::SUCCESS;
    };
    drop(socket);
    let clients = Keeper::new(&plan, users, rest, Ports::new(&plan.ports, ports), opened).keep(first);
    clear(&plan);
    // It has ended for everybody else, whatever is still to be read of it.
    drop(locks);
    clients.settle();
    ExitCode::SUCCESS
}

/// Says why there is no container.
fn give_up(client: &OwnedFd, told: Told) -> ExitCode {
    let _ = sys::socket::send(client, &Reply::End(End::Broken(told)).encode(), None);
    ExitCode::FAILURE
}

/// Opens the container's books and its doors.
fn open(plan: &Plan, socket: &OwnedFd) -> Result<(Ledger, Clients, Outlet), Told> {
    let ledger = Ledger::open(plan)?;
    let first = socket.try_clone().map_err(|error| Told::by(&error, None))?;
    let refused = |errno| Told::refused("cannot listen in the container's folder", errno, None);
    let mut clients = Clients::new(plan.container.folder.as_path(), first).map_err(refused)?;
    clients.first_may_stop = ledger.spec().shell;
    Ok((ledger, clients, Outlet::open(plan)?))
}

/// Waits until the user namespace is mapped; `None` where it never will be.
fn told_to_go(client: &OwnedFd) -> Option<Option<Attachment>> {
    // The socket does not block by now, for the sake of later.
    let mut word = [PollFd::new(std::os::fd::AsFd::as_fd(client), PollFlags::POLLIN)];
    while poll(&mut word, PollTimeout::NONE) == Err(Errno::EINTR) {}
    let mut message = vec![0; LIMIT];
    let (length, _) = sys::socket::receive(client, &mut message).ok()?;
    match Request::decode(&message[..length]) {
        Ok(Request::Ask(Ask::Go(attachment))) => Some(attachment),
        _ => None,
    }
}

fn descriptors(arguments: &[OsString]) -> Result<(OwnedFd, File, OwnedFd, Vec<OwnedFd>), Errno> {
    let mut descriptors = arguments.iter().map(|text| {
        let number = text.to_str().and_then(|text| text.parse().ok()).ok_or(Errno::EINVAL)?;
        sys::descriptor::adopt(number)
    });
    let mut next = || descriptors.next().unwrap_or(Err(Errno::EINVAL));
    let (socket, plan, users) = (next()?, next()?, next()?);
    let locks = descriptors.collect::<Result<_, _>>()?;
    // Neither these nor whatever else the caller's shell had open reaches anything that is started from here.
    sys::descriptor::close_on_exec_from(3)?;
    Ok((socket, plan.into(), users, locks))
}

/// Becomes independent of the caller's terminal, directory and signals, and reads the plan.
fn prepare(mut file: File) -> Result<Plan, Told> {
    let step = |message: &str, done: nix::Result<()>| done.map_err(|errno| Told::refused(message, errno, None));
    step("cannot start a session for the monitor", nix::unistd::setsid().map(drop))?;
    // Instead of `exe`, which ps(1) would show.
    step("cannot take a name", nix::sys::prctl::set_name(c"enter-monitor"))?;
    step("cannot leave the working directory", nix::unistd::chdir("/"))?;
    for signal in [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGINT] {
        step("cannot ignore signals", sys::process::ignore_signal(signal))?;
    }
    let mut text = Vec::new();
    let read = file.read_to_end(&mut text).and_then(|_| Plan::from_json(&text).map_err(Into::into));
    read.map_err(|error| Told::by(&error, None))
}

/// Removes a throwaway container's folder. What the user's own ids may not remove, the server has removed already.
fn clear(plan: &Plan) {
    let path = plan.container.folder.as_path();
    // What can be restored is removed only once it is off the list; else it is a box now, or for the next command to look at.
    let is_wanted = plan.container.restorable > 0 && path.join(folder::name::RECORD).exists();
    if plan.container.throwaway
        && !is_wanted
        && path.file_name().and_then(|name| name.to_str()).is_some_and(folder::is_id)
    {
        // Anything left is found by the next command, which has the means to say so.
        let _ = sweep::remove_folder(path);
    }
}

/// Whether there is something to be read, or the end of it.
fn readable(fd: BorrowedFd) -> Result<bool, Errno> {
    let mut source = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut source, PollTimeout::ZERO).map(|ready| ready > 0)
}

/// The payload has the standard streams now: a pipe must end when the payload, and not the monitor, lets go of it.
fn let_go_of_streams() -> Result<(), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let null = nix::fcntl::open("/dev/null", flags, nix::sys::stat::Mode::empty())?;
    for number in 0..3 {
        if null.as_raw_fd() != number {
            sys::descriptor::replace(std::os::fd::AsFd::as_fd(&null), number)?;
        }
    }
    Ok(())
}
