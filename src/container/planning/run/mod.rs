//! The plan of a container that `enter run` or `enter create` made, anew at each start: from what was asked for, the image, what the
//! container has changed of it since, and this machine as it is now.

mod confinement;
mod files;
pub(super) mod gateway;
mod identity;
mod names;
mod resources;
mod variables;
mod volumes;

pub use confinement::profile_filter;
pub use files::sorted;
pub use gateway::{is_asked as reaches_host, options as pasta_options};
pub use identity::inner;
pub use names::{own_resolver, resolv_conf};
pub use resources::check as check_resources;

use std::net::IpAddr;

use plan::{
    Joined, Limit, Namespace as Space, Namespaces, Network, Plan, Power, Process, Processes, Root, Step, Stream, Text,
};
use uidmap::Maps;

use super::account::Accounts;
use super::caller::Caller;
use super::request::Reach;
use super::view::{Layered, View};
use super::{Place, boxes, host, writable};
use crate::container::error::Told;
use crate::container::outward;
use crate::container::record::{Namespace, NetworkMode, Port, Rlimit, Spec};
use crate::container::upper::Upper;
use crate::container::{Error, tools};
use crate::volume::Volumes;
use cowfs::tree::Image;

/// What new files do not get of permissions, where nobody says: docker's and podman's.
const UMASK: u32 = 0o022;

/// The size of a terminal that nobody looks at.
const NO_SIZE: plan::Rows = plan::Rows { rows: 24, columns: 80 };

/// What a start is planned from.
pub struct Start<'a> {
    /// What was asked for.
    pub spec: &'a Spec,
    /// The files of the image.
    pub files: &'a Image,
    /// Where those lie.
    pub lower: plan::Lower,
    /// What the container has written, where it exists already.
    pub upper: Option<&'a Upper>,
    /// The other images that it shows, by depth of their targets.
    pub images: Vec<plan::Lower>,
    /// The user's volumes.
    pub volumes: &'a Volumes,
    /// The size of the caller's terminal.
    pub size: Option<plan::Rows>,
    /// What it has on networks of the user's own, if it is on any.
    pub networks: Option<&'a Networks>,
    /// The plan that another container runs by, by its id; `None` where it does not run.
    pub running: &'a dyn Fn(&str) -> Option<Plan>,
}

/// What a container has on networks of the user's own.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Its interfaces, eth0 first.
    pub interfaces: Vec<Joined>,
    /// Where names are looked up.
    pub servers: Vec<IpAddr>,
    /// Whom it finds by /etc/hosts: those that it is linked with.
    pub hosts: Vec<(IpAddr, String)>,
    /// Whether one of them leads out of itself, by IPv4.
    pub leads_out: bool,
    /// What it is told of them.
    pub environment: Vec<(String, Text)>,
}

/// Plans one start.
///
/// `maps`: the outer user namespace. `warn` is told of what the container will have to do without.
///
/// # Errors
/// Where something was asked for that cannot be had.
pub fn run_plan(
    start: &Start<'_>,
    caller: &Caller,
    maps: Maps,
    place: Place,
    warn: &mut dyn FnMut(Told),
) -> Result<Plan, Error> {
    let Start { spec, .. } = start;
    let layered = start.upper.map(|upper| Layered::new(upper, start.files));
    let view: &dyn View = match &layered {
        Some(layered) => layered,
        None => start.files,
    };
    let accounts = Accounts::read(view);
    let identity = match &spec.boxed {
        Some(_) => accounts.caller(caller),
        None => identity::identity(spec, &accounts, caller)?,
    };
    let mut users = identity::users(spec, caller, maps, &identity)?;
    let namespaces = namespaces(start)?;
    let mut network = network(start, warn)?;
    if gateway::is_asked(spec) {
        network = gateway::open(network, start.networks.is_some_and(|networks| networks.leads_out))?;
    }
    if users.power == Power::All && has_watched_network(start, &network) {
        // Its payload would be in the user namespace of all networks, or have power over the way to pasta. So it has its own, and power
        // over what is made there.
        users.power = Power::Mounts;
    }
    // pasta takes whatever it is sent, also what is for this machine's own loopback interface: who has power over its interface is none whom
    // that may be left to.
    let is_trusted = !matches!(network, Network::Pasta(_)) || !confinement::asks_for_network(spec);
    users.owns_network = users.power != Power::All
        && super::has_network_namespace(&network)
        && confinement::may_own_network(spec)
        && is_trusted;
    if !is_trusted && !spec.privileged {
        warn(Told {
            message: "CAP_NET_ADMIN and CAP_NET_RAW have no power over the default network".into(),
            cause: None,
            hint: Some("they have it on one of your own: enter network create NAME, and --network NAME".into()),
        });
    }
    let hostname = names::hostname(spec, &place.id);
    let mut home = None;

    volumes::check_memory(spec, start.volumes, &place.id)?;
    volumes::check_owners(spec, start.volumes, &users)?;
    // Before anything hides what the image has.
    let mut steps = volumes::prepared(spec, start.volumes, &users, &identity)?;
    steps.extend(files::furniture(spec, &network).steps());
    steps.extend(files::in_memory(spec, &identity));
    let (written, covering) = files::covering(spec, names::files(start, view, &network, &hostname)?);
    steps.extend(written);
    if spec.boxed.is_some() {
        if spec.boxed.as_ref().is_some_and(|boxed| boxed.tools) {
            steps.push(tools::step(&place.state)?);
        }
        steps.extend(boxes::own(spec, view, &accounts, caller));
        let (shown, made) = super::home::plan(&super::home::Asked::of_box(spec, caller), &place, caller, warn)?;
        steps.extend(shown);
        home = made;
    } else {
        steps.extend(identity::account_files(spec, &accounts, caller, &identity));
    }
    steps.extend(files::shown(spec, start.volumes, &identity)?);
    steps.extend(covering);
    steps.extend(files::devices(spec)?);
    steps.extend(files::directories(spec));
    if spec.boxed.is_some() {
        steps.extend(outward::steps(&place, users.power, &steps));
    }
    steps.extend(confinement::masks(spec));

    let environment = variables::make(start, &identity, &hostname, &network);
    let mut process = match &spec.boxed {
        Some(_) => boxes::idle(process(start, identity, environment)?),
        None => process(start, identity, environment)?,
    };
    process.pretend = super::pretend(&users, &process);
    Ok(Plan {
        version: plan::VERSION,
        container: plan::Container {
            id: place.id,
            image: spec.image.name.clone(),
            folder: place.folder.into(),
            throwaway: spec.remove,
            restorable: 0,
            volumes: volumes::going(spec, start.volumes),
        },
        users,
        root: Root {
            lower: start.lower.clone(),
            writable: writable(spec.storage, spec.remove, spec.writeback),
            read_only: spec.read_only,
        },
        images: start.images.clone(),
        home,
        network,
        ports: spec.ports.iter().map(Port::planned).collect(),
        hostname: if namespaces.uts == Space::Own { hostname } else { String::new() },
        namespaces,
        domainname: spec.domainname.clone(),
        sysctls: spec.hardening.sysctls.clone().into_iter().collect(),
        cgroup: resources::cgroup(spec)?,
        steps,
        process,
    })
}

/// Whether its outer user namespace is that of the user's own networks or has power over an interface of pasta's, by its own network or by a
/// container that it shares something with.
fn has_watched_network(start: &Start<'_>, network: &Network) -> bool {
    let spec = start.spec;
    let shared = [&spec.pid, &spec.ipc, &spec.uts].into_iter().filter_map(|namespace| match namespace {
        Namespace::Container(id) => Some(id),
        Namespace::Private | Namespace::Host => None,
    });
    let network_of = match &spec.network {
        NetworkMode::Container(id) => Some(id),
        _ => None,
    };
    let joins = |id: &String| {
        (start.running)(id)
            .is_none_or(|plan| matches!(plan.network, Network::Own(_) | Network::Pasta(_) | Network::Container(_)))
    };
    matches!(network, Network::Own(_) | Network::Pasta(_)) || shared.chain(network_of).any(joins)
}

fn namespaces(start: &Start<'_>) -> Result<Namespaces, Error> {
    let spec = start.spec;
    let of = |flag: &str, namespace: &Namespace| match namespace {
        Namespace::Private => Ok(Space::Own),
        Namespace::Host => Ok(Space::Host),
        Namespace::Container(id) => running(start, flag, id).map(|_| Space::Container(id.clone())),
    };
    let processes = match &spec.pid {
        Namespace::Private if spec.init => Processes::Init,
        Namespace::Private => Processes::Payload,
        Namespace::Host => Processes::Host,
        Namespace::Container(id) => running(start, "--pid", id).map(|_| Processes::Container(id.clone()))?,
    };
    Ok(Namespaces { processes, ipc: of("--ipc", &spec.ipc)?, uts: of("--uts", &spec.uts)? })
}

/// The plan of another container, which must run to be shared.
fn running(start: &Start<'_>, flag: &str, id: &str) -> Result<Plan, Error> {
    let short = id.get(..12).unwrap_or(id);
    (start.running)(id).ok_or_else(|| Error::Plan {
        doing: format!("share what {flag} container:{short} names"),
        reason: "that container is not running".into(),
        hint: Some(format!("start it first: enter start {short}")),
    })
}

fn network(start: &Start<'_>, warn: &mut dyn FnMut(Told)) -> Result<Network, Error> {
    if let Some(networks) = start.networks {
        if !start.spec.pasta.is_empty() {
            warn(Told::plain("the options of pasta's do not hold while the container is on networks of your own"));
        }
        return Ok(Network::Own(networks.interfaces.clone()));
    }
    Ok(match &start.spec.network {
        NetworkMode::Own => Network::Own(Vec::new()),
        NetworkMode::Pasta => {
            let options = gateway::options(start.spec)?;
            host::network(Reach::Outside, &options, warn)?
        }
        NetworkMode::None => Network::None,
        NetworkMode::Host => Network::Host,
        NetworkMode::Container(id) => {
            running(start, "--network", id)?;
            Network::Container(id.clone())
        }
    })
}

fn process(
    start: &Start<'_>,
    identity: super::account::Identity,
    environment: Vec<(plan::Text, plan::Text)>,
) -> Result<Process, Error> {
    let spec = start.spec;
    let arguments: Vec<plan::Text> = spec.entrypoint.iter().chain(&spec.command).cloned().collect();
    if arguments.is_empty() && spec.boxed.is_none() {
        return Err(Error::Plan {
            doing: format!("run {}", spec.image.name),
            reason: "the image names no command, and none was given".into(),
            hint: Some(format!("name one: enter run {} COMMAND", spec.image.name)),
        });
    }
    let directory = if spec.directory.is_empty() { "/" } else { &spec.directory };
    let capabilities = confinement::capabilities(spec)?;
    Ok(Process {
        arguments,
        idle: false,
        environment,
        directories: vec![directory.into()],
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        capabilities: capabilities.bits(),
        no_new_privileges: spec.hardening.no_new_privileges,
        seccomp: confinement::filter(spec, capabilities)?,
        pretend: None,
        umask: spec.umask.unwrap_or(UMASK),
        limits: limits(spec),
        passed: spec.preserve_fds,
        terminal: spec.terminal.then(|| start.size.unwrap_or(NO_SIZE)),
        streams: [if spec.terminal { Stream::Terminal } else { Stream::Relay }; 3],
    })
}

/// How each process is limited.
pub fn limits(spec: &Spec) -> Vec<Limit> {
    let limit = |limit: &Rlimit| Limit { resource: limit.name.clone(), soft: limit.soft, hard: limit.hard };
    spec.hardening.limits.iter().map(limit).collect()
}

/// A step that writes a file of ours.
fn write(target: &str, content: impl Into<Vec<u8>>) -> Step {
    Step::Write { target: target.into(), content: plan::Content::from(content), mode: 0o644 }
}

#[cfg(test)]
mod tests;
