//! `-p [[ADDRESS:][HOST]:]CONTAINER[/PROTOCOL]`, as docker and podman read it.

use std::net::IpAddr;

use super::{Port, Protocol};

/// The most ports that one flag may name: each takes a socket.
const MOST: u16 = 4096;

/// A port that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The host's address; `None`: where ports are published by default.
    pub address: Option<IpAddr>,
    /// The host's port, or the ports of which one is to be chosen; `None`: the system chooses.
    pub host: Option<(u16, u16)>,
    /// The container's port.
    pub container: u16,
    /// What is passed on.
    pub protocol: Protocol,
}

impl Asked {
    /// What is kept of it.
    pub fn port(self, default: IpAddr) -> Port {
        let (host, chosen_from) = match self.host {
            Some((first, last)) if first == last => (first, None),
            Some(range) => (0, Some(range)),
            None => (0, Some((0, 0))),
        };
        let Self { address, container, protocol, .. } = self;
        Port { address: address.unwrap_or(default), host, container, protocol, chosen_from }
    }
}

/// Reads what one flag names.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn parse(text: &str) -> Result<Vec<Asked>, String> {
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => return Err("sctp cannot be passed on: what carries packets here knows tcp and udp only".into()),
        _ => return Err("the protocol is /tcp or /udp".into()),
    };
    let (outside, container) = match ports.rsplit_once(':') {
        Some((outside, container)) => (Some(outside), container),
        None => (None, ports),
    };
    let (first, last) = range(container, "container's")?;
    if first == 0 {
        return Err("there is no port 0 in the container".into());
    }
    let (address, host) = match outside {
        None => (None, ""),
        Some(outside) => match outside.rsplit_once(':') {
            Some((address, host)) => (Some(address), host),
            None => (None, outside),
        },
    };
    let address = address.filter(|address| !address.is_empty()).map(read_address).transpose()?;
    let host = match host {
        "" | "0" => None,
        host => Some(range(host, "host's")?),
    };
    let count = last - first;
    let asked = |container: u16, host| Asked { address, host, container, protocol };
    match host {
        None => Ok((first..=last).map(|container| asked(container, None)).collect()),
        Some((0, _)) => Err("a range of the host's ports begins at 1 or later".into()),
        // One of them, whichever is free.
        Some(range) if count == 0 => Ok(vec![asked(first, Some(range))]),
        Some((from, to)) if to - from == count => {
            Ok((from..=to).zip(first..=last).map(|(host, container)| asked(container, Some((host, host)))).collect())
        }
        Some((from, to)) => Err(format!(
            "the ranges differ in length: {} of the host's ports, {} of the container's",
            u32::from(to - from) + 1,
            u32::from(count) + 1
        )),
    }
}

fn range(text: &str, whose: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| match (digits, text) {
            (true, _) => format!("a port is a number up to 65535, and the {whose} is {text}"),
            (false, "") => format!("the {whose} port is missing; expected [[ADDRESS:][HOST]:]CONTAINER[/PROTOCOL]"),
            (false, _) => format!("the {whose} port is no number; expected [[ADDRESS:][HOST]:]CONTAINER[/PROTOCOL]"),
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("the {whose} range begins after its end"));
    }
    if last - first >= MOST {
        return Err(format!("at most {MOST} ports can be published at once"));
    }
    Ok((first, last))
}

fn read_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        // An IPv4 address in IPv6's clothes is one.
        Some(bare) => {
            let parsed = bare.parse().map(IpAddr::V6).map(|address| address.to_canonical());
            parsed.map_err(|_| format!("`{text}` is no IPv6 address"))
        }
        None if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            Err(format!("an IPv6 address is written in brackets: [{text}]"))
        }
        None => text.parse().map(IpAddr::V4).map_err(|_| format!("`{text}` is no IP address of this machine")),
    }
}
