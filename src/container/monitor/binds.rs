//! What of this machine is shown in a container: taken by the filesystem server, before anything is mounted that would be part of it, and handed to
//! init.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use plan::{Plan, Step};

use crate::container::error::Told;

/// A detached copy of each mount that the plan binds, in its order; `/dev/null` for what is only offered, and is gone.
pub fn clone(plan: &Plan) -> Result<Vec<OwnedFd>, Told> {
    let binds = plan.steps.iter().filter_map(|step| match step {
        Step::Bind { source, recursive, .. } => Some((source.as_path(), *recursive, false)),
        Step::Offer { source, recursive, .. } => Some((source.as_path(), *recursive, true)),
        _ => None,
    });
    let take = |(source, recursive, offered): (&Path, bool, bool)| {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        nix::fcntl::open(source, flags, Mode::empty())
            .and_then(|origin| sys::mount::clone_tree(origin.as_fd(), recursive))
            .or_else(|errno| match offered {
                true => nix::fcntl::open("/dev/null", flags, Mode::empty()),
                false => Err(errno),
            })
            .map_err(|errno| {
                let hint = "check that it is there, and that you may enter the folders above it".to_owned();
                Told::refused(format!("cannot bind {} into the container", source.display()), errno, Some(hint))
            })
    };
    binds.map(take).collect()
}
