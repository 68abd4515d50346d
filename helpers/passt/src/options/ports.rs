//! What pasta's own forwarding of ports opens: `[ADDRESS[%INTERFACE]/]FIRST[-LAST][:FIRST[-LAST]]`, or `auto`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

/// By what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Into the container, or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Who reaches the host reaches the container.
    In,
    /// Who is in the container reaches the host's own servers, at the container's own 127.0.0.1.
    Out,
}

/// What one option opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// By what.
    pub protocol: Protocol,
    /// Which way.
    pub door: Door,
    /// At which of the host's addresses; `None`: at all of them.
    pub address: Option<IpAddr>,
    /// Which ports; `None`: all that somebody listens on, at any time.
    pub ports: Option<RangeInclusive<u16>>,
    /// By one interface of the host's only.
    pub interface: Option<String>,
}

impl Opened {
    /// Sees that what pasta is to open on the host is free.
    ///
    /// # Errors
    /// The port, and what the kernel says.
    pub fn try_out(&self) -> Result<(), (SocketAddr, io::Error)> {
        /// Of more than so many only the first are tried.
        const MOST: usize = 256;
        let (Door::In, Some(ports), None) = (self.door, &self.ports, &self.interface) else { return Ok(()) };
        for port in ports.clone().take(MOST) {
            let place = SocketAddr::new(self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port);
            let bound = match self.protocol {
                Protocol::Tcp => TcpListener::bind(place).map(drop),
                Protocol::Udp => UdpSocket::bind(place).map(drop),
            };
            bound.map_err(|error| (place, error))?;
        }
        Ok(())
    }

    /// How to open less.
    pub fn narrower(&self) -> Option<String> {
        let letter = if self.protocol == Protocol::Tcp { 't' } else { 'u' };
        match (&self.ports, self.door) {
            (Some(_), Door::In) => Some(format!("-{letter},127.0.0.1/PORT[:PORT] opens it to this machine only")),
            (None, Door::In) => Some(format!("-{letter},127.0.0.1/PORT opens one port, to this machine only")),
            (_, Door::Out) => None,
        }
    }

    /// Whether more than this machine reaches what it opens, or all is opened that comes.
    pub fn is_wide(&self) -> bool {
        let everywhere = self.address.is_none_or(|address| !address.is_loopback()) && self.interface.is_none();
        (self.door == Door::In && everywhere) || self.ports.is_none()
    }
}

/// What is opened, as a sentence.
impl fmt::Display for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        let ports = match &self.ports {
            None => format!("every {protocol} port that is listened on"),
            Some(ports) if ports.start() == ports.end() => format!("the {protocol} port {}", ports.start()),
            Some(ports) => format!("the {protocol} ports {} to {}", ports.start(), ports.end()),
        };
        match (self.door, self.address, &self.interface) {
            (Door::Out, ..) => write!(formatter, "{ports} of this machine's own 127.0.0.1 is open to the container"),
            (Door::In, Some(address), _) => write!(formatter, "{ports} leads into the container, at {address}"),
            (Door::In, None, Some(interface)) => {
                write!(formatter, "{ports} leads into the container, by this machine's {interface}")
            }
            (Door::In, None, None) => {
                write!(formatter, "{ports} leads into the container, at all addresses of this machine")
            }
        }
    }
}

/// Reads what one option opens; `None`: nothing.
pub fn read(text: &str, protocol: Protocol, door: Door) -> Result<Option<Opened>, String> {
    let opened = |address, interface, ports| Ok(Some(Opened { protocol, door, address, ports, interface }));
    match text {
        "none" => return Ok(None),
        "auto" => return opened(None, None, None),
        "all" => return Err("that is for virtual machines; in containers it is auto".into()),
        _ => {}
    }
    let (place, ports) = text.rsplit_once('/').map_or((None, text), |(place, ports)| (Some(place), ports));
    if place.is_some() && door == Door::Out {
        return Err("it is reached at 127.0.0.1 alone, and has no address".into());
    }
    let (address, interface) = match place.map(|place| place.split_once('%').unwrap_or((place, ""))) {
        None => (None, None),
        Some((address, interface)) => (
            Some(address).filter(|address| !address.is_empty()).map(of_host).transpose()?,
            Some(interface.to_owned()).filter(|interface| !interface.is_empty()),
        ),
    };
    if let Some(interface) = &interface {
        super::values::outbound(interface)?;
    }
    if let Some(excepted) = ports.strip_prefix('~') {
        // All that is listened on but for these.
        range(excepted)?;
        return opened(address, interface, None);
    }
    let (own, other) = ports.split_once(':').map_or((ports, None), |(own, other)| (own, Some(other)));
    let own = range(own)?;
    if let Some(other) = other {
        let other = range(other)?;
        if other.len() != own.len() {
            return Err(format!("{} ports do not lead to {}", own.len(), other.len()));
        }
    }
    opened(address, interface, Some(own))
}

fn of_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("`{text}` is no address"))
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let port: Option<u16> = text.parse().ok().filter(|_| !text.starts_with('+'));
        port.filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is no port from 1 to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("{first} comes after {last}"));
    }
    Ok(first..=last)
}
