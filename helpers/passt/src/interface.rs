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
use crate::sysctl;

/// The first index of every network namespace is the loopback's (LOOPBACK_IFINDEX).
const LOOPBACK: u32 = 1;

/// What a packet may cost: the most that an Ethernet tap takes, in whole words.
const MTU: u32 = 65520;

/// Locally administered. Nobody but pasta ever sees it.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// The link-local address that goes with [`MAC`] (RFC 4291, appendix A).
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);

/// pasta answers every request for a neighbour, so that any address will do for a gateway where the host has none.
const GATEWAY_4: Ipv4Addr = Ipv4Addr::new(169, 254, 2, 2);
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Where a container reaches the host's own servers, those of 127.0.0.1, where it is to reach them: an address that no network routes.
pub const HOST: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, of at most 15 bytes.
    pub name: String,
    /// Its IPv4 address.
    pub ipv4: Option<Address>,
    /// Its IPv6 address.
    pub ipv6: Option<Address>,
    /// The name servers that go with it: for the container's /etc/resolv.conf.
    pub resolver: Resolver,
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

    /// The same, with the host's own servers at [`HOST`]; `None` without IPv4.
    pub fn reaching_host(mut self) -> Option<Interface> {
        // The address that pasta maps to the host is the gateway's, in those that know no other. This one is nobody's, so that the
        // true gateway, which may well be the name server, stays what it is.
        self.ipv4.as_mut()?.gateway = HOST.into();
        Some(self)
    }

    /// Whether the host's own servers are at [`HOST`].
    pub fn reaches_host(&self) -> bool {
        self.ipv4.as_ref().is_some_and(|ipv4| ipv4.gateway == HOST)
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
        link::set(&mut socket, index, MAC, MTU).map_err(|errno| self.error("configure", errno))?;
        let mut early = true;
        if self.ipv4.is_some() {
            early &= self.be_patient_4(&mut socket, index)?;
        }
        if self.ipv6.is_some() {
            early &= self.be_patient_6(&mut socket, index)?;
        }
        link::up(&mut socket, index).map_err(|errno| self.error("switch on", errno))?;
        if self.ipv6.is_some() {
            self.add(&mut socket, index, LINK_LOCAL.into(), 64)?;
        }
        for address in self.ipv4.iter().chain(&self.ipv6) {
            self.add(&mut socket, index, address.address, address.prefix)?;
            route::add_default_route(&mut socket, index, address.gateway, address.address)
                .map_err(|errno| self.address_error("default route through", address.gateway, errno))?;
        }
        comforts()?;
        Ok(Outcome { name: self.name.clone(), early })
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
