//! Namespaces of other containers, which this one is to share.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::CloneFlags;
use plan::{Namespace, Network, Plan, Processes};

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
