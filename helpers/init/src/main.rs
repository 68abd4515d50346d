//! PID 1 of a container.
//!
//! Started by the filesystem server from a sealed memory file, as the first process of the container's pid,
//! mount, ipc, uts, cgroup and network namespaces, all of which the outer user namespace owns. It mounts and furnishes the
//! root, starts the payload in the inner user namespace, reaps what is orphaned, passes signals on, and ends when the payload
//! ends: the kernel then ends everything else in the container.
//!
//! As `sudo` or `su` it is another program, which processes in the container run: see [`sudo`].
//!
//! It has one thread, looks nothing up, and decides nothing: see the plan. `init CONTROL PLAN BIND… PASSED…` names
//! descriptors: the socket to the monitor, the plan's JSON, a detached mount for each bind of the plan, in its order, and what
//! the payload is to find from descriptor 3 on.

mod added;
mod command;
mod failure;
mod fill;
mod first;
mod furnish;
mod give;
mod idle;
mod inner;
mod monitor;
mod names;
mod payload;
mod place;
mod programs;
mod root;
mod serve;
mod show;
mod sudo;
mod terminal;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use passt::Outcome;
use plan::report::{Event, PAYLOAD, Report};
use plan::{Network, Plan, Processes};
use sys::program::Code;

use crate::failure::{Doing, Failure, Result};
use crate::first::Parts;
use crate::monitor::Monitor;

/// How long the payload waits for its network, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Left with where nobody can be told what failed.
const NOBODY_LISTENS: u8 = 125;

fn main() -> ExitCode {
    if let Some(code) = sudo::called() {
        return code;
    }
    let Ok((control, plan, rest)) = descriptors() else { return ExitCode::from(NOBODY_LISTENS) };
    let monitor = Monitor::new(control);
    match run(&monitor, plan, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            monitor.tell_of(PAYLOAD, Event::Failed(failure.into()), None);
            ExitCode::from(NOBODY_LISTENS)
        }
    }
}

fn run(monitor: &Monitor, plan: File, mut binds: Vec<OwnedFd>) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("follow the filesystem server", "init")?;
    // Instead of the memory file's name, which ps(1) would show.
    nix::sys::prctl::set_name(c"init").doing("take the name", "init")?;
    // Later there may be no /proc that shows this process.
    let code = Code::find().unwrap_or_default();
    let plan = read(plan)?;
    let passed = binds.split_off(plan.binds().min(binds.len()));
    if matches!(plan.namespaces.processes, Processes::Host | Processes::Container(_)) {
        // What is orphaned comes to this process all the same, and is ended by it.
        nix::sys::prctl::set_child_subreaper(true).doing("adopt", "orphans")?;
    }
    let users = inner::make(&plan)?;
    names::set(&plan)?;
    let interface = connect(&plan.network)?;
    monitor.tell(&Report::Interface);
    let payload = first::start(&plan, monitor, Parts { binds, passed, interface, users })?;
    monitor.tell_of(PAYLOAD, Event::Started, Some(&payload.pidfd));
    serve::until_the_end(&plan, monitor, payload, &code)
}

/// The descriptors that the command line names: the socket, the plan, and what follows them.
fn descriptors() -> std::result::Result<(OwnedFd, File, Vec<OwnedFd>), Errno> {
    let mut descriptors =
        std::env::args().skip(1).map(|text| sys::descriptor::adopt(text.parse().map_err(|_| Errno::EINVAL)?));
    let mut next = || descriptors.next().unwrap_or(Err(Errno::EINVAL));
    let (control, plan) = (next()?, next()?);
    let rest = descriptors.collect::<std::result::Result<_, _>>()?;
    // Neither these nor whatever else the caller left open is the payload's.
    sys::descriptor::close_on_exec_from(3)?;
    Ok((control, plan.into(), rest))
}

fn read(mut file: File) -> Result<Plan> {
    let mut text = Vec::new();
    file.read_to_end(&mut text).doing("read", "the plan")?;
    Plan::from_json(&text).map_err(|error| Failure::setup("understand the plan", &error.to_string(), Errno::EINVAL))
}

/// Makes what the network namespace is to have. `None` where there is nothing to wait for.
fn connect(network: &Network) -> Result<Option<Outcome>> {
    let done = match network {
        Network::Host => Ok(None),
        // Interfaces of the user's own networks come from outside.
        Network::None | Network::Own(_) => passt::loopback_only().map(|()| None),
        // The namespace is another container's, and furnished.
        Network::Container(_) => Ok(None),
        Network::Pasta(interface) => interface.configure().map(Some),
    };
    done.map_err(|error| network_failure(&error))
}

fn network_failure(error: &passt::Error) -> Failure {
    let mut errno = Errno::EIO;
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = source {
        let raw = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        errno = raw.map(Errno::from_raw).or_else(|| cause.downcast_ref::<Errno>().copied()).unwrap_or(errno);
        source = cause.source();
    }
    Failure::setup("set up the container's network:", &error.to_string(), errno)
}
