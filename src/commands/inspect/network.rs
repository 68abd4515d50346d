//! docker's NetworkSettings: addresses, and the ports that are reachable.

use enter::container::Container;
use enter::container::record::Spec;
use plan::{Network, Plan};
use serde_json::{Map, Value, json};

use crate::commands::ps::row;

/// Addresses and ports, as far as the container runs.
pub fn settings(container: &Container, plan: Option<&Plan>) -> Value {
    let spec = &container.record.spec;
    let interface = match plan.filter(|_| container.is_alive()).map(|plan| &plan.network) {
        Some(Network::Pasta(interface)) => Some(interface),
        _ => None,
    };
    let four = interface.and_then(|interface| interface.ipv4.as_ref());
    let six = interface.and_then(|interface| interface.ipv6.as_ref());
    let address = |of: Option<&passt::Address>| of.map(|of| of.address.to_string()).unwrap_or_default();
    let gateway = |of: Option<&passt::Address>| of.map(|of| of.gateway.to_string()).unwrap_or_default();
    let prefix = |of: Option<&passt::Address>| of.map_or(0, |of| of.prefix);
    let endpoint = json!({
        "IPAMConfig": null,
        "Links": null,
        "Aliases": null,
        "MacAddress": "",
        "DriverOpts": null,
        "GwPriority": 0,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": gateway(four),
        "IPAddress": address(four),
        "IPPrefixLen": prefix(four),
        "IPv6Gateway": gateway(six),
        "GlobalIPv6Address": address(six),
        "GlobalIPv6PrefixLen": prefix(six),
        "DNSNames": null,
    });
    let name = row::network(spec);
    let networks: Map<String, Value> =
        if name.starts_with("container:") { Map::new() } else { [(name, endpoint)].into_iter().collect() };
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
        "Gateway": gateway(four),
        "GlobalIPv6Address": address(six),
        "GlobalIPv6PrefixLen": prefix(six),
        "IPAddress": address(four),
        "IPPrefixLen": prefix(four),
        "IPv6Gateway": gateway(six),
        "MacAddress": "",
        "Networks": networks,
    })
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
        let binding = json!({ "HostIp": port.address.to_string(), "HostPort": port.host.to_string() });
        let bindings = all.entry(format!("{}/{}", port.container, port.protocol)).or_insert_with(|| json!([]));
        if let Some(list) = bindings.as_array_mut() {
            list.push(binding);
        }
    }
    all
}
