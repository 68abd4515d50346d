//! Name servers: what the host's resolv.conf(5) says, and what of it holds inside a container.
//!
//! A server that is reached over the network is named to the container as it is. One that listens on the host itself
//! (127.0.0.53 of systemd-resolved, a dnsmasq) cannot be reached from inside; pasta forwards queries to it, sent to
//! [`FORWARD`].

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::HostNetwork;

/// Where a container sends queries for the host's own name server: a link-local address, which no network routes.
pub const FORWARD: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// glibc and musl look at no more servers than this (MAXNS).
const MAX_SERVERS: usize = 3;

/// What resolv.conf(5) says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// The name servers, first to last.
    pub servers: Vec<IpAddr>,
    /// The domains in which short names are looked up.
    pub search: Vec<String>,
    /// Options, as they stand there.
    pub options: Vec<String>,
}

impl Resolver {
    /// Reads the text of a resolv.conf. What is not understood is left out, as resolvers do.
    pub fn parse(text: &[u8]) -> Resolver {
        let mut resolver = Resolver::default();
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split_ascii_whitespace().filter(|word| !word.contains(char::is_control));
            match words.next() {
                // An IPv6 address may carry a zone, which has no meaning elsewhere.
                Some("nameserver") => resolver
                    .servers
                    .extend(words.next().and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok())),
                // The last `search` or `domain` holds.
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => resolver.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        resolver
    }

    /// Whether queries must go through [`FORWARD`].
    pub fn forwards(&self) -> bool {
        self.servers.contains(&FORWARD.into())
    }

    /// The text of a resolv.conf.
    pub fn to_resolv_conf(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        for (key, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                let _ = writeln!(text, "{key} {}", words.join(" "));
            }
        }
        text
    }
}

/// The host's resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostResolver {
    /// What /etc/resolv.conf says.
    pub configured: Resolver,
    /// What systemd-resolved asks, where that is what /etc/resolv.conf names.
    pub upstream: Resolver,
}

impl HostResolver {
    /// Reads the host's files. Files that do not exist say nothing.
    pub fn read() -> Result<HostResolver, Error> {
        let configured = read(Path::new("/etc/resolv.conf"))?;
        let stub = configured.servers.iter().any(IpAddr::is_loopback);
        let upstream = if stub { read(Path::new("/run/systemd/resolve/resolv.conf"))? } else { Resolver::default() };
        Ok(HostResolver { configured, upstream })
    }

    /// The resolver of a container on `network`.
    pub fn inside(&self, network: &HostNetwork) -> Resolver {
        let mut servers = reachable(&self.configured.servers, network, true);
        if servers.is_empty() {
            servers = reachable(&self.upstream.servers, network, false);
        }
        servers.truncate(MAX_SERVERS);
        Resolver { servers, ..self.configured.clone() }
    }
}

fn read(path: &Path) -> Result<Resolver, Error> {
    match fs::read(path) {
        Ok(text) => Ok(Resolver::parse(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Resolver::default()),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

fn reachable(servers: &[IpAddr], network: &HostNetwork, may_forward: bool) -> Vec<IpAddr> {
    let first_ipv4 = servers.iter().find(|server| server.is_ipv4());
    let inside = |server: &IpAddr| {
        let family = if server.is_ipv4() { &network.ipv4 } else { &network.ipv6 };
        let family = family.as_ref()?;
        let on_host = server.is_loopback() || *server == family.address;
        match server {
            // pasta forwards to the first IPv4 server of the host's resolv.conf and to no other.
            IpAddr::V4(_) if on_host => (may_forward && Some(server) == first_ipv4).then(|| FORWARD.into()),
            IpAddr::V6(address) if on_host || address.is_unicast_link_local() => None,
            server => Some(*server),
        }
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for server in servers.iter().filter_map(inside) {
        if !found.contains(&server) {
            found.push(server);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{FORWARD, HostResolver, Resolver};
    use crate::host::{HostFamily, HostNetwork};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn network(ipv4: bool, ipv6: bool) -> HostNetwork {
        let family = |address: &str| HostFamily { address: address.parse().unwrap(), prefix: 24, gateway: None };
        HostNetwork { ipv4: ipv4.then(|| family("192.0.2.2")), ipv6: ipv6.then(|| family("2001:db8::2")) }
    }

    fn inside(text: &str, network: &HostNetwork) -> Vec<String> {
        let host = HostResolver {
            configured: Resolver::parse(text.as_bytes()),
            upstream: Resolver::parse(b"nameserver 9.9.9.9\nnameserver 2620:fe::fe\n"),
        };
        host.inside(network).servers.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn a_server_on_the_network_is_named_as_it_is() {
        assert_eq!(inside("nameserver 1.1.1.1\nnameserver 192.0.2.1", &network(true, false)), ["1.1.1.1", "192.0.2.1"]);
        assert_eq!(inside("nameserver 1.1.1.1\nnameserver 2001:db8::53", &network(false, true)), ["2001:db8::53"]);
    }

    #[test]
    fn a_server_on_the_host_itself_is_asked_through_pasta() {
        assert_eq!(inside("nameserver 127.0.0.53\noptions edns0", &network(true, true)), [FORWARD.to_string()]);
        assert_eq!(inside("nameserver 192.0.2.2", &network(true, false)), [FORWARD.to_string()]);
    }

    #[test]
    fn only_the_first_server_can_be_asked_through_pasta() {
        assert_eq!(inside("nameserver 8.8.8.8\nnameserver 127.0.0.1", &network(true, false)), ["8.8.8.8"]);
    }

    #[test]
    fn without_ipv4_what_systemd_resolved_asks_is_asked_directly() {
        assert_eq!(inside("nameserver 127.0.0.53", &network(false, true)), ["2620:fe::fe"]);
        assert_eq!(inside("nameserver ::1\nnameserver fe80::1%eth0", &network(true, true)), ["9.9.9.9", "2620:fe::fe"]);
    }

    #[test]
    fn the_text_keeps_search_domains_and_options() {
        let text = "# made\ndomain old.example\nsearch a.example b.example\nnameserver 1.1.1.1\nnameserver nonsense\n\
                    options ndots:2\n; end\noptions trust-ad\n";
        let expected = "nameserver 1.1.1.1\nsearch a.example b.example\noptions ndots:2 trust-ad\n";
        assert_eq!(Resolver::parse(text.as_bytes()).to_resolv_conf(), expected);
    }

    proptest! {
        #[test]
        fn whatever_the_text_what_is_written_reads_back_the_same(text: Vec<u8>) {
            let resolver = Resolver::parse(&text);
            prop_assert_eq!(Resolver::parse(resolver.to_resolv_conf().as_bytes()), resolver);
        }

        #[test]
        fn a_container_is_never_told_an_address_of_the_host(words in prop::collection::vec("127\\.0\\.0\\.[0-9]|192\\.0\\.2\\.2|::1|2001:db8::2|8\\.8\\.8\\.8", 0..6)) {
            let text: String = words.iter().map(|word| format!("nameserver {word}\n")).collect();
            for server in inside(&text, &network(true, true)) {
                prop_assert!(!server.starts_with("127.") && server != "192.0.2.2" && server != "::1" && server != "2001:db8::2");
            }
        }
    }
}
