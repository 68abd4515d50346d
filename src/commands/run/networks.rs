//! The networks of one's own that a container is to be on, and those that it is linked with: from flags, and at each start.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use enter::container::planning::run;
use enter::container::record::{Link, NetworkMode, Record, Spec};
use enter::container::{Container, Containers, Error};
use enter::network::lease::{self, Wanted};
use enter::network::record::LINKS;
use enter::network::{Lease, Network, Networks, holder, host, pool};
use passt::{HostNetwork, dns::HostResolver};
use plan::{Joined, Text};
use uidmap::Maps;

use super::super::network::{Place, connect, create};
use super::asked::{id_of, together};
use super::pasta;
use crate::cli::run::NetworkArgs;
use crate::cli::run::values::Reached;
use crate::failure::Failure;

/// Refuses what does not go together, before anything is fetched for it.
pub fn refuse(args: &NetworkArgs) -> Result<(), Failure> {
    let own = args.network.iter().filter(|reached| matches!(reached, Reached::Own(_))).count();
    let modes: Vec<&NetworkMode> = args
        .network
        .iter()
        .filter_map(|reached| match reached {
            Reached::Mode(mode) => Some(mode),
            Reached::Pasta(_) => Some(&NetworkMode::Pasta),
            Reached::Own(_) => None,
        })
        .collect();
    if (own > 0 && !modes.is_empty()) || modes.len() > 1 {
        return Err(Failure::new(
            "these networks cannot be had together: pasta, none, host and container:NAME stand alone",
        )
        .with_hint("name networks of your own, of which there may be several, or one of those"));
    }
    let linkable = matches!(modes.first(), None | Some(NetworkMode::Pasta));
    if !linkable && !args.link.is_empty() {
        return Err(together("--link", "--network none, host and container:NAME"));
    }
    if let Some(options) = args.pasta() {
        pasta::refuse(options, &args.link)?;
    }
    let for_one =
        [(args.ip.is_some(), "--ip"), (args.ip6.is_some(), "--ip6"), (args.mac_address.is_some(), "--mac-address")];
    let given = for_one.iter().find(|(given, _)| *given).map(|(_, flag)| *flag);
    if let Some(flag) =
        given.or_else(|| (!args.network_alias.is_empty()).then_some("--network-alias")).filter(|_| own == 0)
    {
        return Err(Failure::new(format!("{flag} is for networks of one's own, and the container is on none"))
            .with_hint("make one with `enter network create NAME`, and add --network NAME"));
    }
    if let Some(flag) = given.filter(|_| own > 1) {
        let option = flag.trim_start_matches('-').trim_end_matches("-address");
        return Err(Failure::new(format!("{flag} does not say which of the networks it is for"))
            .with_hint(format!("say it with the network: --network NAME:{option}=ADDRESS")));
    }
    let place = Place::of_user()?;
    for reached in &args.network {
        if let Reached::Own(wanted) = reached {
            completed(wanted, args, &place.networks)?;
        }
    }
    for (typed, _) in &args.link {
        place.containers.find(typed)?;
    }
    Ok(())
}

/// Writes down what the container is to reach, as far as that can be had.
pub fn set(spec: &mut Spec, args: &NetworkArgs, containers: &Containers) -> Result<(), Failure> {
    let networks = Place::of_user()?.networks;
    spec.network = NetworkMode::Pasta;
    for reached in &args.network {
        match reached {
            Reached::Mode(NetworkMode::Container(typed)) => {
                spec.network = NetworkMode::Container(id_of(containers, typed)?);
            }
            Reached::Mode(mode) => spec.network = mode.clone(),
            Reached::Pasta(options) => spec.pasta = pasta::kept(options)?,
            Reached::Own(wanted) => {
                spec.network = NetworkMode::Own;
                let wanted = completed(wanted, args, &networks)?;
                if connect::is_on(spec, &wanted.network) {
                    return Err(Failure::new(format!("the network {} is named twice", wanted.network))
                        .with_hint("name each network once"));
                }
                spec.networks.push(wanted);
            }
        }
    }
    let mut interfaces: Vec<&String> = spec.networks.iter().filter_map(|wanted| wanted.interface.as_ref()).collect();
    interfaces.sort();
    if let Some(twice) = interfaces.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::new(format!("two interfaces cannot both be called {}", twice[0])));
    }
    for (typed, alias) in &args.link {
        let other = containers.find(typed)?;
        // Docker's words for a link are the container's name, whatever was typed for it.
        let alias = if alias == typed { other.record.name.clone() } else { alias.clone() };
        spec.links.push(Link { container: other.record.id.clone(), name: other.record.name.clone(), alias });
        if spec.network == NetworkMode::Pasta {
            let wanted = Wanted { network: link_network(&other)?, ..Wanted::default() };
            if !connect::is_on(spec, &wanted.network) {
                spec.networks.push(wanted);
            }
        }
    }
    Ok(())
}

/// A network that was asked for, with what other flags say of it.
fn completed(wanted: &Wanted, args: &NetworkArgs, networks: &Networks) -> Result<Wanted, Failure> {
    let network = networks.find(&wanted.network)?;
    let mut wanted = Wanted { network: network.name.clone(), ..wanted.clone() };
    wanted.aliases.extend(args.network_alias.iter().cloned());
    wanted.addresses.extend(args.ip.map(IpAddr::from).into_iter().chain(args.ip6.map(IpAddr::from)));
    wanted.mac = wanted.mac.or(args.mac_address);
    wanted.servers.clone_from(&args.dns);
    for address in &wanted.addresses {
        lease::check_address(&network, *address)?;
    }
    let families: Vec<bool> = wanted.addresses.iter().map(IpAddr::is_ipv4).collect();
    if families.iter().filter(|ipv4| **ipv4).count() > 1 || families.iter().filter(|ipv4| !**ipv4).count() > 1 {
        return Err(Failure::new(format!(
            "the container has one address of each family on the network {}",
            network.name
        ))
        .with_hint("leave one of them away"));
    }
    Ok(wanted)
}

/// The network by which those of the default network reach a container there that they are linked with.
fn link_network(other: &Container) -> Result<String, Failure> {
    match other.record.spec.network {
        NetworkMode::Pasta => Ok(format!("{LINKS}{}", other.short_id())),
        _ => {
            let name = &other.record.name;
            Err(Failure::new(format!("cannot link with the container {name}: it is not on the default network"))
                .with_hint("put the new container on the same network: --network NAME"))
        }
    }
}

/// Takes what a container needs of networks for the start that is about to be; `None` for one that is on none.
pub fn take(
    containers: &Containers,
    root: &Path,
    record: &Record,
    folder: &Path,
) -> Result<Option<run::Networks>, Failure> {
    let spec = &record.spec;
    if !spec.has_networks() {
        return Ok(None);
    }
    let networks = Networks::below(root);
    let linked = linked(containers, &networks, spec)?;
    // About to run: its folder is locked, and nothing of it is there yet.
    let own = Container {
        folder: folder.to_owned(),
        record: record.clone(),
        state: enter::container::record::State::default(),
    };
    let leases = connect::take(&networks, containers, &own)?;
    let mut taken = run::Networks::default();
    let mut known = BTreeMap::new();
    for lease in &leases {
        let network = networks.get(&lease.network)?;
        taken.interfaces.push(joined(&network, lease));
        taken.leads_out |= !network.internal && lease.addresses.iter().any(IpAddr::is_ipv4);
        known.insert(network.name.clone(), network);
    }
    taken.servers = servers(&leases, &known);
    for (link, other) in &linked {
        let theirs = networks.leases_of(&other.record.id)?;
        let shared = theirs.iter().find(|lease| known.contains_key(&lease.network));
        let Some(address) = shared.and_then(|lease| lease.addresses.first()) else {
            let name = &other.record.name;
            return Err(Failure::new(format!(
                "cannot link with the container {name}: it is on no network of this one"
            ))
            .with_hint(format!("connect it first: enter network connect NETWORK {name}")));
        };
        let mut names = vec![link.alias.as_str(), other.short_id()];
        if link.alias != other.record.name {
            names.push(&other.record.name);
        }
        taken.hosts.push((*address, names.join(" ")));
        taken.environment.extend(environment(&record.name, link, other, *address));
    }
    Ok(Some(taken))
}

/// The user namespace that all who are on networks of one's own are in, mapped like `maps`; and who holds it, for as long as the former
/// lives, until the container is attached itself.
pub fn users(root: &Path, maps: &Maps) -> Result<(holder::Client, OwnedFd), Failure> {
    let failed = |error: holder::Error| Failure::from_error(error.clone(), error.hint());
    let client = holder::Client::connect(root, maps).map_err(failed)?;
    let users = client.users().map_err(failed)?;
    Ok((client, users))
}

/// Those that the container is linked with, each running and on the network of its links.
fn linked(containers: &Containers, networks: &Networks, spec: &Spec) -> Result<Vec<(Link, Container)>, Failure> {
    let mut linked = Vec::new();
    for link in &spec.links {
        let refused = |why: &str| Failure::new(format!("cannot link with the container {}: {why}", link.name));
        let other = match containers.find(&link.container) {
            Ok(other) => other,
            Err(Error::NoSuchContainer(_)) => return Err(refused("it has been removed")),
            Err(error) => return Err(error.into()),
        };
        if !other.is_alive() {
            let hint = format!("start it first: enter start {}", other.record.name);
            return Err(refused("it is not running").with_hint(hint));
        }
        if spec.network == NetworkMode::Pasta {
            let network = hidden(networks, containers, &link_network(&other)?)?;
            if !connect::is_on(&other.record.spec, &network.name) {
                let wanted = Wanted { network: network.name.clone(), ..Wanted::default() };
                connect::join(networks, containers, &other, &network, wanted)?;
            }
        }
        linked.push((link.clone(), other));
    }
    Ok(linked)
}

/// A network of the program's own, made where there is none of this name.
fn hidden(networks: &Networks, containers: &Containers, name: &str) -> Result<Network, Failure> {
    // Those of containers that are gone go too: whoever is to be on one says so in his record before it is made.
    for old in networks.all()?.into_iter().filter(|network| network.hidden && network.name != name) {
        let unused = || -> Result<(), Failure> {
            let is_used = |container: &Container| connect::is_on(&container.record.spec, &old.name);
            if containers.all()?.iter().any(is_used) { Err(Failure::new("it is in use")) } else { Ok(()) }
        };
        // What is not removed now is at the next time.
        drop(networks.remove(&old.name, unused));
    }
    let make = |others: &[Network]| {
        let mut taken = pool::taken_by(others);
        taken.extend(host::taken());
        Ok(Network {
            subnets: vec![pool::subnet(pool::free_ipv4(&taken)?, None, None, &taken)?],
            interface: create::interface(None, others)?,
            hidden: true,
            ..Network::new(name)?
        })
    };
    match networks.create(name, make) {
        Err(enter::network::Error::NameInUse(_)) => Ok(networks.get(name)?),
        made => Ok(made?),
    }
}

fn joined(network: &Network, lease: &Lease) -> Joined {
    let address = |address: &IpAddr| {
        let subnet = network.subnet_of(*address)?;
        Some(passt::Address { address: *address, prefix: subnet.subnet.prefix_len(), gateway: subnet.gateway })
    };
    Joined {
        network: lease.network.clone(),
        interface: lease.interface.clone(),
        mac: lease.mac.to_string(),
        addresses: lease.addresses.iter().filter_map(address).collect(),
    }
}

/// Where names are looked up: at the name server of the first network that has one, which knows those of all networks that the asker is
/// on; or where this machine does, as far as that is reached.
fn servers(leases: &[Lease], networks: &BTreeMap<String, Network>) -> Vec<IpAddr> {
    let mut networks = leases.iter().filter_map(|lease| networks.get(&lease.network));
    if let Some(network) = networks.clone().find(|network| network.dns) {
        return network.subnets.iter().map(|subnet| subnet.gateway).collect();
    }
    let outside = networks.any(|network| !network.internal);
    let host = || Some(HostResolver::read().ok()?.inside(&HostNetwork::read().ok()??).servers);
    if outside { host().unwrap_or_default() } else { Vec::new() }
}

/// What docker tells a container of one that it is linked with.
fn environment(own: &str, link: &Link, other: &Container, address: IpAddr) -> Vec<(String, Text)> {
    let prefix = link.alias.to_uppercase().replace('-', "_");
    let mut variables: Vec<(String, Text)> = Vec::new();
    let mut set =
        |name: String, value: String| variables.push((format!("{prefix}_{name}"), Text::from(value.as_str())));
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let ports = ports(&other.record.spec);
    if let Some((port, protocol)) = ports.first() {
        set("PORT".into(), format!("{protocol}://{host}:{port}"));
    }
    for (first, last, protocol) in ranges(&ports) {
        let name = format!("PORT_{first}_{}", protocol.to_uppercase());
        for (word, port) in [("START", first), ("END", last)] {
            set(format!("{name}_{word}"), format!("{protocol}://{host}:{port}"));
            set(format!("{name}_PORT_{word}"), port.to_string());
        }
    }
    for (port, protocol) in &ports {
        let name = format!("PORT_{port}_{}", protocol.to_uppercase());
        set(name.clone(), format!("{protocol}://{host}:{port}"));
        set(format!("{name}_ADDR"), address.to_string());
        set(format!("{name}_PORT"), port.to_string());
        set(format!("{name}_PROTO"), (*protocol).to_owned());
    }
    set("NAME".into(), format!("/{own}/{}", link.alias));
    for pair in &other.record.spec.environment {
        let bytes = pair.as_bytes();
        let Some(at) = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else { continue };
        let name = String::from_utf8_lossy(&bytes[..at]);
        if !matches!(&*name, "HOME" | "PATH") {
            variables.push((format!("{prefix}_ENV_{name}"), Text::from(OsStr::from_bytes(&bytes[at + 1..]))));
        }
    }
    variables
}

/// The ports that a container names or publishes, the lowest first, tcp before udp.
fn ports(spec: &Spec) -> Vec<(u16, &str)> {
    let mut ports: Vec<(u16, &str)> = Vec::new();
    for exposed in &spec.exposed {
        let (numbers, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            ports.extend((first..=last).map(|port| (port, protocol)));
        }
    }
    ports.extend(spec.ports.iter().map(|port| (port.container, port.protocol.name())));
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Those that follow one another: docker tells of three or more as a range too.
fn ranges<'a>(ports: &[(u16, &'a str)]) -> Vec<(u16, u16, &'a str)> {
    let mut ranges: Vec<(u16, u16, &str)> = Vec::new();
    for (port, protocol) in ports {
        let before = ranges.iter_mut().find(|(_, last, of)| of == protocol && last.checked_add(1) == Some(*port));
        match before {
            Some((_, last, _)) => *last = *port,
            None => ranges.push((*port, *port, protocol)),
        }
    }
    ranges.retain(|(first, last, _)| last - first >= 2);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_container_is_told_of_as_docker_does() {
        let spec = Spec {
            environment: vec!["SECRET=theinternetlovescats".into(), "PATH=/bin".into(), "EMPTY=".into(), "odd".into()],
            exposed: vec!["5432/tcp".into(), "53-54/udp".into(), "8000-8002/tcp".into(), "8001/udp".into()],
            ..Spec::default()
        };
        let record = Record { name: "catserver".into(), ..Containers::new_record(spec).unwrap() };
        let other = Container { folder: "/".into(), record, state: enter::container::record::State::default() };
        let link = Link { container: String::new(), name: "catserver".into(), alias: "cat-server".into() };
        let told = environment("dogserver", &link, &other, "10.89.0.2".parse().unwrap());
        let value = |name: &str| {
            let found = told.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let is = |name: &str, expected: &str| assert_eq!(value(name).as_deref(), Some(expected), "{name}");
        is("CAT_SERVER_NAME", "/dogserver/cat-server");
        is("CAT_SERVER_ENV_SECRET", "theinternetlovescats");
        is("CAT_SERVER_ENV_EMPTY", "");
        is("CAT_SERVER_PORT", "udp://10.89.0.2:53");
        is("CAT_SERVER_PORT_5432_TCP", "tcp://10.89.0.2:5432");
        is("CAT_SERVER_PORT_5432_TCP_ADDR", "10.89.0.2");
        is("CAT_SERVER_PORT_54_UDP_PROTO", "udp");
        is("CAT_SERVER_PORT_8000_TCP_START", "tcp://10.89.0.2:8000");
        is("CAT_SERVER_PORT_8000_TCP_END", "tcp://10.89.0.2:8002");
        is("CAT_SERVER_PORT_8000_TCP_PORT_START", "8000");
        is("CAT_SERVER_PORT_8000_TCP_PORT_END", "8002");
        is("CAT_SERVER_PORT_8001_TCP_ADDR", "10.89.0.2");
        assert_eq!((value("CAT_SERVER_ENV_PATH"), value("CAT_SERVER_ENV_odd")), (None, None));
        assert_eq!(value("CAT_SERVER_PORT_53_UDP_START"), None, "two are no range");
    }
}
