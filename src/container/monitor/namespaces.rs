//! The namespaces of a container: those that are made for it, and those of other containers, which it is to share.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use plan::{Namespace, Network, Plan, Processes};
use sys::namespace::Clone;
use sys::process::Fork;

use crate::container::collection::Container;
use crate::container::error::Told;

/// Opens each namespace that the plan shares with another container, as that one runs now.
pub fn open(plan: &Plan) -> Result<Vec<(OwnedFd, CloneFlags)>, Told> {
    let mut wanted = Vec::new();
    if let Network::Container(id) = &plan.network {
        wanted.push((id, "net", CloneFlags::CLONE_NEWNET));
    }
    if let Namespace::Container(id) = &plan.namespaces.ipc {
        wanted.push((id, "ipc", CloneFlags::CLONE_NEWIPC));
    }
    if let Namespace::Container(id) = &plan.namespaces.uts {
        wanted.push((id, "uts", CloneFlags::CLONE_NEWUTS));
    }
    if let Processes::Container(id) = &plan.namespaces.processes {
        wanted.push((id, "pid", CloneFlags::CLONE_NEWPID));
    }
    let folder = plan.container.folder.as_path();
    wanted.into_iter().map(|(id, kind, flag)| Ok((namespace(&folder.with_file_name(id), id, kind)?, flag))).collect()
}

fn namespace(folder: &Path, id: &str, kind: &str) -> Result<OwnedFd, Told> {
    let short = id.get(..12).unwrap_or(id);
    let stopped = || Told {
        message: format!("cannot share a namespace with the container {short}"),
        cause: Some(Box::new(Told::plain("it is not running"))),
        hint: Some(format!("start it first: enter start {short}")),
    };
    let container = Container::read(folder.to_owned()).map_err(|error| Told::by(&error, error.hint()))?;
    let state = container.filter(Container::is_alive).ok_or_else(stopped)?.state;
    // Its processes are those that its payload sees, which may be fewer than those that init sees.
    let process = if kind == "pid" { state.pid } else { state.init };
    if process == 0 {
        return Err(stopped());
    }
    File::open(format!("/proc/{process}/ns/{kind}")).map(OwnedFd::from).map_err(|_| stopped())
}

/// Forks init, into the pid namespace `processes` if there is one.
///
/// A process that has joined another pid namespace can have no more threads (setns(2)), and this one is to have some: so another
/// joins it, whose child is this one's (CLONE_PARENT).
pub fn clone_init(namespaces: CloneFlags, processes: Option<&OwnedFd>) -> Result<Clone, Errno> {
    let Some(processes) = processes else { return sys::namespace::clone(namespaces) };
    let (ours, theirs) = sys::socket::pair()?;
    match sys::process::fork()? {
        Fork::Child => {
            drop(ours);
            let cloned = nix::sched::setns(processes, CloneFlags::CLONE_NEWPID)
                .and_then(|()| sys::namespace::clone(namespaces | CloneFlags::CLONE_PARENT));
            match cloned {
                Ok(Clone::Child) => Ok(Clone::Child),
                Ok(Clone::Parent { child, pidfd }) => {
                    let _ = sys::socket::send(&theirs, &child.as_raw().to_le_bytes(), Some(pidfd.as_raw_fd()));
                    sys::process::exit_now(0)
                }
                Err(errno) => sys::process::exit_now(errno as i32),
            }
        }
        Fork::Parent(helper) => {
            drop(theirs);
            let mut child = [0; 4];
            let (_, pidfd) = sys::socket::receive(&ours, &mut child)?;
            let ended = waitpid(helper, None)?;
            match (pidfd, ended) {
                (Some(pidfd), _) => Ok(Clone::Parent { child: Pid::from_raw(i32::from_le_bytes(child)), pidfd }),
                (None, WaitStatus::Exited(_, errno)) => Err(Errno::from_raw(errno)),
                (None, _) => Err(Errno::ECHILD),
            }
        }
    }
}

/// Those that are made for this container.
pub fn own(plan: &Plan) -> CloneFlags {
    let shareable = [
        (CloneFlags::CLONE_NEWPID, matches!(plan.namespaces.processes, Processes::Init | Processes::Payload)),
        (CloneFlags::CLONE_NEWIPC, plan.namespaces.ipc == Namespace::Own),
        (CloneFlags::CLONE_NEWUTS, plan.namespaces.uts == Namespace::Own),
        // One that is to belong to the payload is made by init.
        (
            CloneFlags::CLONE_NEWNET,
            matches!(plan.network, Network::None | Network::Pasta(_) | Network::Own(_)) && !plan.users.owns_network,
        ),
    ];
    // One with a control group of its own has the namespace made when it is in it.
    let group = if plan.cgroup.is_some() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWCGROUP };
    let own = shareable.into_iter().filter(|(_, is_own)| *is_own).map(|(flag, _)| flag);
    own.fold(CloneFlags::CLONE_NEWNS | group, |all, flag| all | flag)
}
