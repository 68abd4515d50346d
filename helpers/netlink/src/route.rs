//! Addresses of interfaces, and routes.
//!
//! Numbers are those of linux/if_addr.h and rtnetlink.h, which never change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::errno::Errno;

use crate::message::{Answer, CREATE, Message, REPLACE};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressOf {
    /// The interface's index.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its network's prefix, in bits.
    pub prefix: u8,
    /// `SCOPE_…`.
    pub scope: u8,
    /// `IFA_F_…`.
    pub flags: u32,
}

/// A default route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The index of the interface that it leads over.
    pub interface: u32,
    /// Where it leads; none on a point-to-point link.
    pub gateway: Option<IpAddr>,
    /// The lowest counts.
    pub metric: u32,
}

/// An address for everywhere.
pub const SCOPE_UNIVERSE: u8 = 0;
/// An address of one link.
pub const SCOPE_LINK: u8 = 253;
/// A privacy address of IPv6; a secondary one of IPv4.
pub const IFA_F_TEMPORARY: u32 = 0x01;
/// Somebody else has it.
pub const IFA_F_DADFAILED: u32 = 0x08;
/// Not to be used for new connections.
pub const IFA_F_DEPRECATED: u32 = 0x20;
/// Not known yet whether somebody else has it.
pub const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_NODAD: u32 = 0x02;

pub(crate) fn family(address: &IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

pub(crate) fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(crate) fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

/// All addresses of all interfaces, in the kernel's order.
pub fn addresses(socket: &mut Socket) -> Result<Vec<AddressOf>> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    let answers = socket.dump(&Message::new(RTM_GETADDR, 0, &[0; 8]), 8)?;
    let of = |answer: &Answer| {
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
pub fn default_routes(socket: &mut Socket, ipv4: bool) -> Result<Vec<DefaultRoute>> {
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PRIORITY: u16 = 6;
    const RTA_MULTIPATH: u16 = 9;
    const RTA_VIA: u16 = 18;
    let mut fixed = [0; 12];
    fixed[0] = if ipv4 { AF_INET } else { AF_INET6 };
    let answers = match socket.dump(&Message::new(RTM_GETROUTE, 0, &fixed), 12) {
        // A kernel without IPv6.
        Err(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => Vec::new(),
        other => other?,
    };
    let of = |answer: &Answer| {
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

/// Gives an interface an address, usable at once (no duplicate address detection).
pub fn add_address(socket: &mut Socket, interface: u32, address: IpAddr, prefix: u8) -> Result<()> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let scope = if link_local { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let mut fixed = vec![family(&address), prefix, 0, scope];
    fixed.extend(interface.to_ne_bytes());
    let mut message = Message::new(RTM_NEWADDR, CREATE | REPLACE, &fixed)
        .with(IFA_LOCAL, &octets(&address))
        .with(IFA_ADDRESS, &octets(&address));
    if address.is_ipv6() {
        message = message.with(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes());
    }
    socket.request(&message)
}

/// Sends everything through `gateway` on an interface, which need not be in any of its networks (onlink).
pub fn add_default_route(socket: &mut Socket, interface: u32, gateway: IpAddr, source: IpAddr) -> Result<()> {
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PREFSRC: u16 = 7;
    const RTNH_F_ONLINK: u32 = 4;
    let mut fixed = vec![family(&gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, RTN_UNICAST];
    fixed.extend(RTNH_F_ONLINK.to_ne_bytes());
    let message = Message::new(RTM_NEWROUTE, CREATE | REPLACE, &fixed)
        .with(RTA_OIF, &interface.to_ne_bytes())
        .with(RTA_GATEWAY, &octets(&gateway))
        .with(RTA_PREFSRC, &octets(&source));
    socket.request(&message)
}

/// Has what is sent to these IPv4 addresses by an interface arrive in this namespace, as it does for whoever names no interface.
///
/// To forbid it would not do: of a socket that is bound to an interface the kernel assumes, where no route may be taken, that the address is
/// on its link (`ip_route_output_key_hash_rcu`).
pub fn keep_in(socket: &mut Socket, interface: u32, network: Ipv4Addr, prefix: u8) -> Result<()> {
    const RT_TABLE_LOCAL: u8 = 255;
    const SCOPE_HOST: u8 = 254;
    const RTN_LOCAL: u8 = 2;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_PRIORITY: u16 = 6;
    const AFTER_THE_KERNELS_OWN: u32 = 1;
    let fixed = [AF_INET, prefix, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    let message = Message::new(RTM_NEWROUTE, CREATE, &fixed)
        .with(RTA_DST, &network.octets())
        .with(RTA_OIF, &interface.to_ne_bytes())
        .with(RTA_PRIORITY, &AFTER_THE_KERNELS_OWN.to_ne_bytes());
    socket.request(&message)
}

/// Has this namespace send nothing to these IPv6 addresses, except to its own: a rule that comes after that for the local table.
///
/// `EOPNOTSUPP`, `EAFNOSUPPORT`: the kernel has no IPv6.
pub fn forbid(socket: &mut Socket, network: Ipv6Addr, prefix: u8) -> Result<()> {
    const RTM_NEWRULE: u16 = 32;
    const FRA_DST: u16 = 1;
    const FRA_PRIORITY: u16 = 6;
    const FR_ACT_UNREACHABLE: u8 = 7;
    const FIRST_AFTER_LOCAL: u32 = 1;
    let fixed = [AF_INET6, prefix, 0, 0, 0, 0, 0, FR_ACT_UNREACHABLE, 0, 0, 0, 0];
    let message = Message::new(RTM_NEWRULE, CREATE, &fixed)
        .with(FRA_DST, &network.octets())
        .with(FRA_PRIORITY, &FIRST_AFTER_LOCAL.to_ne_bytes());
    socket.request(&message)
}

/// Takes an address from an interface.
pub fn delete_address(socket: &mut Socket, interface: u32, address: IpAddr, prefix: u8) -> Result<()> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let mut fixed = vec![family(&address), prefix, 0, SCOPE_UNIVERSE];
    fixed.extend(interface.to_ne_bytes());
    let message =
        Message::new(RTM_DELADDR, 0, &fixed).with(IFA_LOCAL, &octets(&address)).with(IFA_ADDRESS, &octets(&address));
    socket.request(&message)
}

/// Takes the default route of one family over an interface away, if there is one.
pub fn delete_default_route(socket: &mut Socket, interface: u32, ipv4: bool) -> Result<()> {
    const RTA_OIF: u16 = 4;
    let family = if ipv4 { AF_INET } else { AF_INET6 };
    let fixed = [family, 0, 0, 0, RT_TABLE_MAIN, 0, 255, 0, 0, 0, 0, 0];
    match socket.request(&Message::new(RTM_DELROUTE, 0, &fixed).with(RTA_OIF, &interface.to_ne_bytes())) {
        Err(Errno::ESRCH) => Ok(()),
        done => done,
    }
}
