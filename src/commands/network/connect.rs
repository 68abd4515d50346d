//! `enter network connect`, `disconnect` and `reload`: containers on networks, and what a running one is told of it.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use enter::container::planning::run;
use enter::container::record::{NetworkMode, Spec};
use enter::container::{Container, Containers, Remote};
use enter::network::lease::{self, Standing, Tenant, Wanted};
use enter::network::record::LINKS;
use enter::network::{Lease, Network, Networks};
use passt::dns::Resolver;
use plan::{Plan, Step};

use super::{Place, predefined};
use crate::cli::{NetworkConnectArgs, NetworkDisconnectArgs, NetworkReloadArgs};
use crate::commands::containers;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Connects a container; prints nothing, as docker does.
pub fn connect(args: &NetworkConnectArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    let container = containers::find(&place.containers, &args.container)?;
    if predefined::find(&args.network).is_some() && place.networks.find(&args.network).is_err() {
        predefined::refuse(&args.network, "connected with a container that was made already")?;
    }
    let network = place.find(&args.network)?;
    let wanted = Wanted {
        network: network.name.clone(),
        addresses: args.ip.map(Into::into).into_iter().chain(args.ip6.map(Into::into)).collect(),
        mac: args.mac_address,
        aliases: args.alias.clone(),
        ..Wanted::default()
    };
    join(&place.networks, &place.containers, &container, &network, wanted).map_err(verb_failed)?;
    place.tell(&network, "connect", Some(&container.record.id));
    Ok(ExitCode::SUCCESS)
}

/// Disconnects a container; prints nothing, as docker does.
pub fn disconnect(args: &NetworkDisconnectArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    predefined::refuse(&args.network, "disconnected from a container that was made already")?;
    let found = containers::find(&place.containers, &args.container)
        .and_then(|container| place.find(&args.network).map(|network| (container, network)));
    let (container, network) = match found {
        Err(_) if args.force => return Ok(ExitCode::SUCCESS),
        found => found?,
    };
    if !is_on(&container.record.spec, &network.name) {
        if args.force {
            return Ok(ExitCode::SUCCESS);
        }
        let name = &container.record.name;
        return Err(verb_failed(
            Failure::new(format!("the container {name} is not on the network {}", network.name)).with_hint(format!(
                "see which it is on: enter inspect -f '{{{{json .NetworkSettings.Networks}}}}' {name}"
            )),
        ));
    }
    part(&place.networks, &place.containers, &container, &network.name).map_err(verb_failed)?;
    place.tell(&network, "disconnect", Some(&container.record.id));
    Ok(ExitCode::SUCCESS)
}

/// Has the networks of running containers set up anew.
pub fn reload(ui: &Ui, args: &NetworkReloadArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    let mut chosen = Vec::new();
    if args.all {
        let on_networks = |container: &Container| container.is_alive() && !container.record.spec.networks.is_empty();
        chosen.extend(place.containers.all()?.into_iter().filter(on_networks).map(Ok));
    }
    chosen.extend(args.containers.iter().map(|typed| containers::find(&place.containers, typed)));
    let mut output = ui.output();
    let mut failed = false;
    for container in chosen {
        match container.and_then(|container| refresh(&container).map(|()| container)) {
            Ok(container) => output.line(&container.record.id),
            Err(failure) => {
                failed = true;
                ui.failure(&failure);
            }
        }
    }
    output.finish()?;
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

/// Puts a container on one more network, at once if it runs.
pub fn join(
    networks: &Networks,
    containers: &Containers,
    container: &Container,
    network: &Network,
    wanted: Wanted,
) -> Result<(), Failure> {
    let (spec, name) = (&container.record.spec, &container.record.name);
    let refused = |why: &str, hint: String| {
        Failure::new(format!("cannot connect the container {name} with the network {}: {why}", network.name))
            .with_hint(hint)
    };
    let anew = format!("make it anew with --network {}", network.name);
    match spec.network {
        NetworkMode::None => return Err(refused("it was made to reach nothing, with --network none", anew)),
        NetworkMode::Host => return Err(refused("it is in this machine's own network", anew)),
        NetworkMode::Container(_) => {
            return Err(refused("it is in another container's network", "connect that container".into()));
        }
        NetworkMode::Pasta | NetworkMode::Own => {}
    }
    if is_on(spec, &network.name) {
        let hint = format!("disconnect it first: enter network disconnect {} {name}", network.name);
        return Err(refused("it is on it already", hint));
    }
    for address in &wanted.addresses {
        lease::check_address(network, *address)?;
    }
    let record = containers.change(container, |record| {
        record.spec.networks.push(wanted);
        Ok(())
    })?;
    if !container.is_alive() {
        return Ok(());
    }
    let done = take(networks, containers, &Container { record, ..container.clone() }).and_then(|_| refresh(container));
    if done.is_err() {
        // As it was.
        let _ = containers.change(container, |record| {
            record.spec.networks.retain(|wanted| wanted.network != network.name);
            Ok(())
        });
        let _ = networks.release(&container.record.id, Some(&network.name));
    }
    done
}

/// Takes a container off a network, at once if it runs.
pub fn part(networks: &Networks, containers: &Containers, container: &Container, network: &str) -> Result<(), Failure> {
    containers.change(container, |record| {
        record.spec.networks.retain(|wanted| wanted.network != network);
        Ok(())
    })?;
    networks.release(&container.record.id, Some(network))?;
    if container.is_alive() { refresh(container) } else { Ok(()) }
}

/// Whether a container is on a network.
pub fn is_on(spec: &Spec, network: &str) -> bool {
    spec.networks.iter().any(|wanted| wanted.network == network)
}

/// Takes the leases of a container that runs, or is about to.
pub fn take(networks: &Networks, containers: &Containers, container: &Container) -> Result<Vec<Lease>, Failure> {
    let record = &container.record;
    let runs = container.is_alive();
    // On the default network it has an interface that is nobody else's.
    let default =
        runs && containers::plan(container).is_some_and(|plan| matches!(plan.network, plan::Network::Pasta(_)));
    let tenant = Tenant {
        container: &record.id,
        name: &record.name,
        runs,
        occupied: if default { &["eth0"] } else { &[] },
        reaches_host: run::reaches_host(&record.spec),
    };
    let standing = |id: &str| match containers.find(id) {
        Ok(other) if enter::container::folder::is_locked(&other.folder) => Standing::Alive,
        Ok(_) => Standing::Kept,
        Err(_) => Standing::Gone,
    };
    Ok(networks.take(tenant, &record.spec.networks, standing)?)
}

/// Tells a running container that its leases are others now.
pub fn refresh(container: &Container) -> Result<(), Failure> {
    let files = files(container)?;
    let told = Remote::of(container).and_then(|remote| remote.rejoin(files));
    told.map_err(|error| verb_failed(error.into()))
}

/// The files by which a running container finds names, as they are to be by its leases.
fn files(container: &Container) -> Result<Vec<(String, String)>, Failure> {
    const HOSTS: &str = "/etc/hosts";
    const RESOLVER: &str = "/etc/resolv.conf";
    let (Some(plan), Some(root)) = (containers::plan(container), container.folder.ancestors().nth(2)) else {
        return Ok(Vec::new());
    };
    let networks = Networks::below(root);
    let mut leases = networks.leases_of(&container.record.id)?;
    leases.retain(|lease| !lease.network.starts_with(LINKS));
    let known: Vec<Network> = leases.iter().filter_map(|lease| networks.get(&lease.network).ok()).collect();
    let mut files = Vec::new();
    if let Some(before) = written(&plan, HOSTS) {
        let own: Vec<IpAddr> = leases.iter().flat_map(|lease| &lease.addresses).copied().collect();
        files.push((HOSTS.to_owned(), hosts(&before, &plan, &own)));
    }
    if let Some(before) = written(&plan, RESOLVER) {
        let asked = known.iter().find(|network| network.dns);
        let servers = asked.map(|network| network.subnets.iter().map(|subnet| subnet.gateway).collect());
        files.push((RESOLVER.to_owned(), servers.map_or(before.clone(), |servers| resolver(&before, servers))));
    }
    Ok(files)
}

/// What a container was given under a path at its start.
fn written(plan: &Plan, path: &str) -> Option<String> {
    plan.steps.iter().find_map(|step| match step {
        Step::Write { target, content, .. } if target.as_path() == Path::new(path) => {
            Some(String::from_utf8_lossy(content.as_bytes()).into_owned())
        }
        _ => None,
    })
}

/// The hosts file with these addresses for the container itself, beside what it had on the default network.
fn hosts(before: &str, plan: &Plan, own: &[IpAddr]) -> String {
    let old: Vec<String> = match &plan.network {
        plan::Network::Own(interfaces) => {
            let addresses = interfaces.iter().flat_map(|interface| &interface.addresses);
            addresses.map(|address| address.address.to_string()).collect()
        }
        _ => Vec::new(),
    };
    let is_old = |line: &&str| line.split_whitespace().next().is_some_and(|first| old.iter().any(|own| own == first));
    // What it is called stands behind an address of its own, in the last line.
    let name = before.lines().last().and_then(|line| line.split_once(char::is_whitespace));
    let name = name.map_or("", |(_, names)| names.trim());
    let kept = before.lines().filter(|line| !is_old(line)).map(ToOwned::to_owned);
    let new = own.iter().map(|address| format!("{address}\t{name}"));
    kept.chain(new).map(|line| line + "\n").collect()
}

/// A resolv.conf with other servers.
fn resolver(before: &str, servers: Vec<IpAddr>) -> String {
    Resolver { servers, ..Resolver::parse(before.as_bytes()) }.to_resolv_conf()
}

fn verb_failed(failure: Failure) -> Failure {
    failure.with_code(VERB_FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_servers_take_the_place_of_those_that_were_and_nothing_else_changes() {
        let before = "nameserver 10.89.0.1\nsearch example.org\noptions ndots:2\n";
        let after = resolver(before, vec!["10.89.1.1".parse().unwrap()]);
        assert_eq!(after, "nameserver 10.89.1.1\nsearch example.org\noptions ndots:2\n");
    }
}
