//! How what listens inside is shown a client's own address, although it is spoken to from here.
//!
//! The socket inside takes on the client's address (IP_TRANSPARENT in ip(7)). The answers to it would leave the namespace. So the packets
//! carry a mark, which the kernel gives the answers of a connection too, and its own answer that nobody listens (tcp_fwmark_accept and
//! fwmark_reflect in ip-sysctl), and what is so marked stays here. No packet of anybody else's has the mark: it takes CAP_NET_ADMIN over this
//! namespace. A datagram in answer has none: those from the port to the client are named one flow after another.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use netlink::policy::{Answers, keep_marked};
use nix::errno::Errno;

/// The mark: `en`.
pub const MARK: u32 = 0x656e;

/// The table of routes for what is so marked.
const TABLE: u8 = 101;

/// The table of routes for datagrams in answer.
const ANSWERS: u8 = 102;

/// The most flows whose answers are named. The kernel looks at all of them for each datagram.
const MOST: usize = 1024;

/// What can be kept of clients' addresses.
#[derive(Debug, Default)]
pub struct Sources {
    /// Whether a connection can be made as the client, by IPv4 and by IPv6.
    pub of_connections: [bool; 2],
    /// Names answers, where datagrams can be sent as the client at all.
    of_datagrams: Option<netlink::Socket>,
    named: usize,
}

impl Sources {
    /// Prepares this network namespace, as far as that can be done.
    pub fn prepare() -> Self {
        let on = |name: &str| fs::write(format!("/proc/sys/net/{name}"), "1").is_ok();
        if !on("ipv4/tcp_fwmark_accept") {
            return Self::default();
        }
        // Without these a client waits who would else be told that nobody listens.
        let tells = [on("ipv4/fwmark_reflect"), on("ipv6/fwmark_reflect")];
        let keep = |ipv4| -> Result<(), Errno> { keep_marked(&mut netlink::Socket::open()?, ipv4, MARK, TABLE) };
        let of_connections = [keep(true).is_ok(), keep(false).is_ok()];
        let of_datagrams = if of_connections[0] && tells[0] { netlink::Socket::open().ok() } else { None };
        Self { of_connections, of_datagrams, named: 0 }
    }

    /// Has the answers to datagrams that are sent as `client` come here. False where they would not.
    pub fn name(&mut self, client: SocketAddr, target: SocketAddr) -> bool {
        let Some(socket) = self.of_datagrams.as_mut().filter(|_| self.named < MOST) else { return false };
        // Two ways to the same port: their answers could not be told apart. The first has them.
        let named = is_shown(client, target) && Answers { from: target, to: client }.keep(socket, ANSWERS).is_ok();
        self.named += usize::from(named);
        named
    }

    /// Ends that.
    pub fn forget(&mut self, client: SocketAddr, target: SocketAddr) {
        if let Some(socket) = &mut self.of_datagrams {
            let _ = Answers { from: target, to: client }.forget(socket, ANSWERS);
            self.named = self.named.saturating_sub(1);
        }
    }
}

/// Whether a client's address says anything there: it is of the same family, and means the same machine.
pub fn is_shown(client: SocketAddr, target: SocketAddr) -> bool {
    let means_itself = match client.ip() {
        IpAddr::V4(ipv4) => ipv4.is_loopback() || ipv4.is_unspecified() || ipv4.is_link_local(),
        IpAddr::V6(ipv6) => ipv6.is_loopback() || ipv6.is_unspecified() || ipv6.is_unicast_link_local(),
    };
    !means_itself && client.is_ipv4() == target.is_ipv4()
}

/// The peer of a socket for both families may be written as an IPv6 address though it is none.
pub fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::is_shown;

    #[test]
    fn an_address_that_means_nothing_inside_is_not_shown() {
        let shown = |client: &str, target: &str| is_shown(client.parse().unwrap(), target.parse().unwrap());
        assert!(shown("192.0.2.7:5000", "10.0.2.15:53") && shown("[2001:db8::1]:5000", "[fd00::2]:53"));
        assert!(!shown("127.0.0.1:5000", "10.0.2.15:53") && !shown("[::1]:5000", "[fd00::2]:53"));
        assert!(!shown("[fe80::1]:5000", "[fd00::2]:53") && !shown("192.0.2.7:5000", "[fd00::2]:53"));
    }
}
