//! Control groups of a user's own (cgroups(7), version 2): where they may be made, what they limit, and what was used in them.
//!
//! The tree of control groups belongs to systemd wherever that runs; a user's own part of it to the user's own manager, which makes a *scope* for
//! whoever asks, and leaves what is below to him (`Delegate=`, systemd.resource-control(5)). Where there is no such manager, a group that
//! the user may write serves as well, as inside of other containers.

mod group;
mod place;
mod usage;

pub use group::{Group, set};
pub use place::{Hierarchy, scope};
pub use usage::Usage;

use std::path::PathBuf;

/// Why there is no control group, or not as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Version 1, or both.
    #[error("this machine's control groups are of version 1, of which an ordinary user is given none")]
    NotUnified,
    /// Nobody who gives the user one.
    #[error("there is neither a systemd of the user's own nor a control group that the user may divide")]
    Nobody,
    /// systemd is not to be reached by its own tool.
    #[error("cannot find systemd-run, by which systemd is asked for a control group")]
    NoTool,
    /// What is asked for is not given to users.
    #[error("users are given no say in {} here", .controllers.join(", "))]
    NotDelegated {
        /// The controllers that lack.
        controllers: Vec<String>,
    },
    /// systemd has not done as it was asked.
    #[error("this process was not put into a scope of its own, but is in {}", .group.display())]
    NotMoved {
        /// Where it is.
        group: PathBuf,
    },
    /// A file of a control group.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// What was to be done to it.
        doing: String,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// What helps, as a command where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotUnified => "start the machine with systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or leave the limit away".into(),
            Self::Nobody => "log in by systemd (`loginctl enable-linger` starts your own manager without a login), or leave the limit away".into(),
            Self::NoTool => "install systemd's own tools, or leave the limit away".into(),
            Self::NotDelegated { controllers } => format!(
                "have root write `[Service]` and `Delegate=cpu cpuset io memory pids` to /etc/systemd/system/user@.service.d/delegate.conf, and log in \
                 again; or leave the limits of {} away",
                controllers.join(" and ")
            ),
            Self::NotMoved { .. } => "see what `systemctl --user status` says".into(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::InvalidInput => {
                "the kernel takes no such value here: choose another".into()
            }
            Self::File { .. } => return None,
        })
    }

    fn file(doing: impl Into<String>, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let (doing, path) = (doing.into(), path.into());
        move |source| Self::File { doing, path, source }
    }
}
