//! The few messages of rtnetlink(7) that are needed here: links, addresses, routes and neighbour tables.
//!
//! Numbers are those of linux/if_link.h, if_addr.h, rtnetlink.h and neighbour.h, which never change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::errno::Errno;

use crate::netlink::{Message, NLM_F_CREATE, NLM_F_REPLACE, Result, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_SETNEIGHTBL: u16 = 67;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFF_UP: u32 = 1;

/// An address of an interface.
pub(crate) struct AddressOf {
    pub interface: u32,
    pub address: IpAddr,
    pub prefix: u8,
    pub scope: u8,
    pub flags: u32,
}

/// A default route of the main table.
pub(crate) struct DefaultRoute {
    pub interface: u32,
    pub gateway: Option<IpAddr>,
    pub metric: u32,
}

pub(crate) const SCOPE_UNIVERSE: u8 = 0;
pub(crate) const SCOPE_LINK: u8 = 253;
pub(crate) const IFA_F_TEMPORARY: u32 = 0x01;
pub(crate) const IFA_F_DADFAILED: u32 = 0x08;
pub(crate) const IFA_F_DEPRECATED: u32 = 0x20;
pub(crate) const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_NODAD: u32 = 0x02;

fn family(address: &IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

/// All addresses of all interfaces, in the kernel's order.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<AddressOf>> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    let answers = socket.dump(&Message::new(RTM_GETADDR, 0, &[0; 8]), 8)?;
    let of = |answer: &crate::netlink::Answer| {
        let [_, prefix, flags, scope, index @ ..] = answer.fixed() else { return None };
        Some(AddressOf {
            interface: u32::from_ne_bytes(index.try_into().ok()?),
            // On a point-to-point link IFA_ADDRESS is the other side.
            address: address(answer.attribute(IFA_LOCAL).or_else(|| answer.attribute(IFA_ADDRESS))?)?,
            prefix: *prefix,
            scope: *scope,
            flags: answer.number(IFA_FLAGS).unwrap_or(u32::from(*flags)),
        })
    };
    Ok(answers.iter().filter_map(of).collect())
}

/// The unicast default routes of the main table for one family (IPv4 or IPv6), best first.
pub(crate) fn default_routes(socket: &mut Socket, ipv4: bool) -> Result<Vec<DefaultRoute>> {
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PRIORITY: u16 = 6;
    const RTA_MULTIPATH: u16 = 9;
    const RTA_VIA: u16 = 18;
    const RT_TABLE_MAIN: u8 = 254;
    const RTN_UNICAST: u8 = 1;
    let mut fixed = [0; 12];
    fixed[0] = if ipv4 { AF_INET } else { AF_INET6 };
    let answers = match socket.dump(&Message::new(RTM_GETROUTE, 0, &fixed), 12) {
        // A kernel without IPv6.
        Err(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => Vec::new(),
        other => other?,
    };
    let of = |answer: &crate::netlink::Answer| {
        let [_, destination_length, _, _, table, _, _, kind, ..] = answer.fixed() else { return None };
        if *destination_length != 0 || *table != RT_TABLE_MAIN || *kind != RTN_UNICAST {
            return None;
        }
        let metric = answer.number(RTA_PRIORITY).unwrap_or(0);
        // Of several equal next hops the first will do: struct rtnexthop, then its attributes.
        if let Some(hop) = answer.attribute(RTA_MULTIPATH) {
            let interface = u32::from_ne_bytes(hop.get(4..8)?.try_into().ok()?);
            let gateway = match hop.get(10..12)?.try_into().map(u16::from_ne_bytes) {
                Ok(RTA_GATEWAY) => address(hop.get(12..12 + if ipv4 { 4 } else { 16 })?),
                _ => None,
            };
            return Some(DefaultRoute { interface, gateway, metric });
        }
        // A gateway of the other family (RTA_VIA) is of no use to pasta: as if there were none.
        let gateway = answer.attribute(RTA_GATEWAY).filter(|_| answer.attribute(RTA_VIA).is_none());
        Some(DefaultRoute { interface: answer.number(RTA_OIF)?, gateway: gateway.and_then(address), metric })
    };
    let mut routes: Vec<DefaultRoute> = answers.iter().filter_map(of).collect();
    routes.sort_by_key(|route| route.metric);
    Ok(routes)
}

/// `struct ifinfomsg`
fn link_header(interface: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut fixed = vec![0; 4];
    fixed.extend(interface.to_ne_bytes());
    fixed.extend(flags.to_ne_bytes());
    fixed.extend(change.to_ne_bytes());
    fixed
}

/// Switches an interface on.
pub(crate) fn link_up(socket: &mut Socket, interface: u32) -> Result<()> {
    socket.request(&Message::new(RTM_NEWLINK, 0, &link_header(interface, IFF_UP, IFF_UP)))
}

/// Sets the link-layer address and the MTU of an interface that is off.
pub(crate) fn link_set(socket: &mut Socket, interface: u32, mac: [u8; 6], mtu: u32) -> Result<()> {
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_MTU: u16 = 4;
    let message = Message::new(RTM_NEWLINK, 0, &link_header(interface, 0, 0))
        .with(IFLA_ADDRESS, &mac)
        .with(IFLA_MTU, &mtu.to_ne_bytes());
    socket.request(&message)
}

/// Lets the IPv4 neighbours of an interface survive a missing carrier (Linux 5.16; `EINVAL` before).
pub(crate) fn keep_neighbours_without_carrier(socket: &mut Socket, interface: u32) -> Result<()> {
    const IPV4_DEVCONF_ARP_EVICT_NOCARRIER: u16 = 33;
    socket.request(&ipv4_setting(interface, IPV4_DEVCONF_ARP_EVICT_NOCARRIER, 0))
}

/// Lets IPv4 use the routes of an interface that has no carrier, also where the host's settings, which a new namespace inherits,
/// say otherwise.
pub(crate) fn use_routes_without_carrier(socket: &mut Socket, interface: u32) -> Result<()> {
    const IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN: u16 = 29;
    socket.request(&ipv4_setting(interface, IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN, 0))
}

/// What `net.ipv4.conf.INTERFACE.…` sets, for a /proc/sys that is not to be written.
fn ipv4_setting(interface: u32, setting: u16, value: u32) -> Message {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_INET_CONF: u16 = 1;
    Message::new(RTM_NEWLINK, 0, &link_header(interface, 0, 0)).with_nested(IFLA_AF_SPEC, |families| {
        families.with_nested(u16::from(AF_INET), |inet| {
            inet.with_nested(IFLA_INET_CONF, |settings| settings.with(setting, &value.to_ne_bytes()))
        })
    })
}

/// Has IPv6 make no address of its own for an interface: without a carrier it would come too late.
pub(crate) fn no_generated_addresses(socket: &mut Socket, interface: u32) -> Result<()> {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
    const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
    let message = Message::new(RTM_NEWLINK, 0, &link_header(interface, 0, 0)).with_nested(IFLA_AF_SPEC, |families| {
        families
            .with_nested(u16::from(AF_INET6), |inet6| inet6.with(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]))
    });
    socket.request(&message)
}

/// Gives an interface an address, usable at once (no duplicate address detection).
pub(crate) fn add_address(socket: &mut Socket, interface: u32, address: IpAddr, prefix: u8) -> Result<()> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let scope = if link_local { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let mut fixed = vec![family(&address), prefix, 0, scope];
    fixed.extend(interface.to_ne_bytes());
    let mut message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &fixed)
        .with(IFA_LOCAL, &octets(&address))
        .with(IFA_ADDRESS, &octets(&address));
    if address.is_ipv6() {
        message = message.with(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes());
    }
    socket.request(&message)
}

/// Sends everything through `gateway` on an interface, which need not be in any of its networks (onlink).
pub(crate) fn add_default_route(socket: &mut Socket, interface: u32, gateway: IpAddr, source: IpAddr) -> Result<()> {
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PREFSRC: u16 = 7;
    const RTNH_F_ONLINK: u32 = 4;
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_STATIC: u8 = 4;
    const RTN_UNICAST: u8 = 1;
    let mut fixed = vec![family(&gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, RTN_UNICAST];
    fixed.extend(RTNH_F_ONLINK.to_ne_bytes());
    let message = Message::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &fixed)
        .with(RTA_OIF, &interface.to_ne_bytes())
        .with(RTA_GATEWAY, &octets(&gateway))
        .with(RTA_PREFSRC, &octets(&source));
    socket.request(&message)
}

/// How an interface looks for the link-layer address of a neighbour that does not answer yet.
pub(crate) struct Patience {
    /// Milliseconds between two requests.
    pub interval: u64,
    /// How many requests before the neighbour counts as unreachable.
    pub requests: u32,
    /// How many bytes of packets may wait for the answer.
    pub queue: u32,
}

/// Sets the patience of an interface, for IPv4 (ARP) or IPv6 (neighbour discovery). Works without a writable /proc/sys.
pub(crate) fn set_patience(socket: &mut Socket, interface: u32, ipv4: bool, patience: &Patience) -> Result<()> {
    const NDTA_NAME: u16 = 1;
    const NDTA_PARMS: u16 = 6;
    const NDTPA_IFINDEX: u16 = 1;
    const NDTPA_RETRANS_TIME: u16 = 5;
    const NDTPA_UCAST_PROBES: u16 = 10;
    const NDTPA_MCAST_PROBES: u16 = 11;
    const NDTPA_QUEUE_LENBYTES: u16 = 16;
    let (family, name): (u8, &[u8]) = if ipv4 { (AF_INET, b"arp_cache\0") } else { (AF_INET6, b"ndisc_cache\0") };
    let message = Message::new(RTM_SETNEIGHTBL, 0, &[family, 0, 0, 0]).with(NDTA_NAME, name).with_nested(
        NDTA_PARMS,
        |parameters| {
            parameters
                .with(NDTPA_IFINDEX, &interface.to_ne_bytes())
                .with(NDTPA_RETRANS_TIME, &patience.interval.to_ne_bytes())
                .with(NDTPA_UCAST_PROBES, &patience.requests.to_ne_bytes())
                .with(NDTPA_MCAST_PROBES, &patience.requests.to_ne_bytes())
                .with(NDTPA_QUEUE_LENBYTES, &patience.queue.to_ne_bytes())
        },
    );
    socket.request(&message)
}
