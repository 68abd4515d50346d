//! What a container has from this machine: its network, its names, its time.

use passt::dns::HostResolver;
use passt::{Interface, Options, Pasta};
use plan::{Network, Step};

use super::locale::{LocalTime, TimeZone};
use super::request::Reach;
use super::run::{self, Networks, gateway};
use super::view::View;
use crate::container::Error;
use crate::container::error::Told;

/// The way to the network; where there is none to be had, says so, and goes on without, unless something in particular was asked for.
///
/// # Errors
/// Where what was asked for cannot be had.
pub fn network(reach: Reach, options: &Options, warn: &mut dyn FnMut(Told)) -> Result<Network, Error> {
    let interface = match reach {
        Reach::Host => return Ok(Network::Host),
        Reach::Nothing => return Ok(Network::None),
        Reach::Outside => {
            check(options, warn)?;
            interface(options, warn)
        }
    };
    match interface {
        Ok(interface) => Ok(Network::Pasta(interface)),
        Err(told) if *options == Options::default() => {
            warn(told);
            Ok(Network::None)
        }
        Err(told) => Err(Error::Told(told)),
    }
}

/// Opens nothing, but sees that what pasta is to open can be opened, and says what that is where it is much.
///
/// # Errors
/// Where what was asked for cannot be had.
fn check(options: &Options, warn: &mut dyn FnMut(Told)) -> Result<(), Error> {
    for opened in options.opened() {
        opened.try_out().map_err(|(place, error)| Error::Plan {
            doing: format!("open {} of this machine by pasta", place),
            reason: error.to_string(),
            hint: match error.kind() {
                std::io::ErrorKind::AddrInUse => Some("choose another port, or stop who has it: ss -lntup".into()),
                std::io::ErrorKind::PermissionDenied => Some(
                    "choose a port from 1024 on, or allow lower ones: sysctl net.ipv4.ip_unprivileged_port_start"
                        .into(),
                ),
                _ => None,
            },
        })?;
        if opened.is_wide() {
            warn(Told { message: opened.to_string(), cause: None, hint: opened.narrower() });
        }
    }
    Ok(())
}

/// The interface that pasta serves.
///
/// # Errors
/// Why there is none to be had.
fn interface(options: &Options, warn: &mut dyn FnMut(Told)) -> Result<Interface, Told> {
    let less = |error: &passt::Error| Told {
        message: "the container has no network".into(),
        cause: Some(Box::new(Told::by(error, None))),
        hint: error.hint().or_else(|| Some("`enter doctor` finds out more; --network none does without".into())),
    };
    Pasta::find().and_then(|_| tun_device()).map_err(|error| less(&error))?;
    let resolver = HostResolver::read().map_err(|error| less(&error))?;
    let host = options.host().map_err(|error| less(&error))?;
    if host.is_none() {
        warn(Told {
            message: "this machine has no way out at present; the container has one as soon as this machine has".into(),
            cause: None,
            hint: None,
        });
    }
    options.interface(host.as_ref(), &resolver).map_err(|error| less(&error))
}

/// Sees that the interface can be made, while there is still time to go without.
fn tun_device() -> Result<(), passt::Error> {
    let open = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    open.map(drop).map_err(|source| passt::Error::TunDevice { source })
}

/// The files by which a root finds its own name, others' names, and the time.
///
/// `added`: lines for the hosts file, as `NAME:ADDRESS`.
pub fn files(
    view: &dyn View,
    network: &Network,
    networks: Option<&Networks>,
    added: &[String],
    hostname: &str,
) -> Vec<Step> {
    let write =
        |target: &str, content: Vec<u8>| Step::Write { target: target.into(), content: content.into(), mode: 0o644 };
    let of_host = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let gateway = gateway::address(network).filter(|_| gateway::is_named(added));
    let hosts = hosts(&of_host, hostname) + &gateway::lines(added, gateway) + &own_addresses(network, hostname);
    let mut steps = vec![
        write("/etc/hostname", format!("{hostname}\n").into_bytes()),
        write("/etc/hosts", hosts.into_bytes()),
        write("/etc/resolv.conf", resolver(network, networks)),
        // By convention what tells programs that they are in a container.
        write("/run/.containerenv", b"engine=\"enter\"\n".to_vec()),
    ];
    match TimeZone::of_host().map(|zone| zone.for_root(view)) {
        Some(LocalTime::Link(zone)) => {
            steps.push(Step::Link { target: "/etc/localtime".into(), points_to: zone.into() });
        }
        Some(LocalTime::Rules(rules)) => steps.push(write("/etc/localtime", rules)),
        None => {}
    }
    steps
}

/// The host's own names, but for those of the host itself, which here mean the container.
pub fn hosts(of_host: &str, hostname: &str) -> String {
    let mut text = format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for line in of_host.lines() {
        let entry = line.split('#').next().unwrap_or_default();
        let Some(address) = entry.split_whitespace().next() else { continue };
        let own = address.parse::<std::net::IpAddr>().map_or(true, |address| address.is_loopback());
        if !own && !entry.split_whitespace().any(|name| name == hostname) {
            text.push_str(entry.trim_end());
            text.push('\n');
        }
    }
    text
}

/// Where the container itself is found on networks of the user's own.
fn own_addresses(network: &Network, hostname: &str) -> String {
    let Network::Own(interfaces) = network else { return String::new() };
    let addresses = interfaces.iter().flat_map(|interface| &interface.addresses);
    addresses.map(|own| format!("{}\t{hostname}\n", own.address)).collect()
}

fn resolver(network: &Network, networks: Option<&Networks>) -> Vec<u8> {
    match network {
        Network::Host => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
        Network::Own(_) => run::own_resolver(networks, true).to_resolv_conf().into_bytes(),
        Network::None | Network::Container(_) => Vec::new(),
        Network::Pasta(interface) => interface.resolver.to_resolv_conf().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_names_are_kept_but_for_its_own() {
        let text =
            hosts("127.0.1.1 laptop\n10.0.0.7 build # ours\n10.0.0.8 debian\n# comment\nfe80::1 printer\n", "debian");
        assert_eq!(
            text,
            "127.0.0.1\tlocalhost debian\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7 build\nfe80::1 printer\n"
        );
    }
}
