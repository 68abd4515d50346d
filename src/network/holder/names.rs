//! The name server of all networks, as the holder has it: where it is asked, and what it knows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{SockaddrStorage, connect, getsockname};

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
    /// The bridges' own addresses with their networks, and the sockets for datagrams there.
    places: BTreeMap<(String, IpAddr), OwnedFd>,
}

impl Names {
    /// One that knows nobody, and is asked nowhere.
    pub fn new() -> Result<Self, Error> {
        let server =
            Server::new(RESOLV_CONF).map_err(|error| Error::by("cannot answer questions about names", &error))?;
        Ok(Self { server, places: BTreeMap::new() })
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
        let present: BTreeSet<(String, IpAddr)> = self.places.keys().cloned().collect();
        let changed: BTreeSet<String> = wanted.symmetric_difference(&present).map(|(name, _)| name.clone()).collect();
        for network in &changed {
            self.server.forget(network);
            let of_it = |(name, _): &(String, IpAddr)| name == network;
            self.places.iter().filter(|(place, _)| of_it(place)).for_each(|(_, socket)| deafen(socket));
            self.places.retain(|place, _| !of_it(place));
        }
        for (network, address) in wanted.into_iter().filter(|(name, _)| changed.contains(name)) {
            let [datagrams, listener] = hands.listen(address)?;
            let refused = |error| Error::by(format!("cannot answer questions about names on {network}"), &error);
            let again = datagrams.try_clone().map_err(refused)?;
            self.server.listen(&network, datagrams, listener).map_err(refused)?;
            self.places.insert((network, address), again);
        }
        Ok(())
    }

    /// The sockets for datagrams of some networks, for those who outlive this process.
    pub fn sockets<'a>(&'a self, is_wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = BorrowedFd<'a>> {
        self.places.iter().filter(move |((network, _), _)| is_wanted(network)).map(|(_, socket)| socket.as_fd())
    }

    /// Answers what arrived at such sockets of a holder that is gone, after whose end nobody answered.
    pub fn inherit(&mut self, sockets: Vec<OwnedFd>) {
        let node = |fd: BorrowedFd<'_>| nix::sys::stat::fstat(fd).map(|status| status.st_ino).ok();
        let is_own = |socket: &OwnedFd| self.places.values().any(|own| node(own.as_fd()) == node(socket.as_fd()));
        let foreign: Vec<OwnedFd> = sockets.into_iter().filter(|socket| !is_own(socket)).collect();
        for socket in foreign.into_iter().map(UdpSocket::from) {
            if socket.set_nonblocking(true).is_ok() {
                deafen(&socket);
                self.server.answer_for(&socket);
            }
        }
    }
}

/// Has a socket hear nobody any more, in whosever hands it still is: it listens to one peer alone, which there is not. What it has heard
/// by now is still to be read.
fn deafen(socket: &impl AsRawFd) {
    const DISCARD: u16 = 9;
    let Ok(own) = getsockname::<SockaddrStorage>(socket.as_raw_fd()) else { return };
    let nobody: IpAddr =
        if own.as_sockaddr_in6().is_some() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let _ = connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(nobody, DISCARD)));
}
