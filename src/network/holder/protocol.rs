//! What is said between the holder and those who want something of it: JSON in whole messages, with descriptors beside.

use serde::{Deserialize, Serialize};

use super::Error;

/// Both sides speak this version, or nothing at all.
pub const VERSION: u32 = 2;

/// The largest message.
pub const LIMIT: usize = 16 * 1024;

/// To the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// First of all. Answered by [`Reply::Done`]; from then on the holder does not end while the caller is connected.
    Hello(u32),
    /// For the user namespace. Answered by [`Reply::Done`] with its descriptor.
    Users,
    /// To put a container on its networks. With it come its network namespace, its outer user namespace and, from one who was attached
    /// before, all that it was given then. Answered by [`Reply::Done`] with the holder's network namespace, the user namespace that owns
    /// it, and the sockets at which the container asks for names: what was asked while there is no holder waits in them for the next
    /// one. Detached when the connection ends.
    Attach {
        /// Its id.
        container: String,
        /// Nobody else was attached: nobody is to be waited for who might bring the namespaces.
        alone: bool,
    },
    /// The leases of a container are others now, or names on its networks. Answered by [`Reply::Done`] when all is as they say.
    Reload(String),
}

/// From the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// As was asked; perhaps with something that is to be known.
    Done(Option<Error>),
    /// Why not.
    Failed(Error),
}
