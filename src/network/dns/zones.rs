//! Who is called what: the names of each network's containers, as tables that are made anew whenever anything of it changes.
//!
//! Names are valid within a network. A container that is on several is told the names of all of them, whichever of their servers it asks.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::network::{Lease, Network};

/// Where questions go that this program knows no answer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// To whom this machine asks.
    #[default]
    Host,
    /// To these servers.
    Servers(Vec<IpAddr>),
    /// Nowhere: the network has no way out, and names would be one.
    Nowhere,
}

/// One network's names.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    subnets: Vec<IpNet>,
    beyond: Beyond,
    names: HashMap<String, Vec<IpAddr>>,
    addresses: HashMap<IpAddr, String>,
}

impl Zone {
    /// A network with these addresses: of others nothing is known here. Where other questions go.
    pub fn new(subnets: Vec<IpNet>, beyond: Beyond) -> Self {
        Self { subnets, beyond, ..Self::default() }
    }

    /// Gives a container a name, or one name more. Several may have the same.
    pub fn add(&mut self, name: &str, address: IpAddr) {
        if name.is_empty() {
            return;
        }
        let known = self.names.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
        if !known.contains(&address) {
            known.push(address);
        }
    }

    /// Says whose an address is.
    pub fn call(&mut self, address: IpAddr, name: &str) {
        self.addresses.insert(address, name.to_owned());
    }
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These addresses, of either kind.
    Addresses(Vec<IpAddr>),
    /// The name of what was asked for by its address.
    Name(String),
    /// There is nothing of that name, anywhere.
    Nothing,
    /// Others may know.
    Beyond(Beyond),
}

/// All networks' names.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: HashMap<String, Zone>,
    /// The networks of each container, by each of its addresses.
    members: HashMap<IpAddr, BTreeSet<String>>,
    /// Whom containers want to be asked for them, by each of their addresses.
    servers: HashMap<IpAddr, Vec<IpAddr>>,
}

/// How much of a container's id is a name for it, in hex digits: what it is called by where it has no other.
const SHORT: usize = 12;

impl Zones {
    /// The names that these networks' containers have by these leases, which are those of containers that are there.
    pub fn of_leases<'a>(networks: &[Network], leases: impl IntoIterator<Item = &'a Lease>) -> Self {
        let zone = |network: &Network| {
            let beyond = match (network.internal, &network.dns_servers[..]) {
                (true, _) => Beyond::Nowhere,
                (false, []) => Beyond::Host,
                (false, servers) => Beyond::Servers(servers.to_vec()),
            };
            Zone::new(network.subnets.iter().map(|subnet| subnet.subnet).collect(), beyond)
        };
        let named = networks.iter().filter(|network| network.dns);
        let zones = named.map(|network| (network.name.clone(), zone(network))).collect();
        let mut all = Self { zones, ..Self::default() };
        let leases: Vec<&Lease> = leases.into_iter().collect();
        let mut networks_of: HashMap<&str, Vec<&str>> = HashMap::new();
        for lease in &leases {
            networks_of.entry(&lease.container).or_default().push(&lease.network);
        }
        for lease in &leases {
            for address in &lease.addresses {
                let networks = networks_of.get(lease.container.as_str()).into_iter().flatten();
                networks.for_each(|network| all.join(*address, network));
                if !lease.servers.is_empty() {
                    all.servers.insert(*address, lease.servers.clone());
                }
            }
            let is_hidden = networks.iter().any(|network| network.hidden && network.name == lease.network);
            if let Some(zone) = all.zones.get_mut(&lease.network).filter(|_| !is_hidden) {
                let short = lease.container.get(..SHORT).unwrap_or(&lease.container);
                for address in &lease.addresses {
                    let names = [lease.container_name.as_str(), short].into_iter();
                    names.chain(lease.aliases.iter().map(String::as_str)).for_each(|name| zone.add(name, *address));
                    zone.call(*address, if lease.container_name.is_empty() { short } else { &lease.container_name });
                }
            }
        }
        all
    }

    /// Adds a network.
    pub fn add(&mut self, network: &str, zone: Zone) {
        self.zones.insert(network.to_owned(), zone);
    }

    /// Says that the container with this address is on this network.
    pub fn join(&mut self, address: IpAddr, network: &str) {
        self.members.entry(address).or_default().insert(network.to_owned());
    }

    /// Looks a name up for `client`, who asks the server of `network`. `name` is in lower case; `reversed` the address that it stands for.
    pub fn find(&self, network: &str, client: IpAddr, name: &str, reversed: Option<IpAddr>) -> Found {
        let zones = self.of(network, client);
        if let Some(address) = reversed {
            if let Some(name) = zones.iter().find_map(|zone| zone.addresses.get(&address)) {
                return Found::Name(name.clone());
            }
            if zones.iter().any(|zone| zone.subnets.iter().any(|subnet| subnet.contains(&address))) {
                return Found::Nothing;
            }
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in zones.iter().filter_map(|zone| zone.names.get(name)).flatten() {
            if !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        if !addresses.is_empty() {
            return Found::Addresses(addresses);
        }
        // One way out is enough.
        let beyond = zones.iter().map(|zone| &zone.beyond).find(|beyond| **beyond != Beyond::Nowhere);
        let Some(beyond) = beyond else { return Found::Nothing };
        let own = self.servers.get(&client).map(|servers| Beyond::Servers(servers.clone()));
        Found::Beyond(own.unwrap_or_else(|| beyond.clone()))
    }

    /// The zones that a client sees: the one that it asks first.
    fn of(&self, network: &str, client: IpAddr) -> Vec<&Zone> {
        let others = self.members.get(&client).filter(|networks| networks.contains(network)).into_iter().flatten();
        let networks = [network].into_iter().chain(others.map(String::as_str).filter(|other| *other != network));
        networks.filter_map(|network| self.zones.get(network)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Mac, Subnet};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn zones() -> Zones {
        let mut zones = Zones::default();
        let mut front = Zone::new(vec!["10.89.0.0/24".parse().unwrap()], Beyond::Host);
        front.add("Web", ip("10.89.0.2"));
        front.add("app", ip("10.89.0.3"));
        front.add("app", ip("10.89.0.2"));
        front.call(ip("10.89.0.2"), "web");
        let mut back = Zone::new(vec!["10.89.1.0/24".parse().unwrap()], Beyond::Nowhere);
        back.add("db", ip("10.89.1.2"));
        zones.add("front", front);
        zones.add("back", back);
        zones.join(ip("10.89.0.2"), "front");
        zones.join(ip("10.89.0.2"), "back");
        zones.join(ip("10.89.1.3"), "front");
        zones.join(ip("10.89.1.3"), "back");
        zones
    }

    #[test]
    fn a_container_on_several_networks_finds_those_on_each_whomever_it_asks() {
        let network = |name: &str| Network::new(name).unwrap();
        let lease = |container: &str, network: &str, address: &str| Lease {
            container: container.repeat(64),
            container_name: container.into(),
            network: network.into(),
            interface: "eth0".into(),
            addresses: vec![ip(address)],
            mac: Mac::random().unwrap(),
            aliases: Vec::new(),
            servers: Vec::new(),
            reaches_host: false,
        };
        let leases =
            [lease("a", "front", "10.89.0.2"), lease("a", "back", "10.89.1.2"), lease("b", "back", "10.89.1.3")];
        let zones = Zones::of_leases(&[network("front"), network("back")], &leases);
        let ask = |network: &str, client: &str, name: &str| zones.find(network, ip(client), name, None);
        assert_eq!(ask("front", "10.89.0.2", "b"), Found::Addresses(vec![ip("10.89.1.3")]));
        assert_eq!(ask("back", "10.89.1.2", "b"), Found::Addresses(vec![ip("10.89.1.3")]));
        assert_eq!(ask("front", "10.89.0.9", "b"), Found::Beyond(Beyond::Host));
    }

    #[test]
    fn a_container_is_found_by_its_name_its_aliases_and_its_short_id() {
        let network = |name: &str, subnet: &str| {
            let mut network = Network::new(name).unwrap();
            let subnet: IpNet = subnet.parse().unwrap();
            network.subnets.push(Subnet { subnet, gateway: subnet.hosts().next().unwrap(), range: None });
            network
        };
        let mut back = network("back", "10.89.1.0/24");
        back.internal = true;
        let mut links = network("links", "10.89.2.0/24");
        links.hidden = true;
        let mut mute = network("mute", "10.89.3.0/24");
        mute.dns = false;
        let networks = [network("front", "10.89.0.0/24"), back, links, mute];
        let lease = |network: &str, address: &str| Lease {
            container: "0123456789abcdef".repeat(4),
            container_name: "web".into(),
            network: network.into(),
            interface: "eth0".into(),
            addresses: vec![ip(address)],
            mac: Mac::random().unwrap(),
            aliases: vec!["www".into(), "shop".into()],
            servers: vec![ip("192.0.2.53")],
            reaches_host: false,
        };
        let leases = ["10.89.0.2", "10.89.1.2", "10.89.2.2", "10.89.3.2"].map(|address| {
            let network = networks.iter().find(|one| one.subnets[0].subnet.contains(&ip(address))).unwrap();
            lease(&network.name, address)
        });
        let zones = Zones::of_leases(&networks, &leases);
        let ask = |network: &str, name: &str| zones.find(network, ip("10.89.0.99"), name, None);
        for name in ["web", "www", "shop", "0123456789ab"] {
            assert_eq!(ask("front", name), Found::Addresses(vec![ip("10.89.0.2")]), "{name}");
            assert_eq!(ask("back", name), Found::Addresses(vec![ip("10.89.1.2")]), "{name}");
            assert_eq!(ask("links", name), Found::Beyond(Beyond::Host), "{name}");
            assert_eq!(ask("mute", name), Found::Nothing, "{name}");
        }
        assert_eq!(ask("back", "example.com"), Found::Nothing);
        let address = zones.find("front", ip("10.89.0.99"), "", Some(ip("10.89.0.2")));
        assert_eq!(address, Found::Name("web".into()));
        let beyond = |network: &str, client: &str| zones.find(network, ip(client), "example.com", None);
        let own = Found::Beyond(Beyond::Servers(vec![ip("192.0.2.53")]));
        assert_eq!(beyond("front", "10.89.0.2"), own, "whom it wants to be asked");
        assert_eq!(beyond("front", "10.89.0.99"), Found::Beyond(Beyond::Host));
        assert_eq!(beyond("back", "10.89.1.2"), own, "it is on others, too");
        assert_eq!(beyond("back", "10.89.1.99"), Found::Nothing, "and that is no way out");
    }

    #[test]
    fn a_name_is_known_on_its_network_alone() {
        let zones = zones();
        let ask = |network: &str, client: &str, name: &str| zones.find(network, ip(client), name, None);
        assert_eq!(ask("front", "10.89.0.3", "web"), Found::Addresses(vec![ip("10.89.0.2")]));
        assert_eq!(ask("front", "10.89.0.3", "app"), Found::Addresses(vec![ip("10.89.0.3"), ip("10.89.0.2")]));
        assert_eq!(ask("front", "10.89.0.3", "db"), Found::Beyond(Beyond::Host));
        assert_eq!(ask("back", "10.89.1.2", "web"), Found::Nothing);
        assert_eq!(ask("elsewhere", "10.89.1.2", "web"), Found::Nothing);
    }

    #[test]
    fn who_is_on_two_networks_is_told_the_names_and_has_the_ways_of_both() {
        let zones = zones();
        for (network, client) in [("front", "10.89.0.2"), ("back", "10.89.1.3")] {
            let ask = |name: &str| zones.find(network, ip(client), name, None);
            assert_eq!(ask("db"), Found::Addresses(vec![ip("10.89.1.2")]));
            assert_eq!(ask("web"), Found::Addresses(vec![ip("10.89.0.2")]));
            assert_eq!(ask("example.com"), Found::Beyond(Beyond::Host));
        }
    }

    #[test]
    fn an_address_of_the_network_is_nobodys_business_elsewhere() {
        let zones = zones();
        let ask = |address: &str| zones.find("front", ip("10.89.0.3"), "", Some(ip(address)));
        assert_eq!(ask("10.89.0.2"), Found::Name("web".into()));
        assert_eq!(ask("10.89.0.9"), Found::Nothing);
        assert_eq!(ask("10.89.1.2"), Found::Beyond(Beyond::Host));
    }
}
