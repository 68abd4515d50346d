//! Interfaces: bridges, the two ends of a cable (veth(4)), and what can be set of any.
//!
//! Numbers are those of linux/if_link.h, veth.h and rtnetlink.h, which never change.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::message::{self, CREATE, EXCLUSIVE, Message};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const IFF_UP: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

/// The length of `struct ifinfomsg`.
const FIXED: usize = 16;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `bridge`, `veth`, `tun`, …; nothing for a loopback.
    pub kind: String,
    /// The index of the bridge that it is a port of; 0: of none.
    pub master: u32,
    /// Its link-layer address, where it has one.
    pub mac: Vec<u8>,
    /// The largest packet.
    pub mtu: u32,
    /// Whether it is switched on.
    pub is_up: bool,
}

/// All interfaces of the namespace.
pub fn all(socket: &mut Socket) -> Result<Vec<Link>> {
    let answers = socket.dump(&Message::new(RTM_GETLINK, 0, &[0; FIXED]), FIXED)?;
    let of = |answer: &message::Answer| {
        let number = |at: usize| Some(u32::from_ne_bytes(answer.fixed().get(at..at + 4)?.try_into().ok()?));
        let kind = answer.attribute(IFLA_LINKINFO).and_then(|info| message::attribute(info, IFLA_INFO_KIND));
        let kind = kind.map(|kind| String::from_utf8_lossy(kind.strip_suffix(&[0]).unwrap_or(kind)).into_owned());
        Some(Link {
            index: number(4)?,
            name: answer.text(IFLA_IFNAME)?.to_owned(),
            kind: kind.unwrap_or_default(),
            master: answer.number(IFLA_MASTER).unwrap_or(0),
            mac: answer.attribute(IFLA_ADDRESS).unwrap_or_default().to_vec(),
            mtu: answer.number(IFLA_MTU).unwrap_or(0),
            is_up: number(8)? & IFF_UP != 0,
        })
    };
    Ok(answers.iter().filter_map(of).collect())
}

/// Whether packets that are sent by an interface leave it, which is so a moment after it was switched on: the kernel gets round to it by
/// and by (linkwatch), and drops what comes before, at a bridge what comes from there as well.
pub fn carries(socket: &mut Socket, interface: u32) -> Result<bool> {
    const IFLA_QDISC: u16 = 6;
    const IFLA_INFO_SLAVE_DATA: u16 = 5;
    const IFLA_BRPORT_STATE: u16 = 1;
    const BR_STATE_FORWARDING: u8 = 3;
    let answer = socket.ask(&Message::new(RTM_GETLINK, 0, &header(interface, 0, 0)), FIXED)?;
    let port = answer.attribute(IFLA_LINKINFO).and_then(|info| message::attribute(info, IFLA_INFO_SLAVE_DATA));
    let state = port.and_then(|port| message::attribute(port, IFLA_BRPORT_STATE));
    Ok(answer.text(IFLA_QDISC) != Some("noop") && state.is_none_or(|state| state == [BR_STATE_FORWARDING]))
}

/// Makes a bridge. Its address is given, as one that the kernel chooses would change with its ports.
pub fn add_bridge(socket: &mut Socket, name: &str, mac: [u8; 6], mtu: u32) -> Result<()> {
    let message = Message::new(RTM_NEWLINK, CREATE | EXCLUSIVE, &header(0, 0, 0))
        .with(IFLA_IFNAME, &text(name)?)
        .with(IFLA_ADDRESS, &mac)
        .with(IFLA_MTU, &mtu.to_ne_bytes())
        .with_nested(IFLA_LINKINFO, |info| info.with(IFLA_INFO_KIND, b"bridge\0"));
    socket.request(&message)
}

/// A cable from a bridge into another network namespace.
#[derive(Clone, Copy, Debug)]
pub struct Cable<'a> {
    /// The end at the bridge.
    pub name: &'a str,
    /// The bridge's index.
    pub bridge: u32,
    /// The namespace of the other end.
    pub namespace: BorrowedFd<'a>,
    /// The other end's name there.
    pub inside: &'a str,
    /// The other end's link-layer address.
    pub mac: [u8; 6],
    /// The largest packet.
    pub mtu: u32,
}

/// Lays a cable, whose end at the bridge is switched on. Needs CAP_NET_ADMIN over both namespaces. `EEXIST`: a name is taken.
pub fn add_cable(socket: &mut Socket, cable: &Cable<'_>) -> Result<()> {
    const VETH_INFO_PEER: u16 = 1;
    let mtu = cable.mtu.to_ne_bytes();
    let peer = Message::new(0, 0, &header(0, 0, 0))
        .with(IFLA_IFNAME, &text(cable.inside)?)
        .with(IFLA_ADDRESS, &cable.mac)
        .with(IFLA_MTU, &mtu)
        .with(IFLA_NET_NS_FD, &cable.namespace.as_raw_fd().to_ne_bytes());
    let message = Message::new(RTM_NEWLINK, CREATE | EXCLUSIVE, &header(0, IFF_UP, IFF_UP))
        .with(IFLA_IFNAME, &text(cable.name)?)
        .with(IFLA_MTU, &mtu)
        .with(IFLA_MASTER, &cable.bridge.to_ne_bytes())
        .with_nested(IFLA_LINKINFO, |info| {
            info.with(IFLA_INFO_KIND, b"veth\0")
                .with_nested(IFLA_INFO_DATA, |data| data.with(VETH_INFO_PEER, peer.body()))
        });
    socket.request(&message)
}

/// Sets the largest packet of an interface.
pub fn set_mtu(socket: &mut Socket, interface: u32, mtu: u32) -> Result<()> {
    socket.request(&Message::new(RTM_NEWLINK, 0, &header(interface, 0, 0)).with(IFLA_MTU, &mtu.to_ne_bytes()))
}

/// Makes an interface a port of a bridge.
pub fn set_bridge(socket: &mut Socket, interface: u32, bridge: u32) -> Result<()> {
    socket.request(&Message::new(RTM_NEWLINK, 0, &header(interface, 0, 0)).with(IFLA_MASTER, &bridge.to_ne_bytes()))
}

/// Removes an interface; the other end of a cable goes with it. One that is gone already is no error.
pub fn delete(socket: &mut Socket, interface: u32) -> Result<()> {
    match socket.request(&Message::new(RTM_DELLINK, 0, &header(interface, 0, 0))) {
        Err(Errno::ENODEV) => Ok(()),
        done => done,
    }
}

/// A name of an interface as the kernel takes it: at most 15 bytes, and a NUL.
fn text(name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() >= 16 || name.bytes().any(|byte| byte == 0) {
        return Err(Errno::EINVAL);
    }
    Ok([name.as_bytes(), b"\0"].concat())
}

/// `struct ifinfomsg`
fn header(interface: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut fixed = vec![0; 4];
    fixed.extend(interface.to_ne_bytes());
    fixed.extend(flags.to_ne_bytes());
    fixed.extend(change.to_ne_bytes());
    fixed
}

/// Switches an interface on.
pub fn up(socket: &mut Socket, interface: u32) -> Result<()> {
    socket.request(&Message::new(RTM_NEWLINK, 0, &header(interface, IFF_UP, IFF_UP)))
}

/// Sets the link-layer address and the MTU of an interface that is off.
pub fn set(socket: &mut Socket, interface: u32, mac: [u8; 6], mtu: u32) -> Result<()> {
    let message = Message::new(RTM_NEWLINK, 0, &header(interface, 0, 0))
        .with(IFLA_ADDRESS, &mac)
        .with(IFLA_MTU, &mtu.to_ne_bytes());
    socket.request(&message)
}

/// Lets the IPv4 neighbours of an interface survive a missing carrier (Linux 5.16; `EINVAL` before).
pub fn keep_neighbours_without_carrier(socket: &mut Socket, interface: u32) -> Result<()> {
    const IPV4_DEVCONF_ARP_EVICT_NOCARRIER: u16 = 33;
    socket.request(&ipv4_setting(interface, IPV4_DEVCONF_ARP_EVICT_NOCARRIER, 0))
}

/// Lets IPv4 use the routes of an interface that has no carrier, also where the host's settings, which a new namespace inherits,
/// say otherwise.
pub fn use_routes_without_carrier(socket: &mut Socket, interface: u32) -> Result<()> {
    const IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN: u16 = 29;
    socket.request(&ipv4_setting(interface, IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN, 0))
}

/// What `net.ipv4.conf.INTERFACE.…` sets, for a /proc/sys that is not to be written.
fn ipv4_setting(interface: u32, setting: u16, value: u32) -> Message {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_INET_CONF: u16 = 1;
    Message::new(RTM_NEWLINK, 0, &header(interface, 0, 0)).with_nested(IFLA_AF_SPEC, |families| {
        families.with_nested(u16::from(AF_INET), |inet| {
            inet.with_nested(IFLA_INET_CONF, |settings| settings.with(setting, &value.to_ne_bytes()))
        })
    })
}

/// Has IPv6 make no address of its own for an interface: without a carrier it would come too late.
pub fn no_generated_addresses(socket: &mut Socket, interface: u32) -> Result<()> {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
    const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
    let message = Message::new(RTM_NEWLINK, 0, &header(interface, 0, 0)).with_nested(IFLA_AF_SPEC, |families| {
        families
            .with_nested(u16::from(AF_INET6), |inet6| inet6.with(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]))
    });
    socket.request(&message)
}

/// Has the kernel pass IPv4 packets on that come by this interface: `net.ipv4.conf.INTERFACE.forwarding`.
pub fn forward(socket: &mut Socket, interface: u32) -> Result<()> {
    const IPV4_DEVCONF_FORWARDING: u16 = 1;
    socket.request(&ipv4_setting(interface, IPV4_DEVCONF_FORWARDING, 1))
}
