//! The options of pasta(1) that a user may add: read, checked, and sorted into what concerns the interface and what pasta itself is told.
//!
//! What a container's interface is to be like, this crate sees to by itself, and pasta is told the same. Everything else is passed on as it
//! was typed, after it was checked here: pasta starts when the container has started already, too late for a mistake to be told.

mod apply;
mod ports;
mod table;
mod values;

use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::pasta::Pasta;
use table::{Does, Known, TABLE};

pub use ports::{Door, Opened, Protocol};

/// An option that cannot be had, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(String);

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The interface's own addresses, at most one of each family, some with the length of their prefix.
    pub(crate) addresses: Vec<(IpAddr, Option<u8>)>,
    /// The length of the IPv4 prefix.
    pub(crate) prefix: Option<u8>,
    /// The way out, at most one of each family.
    pub(crate) gateways: Vec<IpAddr>,
    /// The interface of the host's that addresses and gateways are taken from.
    pub(crate) template: Option<String>,
    /// What the container's interface is called.
    pub(crate) name: Option<String>,
    /// Its hardware address.
    pub(crate) mac: Option<[u8; 6]>,
    /// Its largest packet.
    pub(crate) mtu: Option<u32>,
    /// Whether only IPv4 (`true`) or only IPv6 is to be had.
    pub(crate) only_ipv4: Option<bool>,
    /// The name servers in the place of the host's.
    pub(crate) servers: Option<Vec<IpAddr>>,
    /// The domains in which names are looked up, in the place of the host's.
    pub(crate) search: Option<Vec<String>>,
    /// Where the host's own servers are, in those that know more addresses for them than the gateway's.
    pub(crate) loopback: Option<IpAddr>,
    /// What pasta is told beside.
    pub(crate) told: Told,
    /// What it opens.
    opened: Vec<Opened>,
    /// What not every pasta knows of it: long names without dashes.
    recent: Vec<(&'static str, &'static str)>,
    /// Files that pasta writes.
    files: Vec<String>,
    /// Its messages are wanted.
    talkative: bool,
}

/// What pasta is told beside what it is told anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Options with their values.
    pub words: Vec<String>,
    /// It is to say more than mistakes.
    pub talkative: bool,
    /// Its own hardware address, as text.
    pub mac: Option<String>,
    /// The options for ports among the words, by their letters: those are not closed.
    pub doors: String,
    /// Where it takes questions for the host's name server.
    pub forward: Vec<IpAddr>,
    /// The gateway's address is that of the host's own servers.
    pub map_gateway: bool,
}

impl Options {
    /// Reads options, a word each, values by themselves or joined by `=`.
    ///
    /// # Errors
    /// Which cannot be had, and why.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Options, OptionError> {
        let mut options = Options::default();
        let mut words = words.iter().map(AsRef::as_ref);
        while let Some(word) = words.next() {
            let (known, attached) = find(word)?;
            let mut value = || {
                let value = attached.or_else(|| words.next());
                value.ok_or_else(|| OptionError(format!("{word} takes a value, which follows it after a comma")))
            };
            if let (Some(attached), false) = (attached, known.takes()) {
                return Err(OptionError(format!("--{} takes no value, and `{attached}` was given", known.long)));
            }
            options.take(known, &mut value)?;
        }
        options.finish()
    }

    fn take<'a>(
        &mut self,
        known: &Known,
        value: &mut dyn FnMut() -> Result<&'a str, OptionError>,
    ) -> Result<(), OptionError> {
        let bad = |value: &str, why: String| OptionError(format!("--{} cannot be `{value}`: {why}", known.long));
        match known.does {
            Does::Refuse(why) => return Err(OptionError(format!("--{} cannot be had: {why}", known.long))),
            Does::Holds => return Ok(()),
            Does::Set(set) => set(self),
            Does::Pass => self.told.words.push(format!("--{}", known.long)),
            Does::PassValue(check) => {
                let value = value()?;
                check(value).map_err(|why| bad(value, why))?;
                self.pass(known.long, value);
            }
            Does::Take(take) => {
                let value = value()?;
                take(self, value).map_err(|why| bad(value, why))?;
            }
            Does::Open(letter, protocol, door) => {
                let value = value()?;
                let opened = ports::read(value, protocol, door).map_err(|why| bad(value, why))?;
                // Nothing is open anyway.
                if let Some(opened) = opened {
                    self.opened.push(opened);
                    self.told.doors.push(letter);
                    self.pass(known.long, value);
                }
            }
        }
        self.recent.extend(known.since.map(|since| (known.long, since)));
        Ok(())
    }

    fn pass(&mut self, long: &str, value: &str) {
        self.told.words.extend([format!("--{long}"), value.to_owned()]);
    }

    /// What no option says by itself.
    fn finish(self) -> Result<Options, OptionError> {
        let wrong = |why: &str| Err(OptionError(why.into()));
        if let Some(ipv4) = self.only_ipv4 {
            let mut addresses = self.addresses.iter().map(|(address, _)| address).chain(&self.gateways);
            if let Some(other) = addresses.find(|address| address.is_ipv4() != ipv4) {
                let word = if ipv4 { "--ipv4-only" } else { "--ipv6-only" };
                return Err(OptionError(format!("{word} and the address {other} exclude each other")));
            }
        }
        if self.talkative && !self.told.words.iter().any(|word| word == "--log-file") {
            return wrong("nobody reads what it says: name a file for it, as in --debug,--log-file,FILE");
        }
        if let (Some((address, Some(_))), Some(_)) =
            (self.addresses.iter().find(|(address, _)| address.is_ipv4()), self.prefix)
        {
            return Err(OptionError(format!("--netmask and the prefix of {address} say the same twice")));
        }
        Ok(self)
    }

    /// Sees that a pasta knows what is asked of it.
    ///
    /// # Errors
    /// [`Error::TooOld`], and what the filesystem says.
    pub fn check(&self, pasta: &Pasta) -> Result<(), Error> {
        for (option, since) in &self.recent {
            if !pasta.knows(option)? {
                let version = pasta.version();
                return Err(Error::TooOld { option, since, path: pasta.path().into(), version });
            }
        }
        Ok(())
    }

    /// What is opened by pasta itself, in both directions.
    pub fn opened(&self) -> &[Opened] {
        &self.opened
    }

    /// Whether the container reaches the host's own servers.
    pub fn reaches_host(&self) -> bool {
        self.told.map_gateway || self.loopback.is_some()
    }

    /// The files that pasta writes to.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(Path::new)
    }

    /// The same words, with the names of files as `whole` has them.
    ///
    /// # Errors
    /// Those of `whole`.
    pub fn with_files<E>(words: &[String], whole: impl Fn(&Path) -> Result<String, E>) -> Result<Vec<String>, E> {
        let mut written: Vec<String> = Vec::with_capacity(words.len());
        let mut is_file = false;
        for word in words {
            let found = if is_file { None } else { find(word).ok() };
            let names_file = found.is_some_and(|(known, _)| table::FILES.contains(&known.long));
            written.push(match (is_file, found) {
                (true, _) => whole(Path::new(word))?,
                (false, Some((known, Some(attached)))) if names_file => {
                    format!("--{}={}", known.long, whole(Path::new(attached))?)
                }
                _ => word.clone(),
            });
            // A value that looks like an option of this kind is one all the same, as pasta would have it.
            is_file = names_file && found.is_some_and(|(_, attached)| attached.is_none());
        }
        Ok(written)
    }
}

/// The option that a word names, and what is joined to it.
fn find(word: &str) -> Result<(&'static Known, Option<&str>), OptionError> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, attached) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let known = TABLE.iter().find(|known| known.long == name);
        return known
            .map(|known| (known, attached))
            .ok_or_else(|| OptionError(format!("pasta has no option --{name}")));
    }
    let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
    let Some(letter) = letters.next() else {
        return Err(OptionError(format!(
            "`{word}` is no option of pasta's; one with several values is given once for each, as in -t,80,-t,443"
        )));
    };
    let known = TABLE.iter().find(|known| known.short == Some(letter));
    let known = known.ok_or_else(|| OptionError(format!("pasta has no option -{letter}")))?;
    let rest = letters.as_str();
    if !rest.is_empty() && !known.takes() {
        return Err(OptionError(format!("`{word}` is more than one option: give each by itself")));
    }
    Ok((known, Some(rest).filter(|rest| !rest.is_empty())))
}

#[cfg(test)]
mod tests;
