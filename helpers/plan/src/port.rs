//! Ports of the container that are reachable from outside.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// One of them. Whoever starts the container has bound its socket, and hands it to the monitor in the plan's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The host's address.
    pub address: IpAddr,
    /// The host's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// What is passed on.
    pub protocol: Protocol,
}

/// What is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Port {
    /// Where it is reachable.
    #[must_use]
    pub fn outside(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.host)
    }
}
