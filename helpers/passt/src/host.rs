//! How the host reaches the outside: the interface, address and gateway of its default routes, which the container is to share.
//!
//! Reads the kernel's tables (a few hundred microseconds); changes nothing.

use std::net::IpAddr;

use netlink::route::{
    self, AddressOf, DefaultRoute, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TEMPORARY, IFA_F_TENTATIVE, SCOPE_LINK,
    SCOPE_UNIVERSE,
};
use netlink::{Result, Socket};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The host's way out in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFamily {
    /// The address of the interface with the default route.
    pub address: IpAddr,
    /// The length of its network's prefix, in bits.
    pub prefix: u8,
    /// The gateway; none on a point-to-point link.
    pub gateway: Option<IpAddr>,
}

/// The host's ways out: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNetwork {
    /// By IPv4.
    pub ipv4: Option<HostFamily>,
    /// By IPv6.
    pub ipv6: Option<HostFamily>,
}

impl HostNetwork {
    /// The ways out of the network namespace that this is called in; `None` if it has no default route at all: then nothing
    /// in it reaches the outside, and no container will.
    pub fn read() -> std::result::Result<Option<HostNetwork>, Error> {
        read().map_err(|errno| Error::HostNetwork { source: errno.into() })
    }

    /// The addresses of one interface, with the gateways of its default routes where it has some; `None` if it has no address.
    pub fn by(interface: &str) -> std::result::Result<Option<HostNetwork>, Error> {
        let failed = |errno: nix::errno::Errno| Error::HostNetwork { source: errno.into() };
        let Ok(index) = nix::net::if_::if_nametoindex(interface) else {
            return Err(Error::Unfit(format!("this machine has no interface {interface}")));
        };
        let mut socket = Socket::open().map_err(failed)?;
        let addresses = route::addresses(&mut socket).map_err(failed)?;
        let mut family = |ipv4| -> std::result::Result<Option<HostFamily>, Error> {
            let mut routes = route::default_routes(&mut socket, ipv4).map_err(failed)?;
            routes.retain(|route| route.interface == index);
            routes.push(DefaultRoute { interface: index, gateway: None, metric: u32::MAX });
            Ok(way_out(&routes, &addresses, ipv4))
        };
        let (ipv4, ipv6) = (family(true)?, family(false)?);
        Ok((ipv4.is_some() || ipv6.is_some()).then_some(HostNetwork { ipv4, ipv6 }))
    }
}

fn read() -> Result<Option<HostNetwork>> {
    let mut socket = Socket::open()?;
    let addresses = route::addresses(&mut socket)?;
    let ipv4 = way_out(&route::default_routes(&mut socket, true)?, &addresses, true);
    let ipv6 = way_out(&route::default_routes(&mut socket, false)?, &addresses, false);
    Ok((ipv4.is_some() || ipv6.is_some()).then_some(HostNetwork { ipv4, ipv6 }))
}

/// The first route, best first, whose interface has an address that can be used with it.
fn way_out(routes: &[DefaultRoute], addresses: &[AddressOf], ipv4: bool) -> Option<HostFamily> {
    routes.iter().find_map(|route| {
        let own = || addresses.iter().filter(|one| one.interface == route.interface && one.address.is_ipv4() == ipv4);
        // pasta leaves IPv6 alone on an interface without a link-local address.
        if !ipv4 && !own().any(|one| one.scope == SCOPE_LINK) {
            return None;
        }
        let unusable = IFA_F_DADFAILED | IFA_F_TENTATIVE;
        let best = own()
            .filter(|one| one.scope == SCOPE_UNIVERSE && one.flags & unusable == 0)
            // IFA_F_TEMPORARY is IFA_F_SECONDARY in IPv4. The kernel's own order decides among equals.
            .min_by_key(|one| one.flags & (IFA_F_DEPRECATED | IFA_F_TEMPORARY))?;
        Some(HostFamily { address: best.address, prefix: best.prefix, gateway: route.gateway })
    })
}

#[cfg(test)]
mod tests {
    use super::{HostFamily, way_out};
    use netlink::route::{AddressOf, DefaultRoute, IFA_F_DEPRECATED, IFA_F_TEMPORARY, IFA_F_TENTATIVE};

    fn on(interface: u32, address: &str, prefix: u8, scope: u8, flags: u32) -> AddressOf {
        AddressOf { interface, address: address.parse().unwrap(), prefix, scope, flags }
    }

    fn route(interface: u32, gateway: &str) -> DefaultRoute {
        DefaultRoute { interface, gateway: gateway.parse().ok(), metric: 0 }
    }

    fn family(address: &str, prefix: u8, gateway: &str) -> Option<HostFamily> {
        Some(HostFamily { address: address.parse().unwrap(), prefix, gateway: gateway.parse().ok() })
    }

    #[test]
    fn the_address_is_that_of_the_interface_with_the_route() {
        let addresses = [on(1, "127.0.0.1", 8, 254, 0), on(3, "10.0.0.7", 8, 0, 0), on(2, "192.0.2.2", 24, 0, 0)];
        let found = way_out(&[route(2, "192.0.2.1")], &addresses, true);
        assert_eq!(found, family("192.0.2.2", 24, "192.0.2.1"));
    }

    #[test]
    fn a_route_over_an_interface_without_an_address_gives_way_to_the_next() {
        let addresses = [on(3, "10.0.0.7", 8, 0, 0)];
        let routes = [route(2, "192.0.2.1"), route(3, "")];
        assert_eq!(way_out(&routes, &addresses, true), family("10.0.0.7", 8, ""));
        assert_eq!(way_out(&[], &addresses, true), None);
    }

    #[test]
    fn a_lasting_ipv6_address_is_preferred_and_a_tentative_one_never_taken() {
        let addresses = [
            on(2, "2001:db8::a", 64, 0, IFA_F_TENTATIVE),
            on(2, "2001:db8::b", 64, 0, IFA_F_TEMPORARY),
            on(2, "2001:db8::c", 64, 0, IFA_F_DEPRECATED),
            on(2, "2001:db8::d", 64, 0, 0),
            on(2, "fe80::1", 64, 253, 0),
        ];
        let routes = [route(2, "fe80::2")];
        assert_eq!(way_out(&routes, &addresses, false), family("2001:db8::d", 64, "fe80::2"));
        assert_eq!(way_out(&routes, &addresses[..1], false), None);
    }

    #[test]
    fn ipv6_without_a_link_local_address_is_no_way_out() {
        let addresses = [on(2, "2001:db8::d", 64, 0, 0)];
        assert_eq!(way_out(&[route(2, "fe80::2")], &addresses, false), None);
    }
}
