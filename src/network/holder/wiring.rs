//! The bridges of the networks that are in use, the firewall between them, and what is plugged into them.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use netlink::guard::{self, Bridge as Guarded, Port};
use netlink::nft::{self, Fate};
use netlink::{Socket, link, route};
use nix::errno::Errno;

use super::firewall::{self, Ground, Ways};
use super::hands::Hands;
use super::neighbours::Acquaintances;
use super::plug::{self, Plug};
use super::way::UPLINK;
use super::{Error, host_way, relay};
use crate::network::{Lease, Network, Networks};

/// What leads away from all networks.
const WAYS: Ways<'static> = Ways { uplink: UPLINK, host: host_way::NAME };

/// The table of ours.
const TABLE: &str = "enter";

/// What a packet may cost where a network does not say: as much as on the way out.
const MTU: u32 = 65520;

/// Where a container is plugged in.
#[derive(Clone, Copy, Debug)]
pub struct Socketed<'a> {
    /// Its network namespace.
    pub network: BorrowedFd<'a>,
    /// The user namespace that owns that.
    pub users: BorrowedFd<'a>,
}

/// How a container is plugged in.
#[derive(Debug)]
pub enum PluggedIn {
    /// By cables; what it knows of the others.
    ByCables(Acquaintances),
    /// By these relays, which are to be kept as long as they are wanted.
    ByRelays(Vec<relay::Wanted>),
}

/// The holder's own side of all networks.
#[derive(Debug)]
pub struct Wiring {
    route: Socket,
    firewall: Option<Socket>,
    /// What the firewall was last made of.
    grounds: Option<Vec<Ground>>,
    /// What the guards at the bridges' ports were last made of.
    guarded: Option<Vec<Guarded>>,
    /// Why there can be no firewall. Then nothing is passed on: containers of one network reach each other over its bridge, and nobody else.
    shut: Option<Errno>,
}

impl Wiring {
    /// That of a holder's namespace, which may be new or not.
    pub fn new(hands: &Hands) -> Result<Self, Error> {
        let mut route = hands.route(None)?;
        link::up(&mut route, 1).map_err(|errno| Error::refused("cannot switch the loopback interface on", errno))?;
        Ok(Self { route, firewall: hands.netfilter().ok(), grounds: None, guarded: None, shut: None })
    }

    /// Makes the bridges of these networks, and removes those of all others. `leases`: of those who are on them.
    pub fn set_networks(&mut self, hands: &Hands, networks: &[Network], leases: &[&Lease]) -> Result<(), Error> {
        let ground = |network: &Network| Ground {
            bridge: bridge(network),
            gateways: network.subnets.iter().map(|subnet| subnet.gateway).collect(),
            subnets: network.subnets.iter().map(|subnet| (subnet.subnet.addr(), subnet.subnet.prefix_len())).collect(),
            internal: network.internal,
            visitors: (leases.iter())
                .filter(|lease| lease.reaches_host && lease.network == network.name)
                .flat_map(|lease| lease.addresses.iter().copied())
                .collect(),
        };
        // Before anything is passed on.
        self.wall(hands, networks.iter().map(ground).collect())?;
        self.guard(networks, leases)?;
        let look = |errno| Error::refused("cannot look at the bridges of your networks", errno);
        let links = link::all(&mut self.route).map_err(look)?;
        let wanted: BTreeSet<String> = networks.iter().map(bridge).collect();
        for old in links.iter().filter(|link| link.kind == "bridge" && !wanted.contains(&link.name)) {
            let _ = link::delete(&mut self.route, old.index);
        }
        for network in networks {
            self.raise(network, &links).map_err(|(step, errno)| {
                Error::refused(format!("cannot {step} the bridge of the network {}", network.name), errno)
            })?;
        }
        Ok(())
    }

    fn raise(&mut self, network: &Network, links: &[link::Link]) -> Result<(), (&'static str, Errno)> {
        let name = bridge(network);
        let step = |step| move |errno| (step, errno);
        let index = match links.iter().find(|link| link.name == name) {
            Some(link) => link.index,
            None => {
                link::add_bridge(&mut self.route, &name, mac(network), mtu(network)).map_err(step("make"))?;
                self.index(&name).map_err(step("find"))?
            }
        };
        if !network.subnets.iter().any(|subnet| subnet.gateway.is_ipv6()) {
            let _ = link::no_generated_addresses(&mut self.route, index);
        }
        link::up(&mut self.route, index).map_err(step("switch on"))?;
        if self.shut.is_none() {
            link::forward(&mut self.route, index).map_err(step("forward by"))?;
        }
        for subnet in &network.subnets {
            route::add_address(&mut self.route, index, subnet.gateway, subnet.subnet.prefix_len())
                .map_err(step("give an address to"))?;
        }
        Ok(())
    }

    /// The socket for links of the holder's namespace.
    pub fn socket(&mut self) -> &mut Socket {
        &mut self.route
    }

    /// Lets pass what comes back by a way that leads away from all networks.
    pub fn let_back(&mut self, way: &str) -> Result<(), Error> {
        let refused =
            |errno| Error::refused(format!("cannot forward by {way}, which leads away from your networks"), errno);
        let index = self.index(way).map_err(refused)?;
        link::forward(&mut self.route, index).map_err(refused)
    }

    /// Takes such a way away, where it is there.
    pub fn remove(&mut self, way: &str) {
        if let Ok(index) = self.index(way) {
            let _ = link::delete(&mut self.route, index);
        }
    }

    fn index(&mut self, name: &str) -> Result<u32, Errno> {
        let links = link::all(&mut self.route)?;
        links.iter().find(|link| link.name == name).map(|link| link.index).ok_or(Errno::ENODEV)
    }

    /// Why there is no way that leads away from all networks, where there can be none.
    pub fn shut(&self) -> Option<Error> {
        self.shut.map(|errno| {
            Error::refused("your networks have no way out: the kernel has no firewall to put between them", errno)
                .with_hint(
                    "containers of one network reach each other all the same; for more the kernel must have nf_tables with masquerading: \
                     sudo modprobe -a nf_tables nft_masq nft_ct"
                        .to_owned(),
                )
        })
    }

    fn wall(&mut self, hands: &Hands, grounds: Vec<Ground>) -> Result<(), Error> {
        if self.grounds.as_ref() == Some(&grounds) || self.shut.is_some() {
            return Ok(());
        }
        let done = self.firewall.as_mut().ok_or(Errno::EPROTONOSUPPORT).and_then(|socket| {
            let mut replace = |fate| nft::replace(socket, TABLE, &firewall::chains(&grounds, WAYS, fate));
            // A kernel may lack what tells a sender that it may not.
            replace(Fate::Reject).or_else(|_| replace(Fate::Drop))
        });
        let is_new = self.grounds.is_none();
        match done {
            Ok(()) => self.grounds = Some(grounds),
            Err(lacking @ (Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::ENOENT))
                if is_new =>
            {
                self.shut = Some(lacking);
                return Ok(());
            }
            Err(errno) => return Err(Error::refused("cannot set up the firewall between your networks", errno)),
        }
        if is_new {
            // Where the kernel has no IPv6 there is nothing to be set.
            let _ = hands.set("net/ipv6/conf/all/forwarding", "1");
            // Nobody speaks for an address of another network.
            hands.set("net/ipv4/conf/all/rp_filter", "1")?;
        }
        Ok(())
    }

    /// Sees to it that nobody at a bridge is taken for another. Before anybody is plugged in there.
    fn guard(&mut self, networks: &[Network], leases: &[&Lease]) -> Result<(), Error> {
        let port = |network: &Network, lease: &Lease| Port {
            name: plug::cable(&lease.container, &network.id),
            mac: lease.mac.bytes(),
            addresses: lease.addresses.clone(),
        };
        let guarded = |network: &Network| Guarded {
            ports: (leases.iter().filter(|lease| lease.network == network.name))
                .map(|lease| port(network, lease))
                .collect(),
            addresses: network.subnets.iter().map(|subnet| subnet.gateway).collect(),
        };
        let wanted: Vec<Guarded> = networks.iter().map(guarded).collect();
        let Some(socket) =
            self.firewall.as_mut().filter(|_| self.shut.is_none() && self.guarded.as_ref() != Some(&wanted))
        else {
            return Ok(());
        };
        match guard::replace(socket, TABLE, &wanted) {
            Ok(()) => self.guarded = Some(wanted),
            // A kernel without a firewall of bridges: then the firewall between the networks is all there is.
            Err(Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::ENOENT)
                if self.guarded.is_none() => {}
            Err(errno) => {
                return Err(Error::refused(
                    "cannot set up the firewall between the containers of your networks",
                    errno,
                ));
            }
        }
        Ok(())
    }

    /// Plugs a container into the networks that its leases name, all of which have bridges, and pulls it out of others. `users` owns the
    /// holder's namespace.
    pub fn plug_in(
        &mut self,
        hands: &Hands,
        users: BorrowedFd<'_>,
        socketed: Socketed<'_>,
        leases: &[Lease],
        networks: &Networks,
    ) -> Result<PluggedIn, Error> {
        let mut plugs = Vec::new();
        let read: Vec<Network> = leases
            .iter()
            .map(|lease| networks.get(&lease.network).map_err(|error| Error::of(&error).with_hint(error.hint())))
            .collect::<Result<_, _>>()?;
        for (lease, network) in leases.iter().zip(&read) {
            let bridge = self.index(&bridge(network)).map_err(|errno| {
                Error::refused(format!("cannot find the bridge of the network {}", network.name), errno)
            })?;
            plugs.push(Plug { lease, network, bridge, bridge_mac: mac(network), mtu: mtu(network) });
        }
        plug::introduce(&mut self.route, &plugs)?;
        if is_same(users, socketed.users)? {
            let mut inside = hands.route(Some(socketed.network))?;
            plug::lay(&mut self.route, &mut inside, socketed.network, &plugs)?;
            let indexes = plug::address(&mut inside, &plugs, true)?;
            plug::wait(&mut self.route, &mut inside, &plugs, &indexes);
            return Ok(PluggedIn::ByCables(Acquaintances::new(inside, &plugs, &indexes)));
        }
        Ok(PluggedIn::ByRelays(plugs.iter().map(relay::Wanted::of).collect()))
    }
}

/// What the bridge of a network is called.
pub fn bridge(network: &Network) -> String {
    match network.interface.as_str() {
        "" => format!("br-{}", network.short_id()),
        name => name.to_owned(),
    }
}

fn mtu(network: &Network) -> u32 {
    network.mtu.unwrap_or(MTU)
}

/// Made of the network's id: locally administered, of one station.
fn mac(network: &Network) -> [u8; 6] {
    let digit = |at: usize| network.id.get(at..at + 2).and_then(|text| u8::from_str_radix(text, 16).ok()).unwrap_or(0);
    [0x02, digit(0), digit(2), digit(4), digit(6), digit(8)]
}

fn is_same(one: impl std::os::fd::AsFd, other: impl std::os::fd::AsFd) -> Result<bool, Error> {
    let refused = |errno| Error::refused("cannot compare two user namespaces", errno);
    let (one, other) = (nix::sys::stat::fstat(one).map_err(refused)?, nix::sys::stat::fstat(other).map_err(refused)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
