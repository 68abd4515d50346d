//! The container's network interface: what it is to be, as data, and making it so inside the namespace.
//!
//! [`Interface::configure`] and [`loopback_only`] act on the network namespace of the calling thread, in which it must have
//! CAP_NET_ADMIN. Neither starts a process or a thread.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink::neighbour::{self, Patience};
use netlink::{Socket, link, route};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use serde::{Deserialize, Serialize};

use crate::dns::{HostResolver, Resolver};
use crate::error::Error;
use crate::host::{HostFamily, HostNetwork};
use crate::options::Told;
use crate::sysctl;

/// The first index of every network namespace is the loopback's (LOOPBACK_IFINDEX).
const LOOPBACK: u32 = 1;

/// What a packet may cost: the most that an Ethernet tap takes, in whole words.
pub(crate) const MTU: u32 = 65520;

/// Locally administered. Nobody but pasta ever sees it.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// The link-local address that goes with a hardware address (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
}

/// pasta answers every request for a neighbour, so that any address will do for a gateway where the host has none.
pub(crate) const GATEWAY_4: Ipv4Addr = Ipv4Addr::new(169, 254, 2, 2);
pub(crate) const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Where a container reaches the host's own servers, those of 127.0.0.1, where it is to reach them: an address that no network routes.
pub const HOST: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);

/// Who reaches [`HOST`] where nothing else is reached.
const BESIDE_HOST: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 3);

/// What a container has while the host has no way out: what slirp4netns gives, and nobody else is likely to have.
const WAITING: Address = Address {
    address: IpAddr::V4(Ipv4Addr::new(10, 0, 2, 100)),
    prefix: 24,
    gateway: IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)),
};

/// While pasta starts: ask every few milliseconds (the kernel rounds up to its tick), for half a minute or longer, and keep
/// what is sent meanwhile.
const WHILE_PASTA_STARTS: Patience = Patience { interval: 2, requests: 15_000, queue: 4 << 20 };

/// An address with its network and gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// Where everything else goes.
    pub gateway: IpAddr,
}

/// What a container's interface is to be. Pure data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name, of at most 15 bytes.
    pub name: String,
    /// Its IPv4 address.
    pub ipv4: Option<Address>,
    /// Its IPv6 address.
    pub ipv6: Option<Address>,
    /// The name servers that go with it: for the container's /etc/resolv.conf.
    pub resolver: Resolver,
    /// Its hardware address, where it is to have another one than all have.
    pub mac: Option<[u8; 6]>,
    /// Its largest packet, in bytes, where that is to be smaller than it can be.
    pub mtu: Option<u32>,
    /// Where the host's own servers are, those of its 127.0.0.1, if they are to be reached.
    pub host: Option<IpAddr>,
    /// Nothing but `host` is behind it: it gets no default route.
    pub aside: bool,
    /// The resolver is as it was asked for, whatever the host's becomes.
    pub lasting_resolver: bool,
    /// What pasta is told beside.
    pub told: Told,
}

impl Interface {
    /// An interface `eth0` that shares the addresses and gateways of the host.
    pub fn like(host: &HostNetwork, resolver: &HostResolver) -> Interface {
        let address = |family: &HostFamily, gateway: IpAddr| Address {
            address: family.address,
            prefix: family.prefix,
            gateway: family.gateway.unwrap_or(gateway),
        };
        Interface {
            name: "eth0".into(),
            ipv4: host.ipv4.as_ref().map(|family| address(family, GATEWAY_4.into())),
            ipv6: host.ipv6.as_ref().map(|family| address(family, GATEWAY_6.into())),
            resolver: resolver.inside(host),
            ..Interface::default()
        }
    }

    /// An interface for a host without a way out, that leads out by IPv4 as soon as the host has one: pasta leaves the way to the
    /// host's routes.
    pub fn waiting(resolver: &HostResolver) -> Interface {
        let family = HostFamily { address: WAITING.address, prefix: WAITING.prefix, gateway: Some(WAITING.gateway) };
        Interface::like(&HostNetwork { ipv4: Some(family), ipv6: None }, resolver)
    }

    /// Whether it was made for a host without a way out.
    pub(crate) fn is_waiting(&self) -> bool {
        self.ipv4.as_ref().is_some_and(|ipv4| ipv4.address == WAITING.address)
    }

    /// An interface with nothing behind it but the host's own servers, at [`HOST`].
    pub fn to_host(name: &str) -> Interface {
        Interface {
            name: name.into(),
            // An address and a neighbour: the two of this network.
            ipv4: Some(Address { address: BESIDE_HOST.into(), prefix: 31, gateway: HOST.into() }),
            host: Some(HOST.into()),
            aside: true,
            ..Interface::default()
        }
    }

    /// The same, with the host's own servers at [`HOST`], unless they are in reach already; `None` without IPv4.
    pub fn reaching_host(mut self) -> Option<Interface> {
        if self.host.is_none() {
            // The address that pasta maps to the host is the gateway's, in those that know no other. This one is nobody's, so that the
            // true gateway, which may well be the name server, stays what it is.
            self.ipv4.as_mut()?.gateway = HOST.into();
            self.host = Some(HOST.into());
        }
        Some(self)
    }

    /// Makes the interface in this network namespace, ready for packets although pasta is not there yet. `/dev/net/tun` must
    /// still be in reach.
    pub fn configure(&self) -> Result<Outcome, Error> {
        let mut socket = Socket::open().map_err(|errno| self.error("open a netlink socket for", errno))?;
        bring_up_loopback(&mut socket)?;
        // The device belongs to the namespace in which it is opened; a descriptor from outside would not do.
        let tun = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .map_err(|source| Error::TunDevice { source })?;
        sys::tun::make_persistent_tap(tun.as_fd(), &self.name).map_err(|errno| self.error("make", errno))?;
        // Only one may be attached: pasta is to be it.
        drop(tun);
        let index = if_nametoindex(self.name.as_str()).map_err(|errno| self.error("find", errno))?;
        link::set(&mut socket, index, self.mac.unwrap_or(MAC), self.mtu.unwrap_or(MTU))
            .map_err(|errno| self.error("configure", errno))?;
        let mut early = true;
        if self.ipv4.is_some() {
            early &= self.be_patient_4(&mut socket, index)?;
        }
        if self.ipv6.is_some() {
            early &= self.be_patient_6(&mut socket, index)?;
        }
        link::up(&mut socket, index).map_err(|errno| self.error("switch on", errno))?;
        if self.ipv6.is_some() {
            self.add(&mut socket, index, link_local(self.mac.unwrap_or(MAC)).into(), 64)?;
        }
        for address in self.ipv4.iter().chain(&self.ipv6) {
            self.add(&mut socket, index, address.address, address.prefix)?;
            if self.aside {
                continue;
            }
            route::add_default_route(&mut socket, index, address.gateway, address.address)
                .map_err(|errno| self.address_error("default route through", address.gateway, errno))?;
        }
        self.keep_loopback_in(&mut socket, index)?;
        comforts()?;
        Ok(Outcome { name: self.name.clone(), early })
    }

    /// pasta of before 2024 passes on what is sent to a loopback address, and to it that is this machine's own: a socket that is bound to the
    /// interface would reach what listens there.
    fn keep_loopback_in(&self, socket: &mut Socket, index: u32) -> Result<(), Error> {
        let failed = |address: IpAddr| move |errno| self.address_error("route that does not leave to", address, errno);
        let (four, six) = (Ipv4Addr::new(127, 0, 0, 0), Ipv6Addr::LOCALHOST);
        route::keep_in(socket, index, four, 8).map_err(failed(four.into()))?;
        match route::forbid(socket, six, 128) {
            Err(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => Ok(()),
            done => done.map_err(failed(six.into())),
        }
    }

    fn be_patient_4(&self, socket: &mut Socket, index: u32) -> Result<bool, Error> {
        let configure = |errno| self.error("configure IPv4 on", errno);
        neighbour::set_patience(socket, index, true, &WHILE_PASTA_STARTS).map_err(configure)?;
        link::use_routes_without_carrier(socket, index).map_err(configure)?;
        match link::keep_neighbours_without_carrier(socket, index) {
            Ok(()) => Ok(true),
            Err(Errno::EINVAL) => Ok(false),
            Err(errno) => Err(configure(errno)),
        }
    }

    fn be_patient_6(&self, socket: &mut Socket, index: u32) -> Result<bool, Error> {
        let configure = |errno| self.error("configure IPv6 on", errno);
        neighbour::set_patience(socket, index, false, &WHILE_PASTA_STARTS).map_err(configure)?;
        link::no_generated_addresses(socket, index).map_err(configure)?;
        // Linux 5.16, and only where /proc/sys can be written. Without it one waits.
        Ok(sysctl::set(&format!("net/ipv6/conf/{}/ndisc_evict_nocarrier", self.name), "0").is_ok())
    }

    fn add(&self, socket: &mut Socket, index: u32, address: IpAddr, prefix: u8) -> Result<(), Error> {
        route::add_address(socket, index, address, prefix)
            .map_err(|errno| self.address_error("address", address, errno))
    }

    fn error(&self, step: &'static str, errno: Errno) -> Error {
        Error::Interface { step, interface: self.name.clone(), source: errno.into() }
    }

    fn address_error(&self, what: &'static str, address: IpAddr, errno: Errno) -> Error {
        Error::Address { what, address, interface: self.name.clone(), source: errno.into() }
    }
}

/// Sets up this network namespace to have its loopback interface and nothing else: `--network none`.
pub fn loopback_only() -> Result<(), Error> {
    let loopback = |errno: Errno| Error::Interface { step: "switch on", interface: "lo".into(), source: errno.into() };
    bring_up_loopback(&mut Socket::open().map_err(loopback)?)?;
    comforts()
}

fn bring_up_loopback(socket: &mut Socket) -> Result<(), Error> {
    link::up(socket, LOOPBACK).map_err(|errno| Error::Interface {
        step: "switch on",
        interface: "lo".into(),
        source: errno.into(),
    })
}

/// In a namespace of one's own everyone may ping, and may listen on any port.
fn comforts() -> Result<(), Error> {
    let map = "/proc/self/gid_map";
    let gid_map = fs::read_to_string(map).map_err(|source| Error::Read { path: map.into(), source })?;
    let (low, high) = sysctl::ping_groups(&gid_map);
    sysctl::set_if_writable("net/ipv4/ping_group_range", &format!("{low} {high}"))?;
    sysctl::set_if_writable("net/ipv4/ip_unprivileged_port_start", "0")
}

/// An interface that was configured.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: String,
    early: bool,
}

impl Outcome {
    /// Whether packets may be sent at once. Before Linux 5.16 the kernel drops what waits for a neighbour when it notices, a
    /// moment later, that nobody is attached.
    pub fn usable_at_once(&self) -> bool {
        self.early
    }

    /// Waits for pasta to be attached, at most `limit`, where packets cannot be sent before. `false`: it was not.
    pub fn wait_until_usable(&self, limit: Duration) -> Result<bool, Error> {
        if self.early { Ok(true) } else { self.wait_until_attached(limit) }
    }

    /// Waits until pasta is attached, at most `limit`. `false`: it was not.
    pub fn wait_until_attached(&self, limit: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            let interfaces = getifaddrs().map_err(|errno| Error::Interface {
                step: "look at",
                interface: self.name.clone(),
                source: io::Error::from(errno),
            })?;
            let running = InterfaceFlags::IFF_RUNNING;
            if interfaces.into_iter().any(|one| one.interface_name == self.name && one.flags.contains(running)) {
                return Ok(true);
            }
            if start.elapsed() >= limit {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAC, link_local};

    #[test]
    fn a_link_local_address_follows_from_the_hardware_address() {
        assert_eq!(link_local(MAC).to_string(), "fe80::ff:fe00:2");
        assert_eq!(link_local([0x9a, 0x55, 1, 2, 3, 4]).to_string(), "fe80::9855:1ff:fe02:304");
    }
}
