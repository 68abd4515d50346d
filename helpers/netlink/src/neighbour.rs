//! Neighbours of an interface: how long it looks for them, and those that it need not look for.

use std::net::IpAddr;

use crate::message::{CREATE, Message, REPLACE};
use crate::route::{family, octets};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWNEIGH: u16 = 28;
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
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    const NUD_PERMANENT: u16 = 0x80;
    let mut fixed = vec![family(&address), 0, 0, 0];
    fixed.extend(interface.to_ne_bytes());
    fixed.extend(NUD_PERMANENT.to_ne_bytes());
    fixed.extend([0, 0]);
    let message =
        Message::new(RTM_NEWNEIGH, CREATE | REPLACE, &fixed).with(NDA_DST, &octets(&address)).with(NDA_LLADDR, &mac);
    socket.request(&message)
}
