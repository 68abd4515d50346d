//! From options to the interface that they ask for.

use std::net::{IpAddr, Ipv4Addr};

use super::Options;
use crate::dns::{FORWARD, HostResolver};
use crate::error::Error;
use crate::host::HostNetwork;
use crate::interface::{Address, GATEWAY_4, GATEWAY_6, Interface};

impl Options {
    /// The ways out of this machine, as far as a container with these options is to share them.
    ///
    /// # Errors
    /// Where the interface that was named cannot be taken from, and what the kernel says.
    pub fn host(&self) -> Result<Option<HostNetwork>, Error> {
        let Some(template) = &self.template else { return HostNetwork::read() };
        let host = HostNetwork::by(template)?;
        host.map(Some).ok_or_else(|| Error::Unfit(format!("this machine's interface {template} has no address")))
    }

    /// The interface of a container with these options.
    ///
    /// # Errors
    /// [`Error::Unfit`].
    pub fn interface(&self, host: Option<&HostNetwork>, resolver: &HostResolver) -> Result<Interface, Error> {
        let mut interface = match host {
            Some(host) => Interface::like(host, resolver),
            None => Interface::waiting(resolver),
        };
        self.set_addresses(&mut interface)?;
        if let Some(name) = &self.name {
            interface.name.clone_from(name);
        }
        interface.mac = self.mac;
        interface.mtu = self.mtu;
        interface.told = self.told.clone();
        if let Some(template) = &self.template {
            interface.told.words.extend(["-i".into(), template.clone()]);
        }
        interface.host = self.loopback.or_else(|| {
            let first = interface.ipv4.as_ref().or(interface.ipv6.as_ref());
            first.filter(|_| self.told.map_gateway).map(|address| address.gateway)
        });
        self.set_resolver(&mut interface);
        Ok(interface)
    }

    fn set_addresses(&self, interface: &mut Interface) -> Result<(), Error> {
        let unfit = |why: String| Err(Error::Unfit(why));
        for (address, prefix) in &self.addresses {
            let (family, gateway) = match address {
                IpAddr::V4(_) => (&mut interface.ipv4, GATEWAY_4.into()),
                IpAddr::V6(_) => (&mut interface.ipv6, GATEWAY_6.into()),
            };
            let same = family.as_ref().filter(|own| own.address == *address).map(|own| own.prefix);
            let prefix =
                prefix.or(self.prefix.filter(|_| address.is_ipv4())).or(same).unwrap_or(usual_prefix(*address));
            let gateway = family.as_ref().map_or(gateway, |own| own.gateway);
            *family = Some(Address { address: *address, prefix, gateway });
        }
        match self.only_ipv4 {
            Some(true) => interface.ipv6 = None,
            Some(false) => interface.ipv4 = None,
            None => {}
        }
        if !self.has_room_for_ipv6() {
            // The kernel has no IPv6 on such an interface.
            interface.ipv6 = None;
        }
        if interface.ipv4.is_none() && interface.ipv6.is_none() {
            let other = if self.only_ipv4 == Some(true) { "IPv4" } else { "IPv6" };
            return unfit(format!("this machine has no way out by {other}, and no other address was given"));
        }
        if let (Some(prefix), Some(ipv4)) = (self.prefix, &mut interface.ipv4) {
            ipv4.prefix = prefix;
        }
        for gateway in &self.gateways {
            let family = if gateway.is_ipv4() { &mut interface.ipv4 } else { &mut interface.ipv6 };
            match family {
                Some(own) => own.gateway = *gateway,
                None => return unfit(format!("there is no address that goes with the gateway {gateway}")),
            }
        }
        Ok(())
    }

    fn set_resolver(&self, interface: &mut Interface) {
        let resolver = &mut interface.resolver;
        let gateways = [&interface.ipv4, &interface.ipv6].map(|family| family.as_ref().map(|own| own.gateway));
        if let Some(servers) = &self.servers {
            resolver.servers.clone_from(servers);
        } else if !self.told.forward.is_empty() {
            resolver.servers.clone_from(&self.told.forward);
        } else if self.told.map_gateway {
            // The gateway is this machine now, where nobody may answer.
            for server in resolver.servers.iter_mut().filter(|server| gateways.contains(&Some(**server))) {
                *server = FORWARD.into();
            }
            resolver.servers.dedup();
        }
        // Of a family that the container does not have.
        resolver.servers.retain(|server| match server {
            IpAddr::V4(_) => interface.ipv4.is_some(),
            IpAddr::V6(_) => interface.ipv6.is_some(),
        });
        if let Some(search) = &self.search {
            resolver.search.clone_from(search);
        }
        interface.lasting_resolver =
            self.servers.is_some() || self.search.is_some() || !self.told.forward.is_empty() || self.told.map_gateway;
    }
}

/// What pasta takes where none is told: by the classes of old, and a single network of IPv6.
fn usual_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V6(_) => 64,
        IpAddr::V4(address) => match Ipv4Addr::octets(&address)[0] {
            0..128 => 8,
            128..192 => 16,
            192..224 => 24,
            _ => 32,
        },
    }
}
