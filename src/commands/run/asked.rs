//! From flags and image to what a container is to be.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use enter::container::Containers;
use enter::container::planning::run::check_resources;
use enter::container::record::{ImageUse, LogConfig, Namespace, NetworkMode, Resources, Restart, Spec, UserNamespace};
use enter::image::Config;
use enter::network::Network;
use enter::store::Image;
use nix::unistd::getuid;
use plan::Text;

use super::super::network::Place;
use super::super::{ports, variables};
use super::{health, networks, security};
use crate::cli::CreateArgs;
use crate::cli::run::values::{Ipc, signal};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::lists::EnvVar;

/// What a container's hosts file has that may reach this machine's own servers.
pub const HOST_ACCESS: &str = "host.docker.internal:host-gateway";

/// A value that a flag cannot have, in the words of those that the parser itself refuses.
pub fn bad(flag: &str, value: &str, why: &str) -> Failure {
    Failure::new(format!("{flag} cannot be `{value}`: {why}")).with_hint("see `enter run --help`")
}

/// Two flags that say different things.
pub fn together(one: &str, other: &str) -> Failure {
    Failure::new(format!("{one} and {other} exclude each other")).with_hint("leave one of them away")
}

/// Refuses what cannot be had, before anything is fetched for it.
pub fn refuse(args: &CreateArgs) -> Result<(), Failure> {
    if let Some((flag, value)) = args.refused.0.iter().find(|(flag, value)| !flag.asks_nothing(value.as_deref())) {
        let typed = value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
        return Err(Failure::new(format!("--{}{typed} cannot be had: {}", flag.long, flag.reason)).with_hint(flag.mend));
    }
    if args.life.rm && args.life.restart.is_some_and(|policy| policy != Restart::No) {
        return Err(together("--rm", "--restart"));
    }
    // Before what takes a limit back is left out.
    refuse_resources(&args.resources.resources(None), false)?;
    refuse_resources(&resources(args), true)?;
    // Read again when the record is made; a mistake is told before anything is fetched.
    LogConfig::parse(args.life.log_driver.unwrap_or_default(), &args.life.log_opt)?;
    let (network, confinement) = (&args.network, &args.confinement);
    networks::refuse(network)?;
    if network.container().is_some() {
        let others = [
            (network.hostname.is_some(), "--hostname"),
            (!network.dns.is_empty(), "--dns"),
            (!network.dns_search.is_empty(), "--dns-search"),
            (!network.dns_option.is_empty(), "--dns-option"),
            (!network.add_host.is_empty(), "--add-host"),
            (network.host_access, "--host-access"),
            (!network.publish.is_empty(), "--publish"),
            (network.publish_all, "--publish-all"),
        ];
        if let Some((_, flag)) = others.iter().find(|(given, _)| *given) {
            return Err(together("--network container:NAME", flag));
        }
    }
    if confinement.uts == Some(Namespace::Host) && (network.hostname.is_some() || network.domainname.is_some()) {
        return Err(together("--uts host", "--hostname"));
    }
    if args.process.init && matches!(confinement.pid, Some(Namespace::Host | Namespace::Container(_))) {
        return Err(together("--init", "--pid, which names others' processes"));
    }
    if let Some(file) = args.cidfile.as_ref().filter(|file| file.exists()) {
        return Err(Failure::new(format!("cannot write the container's ID to {}: the file exists", file.display()))
            .with_hint("remove it first, or name another one with --cidfile"));
    }
    Ok(())
}

/// What is asked for.
///
/// `settings` say at which address ports are published that name none, and whether this machine's own servers may be reached.
pub fn spec(
    args: &CreateArgs,
    image: &Image,
    name: &str,
    containers: &Containers,
    settings: &Settings,
) -> Result<Spec, Failure> {
    let execution = &image.config.execution;
    let process = &args.process;
    let text = |words: &[String]| words.iter().map(|word| Text::from(word.as_str())).collect::<Vec<_>>();
    let typed: Vec<Text> = args.command().iter().map(|word| Text::from(word.clone())).collect();
    let (entrypoint, command) = match &process.entrypoint {
        Some(entrypoint) => (text(&entrypoint.0), typed),
        None if typed.is_empty() => (text(&execution.entrypoint), text(&execution.cmd)),
        None => (text(&execution.entrypoint), typed),
    };
    let mut spec = Spec {
        image: ImageUse { name: name.to_owned(), id: image.id.to_string() },
        platform: args.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
        entrypoint,
        command,
        environment: environment(args, &image.config)?,
        user: process.user.clone().unwrap_or_else(|| execution.user.clone()),
        groups: process.group_add.clone(),
        directory: process.workdir.clone().unwrap_or_else(|| directory(&image.config)),
        terminal: process.tty,
        open_input: process.interactive,
        init: process.init,
        umask: process.umask,
        timezone: process.timezone.clone().unwrap_or_default(),
        http_proxy: process.http_proxy,
        privileged: args.confinement.privileged,
        health: health::health(&args.health, &image.config)?,
        hardening: security::hardening(&args.confinement, process)?,
        resources: resources(args),
        detach_keys: args.detach_keys.clone().unwrap_or_default(),
        id_file: args.cidfile.as_deref().map(whole).transpose()?,
        pid_file: args.pidfile.as_deref().map(whole).transpose()?,
        created_in: std::env::current_dir().unwrap_or_default(),
        created_by: std::env::args_os().map(Text::from).collect(),
        ..Spec::default()
    };
    life(&mut spec, args, &image.config)?;
    files(&mut spec, args);
    network(&mut spec, args, &image.config, containers)?;
    if settings.host_access && !args.network.host_access && can_reach_host(&spec)? {
        spec.extra_hosts.push(HOST_ACCESS.into());
    }
    if ports::has_own(&spec.network) {
        spec.ports = ports::wanted(&args.network, &spec, settings.publish_address)?;
        spec.publish_all = args.network.publish_all;
    }
    namespaces(&mut spec, args, containers)?;
    Ok(spec)
}

/// What it uses at most. What asks for no limit says nothing.
fn resources(args: &CreateArgs) -> Resources {
    let mut resources = Resources::default();
    resources.change(&args.resources.resources(args.cgroup_parent.as_deref()));
    resources
}

/// Refuses limits that do not fit together, and where `anew`, those that cannot be had here.
pub fn refuse_resources(resources: &Resources, anew: bool) -> Result<(), Failure> {
    let failed =
        |why: String| Failure::new(format!("the limits cannot be so: {why}")).with_hint("see `enter run --help`");
    resources.check().map_err(failed)?;
    if anew { check_resources(resources).map_err(Into::into) } else { Ok(()) }
}

/// A path of this machine, from / on.
pub fn whole(path: &Path) -> Result<std::path::PathBuf, Failure> {
    variables::whole_path(path)
        .map_err(|error| Failure::new(format!("cannot find the whole path of {}", path.display())).because(error))
}

/// Where the image wants its command to begin; a path that is none is as good as `/`.
fn directory(config: &Config) -> String {
    let directory = &config.execution.working_dir;
    if directory.is_empty() || directory.starts_with('/') { directory.clone() } else { format!("/{directory}") }
}

/// The image's variables, then the caller's if asked, then those of files, then those of flags: later ones win.
fn environment(args: &CreateArgs, config: &Config) -> Result<Vec<Text>, Failure> {
    let mut pairs: Vec<Option<(OsString, OsString)>> = Vec::new();
    // An image may have any number of them: looking through all for each would take for ever.
    let mut places: HashMap<OsString, usize> = HashMap::new();
    let mut set = |name: &OsStr, value: Option<&OsStr>| {
        let pair = value.map(|value| (name.to_owned(), value.to_owned()));
        match (places.get(name), pair) {
            (Some(place), Some(pair)) => pairs[*place] = Some(pair),
            // The caller has none of this name to pass on: then the container has none either.
            (Some(place), None) => {
                pairs[*place] = None;
                places.remove(name);
            }
            (None, Some(pair)) => {
                places.insert(name.to_owned(), pairs.len());
                pairs.push(Some(pair));
            }
            (None, None) => {}
        }
    };
    for pair in &config.execution.env {
        if let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty() && !pair.contains('\0')) {
            set(name.as_ref(), Some(value.as_ref()));
        }
    }
    if args.process.env_host {
        std::env::vars_os().for_each(|(name, value)| set(&name, Some(&value)));
    }
    let mut given = |variable: &EnvVar| {
        let own = std::env::var_os(&variable.name);
        set(&variable.name, variable.value.as_deref().or(own.as_deref()));
    };
    for file in &args.process.env_file {
        variables::file(file)?.iter().for_each(&mut given);
    }
    args.process.env.iter().for_each(&mut given);
    let joined = |(name, value): (OsString, OsString)| {
        Text::from(OsStr::from_bytes(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
    };
    Ok(pairs.into_iter().flatten().map(joined).collect())
}

fn life(spec: &mut Spec, args: &CreateArgs, config: &Config) -> Result<(), Failure> {
    let life = &args.life;
    spec.remove = life.rm;
    spec.restart = life.restart.unwrap_or_default();
    // A word of the image's that is no signal asks for none.
    let of_image = signal(&config.execution.stop_signal).unwrap_or_default();
    spec.stop_signal = life.stop_signal.clone().unwrap_or(of_image);
    spec.stop_timeout = life.stop_timeout;
    spec.timeout = life.timeout;
    spec.labels = config.execution.labels.clone();
    for file in &life.label_file {
        spec.labels.extend(labels(file)?);
    }
    spec.labels.extend(life.label.iter().cloned());
    spec.annotations = life.annotation.iter().cloned().collect();
    spec.log = LogConfig::parse(life.log_driver.unwrap_or_default(), &life.log_opt)?;
    Ok(())
}

/// One KEY=VALUE a line; `#` begins a comment.
fn labels(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let failed = || Failure::new(format!("cannot read the labels in {}", file.display()));
    let hint = "check the path given to --label-file: one KEY=VALUE a line";
    let text = std::fs::read_to_string(file).map_err(|error| failed().because(error).with_hint(hint))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let label = |line: &str| {
        crate::cli::run::values::label(line).map_err(|why| failed().because(format!("`{line}`: {why}")).with_hint(hint))
    };
    lines.map(label).collect()
}

/// What is mounted is found out by `mounts`.
fn files(spec: &mut Spec, args: &CreateArgs) {
    let files = &args.files;
    spec.read_only = files.read_only;
    spec.read_only_tmpfs = files.read_only_tmpfs;
    spec.shm_size = files.shm_size;
    spec.devices.clone_from(&files.device);
}

fn network(spec: &mut Spec, args: &CreateArgs, config: &Config, containers: &Containers) -> Result<(), Failure> {
    let network = &args.network;
    networks::set(spec, network, containers)?;
    spec.hostname = network.hostname.clone().unwrap_or_default();
    spec.domainname = network.domainname.clone().unwrap_or_default();
    spec.extra_hosts.clone_from(&network.add_host);
    if network.host_access {
        spec.extra_hosts.push(HOST_ACCESS.into());
    }
    spec.no_hosts = network.no_hosts;
    spec.dns = network.dns.iter().map(ToString::to_string).collect();
    spec.dns_search.clone_from(&network.dns_search);
    spec.dns_options.clone_from(&network.dns_option);
    let exposed = config.execution.exposed_ports.iter().chain(&network.expose);
    spec.exposed = exposed.flat_map(|text| ports::each(text)).collect();
    spec.exposed.sort();
    spec.exposed.dedup();
    Ok(())
}

/// Whether what holds for all containers can hold for this one.
pub fn can_reach_host(spec: &Spec) -> Result<bool, Failure> {
    if spec.no_hosts || matches!(spec.network, NetworkMode::None | NetworkMode::Container(_)) {
        return Ok(false);
    }
    if !spec.has_networks() {
        return Ok(true);
    }
    let networks = Place::of_user()?.networks;
    let leads_out =
        |network: &Network| !network.internal && network.subnets.iter().any(|subnet| subnet.gateway.is_ipv4());
    // Those that are made for links are not there yet.
    Ok(spec.network == NetworkMode::Pasta
        || spec.networks.iter().any(|wanted| networks.get(&wanted.network).is_ok_and(|network| leads_out(&network))))
}

fn namespaces(spec: &mut Spec, args: &CreateArgs, containers: &Containers) -> Result<(), Failure> {
    let confinement = &args.confinement;
    let meant = |namespace: Option<Namespace>| match namespace.unwrap_or_default() {
        Namespace::Container(typed) => id_of(containers, &typed).map(Namespace::Container),
        other => Ok(other),
    };
    spec.pid = meant(confinement.pid.clone())?;
    spec.uts = confinement.uts.clone().unwrap_or_default();
    match confinement.ipc.clone() {
        Some(Ipc::None) => spec.no_shared_memory = true,
        Some(Ipc::Of(namespace)) => spec.ipc = meant(Some(namespace))?,
        None => {}
    }
    let is_own = args.process.user.as_deref().is_some_and(|user| is_number_of(user, getuid().as_raw()));
    let default = if is_own { UserNamespace::KeepId { uid: None, gid: None } } else { UserNamespace::Root };
    spec.users = confinement.userns.clone().unwrap_or(default);
    Ok(())
}

/// Whether `--user` is the caller's own number, as scripts write it: `-u "$(id -u):$(id -g)"`. Whoever does so wants files that are
/// his; were the ids not kept, that number would be one of his subordinate ids, to whom his folders are closed.
fn is_number_of(user: &str, uid: u32) -> bool {
    let number = user.split(':').next().unwrap_or_default();
    uid != 0 && number.parse() == Ok(uid)
}

/// The ID of a container that a flag names.
pub fn id_of(containers: &Containers, typed: &str) -> Result<String, Failure> {
    Ok(containers.find(typed)?.record.id)
}

#[cfg(test)]
mod tests {
    use super::is_number_of;

    #[test]
    fn files_of_a_container_with_the_callers_number_are_the_callers() {
        assert!(is_number_of("1000:1000", 1000) && is_number_of("1000", 1000) && is_number_of("1000:5", 1000));
        assert!(!is_number_of("1000", 1001) && !is_number_of("me", 1000) && !is_number_of("0:0", 0));
    }
}
