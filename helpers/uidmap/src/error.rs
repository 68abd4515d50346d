//! What can go wrong with ids, and what the user can do about it.

use std::io;
use std::path::PathBuf;

use distro::{Family, packages};
use serde::{Deserialize, Serialize};

use crate::{MapError, ParseError, Tool};

/// The user whose ids these are, as the password database knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The uid.
    pub uid: u32,
}

/// A failure to read, make or write id maps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// `/etc/subuid` or `/etc/subgid` has a line of this user's that makes no sense.
    #[error("cannot read the subordinate ids in {}", path.display())]
    SubIdFile {
        /// The file.
        path: PathBuf,
        /// The line and its fault.
        #[source]
        source: ParseError,
    },
    /// getsubids(1) printed something else than ranges.
    #[error("cannot read what getsubids prints for the source \"{source_name}\" of nsswitch.conf")]
    GetSubIds {
        /// The source that nsswitch.conf names.
        source_name: String,
        /// The line and its fault.
        #[source]
        source: ParseError,
    },
    /// The ranges make no valid map.
    #[error("cannot make an id map")]
    Map(#[from] MapError),
    /// A program is not installed.
    #[error("cannot find the program {tool}")]
    Missing {
        /// Which one.
        tool: Tool,
    },
    /// A program is installed, but could not be run.
    #[error("cannot run {}", tool.display())]
    Start {
        /// Its path.
        tool: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// newuidmap or newgidmap refused.
    #[error("{} refused the id map of process {pid}: {message}", path.display())]
    Refused {
        /// Its path.
        path: PathBuf,
        /// The process whose map it was.
        pid: i32,
        /// What it said on stderr, or how it ended.
        message: String,
        /// Why, where that can be told.
        cause: Cause,
    },
    /// The kernel refused a write to `/proc/PID/{uid_map,gid_map,setgroups}`.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Why newuidmap or newgidmap refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has neither the setuid bit nor a file capability.
    NotPrivileged,
    /// This process, or one above it, has set no_new_privs: no program gains privileges any more.
    NoNewPrivs,
    /// It is privileged; the ranges are not what its configuration grants, or the filesystem is mounted nosuid.
    Other,
}

impl Error {
    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Missing { tool } => Some(Family::here().install(match tool {
                Tool::GetSubIds => &packages::GETSUBIDS,
                Tool::NewUidMap | Tool::NewGidMap => &packages::NEWUIDMAP,
            })),
            Error::SubIdFile { path, .. } => Some(format!(
                "each line of {} is \"user:start:count\", see subuid(5)",
                path.display()
            )),
            Error::Refused { path, cause: Cause::NotPrivileged, .. } => {
                Some(format!("sudo chmod u+s {}", path.display()))
            }
            Error::Refused { cause: Cause::NoNewPrivs, .. } => Some(
                "this process may not gain privileges (no_new_privs is set), so no setuid program works here: start it \
                 from an ordinary login, or remove the subordinate ids to run with one id"
                    .into(),
            ),
            Error::Refused { cause: Cause::Other, .. } => {
                Some("see that /etc/subuid and /etc/subgid hold the ranges, and that /usr is not mounted nosuid".into())
            }
            Error::Write { source, .. } if source.raw_os_error() == Some(nix::libc::EPERM) => {
                Some("the kernel or a security module forbids user namespaces here; `enter doctor` tells which".into())
            }
            _ => None,
        }
    }
}

/// What a user without subordinate ids types to get some: a range that nobody has yet in either file.
pub fn add_subids_command(user: &str) -> String {
    let text = |path| std::fs::read(path).unwrap_or_default();
    let first = free_start(&[&text("/etc/subuid"), &text("/etc/subgid")]);
    let last = first + (RANGE - 1);
    format!("sudo usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}")
}

/// As many as useradd(8) gives each user.
const RANGE: u32 = 65_536;

/// The first id from 100000 on, where such ranges begin by custom, that lies behind every range in `texts`.
fn free_start(texts: &[&[u8]]) -> u32 {
    let end = |line: &[u8]| {
        let text = std::str::from_utf8(line).ok()?;
        let mut numbers = text.trim().split(':').skip(1).map(str::parse::<u32>);
        numbers.next()?.ok()?.checked_add(numbers.next()?.ok()?)
    };
    let ends = texts.iter().flat_map(|text| text.split(|byte| *byte == b'\n')).filter_map(end);
    let behind = ends.max().unwrap_or(0).max(100_000);
    // So far up there is no room behind; the user will have to look.
    if behind > u32::MAX - RANGE { 100_000 } else { behind }
}

#[cfg(test)]
mod tests {
    use super::free_start;

    #[test]
    fn the_range_that_is_proposed_is_nobody_elses() {
        assert_eq!(free_start(&[b"", b""]), 100_000);
        assert_eq!(free_start(&[b"a:100000:65536\n# b\nbad\n", b"b:165536:65536\nx:1:y\n"]), 231_072);
        assert_eq!(free_start(&[b"a:1000:5\n\xff:300000:9"]), 100_000);
        assert_eq!(free_start(&[b"a:4294900000:60000"]), 100_000);
    }
}
