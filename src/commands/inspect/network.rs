//! docker's NetworkSettings: addresses, and the ports that are reachable.

use enter::container::Container;
use enter::container::record::{NetworkMode, Spec};
use enter::network::Networks;
use enter::network::lease::Wanted;
use enter::network::record::LINKS;
use passt::Address;
use plan::Plan;
use serde_json::{Map, Value, json};

use crate::commands::ps::row;

/// What the container has on one network.
struct Endpoint {
    four: Option<Address>,
    six: Option<Address>,
    mac: String,
    aliases: Value,
    names: Value,
    network_id: String,
}

/// Addresses and ports, as far as the container runs.
pub fn settings(container: &Container, plan: Option<&Plan>) -> Value {
    let spec = &container.record.spec;
    let mut networks: Vec<(String, Endpoint)> = Vec::new();
    let name = row::network(spec);
    if !spec.has_networks() && !name.starts_with("container:") || spec.network == NetworkMode::Pasta {
        networks.push((name, default(container, plan)));
    }
    networks.extend(own(container).into_iter().filter(|(name, _)| !name.starts_with(LINKS)));
    let all: Map<String, Value> = networks.iter().map(|(name, endpoint)| (name.clone(), endpoint.json())).collect();
    let first = networks.first().map(|(_, endpoint)| endpoint.json()).unwrap_or(Value::Null);
    // Docker has these of its default network alone, where podman has those of any that is the only one.
    let only = |field: &str, none: Value| if networks.len() == 1 { first[field].clone() } else { none };
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": if container.is_alive() { format!("/proc/{}/ns/net", container.state.init) } else { String::new() },
        "Ports": if container.is_alive() { ports(spec) } else { Value::Object(Map::new()) },
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": "",
        "Gateway": only("Gateway", "".into()),
        "GlobalIPv6Address": only("GlobalIPv6Address", "".into()),
        "GlobalIPv6PrefixLen": only("GlobalIPv6PrefixLen", 0.into()),
        "IPAddress": only("IPAddress", "".into()),
        "IPPrefixLen": only("IPPrefixLen", 0.into()),
        "IPv6Gateway": only("IPv6Gateway", "".into()),
        "MacAddress": only("MacAddress", "".into()),
        "Networks": all,
    })
}

/// What it has on the default network.
fn default(container: &Container, plan: Option<&Plan>) -> Endpoint {
    let interface = match plan.filter(|_| container.is_alive()).map(|plan| &plan.network) {
        Some(plan::Network::Pasta(interface)) => Some(interface),
        _ => None,
    };
    Endpoint {
        four: interface.and_then(|interface| interface.ipv4.clone()),
        six: interface.and_then(|interface| interface.ipv6.clone()),
        mac: String::new(),
        aliases: Value::Null,
        names: Value::Null,
        network_id: String::new(),
    }
}

/// What it has on networks of one's own: addresses, as far as it runs.
fn own(container: &Container) -> Vec<(String, Endpoint)> {
    let Some(root) = container.folder.ancestors().nth(2) else { return Vec::new() };
    let networks = Networks::below(root);
    let leases = networks.leases_of(&container.record.id).unwrap_or_default();
    let endpoint = |wanted: &Wanted| {
        let network = networks.get(&wanted.network).ok();
        let lease = leases.iter().find(|lease| lease.network == wanted.network).filter(|_| container.is_alive());
        let address = |ipv4: bool| {
            let address = *lease?.addresses.iter().find(|address| address.is_ipv4() == ipv4)?;
            let subnet = network.as_ref()?.subnet_of(address)?;
            Some(Address { address, prefix: subnet.subnet.prefix_len(), gateway: subnet.gateway })
        };
        let names = [container.record.name.as_str(), container.short_id()];
        let names: Vec<&str> = names.into_iter().chain(wanted.aliases.iter().map(String::as_str)).collect();
        let endpoint = Endpoint {
            four: address(true),
            six: address(false),
            mac: lease.map(|lease| lease.mac.to_string()).unwrap_or_default(),
            aliases: if wanted.aliases.is_empty() { Value::Null } else { json!(wanted.aliases) },
            names: json!(names),
            network_id: network.as_ref().map(|network| network.id.clone()).unwrap_or_default(),
        };
        (wanted.network.clone(), endpoint)
    };
    container.record.spec.networks.iter().map(endpoint).collect()
}

impl Endpoint {
    /// Docker's form.
    fn json(&self) -> Value {
        let address = |of: &Option<Address>| of.as_ref().map(|of| of.address.to_string()).unwrap_or_default();
        let gateway = |of: &Option<Address>| of.as_ref().map(|of| of.gateway.to_string()).unwrap_or_default();
        let prefix = |of: &Option<Address>| of.as_ref().map_or(0, |of| of.prefix);
        json!({
            "IPAMConfig": null,
            "Links": null,
            "Aliases": self.aliases,
            "MacAddress": self.mac,
            "DriverOpts": null,
            "GwPriority": 0,
            "NetworkID": self.network_id,
            "EndpointID": "",
            "Gateway": gateway(&self.four),
            "IPAddress": address(&self.four),
            "IPPrefixLen": prefix(&self.four),
            "IPv6Gateway": gateway(&self.six),
            "GlobalIPv6Address": address(&self.six),
            "GlobalIPv6PrefixLen": prefix(&self.six),
            "DNSNames": self.names,
        })
    }
}

/// Each published port with where it is reachable, and each that is only named with `null`.
fn ports(spec: &Spec) -> Value {
    let mut all = published(spec);
    for port in &spec.exposed {
        let port = if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
        all.entry(port).or_insert(Value::Null);
    }
    all.into()
}

/// HostConfig's PortBindings.
pub fn bindings(spec: &Spec) -> Value {
    published(spec).into()
}

fn published(spec: &Spec) -> Map<String, Value> {
    let mut all = Map::new();
    for port in &spec.ports {
        let binding = json!({ "HostIp": port.address.to_string(), "HostPort": if port.host == 0 { String::new() } else { port.host.to_string() } });
        let bindings = all.entry(format!("{}/{}", port.container, port.protocol)).or_insert_with(|| json!([]));
        if let Some(list) = bindings.as_array_mut() {
            list.push(binding);
        }
    }
    all
}
