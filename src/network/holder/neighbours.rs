//! The containers of a network are told each other's link-layer addresses, and need not ask for them.
//!
//! What a kernel finds out by asking it keeps in one table for all network namespaces of the machine together, of 1024 entries
//! (`net.ipv4.neigh.default.gc_thresh3`), of which none goes that was used within the last seconds. Fifty containers that all speak with
//! each other need 2450: most of them would not reach most others, and nor would anybody else on the machine reach a new neighbour. What the
//! kernel was told for good does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink::{Socket, neighbour};

use super::plug::Plug;
use crate::network::Lease;

/// On larger networks everybody asks, as ever: what each is to be told grows with their square.
const MOST: usize = 256;

/// The link-layer addresses of one network.
pub type Table = BTreeMap<IpAddr, [u8; 6]>;

/// The tables of all networks, by name, for containers with these leases.
pub fn tables(leases: &[Lease]) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for lease in leases {
        let table = tables.entry(lease.network.clone()).or_default();
        table.extend(lease.addresses.iter().map(|address| (*address, lease.mac.bytes())));
    }
    tables.retain(|_, table| table.len() <= MOST);
    tables
}

/// What one container was told.
#[derive(Debug)]
pub struct Acquaintances {
    socket: Socket,
    interfaces: Vec<Interface>,
}

#[derive(Debug)]
struct Interface {
    network: String,
    index: u32,
    own: [u8; 6],
    told: Table,
}

impl Acquaintances {
    /// What a container knows by now, whose interfaces have these indexes. `socket` is one of its namespace.
    pub fn new(mut socket: Socket, plugs: &[Plug<'_>], indexes: &[u32]) -> Self {
        let known = neighbour::permanent(&mut socket).unwrap_or_default();
        let interface = |(plug, index): (&Plug<'_>, &u32)| {
            let gateways: BTreeSet<IpAddr> = plug.network.subnets.iter().map(|subnet| subnet.gateway).collect();
            let of_it = known.iter().filter(|one| {
                one.interface == *index
                    && !gateways.contains(&one.address)
                    && plug.network.subnet_of(one.address).is_some()
            });
            Interface {
                network: plug.network.name.clone(),
                index: *index,
                own: plug.lease.mac.bytes(),
                told: of_it.map(|one| (one.address, one.mac)).collect(),
            }
        };
        let interfaces = plugs.iter().zip(indexes).map(interface).collect();
        Self { socket, interfaces }
    }

    /// Tells it what has changed. What cannot be told it asks for.
    pub fn agree(&mut self, tables: &BTreeMap<String, Table>) {
        let nobody = Table::new();
        for interface in &mut self.interfaces {
            let table = tables.get(&interface.network).unwrap_or(&nobody);
            let gone: Vec<IpAddr> = interface.told.keys().filter(|one| !table.contains_key(one)).copied().collect();
            for address in gone {
                let _ = neighbour::forget(&mut self.socket, interface.index, address);
                interface.told.remove(&address);
            }
            let others = table.iter().filter(|(_, mac)| **mac != interface.own);
            for (address, mac) in others {
                if interface.told.get(address) != Some(mac)
                    && neighbour::set_permanent(&mut self.socket, interface.index, *address, *mac).is_ok()
                {
                    interface.told.insert(*address, *mac);
                }
            }
        }
    }
}
