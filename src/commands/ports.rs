//! Published ports, from what was typed to sockets.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use enter::container::record::{NetworkMode, Port, Record, Spec};
use enter::container::{Container, Containers};
use enter::network::publish::{self, Error, parse, together};

use super::ps::ports;
use crate::cli::run::NetworkArgs;
use crate::failure::Failure;

/// What a container is to publish, by its flags and by what is exposed.
pub fn wanted(args: &NetworkArgs, spec: &Spec, default: IpAddr) -> Result<Vec<Port>, Failure> {
    let typed = args.publish.iter().flat_map(|published| published.0.iter().map(|asked| asked.port(default)));
    let mut all: Vec<Port> = typed.collect();
    if args.publish_all {
        for exposed in &spec.exposed {
            // What cannot be passed on is not: nobody has named it one by one.
            for asked in parse(exposed).unwrap_or_default() {
                let port = asked.port(default);
                let is_there = |other: &Port| (other.container, other.protocol) == (port.container, port.protocol);
                if !all.iter().any(is_there) {
                    all.push(port);
                }
            }
        }
    }
    Ok(together(all)?)
}

/// What an image or `--expose` names, each port for itself and with its protocol: as docker and podman keep it. What is no port stays what
/// it is.
pub fn each(exposed: &str) -> Vec<String> {
    let (numbers, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => (first..=last).map(|port| format!("{port}/{protocol}")).collect(),
        _ => vec![exposed.to_owned()],
    }
}

/// Whether a container on this network has ports of its own.
pub fn has_own(network: &NetworkMode) -> bool {
    !matches!(network, NetworkMode::Host | NetworkMode::Container(_))
}

/// Opens the sockets of all that a container publishes, and notes what was chosen.
pub fn open(containers: &Containers, record: &mut Record) -> Result<Vec<OwnedFd>, Failure> {
    if record.spec.ports.is_empty() {
        return Ok(Vec::new());
    }
    let mut ports = record.spec.ports.clone();
    let sockets = publish::open(&mut ports).map_err(|error| refused(containers, error))?;
    if ports != record.spec.ports {
        let container = containers.find(&record.id)?;
        containers.change(&container, |record| {
            record.spec.ports.clone_from(&ports);
            Ok(())
        })?;
        record.spec.ports = ports;
    }
    Ok(sockets)
}

/// Says who has a port that is taken, where that is one of the user's own containers.
pub fn refused(containers: &Containers, error: Error) -> Failure {
    let Error::Taken { address, protocol } = &error else { return error.into() };
    let has = |container: &Container| {
        let is_it = |port: &Port| {
            let same = |ip: IpAddr| ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
            port.host == address.port() && port.protocol == *protocol && same(port.address)
        };
        container.is_alive() && container.record.spec.ports.iter().any(is_it)
    };
    match containers.all().unwrap_or_default().into_iter().find(has) {
        Some(other) => {
            let shown = format!("{}:{}/{protocol}", ports::bracketed(address.ip()), address.port());
            Failure::new(format!("cannot publish {shown}: the container {} has that port", other.record.name))
                .with_hint("choose another one, or let the system choose: -p CONTAINER_PORT")
        }
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn a_range_is_each_of_its_ports() {
        assert_eq!(each("80"), ["80/tcp"]);
        assert_eq!(each("53/udp"), ["53/udp"]);
        assert_eq!(each("8000-8002/tcp"), ["8000/tcp", "8001/tcp", "8002/tcp"]);
        assert_eq!(each("65535"), ["65535/tcp"]);
        assert_eq!(each("3-1/tcp"), ["3-1/tcp"]);
        assert_eq!(each("nonsense"), ["nonsense"]);
    }
}
