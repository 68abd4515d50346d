//! The files by which a container finds its own name, others' names, and the time.

use std::fmt::Write as _;
use std::path::Path;

use passt::dns::Resolver;
use plan::{Content, Network, Plan, Step};

use super::{Networks, Start, gateway, write};
use crate::container::Error;
use crate::container::planning::host;
use crate::container::planning::locale::{LocalTime, TimeZone};
use crate::container::planning::view::View;
use crate::container::record::{Namespace, NetworkMode, Spec};

/// What every hosts file begins with: docker's.
const HOSTS: &str = "127.0.0.1\tlocalhost\n\
     ::1\tlocalhost ip6-localhost ip6-loopback\n\
     fe00::0\tip6-localnet\n\
     ff00::0\tip6-mcastprefix\n\
     ff02::1\tip6-allnodes\n\
     ff02::2\tip6-allrouters\n";

/// The host name: as asked, this machine's where that is shared, or the beginning of the id.
pub fn hostname(spec: &Spec, id: &str) -> String {
    if !spec.hostname.is_empty() {
        return spec.hostname.clone();
    }
    if spec.uts == Namespace::Host || spec.network == NetworkMode::Host {
        let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        return name.unwrap_or_default();
    }
    id.get(..12).unwrap_or(id).to_owned()
}

/// The steps that write the files.
pub fn files(start: &Start<'_>, view: &dyn View, network: &Network, hostname: &str) -> Result<Vec<Step>, Error> {
    let spec = start.spec;
    let other = match network {
        Network::Container(id) => (start.running)(id),
        _ => None,
    };
    let shared = |path: &str| other.as_ref().and_then(|plan| written(plan, path));
    let mut steps = vec![write("/etc/hostname", format!("{hostname}\n"))];
    if !spec.no_hosts {
        let hosts = shared("/etc/hosts").unwrap_or_else(|| hosts(start, network, hostname).into());
        steps.push(Step::Write { target: "/etc/hosts".into(), content: hosts, mode: 0o644 });
    }
    let resolver = shared("/etc/resolv.conf").unwrap_or_else(|| resolver(start, network).into());
    steps.push(Step::Write { target: "/etc/resolv.conf".into(), content: resolver, mode: 0o644 });
    // By convention what tells programs that they are in a container.
    steps.push(write("/run/.containerenv", "engine=\"enter\"\n"));
    // What mount(8) and df(1) of old read; docker and podman make it too. A link that leads to the same is as good as none here.
    if !view.exists(Path::new("/etc/mtab")) {
        steps.push(Step::Link { target: "/etc/mtab".into(), points_to: "/proc/mounts".into() });
    }
    steps.extend(local_time(spec, view)?);
    Ok(steps)
}

/// What another container was given under a path.
fn written(plan: &Plan, path: &str) -> Option<Content> {
    plan.steps.iter().find_map(|step| match step {
        Step::Write { target, content, .. } | Step::Cover { target, content, .. }
            if target.as_bytes() == path.as_bytes() =>
        {
            Some(content.clone())
        }
        _ => None,
    })
}

fn hosts(start: &Start<'_>, network: &Network, hostname: &str) -> String {
    let spec = start.spec;
    let of_host = || std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut text = match network {
        // As in a shell, the names that this machine knows are known.
        Network::Pasta(_) | Network::None | Network::Host if spec.boxed.is_some() => host::hosts(&of_host(), hostname),
        Network::Host => std::fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.into()),
        _ => HOSTS.into(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let host = gateway::address(network).filter(|_| gateway::is_asked(spec));
    text.push_str(&gateway::lines(&spec.extra_hosts, host));
    for (address, names) in start.networks.iter().flat_map(|networks| &networks.hosts) {
        let _ = writeln!(text, "{address}\t{names}");
    }
    let full = if spec.domainname.is_empty() {
        hostname.to_owned()
    } else {
        format!("{hostname}.{} {hostname}", spec.domainname)
    };
    let own = match network {
        Network::Pasta(interface) => {
            interface.ipv4.iter().chain(&interface.ipv6).next().map(|own| own.address.to_string())
        }
        Network::Own(interfaces) if !interfaces.is_empty() => {
            for address in interfaces.iter().flat_map(|interface| &interface.addresses) {
                let _ = writeln!(text, "{}\t{full}", address.address);
            }
            None
        }
        Network::None | Network::Own(_) => Some("127.0.0.1".into()),
        Network::Host | Network::Container(_) => None,
    };
    if let Some(own) = own {
        let _ = writeln!(text, "{own}\t{full}");
    }
    text
}

fn resolver(start: &Start<'_>, network: &Network) -> Vec<u8> {
    let spec = start.spec;
    let is_asked = !(spec.dns.is_empty() && spec.dns_search.is_empty() && spec.dns_options.is_empty());
    let resolver = match network {
        Network::Host if !is_asked => return std::fs::read("/etc/resolv.conf").unwrap_or_default(),
        Network::Host => Resolver::parse(&std::fs::read("/etc/resolv.conf").unwrap_or_default()),
        Network::Pasta(interface) => interface.resolver.clone(),
        Network::Own(_) => own_resolver(start.networks, spec.dns_search.is_empty()),
        Network::None | Network::Container(_) => Resolver::default(),
    };
    resolv_conf(spec, resolver)
}

/// How names are looked up on networks of the user's own. `hosts_domains`: in those of this machine too.
pub fn own_resolver(networks: Option<&Networks>, hosts_domains: bool) -> Resolver {
    let servers = networks.map(|networks| networks.servers.clone()).unwrap_or_default();
    let mut host = Resolver::parse(&std::fs::read("/etc/resolv.conf").unwrap_or_default());
    // A container's name is not to be looked for in the host's domains first, where somebody else may have it.
    if hosts_domains && !host.search.is_empty() {
        host.options.retain(|option| !option.starts_with("ndots:"));
        host.options.push("ndots:0".into());
    }
    Resolver { servers, ..host }
}

/// The text of a container's /etc/resolv.conf, as it follows from its network's `resolver` and from what was asked for.
pub fn resolv_conf(spec: &Spec, mut resolver: Resolver) -> Vec<u8> {
    if !spec.dns.is_empty() {
        resolver.servers = spec.dns.iter().filter_map(|server| server.parse().ok()).collect();
    }
    if !spec.dns_search.is_empty() {
        resolver.search = spec.dns_search.iter().filter(|domain| *domain != ".").cloned().collect();
    }
    if !spec.dns_options.is_empty() {
        resolver.options.clone_from(&spec.dns_options);
    }
    resolver.to_resolv_conf().into_bytes()
}

/// The time zone, where one was asked for.
fn local_time(spec: &Spec, view: &dyn View) -> Result<Option<Step>, Error> {
    const FILE: &str = "/etc/localtime";
    let zone = match spec.timezone.as_str() {
        "" => None,
        "local" => TimeZone::of_host(),
        name => Some(TimeZone::named(name)),
    };
    match zone.map(|zone| zone.for_root(view)) {
        None => Ok(None),
        Some(LocalTime::Link(zone)) => Ok(Some(Step::Link { target: FILE.into(), points_to: zone.into() })),
        Some(LocalTime::Rules(rules)) if !rules.is_empty() => Ok(Some(write(FILE, rules))),
        Some(LocalTime::Rules(_)) => Err(Error::Plan {
            doing: format!("set the time zone {}", spec.timezone),
            reason: "neither the image nor this machine knows it".into(),
            hint: Some("the names are those below /usr/share/zoneinfo, for instance Europe/Berlin".into()),
        }),
    }
}
