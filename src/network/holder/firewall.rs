//! What may go where: the firewall in the holder's namespace, made of the networks that are in use.
//!
//! Between containers of one network everything passes, on the bridge, but for what pretends to be from another one. Out goes what is new from a network that is not internal; in comes
//! what belongs to that. From one network to another nothing passes, and of the holder's own addresses containers reach only those of
//! their own networks, and there only the name server and an echo.

use std::net::{IpAddr, Ipv6Addr};

use netlink::nft::{Chain, Fate, Hook, ICMP, ICMP6, Rule, TCP, Test, UDP};

/// A network as far as the firewall is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Its bridge.
    pub bridge: String,
    /// The bridge's own addresses.
    pub gateways: Vec<IpAddr>,
    /// Its subnets: an address, and the length of the prefix.
    pub subnets: Vec<(IpAddr, u8)>,
    /// It has no way out.
    pub internal: bool,
    /// Those of its containers that may reach this machine's own servers.
    pub visitors: Vec<IpAddr>,
}

/// The messages that neighbours find each other by (RFC 4861): router solicitation to redirect, without which IPv6 does not work.
const NEIGHBOURS: Test = Test::IcmpTypes(133, 137);
const ECHO_4: Test = Test::IcmpTypes(8, 8);
const ECHO_6: Test = Test::IcmpTypes(128, 128);
const DNS: u16 = 53;

/// The interfaces that lead away from all networks.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// Out.
    pub uplink: &'a str,
    /// To this machine's own servers, which are at [`passt::HOST`] behind it.
    pub host: &'a str,
}

/// The chains. `refusal`: what becomes of what may not pass.
pub fn chains(networks: &[Ground], ways: Ways<'_>, refusal: Fate) -> Vec<Chain> {
    vec![input(networks, refusal), forward(networks, ways, refusal), out(ways)]
}

fn rule(tests: Vec<Test>, fate: Fate) -> Rule {
    Rule { tests, fate }
}

/// What comes from a network with an address of another, as if it belonged to the other's connections. `also`: further subnets that are good.
fn strangers(network: &Ground, also: &[(IpAddr, u8)]) -> [Rule; 2] {
    let known: Vec<(IpAddr, u8)> = network.subnets.iter().chain(also).copied().collect();
    [true, false]
        .map(|v4| rule(vec![Test::From(network.bridge.clone()), Test::SourceOutside(v4, known.clone())], Fate::Drop))
}

fn input(networks: &[Ground], refusal: Fate) -> Chain {
    // Neighbours speak from addresses of the link, and before they have one, from none.
    let of_the_link =
        [(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128)];
    let mut rules: Vec<Rule> = networks.iter().flat_map(|network| strangers(network, &of_the_link)).collect();
    rules.extend([
        rule(vec![Test::Established], Fate::Accept),
        rule(vec![Test::From("lo".into())], Fate::Accept),
        rule(vec![Test::Protocol(ICMP6), NEIGHBOURS], Fate::Accept),
    ]);
    for network in networks {
        for gateway in &network.gateways {
            let here = |more: [Test; 2]| {
                let mut tests = vec![Test::From(network.bridge.clone()), Test::Destination(*gateway)];
                tests.extend(more);
                rule(tests, Fate::Accept)
            };
            rules.push(here([Test::Protocol(UDP), Test::Port(DNS)]));
            rules.push(here([Test::Protocol(TCP), Test::Port(DNS)]));
            rules.push(match gateway {
                IpAddr::V4(_) => here([Test::Protocol(ICMP), ECHO_4]),
                IpAddr::V6(_) => here([Test::Protocol(ICMP6), ECHO_6]),
            });
        }
    }
    rules.push(rule(Vec::new(), refusal));
    Chain { name: "input", hook: Hook::Input, otherwise: Fate::Drop, rules }
}

fn forward(networks: &[Ground], ways: Ways<'_>, refusal: Fate) -> Chain {
    // Only what comes back: what goes out is allowed below, each time.
    let back = |way: &str| rule(vec![Test::From(way.to_owned()), Test::Established], Fate::Accept);
    let mut rules = vec![back(ways.uplink), back(ways.host)];
    for network in networks {
        let from = || Test::From(network.bridge.clone());
        // Only where the kernel has br_netfilter do packets that stay on a bridge come by here.
        rules.push(rule(vec![from(), Test::To(network.bridge.clone())], Fate::Accept));
        rules.extend(strangers(network, &[]));
        if !network.internal {
            rules.push(rule(vec![from(), Test::To(ways.uplink.to_owned())], Fate::Accept));
            let host = || [Test::To(ways.host.to_owned()), Test::Destination(passt::HOST.into())];
            for visitor in network.visitors.iter().filter(|visitor| visitor.is_ipv4()) {
                let mut tests = vec![from(), Test::Source(*visitor)];
                tests.extend(host());
                rules.push(rule(tests, Fate::Accept));
            }
        }
    }
    rules.push(rule(Vec::new(), refusal));
    Chain { name: "forward", hook: Hook::Forward, otherwise: Fate::Drop, rules }
}

/// pasta answers to one address only.
fn out(ways: Ways<'_>) -> Chain {
    let masquerade = |way: &str| rule(vec![Test::To(way.to_owned())], Fate::Masquerade);
    let rules = vec![masquerade(ways.uplink), masquerade(ways.host)];
    Chain { name: "out", hook: Hook::Masquerade, otherwise: Fate::Accept, rules }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(bridge: &str, internal: bool) -> Ground {
        let gateways = vec!["10.89.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let visitors = vec!["10.89.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        let subnets = vec![("10.89.0.0".parse().unwrap(), 24), ("fd00::".parse().unwrap(), 64)];
        Ground { bridge: bridge.into(), gateways, subnets, internal, visitors }
    }

    const WAYS: Ways<'static> = Ways { uplink: "up", host: "host" };

    #[test]
    fn nothing_but_the_way_out_leads_from_one_interface_to_another() {
        let networks = [ground("a", false), ground("b", true)];
        for rule in chains(&networks, WAYS, Fate::Reject).iter().flat_map(|chain| &chain.rules) {
            let name = |from: bool| {
                rule.tests.iter().find_map(|test| match test {
                    Test::From(name) if from => Some(name.as_str()),
                    Test::To(name) if !from => Some(name.as_str()),
                    _ => None,
                })
            };
            match (name(true), name(false)) {
                (Some(from), Some(to)) if rule.fate == Fate::Accept => {
                    let source = rule.tests.contains(&Test::Source("10.89.0.9".parse().unwrap()));
                    let host = to == "host" && source && rule.tests.contains(&Test::Destination(passt::HOST.into()));
                    assert!(from == to || (from == "a" && (to == "up" || host)), "{from} {to}");
                }
                // What belongs to a connection comes by a way that leads away, or to this namespace itself.
                (Some(from), None) if rule.tests.contains(&Test::Established) => {
                    assert!(from == "up" || from == "host")
                }
                (Some(from), None) if from != "lo" && rule.fate == Fate::Accept => {
                    assert!(rule.tests.iter().any(|test| matches!(test, Test::Destination(_))))
                }
                _ => {}
            }
        }
    }

    #[test]
    fn what_no_rule_is_about_does_not_pass() {
        for chain in chains(&[], WAYS, Fate::Drop) {
            if chain.hook != Hook::Masquerade {
                assert_eq!(chain.otherwise, Fate::Drop);
                assert_eq!(chain.rules.last().unwrap(), &Rule { tests: Vec::new(), fate: Fate::Drop });
            }
        }
    }
}
