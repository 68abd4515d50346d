//! Why a port could not be published.

use std::io;
use std::net::SocketAddr;

use plan::Protocol;

/// What went wrong with a port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody listens there.
    #[error("cannot publish {address}/{protocol}: the port is taken")]
    Taken {
        /// The host's.
        address: SocketAddr,
        /// Of which kind.
        protocol: Protocol,
    },
    /// None of those that were named is free.
    #[error("cannot publish a port from {first} to {last} of {address}/{protocol}: all of them are taken")]
    AllTaken {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
        /// The host's.
        address: std::net::IpAddr,
        /// Of which kind.
        protocol: Protocol,
    },
    /// Low ports are root's.
    #[error("cannot publish {address}/{protocol}: an ordinary user has the ports from {first} on")]
    Low {
        /// The host's.
        address: SocketAddr,
        /// Of which kind.
        protocol: Protocol,
        /// `net.ipv4.ip_unprivileged_port_start`.
        first: u16,
    },
    /// An address of somebody else's.
    #[error("cannot publish {address}/{protocol}: {} is no address of this machine", address.ip())]
    Foreign {
        /// The host's, it was said.
        address: SocketAddr,
        /// Of which kind.
        protocol: Protocol,
    },
    /// Two flags want the same socket.
    #[error("cannot publish {address}/{protocol} twice")]
    Twice {
        /// The host's.
        address: SocketAddr,
        /// Of which kind.
        protocol: Protocol,
    },
    /// Anything else that the kernel says.
    #[error("cannot publish {address}/{protocol}")]
    Refused {
        /// The host's.
        address: SocketAddr,
        /// Of which kind.
        protocol: Protocol,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { address, protocol } => Some(format!(
                "choose another one, or let the system choose: -p CONTAINER_PORT; `ss -{}lnp sport = :{}` shows who has it",
                if *protocol == Protocol::Tcp { "t" } else { "u" },
                address.port(),
            )),
            Self::AllTaken { .. } => Some("let the system choose from all ports: -p CONTAINER_PORT".into()),
            Self::Low { address, first, .. } => Some(format!(
                "choose a port from {first} on, or allow it: sudo sysctl net.ipv4.ip_unprivileged_port_start={}",
                address.port(),
            )),
            Self::Foreign { .. } => {
                Some("`ip address` shows those of this machine; 0.0.0.0 and [::] are all of them".into())
            }
            Self::Twice { .. } => Some("give each --publish a port or an address of its own".into()),
            Self::Refused { source, .. } if source.raw_os_error() == Some(nix::libc::EMFILE) => {
                Some("each port takes an open file: raise the limit with `ulimit -n`, or publish fewer".into())
            }
            Self::Refused { .. } => None,
        }
    }
}
