//! The values of options: read, or said to be wrong in words that follow "cannot be `…`:".

use std::net::{IpAddr, Ipv4Addr};

use super::Options;

type Read<T = ()> = Result<T, String>;

/// What a tap takes (IFNAMSIZ, with its end).
const LONGEST_NAME: usize = 15;

/// The least that IPv4 may have (RFC 791).
const LEAST_MTU: u32 = 68;

/// The least that IPv6 may have (RFC 8200).
const LEAST_MTU_6: u32 = 1280;

fn ip(text: &str) -> Read<IpAddr> {
    text.parse().map_err(|_| "it is no address".into())
}

/// An address that somebody can have.
fn unicast(text: &str) -> Read<IpAddr> {
    let address = ip(text)?;
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
        return Err("nobody can have this address".into());
    }
    Ok(address)
}

fn another_of_its_family<'a>(mut others: impl Iterator<Item = &'a IpAddr>, address: IpAddr) -> Read {
    match others.find(|other| other.is_ipv4() == address.is_ipv4()) {
        Some(other) => Err(format!("{other} was given already, and there is one of each family")),
        None => Ok(()),
    }
}

pub fn address(options: &mut Options, text: &str) -> Read {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (unicast(address)?, Some(prefix)),
        None => (unicast(text)?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map(|text| {
        let length: Option<u8> = text.parse().ok();
        length.filter(|length| (1..=most).contains(length)).ok_or_else(|| format!("a prefix has 1 to {most} bits"))
    });
    another_of_its_family(options.addresses.iter().map(|(address, _)| address), address)?;
    options.addresses.push((address, prefix.transpose()?));
    Ok(())
}

pub fn netmask(options: &mut Options, text: &str) -> Read {
    let wrong = || "it is neither a number of 1 to 32 bits nor a mask such as 255.255.255.0".to_owned();
    let bits = match text.parse::<u8>() {
        Ok(bits) => bits,
        Err(_) => {
            let mask = u32::from(text.parse::<Ipv4Addr>().map_err(|_| wrong())?);
            if mask.leading_ones() + mask.trailing_zeros() != 32 {
                return Err(wrong());
            }
            mask.leading_ones() as u8
        }
    };
    options.prefix = Some(Some(bits).filter(|bits| (1..=32).contains(bits)).ok_or_else(wrong)?);
    Ok(())
}

pub fn gateway(options: &mut Options, text: &str) -> Read {
    let address = unicast(text)?;
    another_of_its_family(options.gateways.iter(), address)?;
    options.gateways.push(address);
    Ok(())
}

fn interface(text: &str) -> Read {
    if text.is_empty() || text.len() > LONGEST_NAME {
        return Err(format!("the name of an interface has 1 to {LONGEST_NAME} bytes"));
    }
    if text == "." || text == ".." || text.contains(|char: char| char == '/' || char == ':' || !char.is_ascii_graphic())
    {
        return Err("the kernel takes no such name for an interface".into());
    }
    Ok(())
}

pub fn template(options: &mut Options, text: &str) -> Read {
    interface(text)?;
    options.template = Some(text.to_owned());
    Ok(())
}

pub fn name(options: &mut Options, text: &str) -> Read {
    interface(text)?;
    if text == "lo" || text == "all" || text == "default" {
        return Err("it has a meaning of its own".into());
    }
    options.name = Some(text.to_owned());
    Ok(())
}

pub fn outbound(text: &str) -> Read {
    interface(text)
}

fn hardware(text: &str) -> Read<[u8; 6]> {
    let wrong = || "it is no hardware address, such as 02:00:5e:10:00:07".to_owned();
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| matches!(part.len(), 1 | 2)).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    if parts.next().is_some() {
        return Err(wrong());
    }
    if bytes[0] & 1 == 1 || bytes == [0; 6] {
        return Err("it stands for several, or for none".into());
    }
    Ok(bytes)
}

pub fn mac(options: &mut Options, text: &str) -> Read {
    options.mac = Some(hardware(text)?);
    Ok(())
}

pub fn mac_of_pasta(options: &mut Options, text: &str) -> Read {
    let bytes = hardware(text)?;
    options.told.mac = Some(bytes.map(|byte| format!("{byte:02x}")).join(":"));
    Ok(())
}

pub fn mtu(options: &mut Options, text: &str) -> Read {
    let most = crate::interface::MTU;
    let number: u32 = text.parse().map_err(|_| "it is no number".to_owned())?;
    options.mtu = match number {
        // "A zero value disables assignment": then the interface has its own.
        0 => None,
        number if (LEAST_MTU..=most).contains(&number) => Some(number),
        _ => return Err(format!("a packet has {LEAST_MTU} to {most} bytes")),
    };
    Ok(())
}

impl Options {
    /// The later one holds, as in pasta.
    pub(super) fn only(&mut self, ipv4: bool) {
        self.only_ipv4 = Some(ipv4);
    }

    pub(super) fn talk(&mut self, how: &str) {
        self.talkative = true;
        self.told.talkative = true;
        self.told.words.push(how.to_owned());
    }

    /// Whether IPv6 is possible with the packets' size (RFC 8200).
    pub(crate) fn has_room_for_ipv6(&self) -> bool {
        self.mtu.is_none_or(|mtu| mtu >= LEAST_MTU_6)
    }
}

pub fn any_address(text: &str) -> Read {
    ip(text).map(drop)
}

pub fn mapped(text: &str) -> Read {
    if text == "none" { Ok(()) } else { unicast(text).map(drop) }
}

pub fn map_host_loopback(options: &mut Options, text: &str) -> Read {
    mapped(text)?;
    options.loopback = text.parse().ok();
    options.pass("map-host-loopback", text);
    Ok(())
}

/// Several add up; none, an empty one or `none`, leaves the container without.
pub fn dns(options: &mut Options, text: &str) -> Read {
    let servers = options.servers.get_or_insert_default();
    if !matches!(text, "" | "none") {
        servers.push(ip(text)?);
    }
    Ok(())
}

pub fn search(options: &mut Options, text: &str) -> Read {
    let domains = options.search.get_or_insert_default();
    let is_domain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_graphic()) && word.len() < 254;
    if text != "none" {
        if !text.split_ascii_whitespace().all(|word| is_domain(&word)) || text.contains(['\n', '\r']) {
            return Err("it is no list of domains, parted by spaces".into());
        }
        domains.extend(text.split_ascii_whitespace().map(str::to_owned));
    }
    Ok(())
}

pub fn dns_forward(options: &mut Options, text: &str) -> Read {
    let address = unicast(text)?;
    another_of_its_family(options.told.forward.iter(), address)?;
    options.told.forward.push(address);
    Ok(())
}

fn file(options: &mut Options, option: &str, text: &str) -> Read {
    if text.is_empty() || text.contains('\0') {
        return Err("it names no file".into());
    }
    options.files.push(text.to_owned());
    options.pass(option, text);
    Ok(())
}

pub fn pcap(options: &mut Options, text: &str) -> Read {
    file(options, "pcap", text)
}

pub fn log_file(options: &mut Options, text: &str) -> Read {
    file(options, "log-file", text)
}

pub fn size(text: &str) -> Read {
    // LOG_SIZE_MIN in pasta.
    let number: Option<u32> = text.parse().ok();
    number.filter(|number| *number >= 2048).map(drop).ok_or_else(|| "it is no number of bytes from 2048 on".into())
}
