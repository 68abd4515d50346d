//! Ports of a container that are reachable from outside: how they are written ([`parse()`]), and the sockets by which they are ([`open`]).
//!
//! A socket is bound and listens before its container begins: a port that is taken is told at once, no two containers can be given
//! the same one, and a client that comes early waits.

mod error;
mod parse;
mod socket;

pub use error::Error;
pub use parse::{Asked, parse};
pub use plan::Protocol;
pub use socket::{open, open_one};

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A port that is reachable from outside, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The host's address.
    pub address: IpAddr,
    /// The host's port; 0 before one was chosen.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// What is passed on.
    pub protocol: Protocol,
    /// The host's port is chosen at a start, from the first to the last of these: by the system where they are 0. The one that it had
    /// before is kept while it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_from: Option<(u16, u16)>,
}

impl Port {
    /// As a plan has it.
    pub fn planned(&self) -> plan::Port {
        let Self { address, host, container, protocol, .. } = *self;
        plan::Port { address, host, container, protocol }
    }

    /// Whether both cannot be there at the same time: they would need the same socket.
    fn collides(&self, other: &Self) -> bool {
        let same_address = self.address == other.address
            || (self.address.is_ipv4() == other.address.is_ipv4()
                && (self.address.is_unspecified() || other.address.is_unspecified()));
        let is_chosen = self.chosen_from.is_some() || other.chosen_from.is_some();
        same_address && !is_chosen && self.host == other.host && self.protocol == other.protocol
    }
}

/// What is published altogether, each once.
///
/// # Errors
/// Where two things are wanted of the same port of the host's.
pub fn together(wanted: Vec<Port>) -> Result<Vec<Port>, Error> {
    let mut all: Vec<Port> = Vec::new();
    for port in wanted {
        if port.chosen_from.is_none() && all.contains(&port) {
            continue;
        }
        if all.iter().any(|other| other.collides(&port)) {
            let Port { address, host, protocol, .. } = port;
            return Err(Error::Twice { address: (address, host).into(), protocol });
        }
        all.push(port);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
