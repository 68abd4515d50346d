//! Makes the plan of a container: every default is resolved here, by looking at the caller, the host and the root to be
//! entered, and nothing is changed anywhere.

pub mod account;
pub mod added;
pub mod boxes;
pub mod caller;
pub mod integration;
pub mod request;

mod environment;
mod furniture;
pub mod home;
mod host;
mod locale;
pub mod run;
mod sudo;
pub mod view;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use plan::{
    Durability, Lower, Network, Plan, Power, Pretend, Process, Restrictions, Root, Step, Stream, Text, Users, Writable,
};
use uidmap::Maps;

use super::error::Told;
use super::outward;
use super::record::Storage;
use super::{Error, tools};
use crate::security::capabilities::{Capabilities, Capability};
use crate::security::paths;
use crate::security::seccomp::{self, Raw};
use account::{Accounts, Identity};
use caller::Caller;
use furniture::Furniture;
use integration::Integration;
use request::{Reach, Request, Source};
use run::gateway;
use view::View;

/// CAP_NET_RAW is what `ping` needs: without it the kernel refuses to execute programs that are marked with it, such as Debian's, and
/// busybox's knows no other way (icmp(7) has one, by ping_group_range). The filter of system calls lets it do no more than that.
const HARMLESS: Capabilities = Capabilities::of(&[Capability::NET_RAW]);

/// What is shown of the host is no source of privileges: neither set-user-ID programs nor devices.
const FROM_OUTSIDE: Restrictions = Restrictions { read_only: false, no_suid: true, no_dev: true, no_exec: false };

/// Where a container is to live.
#[derive(Debug)]
pub struct Place {
    /// The container's id.
    pub id: String,
    /// The container's folder.
    pub folder: PathBuf,
    /// The folder that holds everything of ours, which no container is shown by accident.
    pub state: PathBuf,
}

/// Plans one throwaway container.
///
/// `maps`: the outer user namespace. `warn` is told of what the container will have to do without.
///
/// # Errors
/// Where something was asked for that cannot be had.
pub fn plan(
    request: &Request<'_>,
    caller: &Caller,
    maps: Maps,
    place: Place,
    warn: &mut dyn FnMut(Told),
) -> Result<Plan, Error> {
    let view: &dyn View = match &request.source {
        Source::Image { files, .. } => *files,
        Source::Host => &view::Host,
    };
    let accounts = Accounts::read(view);
    let identity = match &request.user {
        Some(text) => accounts.find(text, caller)?,
        None => accounts.caller(caller),
    };
    let shell = shell(view, &identity, caller).or_else(|| request.tools.then(|| tools::SHELL.into()));
    let hostname = hostname(request)?;
    let mut network = match &request.networks {
        Some(networks) => Network::Own(networks.interfaces.clone()),
        None => host::network(request.reach, &request.pasta, warn)?,
    };
    if gateway::is_named(&request.hosts) {
        network = gateway::open(network, request.networks.as_ref().is_some_and(|networks| networks.leads_out))?;
    }
    let mut users = users(caller, maps, &identity)?;
    users.owns_network = has_network_namespace(&network);

    let host_root = matches!(request.source, Source::Host);
    let mut steps = Furniture { host_root, host_network: network == Network::Host, ..Furniture::default() }.steps();
    steps.extend(host::files(view, &network, request.networks.as_ref(), &request.hosts, &hostname));
    steps.extend(account_files(&accounts, caller, shell.as_deref()));
    steps.extend(sudo::steps(view, caller, host_root));
    let shared = Integration::of(&request.shares, caller, network == Network::Host);
    shared.warn(&request.shares, warn);
    steps.extend(shared.steps());
    if request.tools {
        steps.push(tools::step(&place.state)?);
    }
    let covers = |volume: &request::Volume| volume.target == caller.home;
    let asked = home::Asked {
        home: request.home,
        project: request.project.as_deref(),
        covered: request.volumes.iter().any(covers),
    };
    let (shown, home) = home::plan(&asked, &place, caller, warn)?;
    steps.extend(shown);
    steps.extend(volumes(request)?);
    steps.extend(outward::steps(&place, users.power, &steps));
    steps.extend(furniture::masks(paths::MASKED.iter().copied(), paths::READ_ONLY.iter().copied()));

    let variables = shared.variables(identity.uid, &|_| true);
    let known = environment::Known {
        image: match &request.source {
            Source::Image { environment, .. } => Some(environment),
            Source::Host => None,
        },
        shares_network: request.reach == Reach::Host,
        types: request.terminals[0],
        shared: &variables,
        tools: request.tools,
        asked: &request.environment,
        hostname: &hostname,
    };
    let environment = environment::make(known, view, &identity, shell.as_deref());
    let mut process = process(request, caller, identity, shell, environment)?;
    process.pretend = pretend(&users, &process);
    Ok(Plan {
        version: plan::VERSION,
        container: plan::Container {
            id: place.id,
            image: source_name(&request.source),
            folder: place.folder.into(),
            throwaway: true,
            restorable: 0,
            volumes: Vec::new(),
        },
        users,
        root: Root {
            lower: lower(&request.source, &place.state),
            writable: writable(request.storage, true, None),
            read_only: false,
        },
        images: Vec::new(),
        home,
        network,
        ports: request.ports.clone(),
        namespaces: plan::Namespaces::default(),
        hostname,
        domainname: String::new(),
        sysctls: Vec::new(),
        cgroup: None,
        steps,
        process,
    })
}

/// Where changes go. What is kept must survive a machine that goes down; what is thrown away need not. Nor is what is kept to be lost
/// with a server that is killed: unless that was asked for, it must not be in the kernel's hands alone.
fn writable(storage: Storage, throwaway: bool, writeback: Option<bool>) -> Writable {
    match storage {
        Storage::Overlay => Writable::Overlay { volatile: throwaway },
        Storage::Fuse => Writable::Fuse {
            durability: if throwaway { Durability::Volatile } else { Durability::Durable },
            writeback: writeback.unwrap_or(throwaway),
        },
    }
}

fn source_name(source: &Source<'_>) -> String {
    match source {
        Source::Image { name, .. } => name.clone(),
        Source::Host => "host".into(),
    }
}

fn lower(source: &Source<'_>, state: &Path) -> Lower {
    match source {
        Source::Image { tree, tars, .. } => {
            Lower::Image { tree: tree.clone().into(), layers: tars.iter().cloned().map(Text::from).collect() }
        }
        Source::Host => Lower::Host { directory: "/".into(), hidden: vec![state.into()] },
    }
}

fn users(caller: &Caller, outer: Maps, identity: &Identity) -> Result<Users, Error> {
    let inner = if outer.kind == uidmap::Kind::Single {
        // The one id there is, is whoever the payload is to be.
        Maps::single(0, 0, identity.uid, identity.gid)
    } else {
        Maps::keep_id(&outer, caller.uid, caller.gid)
    };
    let inner = inner.map_err(|error| Error::Plan {
        doing: "map the container's users".into(),
        reason: error.to_string(),
        hint: Some("give yourself subordinate ids in one range: see `enter doctor`".into()),
    })?;
    identity.check(&inner)?;
    Ok(Users { outer, inner, power: Power::Nothing, owns_network: false })
}

/// Whether the container has a network namespace of its own.
fn has_network_namespace(network: &Network) -> bool {
    matches!(network, Network::None | Network::Pasta(_) | Network::Own(_))
}

/// Who a process is told that it is, where there is one id only.
fn pretend(users: &Users, process: &Process) -> Option<Pretend> {
    let filter = || plan::Filter(crate::security::pretend::filter());
    let Process { uid, gid, groups, .. } = process;
    let pretend = || Pretend { filter: filter(), uid: *uid, gid: *gid, groups: groups.clone() };
    (users.inner.kind == uidmap::Kind::Single).then(pretend)
}

/// The shell: the payload's user's own if the root has it, or one of that name, or the best that there is.
fn shell(view: &dyn View, identity: &Identity, caller: &Caller) -> Option<PathBuf> {
    let preferred = [identity.shell.as_ref(), Some(&caller.shell)];
    for path in preferred.into_iter().flatten() {
        // Accounts that are not meant to log in name one of these.
        if path.file_name().is_some_and(|name| name == "nologin" || name == "false") {
            continue;
        }
        if view.is_program(path) {
            return Some(path.clone());
        }
        if let Some(found) = path.file_name().and_then(|name| view::find_program(view, name)) {
            return Some(found);
        }
    }
    ["bash", "ash", "sh"].iter().find_map(|name| view::find_program(view, OsStr::new(name)))
}

/// The host name: as asked, or after the image, so that every prompt shows where one is.
fn hostname(request: &Request<'_>) -> Result<String, Error> {
    if let Some(name) = &request.hostname {
        let allowed = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '.';
        if name.is_empty() || name.len() > 63 || !name.chars().all(allowed) || name.starts_with(['-', '.']) {
            return Err(Error::Plan {
                doing: format!("name the host `{name}`"),
                reason: "a host name has 1 to 63 letters, digits, dots and dashes, and begins with a letter or digit"
                    .into(),
                hint: None,
            });
        }
        return Ok(name.clone());
    }
    let name = source_name(&request.source);
    let path = name.split('@').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    let clean: String =
        last.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect();
    let clean: String = clean.trim_matches('-').chars().take(63).collect();
    Ok(if clean.is_empty() { "enter".into() } else { clean })
}

fn account_files(accounts: &Accounts, caller: &Caller, shell: Option<&Path>) -> Vec<Step> {
    let shell = shell.unwrap_or(Path::new("/bin/sh"));
    let write =
        |target: &str, content: String| Step::Write { target: target.into(), content: content.into(), mode: 0o644 };
    let passwd = accounts.passwd_with(caller, shell).map(|content| write("/etc/passwd", content));
    let group = accounts.group_with(caller).map(|content| write("/etc/group", content));
    passwd.into_iter().chain(group).collect()
}

fn volumes(request: &Request<'_>) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for volume in &request.volumes {
        check_bind(&volume.source, &volume.target)?;
        steps.push(Step::Bind {
            source: volume.source.clone().into(),
            target: volume.target.clone().into(),
            recursive: true,
            restrictions: Restrictions { read_only: volume.read_only, ..FROM_OUTSIDE },
        });
    }
    Ok(steps)
}

/// Sees that something can be bound, and that its place is one.
///
/// # Errors
/// Why not.
pub fn check_bind(source: &Path, target: &Path) -> Result<(), Error> {
    let refused = |reason: &str, hint: &str| Error::Plan {
        doing: format!("show {} as {}", source.display(), target.display()),
        reason: reason.to_owned(),
        hint: Some(hint.to_owned()),
    };
    match source.symlink_metadata() {
        Ok(_) if source.exists() => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(refused("you may not look at it", "check its permissions and those of the folders above it"));
        }
        _ => return Err(refused("it does not exist", "make it first: nothing is made by mistake")),
    }
    if target.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(refused("the target has `..` in it", "write the path in full"));
    }
    if target == Path::new("/") {
        return Err(refused("the target is the root itself", "choose a folder below it"));
    }
    Ok(())
}

/// Where to begin: as asked; else where the caller is, if that is `here` too, or at home.
fn directories(asked: Option<&Path>, here: Option<PathBuf>, identity: &Identity, caller: &Caller) -> Vec<Text> {
    if let Some(asked) = asked {
        return vec![asked.to_owned().into()];
    }
    let homes = [identity.home.clone(), caller.home.clone(), "/".into()];
    here.into_iter().chain(homes).map(Text::from).collect()
}

fn process(
    request: &Request<'_>,
    caller: &Caller,
    identity: Identity,
    shell: Option<PathBuf>,
    environment: Vec<(Text, Text)>,
) -> Result<Process, Error> {
    let arguments: Vec<Text> = if request.command.is_empty() {
        let shell = shell.ok_or_else(|| Error::Plan {
            doing: "open a shell".into(),
            reason: "there is none in this image".into(),
            hint: Some(format!(
                "bring one along: enter --tools {0}; or run a program of the image: enter {0} -- PROGRAM",
                source_name(&request.source)
            )),
        })?;
        vec![shell.into()]
    } else {
        request.command.iter().cloned().map(Text::from).collect()
    };
    // A terminal of the container's own where the caller has one for both ways.
    let terminal = request.size.filter(|_| request.has_terminal());
    let stream = |is_terminal: bool| match (is_terminal, terminal) {
        (true, Some(_)) => Stream::Terminal,
        (true, None) => Stream::Relay,
        (false, _) => Stream::Direct,
    };
    let here = match request.source {
        Source::Host => caller.directory.clone(),
        Source::Image { .. } => {
            caller.directory_at_home().or_else(|| home::directory_in(request.project.as_deref(), caller))
        }
    };
    let directories = directories(request.directory.as_deref(), here, &identity, caller);
    let capabilities = Capabilities::ORDINARY.with(HARMLESS);
    Ok(Process {
        arguments,
        idle: false,
        environment,
        directories,
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        capabilities: capabilities.bits(),
        no_new_privileges: false,
        seccomp: Some(plan::Filter(seccomp::filter(capabilities, Raw::Echo))),
        pretend: None,
        umask: caller.umask,
        limits: Vec::new(),
        passed: 0,
        terminal,
        streams: request.terminals.map(stream),
    })
}

#[cfg(test)]
mod tests;
