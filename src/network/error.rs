//! Why a network could not be made, found, joined or removed.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

/// What went wrong with a network, or with an address on one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No network is called so.
    #[error("no such network: {0}")]
    NoSuchNetwork(String),
    /// Several ids begin so.
    #[error("`{prefix}` is the beginning of several networks' ids: {}", names.join(", "))]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// Whose ids they are.
        names: Vec<String>,
    },
    /// Names are unique.
    #[error("the name `{0}` is already in use by another network")]
    NameInUse(String),
    /// A name that could not be told from something else.
    #[error("`{name}` cannot be a network's name: {reason}")]
    BadName {
        /// What was typed.
        name: String,
        /// Why it cannot.
        reason: &'static str,
    },
    /// Two networks cannot have the same addresses.
    #[error("the subnet {subnet} overlaps with {with}")]
    Overlap {
        /// What was asked for.
        subnet: IpNet,
        /// Whose addresses those are already.
        with: String,
    },
    /// A subnet, gateway or range that is none.
    #[error("{0}")]
    Unsuitable(String),
    /// No free subnet is left.
    #[error("there is no free subnet left for a new network")]
    NoSubnet,
    /// No free address is left.
    #[error("the network {network} has no free address left in {}", ranges.join(", "))]
    Full {
        /// The network.
        network: String,
        /// Where addresses are taken from.
        ranges: Vec<String>,
    },
    /// Somebody has that address already.
    #[error("the address {address} on the network {network} is in use by {user}")]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// Who has it.
        user: String,
    },
    /// An address that is not on the network.
    #[error("the address {address} cannot be had on the network {network}: {reason}")]
    BadAddress {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// Why not.
        reason: String,
    },
    /// Another container has that hardware address on this network.
    #[error("the hardware address {mac} on the network {network} is in use by {user}")]
    MacInUse {
        /// The address.
        mac: super::Mac,
        /// The network.
        network: String,
        /// Who has it.
        user: String,
    },
}

impl Error {
    /// A file operation that failed.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File { path, source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, for instance with `enter rmi`; nothing was lost".to_owned()
                }
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => format!(
                    "make {} writable, or set XDG_DATA_HOME to a directory that is",
                    path.parent().unwrap_or(path).display()
                ),
                // Nothing but a power cut or a hand on it damages such a file.
                io::ErrorKind::InvalidData => format!("remove the file: rm {}", path.display()),
                _ => return None,
            },
            Self::NoSuchNetwork(name) => {
                format!("see which there are with `enter network ls`, or make it: enter network create {name}")
            }
            Self::Ambiguous { .. } => "type more of the id".into(),
            Self::NameInUse(name) => {
                format!("choose another name, or remove that network with `enter network rm {name}`")
            }
            Self::BadName { .. } => {
                "a name begins with a letter or digit, and goes on with letters, digits, `_`, `.` and `-`".into()
            }
            Self::Overlap { .. } => {
                "choose another one with --subnet, or leave --subnet away: a free one is found".into()
            }
            Self::Unsuitable(_) => "see `enter network create --help`".into(),
            Self::NoSubnet => {
                "remove networks that are not used, with `enter network prune`, or name one with --subnet".into()
            }
            Self::Full { .. } => {
                "remove containers that are not needed, or make a network with a larger --subnet".into()
            }
            Self::AddressInUse { .. } | Self::BadAddress { .. } => {
                "choose another address, or leave it away: a free one is found".into()
            }
            Self::MacInUse { .. } => "choose another one, or leave it away".into(),
        };
        Some(hint)
    }
}
