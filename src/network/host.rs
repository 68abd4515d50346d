//! Which addresses this machine itself uses or reaches, by /proc/net: no network of one's own is to hide any of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::pool::Taken;

/// What the host has addresses of, or routes to. What cannot be read is as if there were none: then nothing is hidden either.
pub fn taken() -> Vec<Taken> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    routes_ipv4(&read("route")).into_iter().chain(routes_ipv6(&read("ipv6_route"))).collect()
}

/// The routes in the form of /proc/net/route; addresses and masks are hexadecimal, in the machine's order of bytes.
fn routes_ipv4(text: &str) -> Vec<Taken> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(in_order);
        let (destination, mask) = (number(1)?, number(7)?);
        let net = Ipv4Net::with_netmask(destination, mask).ok()?;
        named(IpNet::V4(net), fields.first()?)
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The routes in the form of /proc/net/ipv6_route.
fn routes_ipv6(text: &str) -> Vec<Taken> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = u128::from_str_radix(fields.first()?, 16).ok()?;
        let prefix = u8::from_str_radix(fields.get(1)?, 16).ok()?;
        let net = Ipv6Net::new(Ipv6Addr::from(address), prefix).ok()?;
        named(IpNet::V6(net), fields.last()?)
    };
    text.lines().filter_map(route).collect()
}

/// A route that leads somewhere in particular.
fn named(net: IpNet, interface: &str) -> Option<Taken> {
    let first = net.network();
    let special = net.prefix_len() == 0 || first.is_loopback() || first.is_multicast() || first.is_unspecified();
    let link_local = matches!(first, std::net::IpAddr::V6(address) if address.is_unicast_link_local());
    (!special && !link_local)
        .then(|| Taken { subnet: net, by: format!("{net}, which this machine reaches by {interface}") })
}

/// A number as the kernel printed the bytes of an address with %08X.
fn in_order(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(number.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_but_for_the_default_one() {
        let mask = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let text = format!(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             eth0\t00000000\t{}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\nrubbish\n",
            mask([192, 0, 2, 1]),
            mask([10, 89, 3, 0]),
            mask([255, 255, 255, 0])
        );
        let found: Vec<String> = routes_ipv4(&text).into_iter().map(|taken| taken.by).collect();
        assert_eq!(found, ["10.89.3.0/24, which this machine reaches by eth0"]);
    }

    #[test]
    fn routes_of_ipv6_are_read_but_for_those_of_every_machine() {
        let line = |address: &str, prefix: &str| {
            format!("{address} {prefix} {0:032x} 00 {0:032x} 00000100 00000002 00000000 00000001     eth0\n", 0)
        };
        let text = line("fd000000000000000000000000000000", "40")
            + &line("fe800000000000000000000000000000", "40")
            + &line(&"0".repeat(32), "00");
        let found: Vec<String> = routes_ipv6(&text).iter().map(|taken| taken.subnet.to_string()).collect();
        assert_eq!(found, ["fd00::/64"]);
    }
}
