//! `enter explain`: what a shell or a box sees and may do, in words, with the switch of each thing. Nothing is fetched, and nothing runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use enter::container::planning::caller::Caller;
use enter::container::planning::integration::{Found, Integration};
use enter::container::record::{Home, Kind, NetworkMode, Shares, Spec};
use enter::container::{Containers, users};
use serde_json::json;

use super::shell::asked;
use super::state::State;
use super::{boxes, resolve, variables};
use crate::cli::ExplainArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{Ui, table};

/// The word for this machine's own root.
const HOST: &str = "host";

/// One thing that is told.
struct Entry {
    /// What it is about: `home`, `network`, or the name of something shared.
    topic: String,
    /// `on`, `off`, `absent`, or empty where it is neither.
    state: &'static str,
    /// How it is.
    what: String,
    /// What changes it.
    switch: String,
}

impl Entry {
    fn new(topic: &str, what: impl Into<String>, switch: impl Into<String>) -> Self {
        Self { topic: topic.into(), state: "", what: what.into(), switch: switch.into() }
    }
}

/// What is told of, however it was asked for.
struct Subject {
    /// `box`, `image` or `host`.
    kind: &'static str,
    /// In a few words.
    heading: String,
    /// How a box is changed: its flags follow. Nothing for others.
    set: String,
    network: NetworkMode,
    networks: Vec<String>,
    reaches_host: bool,
    ports: Vec<String>,
    mounts: Vec<(String, String, bool)>,
    devices: Vec<String>,
    variables: Vec<String>,
    user: Option<String>,
    shares: Shares,
    changes: String,
    home: Home,
    project: Option<PathBuf>,
}

/// Prints it.
pub fn run(ui: &Ui, settings: &Settings, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    asked::refuse_what_cannot_be(&args.shell)?;
    let state = State::of_user()?;
    let caller = Caller::find()?;
    let containers = Containers::below(state.root());
    let known = match args.shell.name() {
        "" => None,
        name => boxes::named(&containers, name)?,
    };
    let subject = match &known {
        Some(container) => of_box(&container.record.name, &container.record.spec, container.is_alive()),
        None => of_shell(ui, settings, args, &state, &caller)?,
    };
    let entries = entries(settings, &subject, &caller)?;
    let mut output = ui.output();
    if args.format == "json" {
        let entry = |entry: &Entry| json!({"topic": entry.topic, "state": entry.state, "what": entry.what, "switch": entry.switch});
        let all = json!({
            "name": args.shell.name(),
            "kind": subject.kind,
            "heading": subject.heading,
            "entries": entries.iter().map(entry).collect::<Vec<_>>(),
        });
        output.line(
            serde_json::to_string_pretty(&all).map_err(|error| Failure::new("cannot write JSON").because(error))?,
        );
    } else {
        output.line(&subject.heading);
        output.line("");
        let cells: Vec<[&str; 4]> = entries
            .iter()
            .map(|entry| [entry.topic.as_str(), entry.state, entry.switch.as_str(), entry.what.as_str()])
            .collect();
        output.text(table::layout_wide(&cells, 0));
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn of_box(name: &str, spec: &Spec, runs: bool) -> Subject {
    let now = if runs { "it runs" } else { "it does not run" };
    let keeps = spec.boxed.as_ref().is_some_and(|boxed| boxed.keep_running);
    let end = if keeps { "goes on when the last shell leaves it" } else { "stops when the last shell leaves it" };
    let mounts = spec.mounts.iter().map(|mount| {
        let source = match &mount.kind {
            Kind::Bind(source) => source.display().to_string(),
            Kind::Volume(name) => format!("the volume {name}"),
            Kind::Image(image) => format!("the image {}", image.name),
            Kind::Tmpfs { .. } | Kind::Devpts => "memory".into(),
        };
        (source, mount.target.clone(), mount.read_only)
    });
    Subject {
        kind: "box",
        heading: format!("{name}: a box made from {}; {now}, and {end}", spec.image.name),
        set: format!("enter set {name} "),
        network: spec.network.clone(),
        networks: spec.networks.iter().map(|wanted| wanted.network.clone()).collect(),
        reaches_host: spec.extra_hosts.iter().any(|host| host.ends_with(":host-gateway")),
        ports: spec.ports.iter().map(|port| format!("{}:{}", port.host, port.container)).collect(),
        mounts: mounts.collect(),
        devices: spec.devices.iter().map(|device| device.target.display().to_string()).collect(),
        variables: spec.environment.iter().map(|pair| first(&pair.as_os_str().to_string_lossy())).collect(),
        user: None,
        shares: spec.shares.clone(),
        changes: "kept until `enter rm`".into(),
        home: spec.home,
        project: spec.project.clone(),
    }
}

/// The name of `NAME=VALUE`: values may be secrets.
fn first(pair: &str) -> String {
    pair.split('=').next().unwrap_or_default().to_owned()
}

fn of_shell(
    ui: &Ui,
    settings: &Settings,
    args: &ExplainArgs,
    state: &State,
    caller: &Caller,
) -> Result<Subject, Failure> {
    let (home, project) = super::home::asked(ui, settings, &args.shell, caller)?;
    let shell = &args.shell;
    let (kind, root) = match shell.name() {
        "" => ("image", "any image".to_owned()),
        HOST => ("host", "a copy of this machine".to_owned()),
        name if state.root().join("images").exists() && resolve::is_in_store(settings, &state.store()?, name) => {
            ("image", format!("{name}, which is in the store"))
        }
        name => ("image", format!("{name}, which is not in the store and would be fetched")),
    };
    let heading = match &shell.box_name {
        Some(name) => format!("a new box {name}, made from {root}"),
        None => format!("a shell in {root}"),
    };
    let network = shell.networks(settings.network);
    let reached = network.network.iter().filter_map(|reached| match reached {
        crate::cli::run::values::Reached::Own(wanted) => Some(wanted.network.clone()),
        _ => None,
    });
    let mode = network.network.iter().find_map(|reached| match reached {
        crate::cli::run::values::Reached::Mode(mode) => Some(mode.clone()),
        _ => None,
    });
    let volumes = settings.volumes.iter().chain(&shell.volume).map(asked::volume).collect::<Result<Vec<_>, _>>()?;
    let given = variables::given(&shell.env_file, &shell.env)?;
    let set = settings.environment.iter().filter_map(variables::pair).chain(given);
    Ok(Subject {
        kind,
        heading,
        set: String::new(),
        network: mode.unwrap_or(NetworkMode::Pasta),
        networks: reached.collect(),
        reaches_host: shell.host_access || settings.host_access,
        ports: shell
            .publish
            .iter()
            .flat_map(|published| published.0.iter())
            .map(|asked| asked.port(settings.publish_address))
            .map(|port| format!("{}:{}", port.host, port.container))
            .collect(),
        mounts: volumes
            .into_iter()
            .map(|volume| (volume.source.display().to_string(), volume.target.display().to_string(), volume.read_only))
            .collect(),
        devices: Vec::new(),
        variables: set.map(|(name, _)| name.to_string_lossy().into_owned()).collect(),
        user: shell.user.clone(),
        shares: asked::shares(settings, &shell.share),
        changes: match &shell.box_name {
            Some(_) => "kept until `enter rm`".into(),
            None => "thrown away when you leave; `-n BOX` keeps them".into(),
        },
        home,
        project,
    })
}

fn entries(settings: &Settings, subject: &Subject, caller: &Caller) -> Result<Vec<Entry>, Failure> {
    let flag = |flag: &str| format!("{}{flag}", subject.set);
    let who = subject.user.as_ref().map_or_else(
        || format!("{} ({}:{}), as outside; root by sudo", caller.name, caller.uid, caller.gid),
        |user| format!("{user}, as the image numbers users"),
    );
    let ids = match users::lacking_ids() {
        Some(_) => "yours alone: others inside are pretended; see `enter doctor`",
        None => "users inside but you are your subordinate ids outside",
    };
    let mut entries = vec![
        Entry::new("you", who, if subject.kind == "box" { "enter BOX --user USER" } else { "--user USER" }),
        Entry::new("ids", ids, ""),
        Entry::new("changes", &subject.changes, ""),
        home(subject, caller),
        network(subject),
    ];
    let ports = if subject.ports.is_empty() { "none reachable from outside".into() } else { subject.ports.join(" ") };
    entries.push(Entry::new("ports", ports, flag("--publish PORT")));
    for (source, target, read_only) in &subject.mounts {
        let how = if *read_only { "only to be read" } else { "to be written" };
        entries.push(Entry::new("mount", format!("{source} at {target}, {how}"), flag("--volume SOURCE:TARGET")));
    }
    let shares_network = subject.network == NetworkMode::Host && subject.networks.is_empty();
    for part in Integration::of(&subject.shares, caller, shares_network).parts {
        let (name, words) = (part.share.name(), part.share.words());
        let (state, what, switch) = match part.found {
            Found::Shared(offer) => ("on", format!("{words} ({})", offer.source), flag(&format!("--unshare {name}"))),
            Found::Absent(why) => ("absent", format!("{words}: {why}"), flag(&format!("--unshare {name}"))),
            Found::Off => ("off", words.to_owned(), flag(&format!("--share {name}"))),
        };
        entries.push(Entry { topic: name.into(), state, what, switch });
    }
    let devices = if subject.devices.is_empty() { String::new() } else { format!(", {}", subject.devices.join(", ")) };
    entries.push(Entry::new("devices", format!("null zero full random urandom tty{devices}"), device_switch(subject)));
    let variables = boxes_variables(subject, shares_network);
    entries.push(Entry::new("variables", variables, flag("--env NAME=VALUE")));
    entries.push(Entry::new(
        "may",
        "what root of the container may: chown, kill, bind low ports; no mounts, no devices, no kernel; system calls are filtered",
        "",
    ));
    let storage = state_of(settings);
    entries.push(Entry::new("storage", storage, if subject.kind == "box" { "" } else { "--storage KIND" }));
    Ok(entries)
}

fn state_of(settings: &Settings) -> String {
    match settings.storage {
        crate::settings::values::Storage::Auto => "the faster of overlay and fuse that works here".into(),
        crate::settings::values::Storage::Overlay => "the kernel's overlayfs".into(),
        crate::settings::values::Storage::Fuse => "enter's own filesystem, by FUSE".into(),
    }
}

fn device_switch(subject: &Subject) -> String {
    if subject.kind == "box" { format!("{}--device DEVICE", subject.set) } else { String::new() }
}

fn home(subject: &Subject, caller: &Caller) -> Entry {
    let path = caller.home.display();
    let what = match (subject.mounts.iter().find(|(_, target, _)| Path::new(target) == caller.home), subject.home) {
        (Some((source, ..)), _) => format!("{source} in the place of {path}"),
        (None, Home::Share) => format!("{path}, shared: what is written there is written outside"),
        (None, Home::Cow) => {
            format!("{path} to be seen; what is written there is set aside, for enter diff, apply and discard")
        }
        (None, Home::Own) => format!("one of its own at {path}; yours is not to be seen"),
        (None, Home::None) => format!("an empty one in memory at {path}; yours is not to be seen"),
    };
    let project =
        subject.project.as_ref().map(|project| format!(", but for {}", project.display())).unwrap_or_default();
    Entry::new("home", what + &project, format!("{}--home share|cow|own|none", subject.set))
}

fn network(subject: &Subject) -> Entry {
    let host = if subject.reaches_host {
        "and this machine's own servers"
    } else {
        "and none of this machine's own servers (--host-access)"
    };
    let what = match &subject.network {
        _ if !subject.networks.is_empty() => format!("your networks {}", subject.networks.join(", ")),
        NetworkMode::Pasta => format!("the internet, by pasta, {host}"),
        NetworkMode::None => "nothing".into(),
        NetworkMode::Host => "whatever this machine reaches, itself included".into(),
        NetworkMode::Container(id) => format!("what the container {id} reaches"),
        NetworkMode::Own => "nothing: it is on none of your networks".into(),
    };
    Entry::new("network", what, format!("{}--network NETWORK", subject.set))
}

/// The names of the variables that go along, and of those that were asked for.
fn boxes_variables(subject: &Subject, shares_network: bool) -> String {
    let passed = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let name = name.into_string().ok()?;
        enter::security::environment::is_passed(&name, &value, shares_network).then_some(name)
    };
    let mut names: Vec<String> =
        std::env::vars_os().filter_map(passed).chain(subject.variables.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names.join(" ")
}
