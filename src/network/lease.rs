//! Who has which addresses: `networks/.leases.json`, one file for all networks.
//!
//! A lease is taken before its container starts, and stays after it has ended: so a container that is started again has its old
//! addresses, unless they were given to another meanwhile. Who lives is for the caller to say: the lock of a container's folder.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::file::VERSION;
use super::{Error, Mac, Network, Networks, pool};

/// What a container has on one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container's id, 64 hex digits.
    pub container: String,
    /// Its name, by which the others on the network find it.
    pub container_name: String,
    /// The network's name.
    pub network: String,
    /// What the interface is called in the container: `eth0`, …
    pub interface: String,
    /// At most one for each of the network's subnets.
    pub addresses: Vec<IpAddr>,
    /// The interface's hardware address.
    pub mac: Mac,
    /// By which names, beside its own and its short id, the others on the network find it.
    pub aliases: Vec<String>,
    /// Whom the name server asks for this container about names that it does not know itself; empty: as the network has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Whether the container may reach this machine's own servers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reaches_host: bool,
}

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct File {
    version: u32,
    /// In the order of the containers' interfaces.
    pub leases: Vec<Lease>,
}

impl Default for File {
    fn default() -> Self {
        Self { version: VERSION, leases: Vec::new() }
    }
}

/// How a container is that has a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives, or is about to.
    Alive,
    /// It may be started again.
    Kept,
    /// It does not exist any more.
    Gone,
}

/// What a container wants on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The network's name.
    pub network: String,
    /// What the interface is to be called; `None`: the first of eth0, eth1, … that is free.
    pub interface: Option<String>,
    /// Addresses that it must have.
    pub addresses: Vec<IpAddr>,
    /// The hardware address that it must have.
    pub mac: Option<Mac>,
    /// More names for it.
    pub aliases: Vec<String>,
    /// As [`Lease::servers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
}

/// Who wants it.
#[derive(Clone, Copy, Debug)]
pub struct Tenant<'a> {
    /// Its id.
    pub container: &'a str,
    /// Its name.
    pub name: &'a str,
    /// It runs: interfaces that it has keep their names.
    pub runs: bool,
    /// Interfaces that it has beside those of networks.
    pub occupied: &'a [&'a str],
    /// It may reach this machine's own servers.
    pub reaches_host: bool,
}

impl Networks {
    /// The leases of a container, eth0's first; none where it has never been on a network.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn leases_of(&self, container: &str) -> Result<Vec<Lease>, Error> {
        Ok(self.leases()?.into_iter().filter(|lease| lease.container == container).collect())
    }

    /// Gives a container what it wants, in the place of all leases that it has. It keeps the addresses that it had where nothing
    /// else is asked for.
    ///
    /// # Errors
    /// [`Error::NoSuchNetwork`], [`Error::Full`], [`Error::AddressInUse`], [`Error::BadAddress`], [`Error::MacInUse`].
    pub fn take(
        &self,
        tenant: Tenant<'_>,
        wanted: &[Wanted],
        standing: impl Fn(&str) -> Standing,
    ) -> Result<Vec<Lease>, Error> {
        self.change_leases(|leases| {
            leases.retain(|lease| lease.container == tenant.container || standing(&lease.container) != Standing::Gone);
            let (own, others): (Vec<Lease>, Vec<Lease>) =
                leases.drain(..).partition(|lease| lease.container == tenant.container);
            let others: Vec<(Lease, bool)> = others
                .into_iter()
                .map(|lease| {
                    let alive = standing(&lease.container) == Standing::Alive;
                    (lease, alive)
                })
                .collect();
            let mut made: Vec<Lease> = Vec::new();
            for want in wanted {
                let network = self.get(&want.network)?;
                let old = own.iter().find(|lease| lease.network == want.network);
                let interface = match old.filter(|_| tenant.runs) {
                    Some(old) => old.interface.clone(),
                    None => {
                        interface(tenant, want, wanted, &[&made[..], if tenant.runs { &own } else { &[] }].concat())
                    }
                };
                let addresses = addresses(&network, want, old, &others)?;
                let mac = mac(want, old, &others)?;
                made.push(Lease {
                    container: tenant.container.to_owned(),
                    container_name: tenant.name.to_owned(),
                    network: want.network.clone(),
                    interface,
                    addresses,
                    mac,
                    aliases: want.aliases.clone(),
                    servers: want.servers.clone(),
                    reaches_host: tenant.reaches_host,
                });
            }
            // Those who do not live, and whose addresses another has now, find new ones when they are started.
            let lost = |lease: &Lease| {
                let mut rivals = made.iter().filter(|own| own.network == lease.network);
                rivals.any(|own| {
                    own.mac == lease.mac || own.addresses.iter().any(|address| lease.addresses.contains(address))
                })
            };
            leases.extend(others.into_iter().map(|(lease, _)| lease).filter(|lease| !lost(lease)));
            leases.extend(made.iter().cloned());
            Ok(made)
        })
    }

    /// Ends the leases of a container, on one network or on all.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn release(&self, container: &str, network: Option<&str>) -> Result<(), Error> {
        self.change_leases(|leases| {
            leases.retain(|lease| lease.container != container || network.is_some_and(|name| name != lease.network));
            Ok(())
        })
    }

    /// Says how a container is called now.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn rename_tenant(&self, container: &str, name: &str) -> Result<(), Error> {
        self.change_leases(|leases| {
            let own = leases.iter_mut().filter(|lease| lease.container == container);
            own.for_each(|lease| name.clone_into(&mut lease.container_name));
            Ok(())
        })
    }
}

/// The name of the next interface: as asked, or the first ethN that nobody asks for.
fn interface(tenant: Tenant<'_>, want: &Wanted, wanted: &[Wanted], made: &[Lease]) -> String {
    if let Some(name) = &want.interface {
        return name.clone();
    }
    let is_taken = |name: &String| {
        tenant.occupied.contains(&name.as_str())
            || made.iter().any(|lease| lease.interface == *name)
            || wanted.iter().any(|other| other.interface.as_ref() == Some(name))
    };
    (0..).map(|number: u32| format!("eth{number}")).find(|name| !is_taken(name)).unwrap_or_default()
}

/// One address for each subnet: what is asked for, what the container had, a free one that nobody has had, or at last one of a container
/// that does not live.
fn addresses(
    network: &Network,
    want: &Wanted,
    old: Option<&Lease>,
    others: &[(Lease, bool)],
) -> Result<Vec<IpAddr>, Error> {
    let holder = |address: IpAddr, dead_too: bool| {
        let mut rivals = others.iter().filter(|(lease, alive)| lease.network == network.name && (*alive || dead_too));
        rivals.find(|(lease, _)| lease.addresses.contains(&address)).map(|(lease, _)| &lease.container_name)
    };
    for address in &want.addresses {
        check_address(network, *address)?;
        if let Some(user) = holder(*address, false) {
            let (address, network, user) = (*address, network.name.clone(), format!("the container {user}"));
            return Err(Error::AddressInUse { address, network, user });
        }
    }
    let mut addresses = Vec::new();
    for subnet in &network.subnets {
        let within = |address: &&IpAddr| subnet.subnet.contains(*address);
        if let Some(asked) = want.addresses.iter().find(within) {
            addresses.push(*asked);
            continue;
        }
        let had = old.and_then(|lease| lease.addresses.iter().find(within)).copied();
        let had = had.filter(|address| *address != subnet.gateway && subnet.hosts().contains(*address));
        let free = had
            .filter(|address| holder(*address, false).is_none())
            .or_else(|| pool::free_address(subnet, |address| holder(address, true).is_some()))
            .or_else(|| pool::free_address(subnet, |address| holder(address, false).is_some()));
        let Some(free) = free else {
            let pool = subnet.pool();
            let ranges = vec![format!("{} ({} to {})", subnet.subnet, pool.first, pool.last)];
            return Err(Error::Full { network: network.name.clone(), ranges });
        };
        addresses.push(free);
    }
    Ok(addresses)
}

/// Sees that a container can have an address on a network, whoever has it.
///
/// # Errors
/// [`Error::BadAddress`].
pub fn check_address(network: &Network, address: IpAddr) -> Result<(), Error> {
    let bad = |reason: String| Err(Error::BadAddress { address, network: network.name.clone(), reason });
    let Some(subnet) = network.subnet_of(address) else {
        let subnets: Vec<String> = network.subnets.iter().map(|subnet| subnet.subnet.to_string()).collect();
        return bad(format!("its addresses are those of {}", subnets.join(" and ")));
    };
    if address == subnet.gateway {
        return bad("it is the gateway's".into());
    }
    if !subnet.hosts().contains(address) {
        return bad(format!("it stands for the whole of {}", subnet.subnet));
    }
    Ok(())
}

fn mac(want: &Wanted, old: Option<&Lease>, others: &[(Lease, bool)]) -> Result<Mac, Error> {
    let holder = |mac: Mac| {
        let mut alive = others.iter().filter(|(lease, alive)| *alive && lease.network == want.network);
        alive.find(|(lease, _)| lease.mac == mac).map(|(lease, _)| &lease.container_name)
    };
    if let Some(mac) = want.mac {
        return match holder(mac) {
            Some(user) => {
                let (network, user) = (want.network.clone(), format!("the container {user}"));
                Err(Error::MacInUse { mac, network, user })
            }
            None => Ok(mac),
        };
    }
    match old.map(|lease| lease.mac).filter(|mac| holder(*mac).is_none()) {
        Some(mac) => Ok(mac),
        None => Mac::random(),
    }
}

#[cfg(test)]
mod tests;
