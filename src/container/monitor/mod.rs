//! The monitor: the one small process beside each container.
//!
//! It owns the lock, the streams, the exit code, pasta and the filesystem server, whose child the container's init is. It has
//! one thread. What it starts dies with it: the server and init by PR_SET_PDEATHSIG, pasta when the namespace is gone.
//! `enter __monitor SOCKET PLAN USERS LOCK…` names descriptors: USERS is the outer user namespace, the last are files whose locks last as long as the container.

mod link;
mod network;
mod outside;
mod relay;
mod server;
mod streams;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use plan::Plan;

use super::error::Told;
use super::protocol::{End, GO};
use super::{folder, sweep};
use link::Client;

/// The first argument that makes this program a monitor.
pub const ROLE: &str = "__monitor";

/// Plays the monitor from its first moment to its last.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let Ok((socket, plan, users, locks)) = descriptors(arguments) else { return ExitCode::FAILURE };
    let prepared = prepare(plan);
    let told_to_go = prepared.is_ok() && is_told_to_go(&socket);
    let mut client = Client::new(socket);
    match prepared {
        Ok(plan) => {
            if told_to_go {
                watch::container(&plan, users, &mut client, &locks);
            }
            clear(&plan);
            ExitCode::SUCCESS
        }
        Err(told) => {
            client.end(&End::Broken(told));
            ExitCode::FAILURE
        }
    }
}

/// Waits until the user namespace is mapped; false where it never will be.
fn is_told_to_go(client: &OwnedFd) -> bool {
    let mut message = [0; 16];
    sys::socket::receive(client, &mut message).is_ok_and(|(length, _)| &message[..length] == GO)
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
    if plan.container.throwaway && path.file_name().and_then(|name| name.to_str()).is_some_and(folder::is_id) {
        // Anything left is found by the next command, which has the means to say so.
        let _ = sweep::remove_folder(path);
    }
}
