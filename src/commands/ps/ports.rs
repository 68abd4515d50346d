//! Ports as docker writes them: `127.0.0.1:8080->80/tcp, 443/tcp`, neighbours joined to ranges.

use std::net::IpAddr;

use enter::container::record::Spec;

/// A run of ports that follow one another on both sides.
#[derive(Debug)]
struct Run {
    protocol: String,
    /// The host's address and its first port; none for a port that is only named.
    host: Option<(IpAddr, u16)>,
    first: u16,
    count: u16,
}

impl Run {
    fn is_followed_by(&self, host: Option<&(IpAddr, u16)>, port: u16, protocol: &str) -> bool {
        let host_follows = match (&self.host, host) {
            (None, None) => true,
            (Some((address, first)), Some((other, next))) => {
                address == other && first.checked_add(self.count) == Some(*next)
            }
            _ => false,
        };
        host_follows && self.protocol == protocol && self.first.checked_add(self.count) == Some(port)
    }

    fn text(&self) -> String {
        let range = |first: u16| match self.count {
            1 => first.to_string(),
            count => format!("{first}-{}", first.saturating_add(count - 1)),
        };
        let inside = format!("{}/{}", range(self.first), self.protocol);
        match &self.host {
            Some((address, first)) => format!("{}:{}->{inside}", bracketed(*address), range(*first)),
            None => inside,
        }
    }
}

/// An address that a port can follow.
pub fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// The port and the protocol of `80` or `80/udp`.
pub fn parse(text: &str) -> Option<(u16, &str)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol))
}

/// Everything that is published, and what is only named; as docker does, nothing for a container that does not run.
pub fn text(spec: &Spec, alive: bool) -> String {
    if !alive {
        return String::new();
    }
    let published = spec
        .ports
        .iter()
        .map(|port| (port.protocol.name().to_owned(), Some((port.address, port.host)), port.container));
    let is_published = |port: u16, protocol: &str| {
        spec.ports.iter().any(|published| published.container == port && published.protocol.name() == protocol)
    };
    let named = spec.exposed.iter().filter_map(|text| parse(text));
    let named = named.filter(|(port, protocol)| !is_published(*port, protocol));
    let mut all: Vec<_> = published.chain(named.map(|(port, protocol)| (protocol.to_owned(), None, port))).collect();
    all.sort_by(|one, other| (one.2, &one.1, &one.0).cmp(&(other.2, &other.1, &other.0)));
    all.dedup();
    let mut runs: Vec<Run> = Vec::new();
    for (protocol, host, port) in all {
        match runs.iter_mut().find(|run| run.is_followed_by(host.as_ref(), port, &protocol)) {
            Some(run) => run.count += 1,
            None => runs.push(Run { protocol, host, first: port, count: 1 }),
        }
    }
    runs.iter().map(Run::text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use enter::container::record::Port;
    use plan::Protocol;

    use super::*;

    #[test]
    fn ports_are_dockers() {
        let port = |address: &str, host, container, protocol: &str| Port {
            address: address.parse().unwrap(),
            host,
            container,
            protocol: if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp },
            chosen_from: None,
        };
        let spec = Spec {
            ports: vec![
                port("0.0.0.0", 18_081, 81, "udp"),
                port("127.0.0.1", 18_080, 80, "tcp"),
                port("::", 18_081, 81, "udp"),
                port("0.0.0.0", 8_001, 9_001, "tcp"),
                port("0.0.0.0", 8_000, 9_000, "tcp"),
            ],
            exposed: vec!["80/tcp".into(), "443".into(), "nonsense".into(), "65535/tcp".into()],
            ..Spec::default()
        };
        let expected = "127.0.0.1:18080->80/tcp, 0.0.0.0:18081->81/udp, [::]:18081->81/udp, 443/tcp, \
                        0.0.0.0:8000-8001->9000-9001/tcp, 65535/tcp";
        assert_eq!(text(&spec, true), expected);
        assert_eq!(text(&spec, false), "");
    }
}
