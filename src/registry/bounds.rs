//! Where an answer may lead: to any host of the world, but not to what only this machine can reach.
//!
//! Clouds hand out a machine's credentials at a link-local address, and services for one user listen on localhost, often without a password. A
//! registry has no business to make us ask there, unless it is there itself.

use std::net::IpAddr;

use reqwest::Url;

/// What is wrong with a host that `from` leads to; `None` where nothing is.
pub fn forbids(from: &Url, to: &Url) -> Option<&'static str> {
    let (from, to) = (reach(from), reach(to));
    match to {
        _ if from == to => None,
        Reach::Link => Some("to a link-local address, where only services for this very machine are"),
        Reach::Machine if from != Reach::Link => Some("to this very machine"),
        _ => None,
    }
}

/// From how far a host can be reached, as far as its name tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Machine,
    Link,
    World,
}

fn reach(url: &Url) -> Reach {
    let address = match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            return if name == "localhost" || name.ends_with(".localhost") { Reach::Machine } else { Reach::World };
        }
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address),
        None => return Reach::World,
    };
    match address.to_canonical() {
        IpAddr::V4(address) if address.is_link_local() => Reach::Link,
        IpAddr::V4(address) if address.is_loopback() || address.octets()[0] == 0 => Reach::Machine,
        // The second is where Amazon's machines find their credentials.
        IpAddr::V6(address)
            if address.is_unicast_link_local() || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] =>
        {
            Reach::Link
        }
        IpAddr::V6(address) if address.is_loopback() || address.is_unspecified() => Reach::Machine,
        _ => Reach::World,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leads_to_what_is_nearer_than_himself() {
        let forbidden = |from: &str, to: &str| forbids(&Url::parse(from).unwrap(), &Url::parse(to).unwrap()).is_some();
        for near in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
        ] {
            for from in ["https://r.example/", "http://localhost:5000/", "http://10.0.0.1/"] {
                assert!(forbidden(from, near), "{from} {near}");
            }
            assert!(!forbidden(near, near) && !forbidden(near, "https://r.example/"), "{near}");
        }
        for here in [
            "http://localhost:1/",
            "http://127.1/",
            "http://[::1]/",
            "http://0/",
            "http://x.localhost./",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(forbidden("https://r.example/", here) && forbidden("http://192.168.0.1/", here), "{here}");
            assert!(!forbidden("http://127.0.0.1:5000/", here), "{here}");
        }
        assert!(
            !forbidden("https://r.example/", "https://10.0.0.1/")
                && !forbidden("http://localhost/", "https://r.example/")
        );
    }
}
