//! How what listens inside is shown a client's own address, although the connection to it is made here.
//!
//! The socket inside takes on the client's address (IP_TRANSPARENT in ip(7)). The answers to it would leave the namespace; so its packets
//! carry a mark, which the kernel gives the answers too (tcp_fwmark_accept in ip-sysctl), and what is so marked stays here. No
//! packet of anybody else's has the mark: it takes CAP_NET_ADMIN over this namespace.

use std::fs;

use nix::errno::Errno;

/// The mark: `en`.
pub const MARK: u32 = 0x656e;

/// The table of routes for what is so marked.
const TABLE: u8 = 101;

/// Prepares this network namespace. Returns whether a client's address can be kept, by IPv4 and by IPv6.
pub fn prepare() -> [bool; 2] {
    if fs::write("/proc/sys/net/ipv4/tcp_fwmark_accept", "1").is_err() {
        return [false; 2];
    }
    let keep =
        |ipv4| -> Result<(), Errno> { netlink::policy::keep_marked(&mut netlink::Socket::open()?, ipv4, MARK, TABLE) };
    [keep(true).is_ok(), keep(false).is_ok()]
}
