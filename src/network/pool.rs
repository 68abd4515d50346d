//! Which addresses are free: subnets for networks, addresses for containers. Arithmetic only.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::record::{Range, Subnet};
use super::{Error, Network};

/// Where subnets of IPv4 come from, as podman has them: 10.89.0.0 to 10.255.255.0, 256 addresses each.
const FIRST: u32 = u32::from_be_bytes([10, 89, 0, 0]);
const LAST: u32 = u32::from_be_bytes([10, 255, 255, 0]);
const PREFIX: u8 = 24;
/// The longest prefixes that leave a gateway and a container addresses of their own.
const LONGEST: (u8, u8) = (30, 126);

/// Who has addresses already.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Which.
    pub subnet: IpNet,
    /// Who, as it is said.
    pub by: String,
}

/// The addresses of networks.
pub fn taken_by<'a>(networks: impl IntoIterator<Item = &'a Network>) -> Vec<Taken> {
    let networks = networks.into_iter();
    let all = networks.flat_map(|network| network.subnets.iter().map(move |subnet| (network, subnet)));
    all.map(|(network, subnet)| Taken {
        subnet: subnet.subnet,
        by: if network.hidden {
            format!("{} of the containers' links", subnet.subnet)
        } else {
            format!("{} of the network {}", subnet.subnet, network.name)
        },
    })
    .collect()
}

/// The first free subnet of IPv4.
///
/// # Errors
/// [`Error::NoSubnet`].
pub fn free_ipv4(taken: &[Taken]) -> Result<IpNet, Error> {
    let subnets = (FIRST..=LAST).step_by(1 << (32 - PREFIX)).map(|first| {
        let address = Ipv4Addr::from(first);
        IpNet::V4(Ipv4Net::new_assert(address, PREFIX))
    });
    subnets.into_iter().find(|subnet| overlap(subnet, taken).is_none()).ok_or(Error::NoSubnet)
}

/// A free subnet of IPv6, at random among the local ones (RFC 4193).
///
/// # Errors
/// [`Error::NoSubnet`], and where there are no random bytes to be had.
pub fn free_ipv6(taken: &[Taken]) -> Result<IpNet, Error> {
    const ATTEMPTS: usize = 64;
    for _ in 0..ATTEMPTS {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random::<8>()?);
        bytes[0] = 0xfd;
        let subnet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(bytes), 64));
        if overlap(&subnet, taken).is_none() {
            return Ok(subnet);
        }
    }
    Err(Error::NoSubnet)
}

/// Who has some of these addresses already.
pub fn overlap<'a>(subnet: &IpNet, taken: &'a [Taken]) -> Option<&'a Taken> {
    taken.iter().find(|other| other.subnet.contains(&subnet.network()) || subnet.contains(&other.subnet.network()))
}

/// A subnet of a network: with the gateway that was asked for, or the first address.
///
/// # Errors
/// [`Error::Unsuitable`], [`Error::Overlap`].
pub fn subnet(subnet: IpNet, gateway: Option<IpAddr>, range: Option<Range>, taken: &[Taken]) -> Result<Subnet, Error> {
    let bad = |reason: String| Err(Error::Unsuitable(reason));
    let subnet = subnet.trunc();
    let (of_ipv4, of_ipv6) = LONGEST;
    let longest = if subnet.addr().is_ipv4() { of_ipv4 } else { of_ipv6 };
    if subnet.prefix_len() > longest {
        return bad(format!("the subnet {subnet} is too small: its prefix has at most {longest} bits"));
    }
    let first = subnet.network();
    if first.is_unspecified()
        || first.is_loopback()
        || first.is_multicast()
        || is_link_local(first)
        || subnet.prefix_len() < 8
    {
        return bad(format!("the subnet {subnet} is not one that a network can have: it means something else"));
    }
    if let Some(other) = overlap(&subnet, taken) {
        return Err(Error::Overlap { subnet, with: other.by.clone() });
    }
    let hosts = hosts(&subnet);
    let gateway = gateway.unwrap_or(hosts.first);
    if !hosts.contains(gateway) {
        return bad(format!("the gateway {gateway} is not an address of the subnet {subnet}"));
    }
    if let Some(range) = range {
        if range.first > range.last {
            return bad(format!("the range {}-{} ends before it begins", range.first, range.last));
        }
        if !subnet.contains(&range.first) || !subnet.contains(&range.last) {
            return bad(format!("the range {}-{} is not within the subnet {subnet}", range.first, range.last));
        }
    }
    let made = Subnet { subnet, gateway, range };
    let pool = made.pool();
    if pool.first > pool.last || (pool.first == pool.last && pool.first == gateway) {
        return bad(format!("no address is left for a container in the range of the subnet {subnet}"));
    }
    Ok(made)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The addresses of a subnet that hosts can have.
pub fn hosts(subnet: &IpNet) -> Range {
    let (first, last) = (number(subnet.network()), number(subnet.broadcast()));
    // The first is the subnet's own, and in IPv6 that of any router (RFC 4291, 2.6.1); the last is in IPv4 that of all.
    let last = if subnet.addr().is_ipv4() { last - 1 } else { last };
    let is_ipv4 = subnet.addr().is_ipv4();
    Range { first: address(first + 1, is_ipv4), last: address(last, is_ipv4) }
}

/// The lowest address of a subnet's pool that is neither the gateway's nor `taken`.
pub fn free_address(subnet: &Subnet, taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let pool = subnet.pool();
    let is_ipv4 = pool.first.is_ipv4();
    let addresses = (number(pool.first)..=number(pool.last)).map(|number| address(number, is_ipv4));
    addresses.into_iter().find(|address| *address != subnet.gateway && !taken(*address))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_ipv4 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

/// 64 hex digits.
pub(super) fn random_id() -> Result<String, Error> {
    Ok(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Error::file("read random bytes from", "/dev/urandom"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn taken(subnets: &[&str]) -> Vec<Taken> {
        subnets.iter().map(|text| Taken { subnet: net(text), by: (*text).to_owned() }).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_free_subnet_is_podmans() {
        assert_eq!(free_ipv4(&[]).unwrap(), net("10.89.0.0/24"));
        assert_eq!(free_ipv4(&taken(&["10.89.0.0/24", "10.89.1.128/25"])).unwrap(), net("10.89.2.0/24"));
        assert_eq!(free_ipv4(&taken(&["10.89.0.0/16"])).unwrap(), net("10.90.0.0/24"));
        assert!(matches!(free_ipv4(&taken(&["10.0.0.0/8"])), Err(Error::NoSubnet)));
        let six = free_ipv6(&[]).unwrap();
        assert!(six.to_string().starts_with("fd") && six.prefix_len() == 64, "{six}");
    }

    #[test]
    fn a_subnet_has_a_gateway_of_its_own() {
        let made = subnet(net("10.5.0.9/24"), None, None, &[]).unwrap();
        assert_eq!((made.subnet, made.gateway), (net("10.5.0.0/24"), ip("10.5.0.1")));
        let made = subnet(net("fd00:1::/64"), Some(ip("fd00:1::fe")), None, &[]).unwrap();
        assert_eq!(made.gateway, ip("fd00:1::fe"));
        for (bad, gateway) in [
            ("10.5.0.0/24", Some("10.5.1.1")),
            ("10.5.0.0/24", Some("10.5.0.0")),
            ("10.5.0.0/24", Some("10.5.0.255")),
            ("10.5.0.0/24", Some("fd00::1")),
            ("10.5.0.0/31", None),
            ("fd00::/127", None),
            ("127.0.0.0/8", None),
            ("169.254.7.0/24", None),
            ("224.0.0.0/24", None),
            ("0.0.0.0/0", None),
        ] {
            assert!(subnet(net(bad), gateway.map(ip), None, &[]).is_err(), "{bad} {gateway:?}");
        }
        let error = subnet(net("10.5.0.0/24"), None, None, &taken(&["10.0.0.0/8"])).unwrap_err();
        assert_eq!(error.to_string(), "the subnet 10.5.0.0/24 overlaps with 10.0.0.0/8");
    }

    #[test]
    fn addresses_come_from_the_range_until_it_is_used_up() {
        let range = Range { first: ip("10.5.0.0"), last: ip("10.5.0.3") };
        let made = subnet(net("10.5.0.0/24"), None, Some(range), &[]).unwrap();
        assert_eq!(free_address(&made, |_| false), Some(ip("10.5.0.2")));
        assert_eq!(free_address(&made, |address| address == ip("10.5.0.2")), Some(ip("10.5.0.3")));
        assert_eq!(free_address(&made, |_| true), None);
        for (first, last) in
            [("10.5.0.9", "10.5.0.8"), ("10.6.0.1", "10.6.0.2"), ("10.5.0.1", "10.5.0.1"), ("fd00::1", "fd00::2")]
        {
            let range = Range { first: ip(first), last: ip(last) };
            assert!(subnet(net("10.5.0.0/24"), None, Some(range), &[]).is_err(), "{first}-{last}");
        }
        let six = subnet(net("fd00::/64"), None, None, &[]).unwrap();
        assert_eq!(free_address(&six, |_| false), Some(ip("fd00::2")));
    }

    proptest! {
        #[test]
        fn any_subnet_is_refused_or_has_room_for_a_gateway_and_a_container(address: [u8; 16], four: bool, prefix in 0_u8..=128) {
            let asked = if four {
                IpNet::new(Ipv4Addr::from(u32::from_be_bytes([address[0], address[1], address[2], address[3]])).into(), prefix % 33)
            } else {
                IpNet::new(Ipv6Addr::from(address).into(), prefix)
            };
            if let Ok(made) = subnet(asked.unwrap(), None, None, &[]) {
                let free = free_address(&made, |_| false).unwrap();
                prop_assert!(made.subnet.contains(&free) && free != made.gateway && made.hosts().contains(free));
            }
        }
    }
}
