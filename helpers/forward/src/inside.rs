//! Where in this network namespace a client's connection is to go.
//!
//! First to an address of an interface, as from anywhere else: what listens there does not take the client for a local one. A client that
//! came by the loopback interface of its own side is as near as one can be, and may go on to what listens on this one's loopback
//! alone, such as a development server; nobody else may.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// For how long addresses are taken to be what they were: networks come and go while a container runs.
const FRESH: Duration = Duration::from_secs(1);

/// The addresses of this namespace's interfaces.
#[derive(Debug, Default)]
pub struct Inside {
    ipv4: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
    read: Option<Instant>,
}

impl Inside {
    /// Where to try to reach a port for a client, best first.
    pub fn targets(&mut self, client: IpAddr) -> Vec<IpAddr> {
        if self.read.is_none_or(|read| read.elapsed() > FRESH) {
            self.read_again();
        }
        targets(self.ipv4, self.ipv6, client.to_canonical())
    }

    fn read_again(&mut self) {
        (self.ipv4, self.ipv6, self.read) = (None, None, Some(Instant::now()));
        let Ok(interfaces) = getifaddrs() else { return };
        for interface in interfaces.filter(|one| !one.flags.contains(InterfaceFlags::IFF_LOOPBACK)) {
            let Some(address) = interface.address else { continue };
            if let Some(ipv4) = address.as_sockaddr_in() {
                self.ipv4.get_or_insert(ipv4.ip());
            } else if let Some(ipv6) = address.as_sockaddr_in6().filter(|ipv6| !ipv6.ip().is_unicast_link_local()) {
                self.ipv6.get_or_insert(ipv6.ip());
            }
        }
    }
}

fn targets(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>, client: IpAddr) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = ipv4.map(IpAddr::V4).into_iter().chain(ipv6.map(IpAddr::V6)).collect();
    if client.is_loopback() {
        found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
    // What speaks only the other family is better than nothing.
    found.sort_by_key(|address| (address.is_ipv4() != client.is_ipv4(), address.is_loopback()));
    found
}

#[cfg(test)]
mod tests {
    use super::targets;
    use std::net::IpAddr;

    fn of(ipv4: &str, ipv6: &str, client: &str) -> Vec<String> {
        let found = targets(ipv4.parse().ok(), ipv6.parse().ok(), client.parse::<IpAddr>().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_a_client_of_this_machine_reaches_the_loopback_inside() {
        assert_eq!(of("10.0.0.2", "fd00::2", "127.0.0.1"), ["10.0.0.2", "127.0.0.1", "fd00::2", "::1"]);
        assert_eq!(of("10.0.0.2", "fd00::2", "192.0.2.7"), ["10.0.0.2", "fd00::2"]);
    }

    #[test]
    fn the_clients_own_family_comes_first() {
        assert_eq!(of("10.0.0.2", "fd00::2", "2001:db8::1"), ["fd00::2", "10.0.0.2"]);
        assert_eq!(of("10.0.0.2", "", "::1"), ["::1", "10.0.0.2", "127.0.0.1"]);
        assert_eq!(of("", "", "192.0.2.7"), [""; 0]);
    }
}
