//! Access to this machine's own servers, those of its 127.0.0.1 too, for a container that asks for it; no other has it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use passt::Options;
use plan::Network;

use crate::container::Error;
use crate::container::record::Spec;

/// What stands for this machine's address in `--add-host`, as docker has it.
pub const HOST_GATEWAY: &str = "host-gateway";

/// By which names programs look for it.
const NAMES: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Whether one of these `NAME:ADDRESS` asks for it.
pub fn is_named(hosts: &[String]) -> bool {
    hosts.iter().any(|entry| entry.split_once(':').is_some_and(|(_, address)| address == HOST_GATEWAY))
}

/// Whether it was asked for.
pub fn is_asked(spec: &Spec) -> bool {
    is_named(&spec.extra_hosts) || Options::parse(&spec.pasta).is_ok_and(|options| options.reaches_host())
}

/// What pasta is asked for by options.
///
/// # Errors
/// Where the record has others than were taken once.
pub fn options(spec: &Spec) -> Result<Options, Error> {
    Options::parse(&spec.pasta).map_err(|error| Error::Plan {
        doing: format!("do as --network pasta:{} says", spec.pasta.join(",")),
        reason: error.to_string(),
        hint: None,
    })
}

/// Lets the container have it. `leads_out`: whether one of the networks of the user's own that it is on does, by IPv4.
///
/// # Errors
/// Where its network cannot lead there.
pub fn open(network: Network, leads_out: bool) -> Result<Network, Error> {
    let refused = |reason: &str, hint: &str| Error::Plan {
        doing: "let the container reach this machine's own servers".into(),
        reason: reason.into(),
        hint: Some(hint.into()),
    };
    match network {
        Network::Pasta(interface) => interface
            .reaching_host()
            .map(Network::Pasta)
            .ok_or_else(|| refused("this machine has no IPv4, by which they would be reached", "use --network host")),
        Network::Host => Ok(network),
        Network::None => Err(refused("it has no network", "leave --network none away")),
        Network::Container(_) => {
            Err(refused("its network is that of another container", "start that one so: --add-host NAME:host-gateway"))
        }
        // The holder of the networks lets those pass who have it in their leases.
        Network::Own(_) if leads_out => Ok(network),
        Network::Own(_) => Err(refused(
            "its networks are internal, or have no IPv4, and do not lead there",
            "connect it with another network: --network NAME",
        )),
    }
}

/// Where they are.
pub fn address(network: &Network) -> Option<IpAddr> {
    match network {
        Network::Pasta(interface) => interface.host,
        Network::Host => Some(Ipv4Addr::LOCALHOST.into()),
        Network::Own(_) => Some(passt::HOST.into()),
        Network::None | Network::Container(_) => None,
    }
}

/// The names for it that were not given by the user.
fn names(hosts: &[String]) -> Vec<&'static str> {
    let is_given = |name: &&str| {
        let names =
            |entry: &String| entry.split(':').next().is_some_and(|names| names.split(';').any(|one| one == *name));
        hosts.iter().any(names)
    };
    NAMES.into_iter().filter(|name| !is_given(name)).collect()
}

/// The lines of a hosts file: what was given as `NAME;NAME:ADDRESS`, and this machine's own names where `host` is its address.
pub fn lines(hosts: &[String], host: Option<IpAddr>) -> String {
    let mut text = String::new();
    for entry in hosts {
        let Some((names, address)) = entry.split_once(':') else { continue };
        let host = host.filter(|_| address == HOST_GATEWAY).map(|host| host.to_string());
        let _ = writeln!(text, "{}\t{}", host.as_deref().unwrap_or(address), names.replace(';', " "));
    }
    if let (Some(host), names @ [_, ..]) = (host, &names(hosts)[..]) {
        let _ = writeln!(text, "{host}\t{}", names.join(" "));
    }
    text
}
