//! Which namespaces are a container's own.

use serde::{Deserialize, Serialize};

/// The namespaces that can be shared; mounts and control groups are always the container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Namespaces {
    /// Processes.
    pub processes: Processes,
    /// System V and POSIX queues, semaphores and shared memory.
    pub ipc: Namespace,
    /// The host name.
    pub uts: Namespace,
}

/// Whose namespace it is. To share another container's, this one must be in that one's outer user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// The container's own.
    #[default]
    Own,
    /// The host's.
    Host,
    /// That of the container with this id.
    Container(String),
}

/// The processes that the payload sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Processes {
    /// Those of the container; init is process 1, and the payload one of its children.
    #[default]
    Init,
    /// Those of the container but for init: the payload is process 1, in a namespace below init's.
    Payload,
    /// The host's.
    Host,
    /// Those of the container with this id.
    Container(String),
}
