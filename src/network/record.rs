//! What is kept of a network on disk: `networks/NAME.json`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::VERSION;
use super::{Error, pool};

/// The longest name.
const LONGEST: usize = 255;
/// The longest name of an interface: IFNAMSIZ without the zero at its end.
pub const LONGEST_INTERFACE: usize = 15;
/// What the names of networks begin with that the program makes itself, to link containers of the default network.
pub const LINKS: &str = "links-";
/// What `--network` means by these is no network of one's own.
const RESERVED: [&str; 8] = ["bridge", "container", "default", "host", "none", "ns", "pasta", "slirp4netns"];

/// A network of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Of this form: `file::VERSION`.
    pub version: u32,
    /// Unique among the user's networks.
    pub name: String,
    /// 64 hex digits.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its addresses: at least one subnet, of either family.
    pub subnets: Vec<Subnet>,
    /// It has no way out: its containers reach each other, and nothing else.
    pub internal: bool,
    /// It was asked for addresses of IPv6 beside those of IPv4.
    pub ipv6: bool,
    /// Its containers find each other by name.
    pub dns: bool,
    /// Whom its name server asks about other names; empty: whom the host asks.
    pub dns_servers: Vec<IpAddr>,
    /// In bytes; `None`: as large as the way out allows.
    pub mtu: Option<u32>,
    /// The user's.
    pub labels: BTreeMap<String, String>,
    /// `--opt`, as they were typed.
    pub options: BTreeMap<String, String>,
    /// What its bridge is called, in the network holder's namespace: at most 15 bytes.
    pub interface: String,
    /// It was made by the program itself, to link containers of the default network with each other. It is not listed, and nobody
    /// on it finds another by asking its name server, which only forwards: a link has one direction, which is that of /etc/hosts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// Addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of them, with no bit set beyond the prefix.
    pub subnet: IpNet,
    /// The bridge's own, which containers reach everything else through, and where the name server listens.
    pub gateway: IpAddr,
    /// Which of them are given to containers that do not ask for one; `None`: all.
    pub range: Option<Range>,
}

/// Addresses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The lowest.
    pub first: IpAddr,
    /// The highest, of the same family.
    pub last: IpAddr,
}

impl Network {
    /// A network without subnets, labels or options, with a new id.
    ///
    /// # Errors
    /// [`Error::BadName`], and where there are no random bytes to be had.
    pub fn new(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self {
            version: VERSION,
            name: name.to_owned(),
            id: pool::random_id()?,
            created: Timestamp::now(),
            subnets: Vec::new(),
            internal: false,
            ipv6: false,
            dns: true,
            dns_servers: Vec::new(),
            mtu: None,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            interface: String::new(),
            hidden: false,
        })
    }

    /// The subnet that an address is of.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.subnet.contains(&address))
    }

    /// The first twelve digits of its id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

impl Subnet {
    /// The addresses that a container can have, the gateway's among them: not the subnet's own, nor in IPv4 the one for all.
    pub fn hosts(&self) -> Range {
        pool::hosts(&self.subnet)
    }

    /// The addresses that are given to containers which do not ask for one.
    pub fn pool(&self) -> Range {
        let (hosts, range) = (self.hosts(), self.range.unwrap_or_else(|| self.hosts()));
        Range { first: hosts.first.max(range.first), last: hosts.last.min(range.last) }
    }
}

impl Range {
    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

/// Sees that a network can be called so: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, as docker and podman have it.
///
/// # Errors
/// [`Error::BadName`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |reason| Err(Error::BadName { name: name.to_owned(), reason });
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !first || !bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        return bad("it has other characters than names have");
    }
    if name.len() > LONGEST {
        return bad("it is too long");
    }
    if RESERVED.contains(&name) {
        return bad("`--network` means something else by it");
    }
    // As an id would, which is looked for where no name is found.
    if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return bad("it looks like an id");
    }
    Ok(())
}

/// Sees that an interface can be called so.
///
/// # Errors
/// Why not.
pub fn check_interface(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > LONGEST_INTERFACE {
        return Err("an interface's name has 1 to 15 characters");
    }
    // What the kernel refuses (dev_valid_name), and what could not be printed.
    if name == "." || name == ".." || name.bytes().any(|byte| !byte.is_ascii_graphic() || b"/:%".contains(&byte)) {
        return Err("an interface's name has neither spaces nor `/`, `:` or `%`");
    }
    if ["lo", "all", "default"].contains(&name) {
        return Err("every network namespace has something else of that name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_podmans_and_mean_nothing_else() {
        for good in ["learning", "a", "My_net-1.x"] {
            check_name(good).unwrap();
        }
        for bad in
            ["", "-a", ".leases", "a/b", "a b", "none", "host", "pasta", "bridge", &"x".repeat(256), &"a".repeat(64)]
        {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_interface("eth0").is_ok() && check_interface("a.very-long-if").is_ok());
        for bad in ["", "lo", "a b", "a/b", "..", "sixteen-letters-", "all"] {
            assert!(check_interface(bad).is_err(), "{bad}");
        }
    }
}
