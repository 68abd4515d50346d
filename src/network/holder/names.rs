//! The name server of all networks, as the holder has it: where it is asked, and what it knows.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use super::Error;
use super::hands::Hands;
use crate::network::dns::{Server, Zones};
use crate::network::{Lease, Network};

/// What names whom this machine asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The name server, and where it listens.
#[derive(Debug)]
pub struct Names {
    server: Server,
    /// The bridges' own addresses, with their networks.
    places: BTreeSet<(String, IpAddr)>,
}

impl Names {
    /// One that knows nobody, and is asked nowhere.
    pub fn new() -> Result<Self, Error> {
        let server =
            Server::new(RESOLV_CONF).map_err(|error| Error::by("cannot answer questions about names", &error))?;
        Ok(Self { server, places: BTreeSet::new() })
    }

    /// What to wait on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.server.as_fd()
    }

    /// Answers what there is to be answered, and waits for nothing.
    pub fn answer(&mut self) {
        // Without its descriptors it can only fail again; who is attached still reaches everybody by address.
        let _ = self.server.turn();
    }

    /// From now on it is asked on these networks, whose bridges are there, and knows the containers of these leases.
    pub fn agree(&mut self, hands: &Hands, networks: &[Network], leases: &[&Lease]) -> Result<(), Error> {
        self.server.set_zones(Zones::of_leases(networks, leases.iter().copied()));
        let named = networks.iter().filter(|network| network.dns);
        let wanted: BTreeSet<(String, IpAddr)> = named
            .flat_map(|network| network.subnets.iter().map(|subnet| (network.name.clone(), subnet.gateway)))
            .collect();
        if wanted == self.places {
            return Ok(());
        }
        let changed: BTreeSet<String> =
            wanted.symmetric_difference(&self.places).map(|(name, _)| name.clone()).collect();
        for network in &changed {
            self.server.forget(network);
            self.places.retain(|(name, _)| name != network);
        }
        for (network, address) in wanted.into_iter().filter(|(name, _)| changed.contains(name)) {
            let [datagrams, listener] = hands.listen(address)?;
            let refused = |error| Error::by(format!("cannot answer questions about names on {network}"), &error);
            self.server.listen(&network, datagrams, listener).map_err(refused)?;
            self.places.insert((network, address));
        }
        Ok(())
    }
}
