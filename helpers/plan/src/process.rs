//! The command that a container runs, and what it is given.

use serde::{Deserialize, Serialize};

use crate::{Filter, Text};

/// The payload: what is run in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The program, looked for in the environment's PATH where it has no slash, and its arguments.
    pub arguments: Vec<Text>,
    /// Nothing is run: a process of this user waits until it is ended, and others are added to it and go. There are no arguments then.
    #[serde(default)]
    pub idle: bool,
    /// The whole environment.
    pub environment: Vec<(Text, Text)>,
    /// Directories to start in: the first that can be entered.
    pub directories: Vec<Text>,
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// Supplementary groups in the container's ids; `None` keeps those that the user has on the host.
    pub groups: Option<Vec<u32>>,
    /// Capabilities that programs run by root get, and that no program can exceed; bits as in `linux/capability.h`.
    pub capabilities: u64,
    /// No program gains privileges by being run: set-user-ID and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// The system call filter, if there is one.
    pub seccomp: Option<Filter>,
    /// Who it is told that it is, where its user namespace has a single id.
    #[serde(default)]
    pub pretend: Option<Pretend>,
    /// Permission bits that new files do not get.
    pub umask: u32,
    /// Limits of setrlimit(2), the host's where there is none.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Descriptors beyond the standard streams that it gets, from 3 on.
    #[serde(default)]
    pub passed: u32,
    /// A terminal of the container's own, of this size, for the streams that ask for it.
    pub terminal: Option<Rows>,
    /// Standard input, output and error.
    pub streams: [Stream; 3],
}

/// What a process and its children are told, who have one real user id and group id only, by what answers some of their system calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretend {
    /// Says which calls those are.
    pub filter: Filter,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; `None`: those that the kernel tells of.
    pub groups: Option<Vec<u32>>,
}

/// A limit of setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// As in setrlimit(2), in lower case and without `RLIMIT_`: `nofile`.
    pub resource: String,
    /// At first; `u64::MAX` for none.
    pub soft: u64,
    /// At most; `u64::MAX` for none.
    pub hard: u64,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Where a standard stream of the payload leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The container's terminal.
    Terminal,
    /// The very pipe, file or socket that the caller has.
    Direct,
    /// A pipe to the monitor: what the caller has is a terminal, which no container may hold.
    Relay,
}
