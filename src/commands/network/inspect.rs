//! `enter network inspect`: docker's JSON of networks, and podman's names beside them for templates.

use std::process::ExitCode;

use enter::network::{Error, Lease, Network, Networks, Range};
use serde_json::{Map, Value, json};

use super::predefined::{self, Predefined};
use super::{Place, VERB_FAILED};
use crate::cli::NetworkInspectArgs;
use crate::failure::Failure;
use crate::template::{Context, Template};
use crate::ui::Ui;

/// Shows each of what was named. What is not there is told at the end, and the rest is shown.
pub fn run(ui: &Ui, args: &NetworkInspectArgs) -> Result<ExitCode, Failure> {
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(text).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?),
    };
    let place = Place::of_user()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for typed in &args.networks {
        match place.look(typed) {
            Ok(value) => found.push(value),
            Err(failure) => failures.push(failure),
        }
    }
    let mut output = ui.output();
    match &template {
        Some(template) => {
            for (value, extra) in found {
                match template.render_in(&Context::of(&joined(value, extra))) {
                    Ok(text) => output.line(text),
                    Err(error) => failures.push(error.into()),
                }
            }
        }
        None => {
            let all: Vec<Value> = found.into_iter().map(|(value, _)| value).collect();
            output.text(crate::commands::inspect::json(all, args.format.is_some()));
        }
    }
    output.finish()?;
    failures.iter().for_each(|failure| ui.failure(failure));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}

impl Place {
    /// Docker's JSON of the network that was meant, and what podman names otherwise.
    fn look(&self, typed: &str) -> Result<(Value, Map<String, Value>), Failure> {
        match self.networks.find(typed) {
            Ok(network) => Ok((self.all_of(&network)?, podmans(&network))),
            Err(Error::NoSuchNetwork(_)) if let Some(one) = predefined::find(typed) => {
                Ok((always_there(one), Map::new()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn all_of(&self, network: &Network) -> Result<Value, Failure> {
        let mut containers = Map::new();
        for lease in self.networks.leases()?.into_iter().filter(|lease| lease.network == network.name) {
            // A lease stays when its container has ended; who is on the network is who lives.
            let is_alive = self.containers.find(&lease.container).is_ok_and(|container| container.is_alive());
            if is_alive {
                containers.insert(lease.container.clone(), endpoint(network, &lease));
            }
        }
        Ok(all(network, containers))
    }
}

/// Docker's JSON of a network, for `enter inspect` too.
pub fn value(networks: &Networks, containers: &enter::container::Containers, typed: &str) -> Result<Value, Failure> {
    let root = networks.folder().parent().unwrap_or(networks.folder());
    let journal = enter::container::events::Journal::at(root);
    let place = Place { networks: networks.clone(), containers: containers.clone(), journal };
    place.look(typed).map(|(value, _)| value)
}

fn joined(mut value: Value, extra: Map<String, Value>) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.extend(extra);
    }
    value
}

fn all(network: &Network, containers: Map<String, Value>) -> Value {
    let config: Vec<Value> = network
        .subnets
        .iter()
        .map(|subnet| {
            let mut config = json!({ "Subnet": subnet.subnet.to_string() });
            if let Some(Range { first, last }) = subnet.range {
                config["IPRange"] = range(first, last).into();
            }
            config["Gateway"] = subnet.gateway.to_string().into();
            config
        })
        .collect();
    let has_ipv4 = network.subnets.iter().any(|subnet| subnet.subnet.addr().is_ipv4());
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created.to_string(),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": has_ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": { "Driver": "default", "Options": {}, "Config": config },
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": network.options,
        "Labels": network.labels,
    })
}

/// A range as a prefix where it is one.
fn range(first: std::net::IpAddr, last: std::net::IpAddr) -> String {
    let longest = if first.is_ipv4() { 32 } else { 128 };
    let nets = (0..=longest).filter_map(|prefix| ipnet::IpNet::new(first, prefix).ok());
    let mut exact = nets.filter(|net| net.network() == first && net.broadcast() == last);
    exact.next().map_or_else(|| format!("{first}-{last}"), |net| net.to_string())
}

fn endpoint(network: &Network, lease: &Lease) -> Value {
    let address = |ipv4: bool| {
        let found = lease.addresses.iter().find(|address| address.is_ipv4() == ipv4);
        let prefix = |address| network.subnet_of(address).map_or(0, |subnet| subnet.subnet.prefix_len());
        found.map(|address| format!("{address}/{}", prefix(*address))).unwrap_or_default()
    };
    json!({
        "Name": lease.container_name,
        "EndpointID": "",
        "MacAddress": lease.mac.to_string(),
        "IPv4Address": address(true),
        "IPv6Address": address(false),
    })
}

/// The subnets under podman's names.
pub fn subnets(network: &Network) -> Vec<Value> {
    let subnet = |subnet: &enter::network::Subnet| {
        let range =
            subnet.range.map(|range| json!({ "StartIP": range.first.to_string(), "EndIP": range.last.to_string() }));
        json!({ "Subnet": subnet.subnet.to_string(), "Gateway": subnet.gateway.to_string(), "LeaseRange": range })
    };
    network.subnets.iter().map(subnet).collect()
}

fn podmans(network: &Network) -> Map<String, Value> {
    let value = json!({
        "ID": network.id,
        "NetworkInterface": network.interface,
        "Subnets": subnets(network),
        "IPv6Enabled": network.ipv6,
        "DNSEnabled": network.dns,
        "NetworkDNSServers": network.dns_servers,
        "IPAMOptions": { "driver": "host-local" },
    });
    value.as_object().cloned().unwrap_or_default()
}

fn always_there(one: &Predefined) -> Value {
    json!({
        "Name": one.name,
        "Id": one.id,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": one.driver,
        "EnableIPv4": one.driver != "null",
        "EnableIPv6": one.driver != "null",
        "IPAM": { "Driver": "default", "Options": null, "Config": [] },
        "Internal": false,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": {},
        "Options": {},
        "Labels": {},
    })
}
