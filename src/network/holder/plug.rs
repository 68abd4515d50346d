//! One container's side: the interfaces in its namespace, their addresses and routes.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use netlink::link::{self, Cable, Link};
use netlink::{Socket, neighbour, route};

use super::Error;
use crate::network::{Lease, Network};

/// How long an interface is waited for that has just been switched on: it takes less than a millisecond, if nobody else keeps the kernel
/// from it.
const READY: Duration = Duration::from_secs(2);

/// What a container has on one network.
#[derive(Debug)]
pub struct Plug<'a> {
    /// The lease.
    pub lease: &'a Lease,
    /// The network.
    pub network: &'a Network,
    /// The index of the network's bridge.
    pub bridge: u32,
    /// The bridge's link-layer address.
    pub bridge_mac: [u8; 6],
    /// The largest packet.
    pub mtu: u32,
}

impl Plug<'_> {
    /// What the end of the cable at the bridge is called: always the same for one container on one network.
    pub fn cable(&self) -> String {
        cable(&self.lease.container, &self.network.id)
    }

    fn error(&self, step: &str, errno: nix::errno::Errno) -> Error {
        let (interface, network) = (&self.lease.interface, &self.network.name);
        Error::refused(format!("cannot {step} the interface {interface} on the network {network}"), errno)
    }
}

/// What the end of a container's cable at a bridge is called, made of the container's and the network's id.
pub fn cable(container: &str, network: &str) -> String {
    // FNV-1a: nobody gains anything by two that are the same but his own containers' confusion.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in container.bytes().chain([b'/']).chain(network.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("c{:013x}", hash >> 12)
}

/// Lays the cables that a container lacks, and takes away those that it should not have. `holder` and `inside` are sockets of the two
/// namespaces, `namespace` is the container's.
pub fn lay(
    holder: &mut Socket,
    inside: &mut Socket,
    namespace: BorrowedFd<'_>,
    plugs: &[Plug<'_>],
) -> Result<(), Error> {
    let look = |errno| Error::refused("cannot look at the container's interfaces", errno);
    let mut there = link::all(inside).map_err(look)?;
    let outside = link::all(holder).map_err(look)?;
    let is_laid = |plug: &Plug<'_>, link: &Link| {
        let end = outside.iter().find(|end| end.name == plug.cable());
        link.name == plug.lease.interface
            && link.mac == plug.lease.mac.bytes()
            && end.is_some_and(|end| end.master == plug.bridge)
    };
    there.retain(|link| link.kind == "veth");
    for link in &there {
        if !plugs.iter().any(|plug| is_laid(plug, link)) {
            link::delete(inside, link.index)
                .map_err(|errno| Error::refused(format!("cannot remove the interface {}", link.name), errno))?;
        }
    }
    for plug in plugs.iter().filter(|plug| !there.iter().any(|link| is_laid(plug, link))) {
        // What is left of one that was there before: its other end is gone, or in a namespace that is about to go.
        if let Some(end) = outside.iter().find(|end| end.name == plug.cable()) {
            link::delete(holder, end.index).map_err(|errno| plug.error("renew", errno))?;
        }
        let cable = Cable {
            name: &plug.cable(),
            bridge: plug.bridge,
            namespace,
            inside: &plug.lease.interface,
            mac: plug.lease.mac.bytes(),
            mtu: plug.mtu,
        };
        link::add_cable(holder, &cable).map_err(|errno| plug.error("make", errno))?;
    }
    Ok(())
}

/// Names the containers to the bridges, as these are named to them.
pub fn introduce(holder: &mut Socket, plugs: &[Plug<'_>]) -> Result<(), Error> {
    for plug in plugs {
        for address in &plug.lease.addresses {
            neighbour::set_permanent(holder, plug.bridge, *address, plug.lease.mac.bytes())
                .map_err(|errno| plug.error("name as a neighbour", errno))?;
        }
    }
    Ok(())
}

/// Gives each interface its addresses, and returns their indexes. `routes`: also the way out of the container, over the first network of
/// each family that has one.
pub fn address(inside: &mut Socket, plugs: &[Plug<'_>], routes: bool) -> Result<Vec<u32>, Error> {
    let look = |errno| Error::refused("cannot look at the container's interfaces", errno);
    let links = link::all(inside).map_err(look)?;
    let known = route::addresses(inside).map_err(look)?;
    let mut way_out: [Option<(u32, IpAddr, IpAddr)>; 2] = [None, None];
    let mut indexes = Vec::new();
    for plug in plugs {
        let name = &plug.lease.interface;
        let Some(index) = links.iter().find(|link| link.name == *name).map(|link| link.index) else {
            return Err(Error::new(format!("the interface {name} has vanished")));
        };
        let refused = |step| move |errno| plug.error(step, errno);
        if !plug.lease.addresses.iter().any(IpAddr::is_ipv6) {
            // A kernel without IPv6 makes none in any case.
            let _ = link::no_generated_addresses(inside, index);
        }
        link::up(inside, index).map_err(refused("switch on"))?;
        for old in known.iter().filter(|old| old.interface == index && old.scope == route::SCOPE_UNIVERSE) {
            if !plug.lease.addresses.contains(&old.address) {
                route::delete_address(inside, index, old.address, old.prefix)
                    .map_err(refused("take an address from"))?;
            }
        }
        for address in &plug.lease.addresses {
            let Some(subnet) = plug.network.subnet_of(*address) else { continue };
            let prefix = subnet.subnet.prefix_len();
            route::add_address(inside, index, *address, prefix).map_err(refused("give an address to"))?;
            // The name server and the way out are to be found also where the kernel's table of neighbours is full, which all
            // containers share: fifty that speak with each other fill it.
            neighbour::set_permanent(inside, index, subnet.gateway, plug.bridge_mac)
                .map_err(refused("name a neighbour to"))?;
            let way = &mut way_out[usize::from(address.is_ipv6())];
            if !plug.network.internal && way.is_none() {
                *way = Some((index, subnet.gateway, *address));
            }
        }
        indexes.push(index);
    }
    for (way, ipv4) in way_out.into_iter().zip([true, false]).filter(|_| routes) {
        let refused = |errno| Error::refused("cannot set the container's default route", errno);
        for index in indexes.iter().filter(|index| way.is_none_or(|(taken, ..)| taken != **index)) {
            match route::delete_default_route(inside, *index, ipv4) {
                // A kernel without IPv6.
                Err(nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::EAFNOSUPPORT) if !ipv4 => {}
                done => done.map_err(refused)?,
            }
        }
        if let Some((index, gateway, source)) = way {
            route::add_default_route(inside, index, gateway, source).map_err(refused)?;
        }
    }
    Ok(indexes)
}

/// Waits until what the container sends arrives, and what it is answered: `indexes` are those of its interfaces. The very first packet is
/// often a question about a name, which is asked again only seconds later.
pub fn wait(holder: &mut Socket, inside: &mut Socket, plugs: &[Plug<'_>], indexes: &[u32]) {
    let Ok(outside) = link::all(holder) else { return };
    let end = |plug: &Plug<'_>| outside.iter().find(|end| end.name == plug.cable()).map(|end| end.index);
    let ends: Vec<u32> = plugs.iter().flat_map(|plug| end(plug).into_iter().chain([plug.bridge])).collect();
    let begun = Instant::now();
    // What cannot be told is not waited for.
    let is_ready = |socket: &mut Socket, index: &u32| link::carries(socket, *index).unwrap_or(true);
    while begun.elapsed() < READY {
        if ends.iter().all(|end| is_ready(holder, end)) && indexes.iter().all(|index| is_ready(inside, index)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::cable;

    #[test]
    fn a_cable_has_a_name_that_the_kernel_takes_and_that_depends_on_both_ends() {
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let names = [cable(&one, &one), cable(&one, &two), cable(&two, &one), cable(&two, &two)];
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() < 16, "{name}");
            assert!(!names[..at].contains(name));
        }
        assert_eq!(cable(&one, &two), names[1]);
    }
}
