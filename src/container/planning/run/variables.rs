//! The environment: docker's defaults, what the image and the flags say, and the way to a proxy.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use plan::{Network, Text};

use super::Start;
use crate::container::planning::account::Identity;
use crate::container::record::Spec;
use crate::security;

/// What the PATH is where nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the whole environment, in docker's order.
pub fn make(start: &Start<'_>, identity: &Identity, hostname: &str, network: &Network) -> Vec<(Text, Text)> {
    let spec = start.spec;
    let mut variables: Vec<(Text, Text)> = Vec::new();
    // An image may have any number of them: looking through all for each would take for ever.
    let mut places: HashMap<Text, usize> = HashMap::new();
    let mut set = |name: Text, value: Text| match places.entry(name) {
        Entry::Occupied(place) => variables[*place.get()].1 = value,
        Entry::Vacant(place) => {
            variables.push((place.key().clone(), value));
            place.insert(variables.len() - 1);
        }
    };
    set("PATH".into(), PATH.into());
    set("HOSTNAME".into(), hostname.into());
    if spec.terminal {
        set("TERM".into(), "xterm".into());
    }
    for (name, value) in proxies(spec, network) {
        set(name.into(), value.into());
    }
    for (name, value) in start.networks.iter().flat_map(|networks| &networks.environment) {
        set(name.as_str().into(), value.clone());
    }
    for pair in &spec.environment {
        if let Some((name, value)) = split(pair) {
            set(name, value);
        }
    }
    if !variables.iter().any(|(name, _)| name.as_bytes() == b"HOME") {
        variables.push(("HOME".into(), identity.home.clone().into()));
    }
    variables
}

/// Name and value of `NAME=VALUE`; an image may hold anything, and what cannot be a variable is none.
fn split(pair: &Text) -> Option<(Text, Text)> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = pair.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let text = |bytes: &[u8]| Text::from(std::ffi::OsStr::from_bytes(bytes));
    (!bytes.contains(&0)).then(|| (text(&bytes[..at]), text(&bytes[at + 1..])))
}

/// The caller's proxy variables, as far as they are to be passed on.
fn proxies(spec: &Spec, network: &Network) -> Vec<(String, std::ffi::OsString)> {
    let shares_network = *network == Network::Host;
    let is_passed = |name: &str, value: &std::ffi::OsStr| match spec.http_proxy {
        Some(asked) => asked,
        None => security::environment::is_passed(name, value, shares_network),
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| security::environment::is_proxy(name) && is_passed(name, value))
        .collect()
}
