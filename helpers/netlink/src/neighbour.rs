//! Neighbours of an interface: how long it looks for them, and those that it need not look for.

use std::net::IpAddr;

use nix::errno::Errno;

use crate::message::{Answer, CREATE, Message, REPLACE};
use crate::route::{self, family, octets};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
const RTM_SETNEIGHTBL: u16 = 67;

/// How an interface looks for the link-layer address of a neighbour that does not answer yet.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Milliseconds between two requests.
    pub interval: u64,
    /// How many requests before the neighbour counts as unreachable.
    pub requests: u32,
    /// How many bytes of packets may wait for the answer.
    pub queue: u32,
}

/// Sets the patience of an interface, for IPv4 (ARP) or IPv6 (neighbour discovery). Works without a writable /proc/sys.
pub fn set_patience(socket: &mut Socket, interface: u32, ipv4: bool, patience: &Patience) -> Result<()> {
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

/// Says for good which link-layer address a neighbour has. The kernel does not count it among those that it finds by itself, of which it
/// keeps only so many for all network namespaces together (`net.ipv4.neigh.default.gc_thresh3`).
pub fn set_permanent(socket: &mut Socket, interface: u32, address: IpAddr, mac: [u8; 6]) -> Result<()> {
    let message = Message::new(RTM_NEWNEIGH, CREATE | REPLACE, &fixed(interface, &address, NUD_PERMANENT))
        .with(NDA_DST, &octets(&address))
        .with(NDA_LLADDR, &mac);
    socket.request(&message)
}

/// Takes back what was said of a neighbour. One of whom nothing was said is no error.
pub fn forget(socket: &mut Socket, interface: u32, address: IpAddr) -> Result<()> {
    let message = Message::new(RTM_DELNEIGH, 0, &fixed(interface, &address, 0)).with(NDA_DST, &octets(&address));
    match socket.request(&message) {
        Err(Errno::ENOENT) => Ok(()),
        done => done,
    }
}

/// A neighbour whose link-layer address was said for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the interface.
    pub interface: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its link-layer address.
    pub mac: [u8; 6],
}

/// All whose link-layer addresses were said for good.
pub fn permanent(socket: &mut Socket) -> Result<Vec<Neighbour>> {
    let of = |answer: &Answer| {
        let fixed = answer.fixed();
        let state = u16::from_ne_bytes(fixed.get(8..10)?.try_into().ok()?);
        Some(Neighbour {
            interface: u32::from_ne_bytes(fixed.get(4..8)?.try_into().ok()?),
            address: route::address(answer.attribute(NDA_DST)?)?,
            mac: answer.attribute(NDA_LLADDR)?.try_into().ok()?,
        })
        .filter(|_| state & NUD_PERMANENT != 0)
    };
    Ok(socket.dump(&Message::new(RTM_GETNEIGH, 0, &[0; FIXED]), FIXED)?.iter().filter_map(of).collect())
}

/// The length of `struct ndmsg`.
const FIXED: usize = 12;

/// `struct ndmsg`
fn fixed(interface: u32, address: &IpAddr, state: u16) -> Vec<u8> {
    let mut fixed = vec![family(address), 0, 0, 0];
    fixed.extend(interface.to_ne_bytes());
    fixed.extend(state.to_ne_bytes());
    fixed.extend([0, 0]);
    fixed
}
