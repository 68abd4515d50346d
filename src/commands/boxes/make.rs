//! `enter -n BOX IMAGE`: makes a box, and goes into it.

use std::process::ExitCode;

use enter::container::Containers;
use enter::container::events::{Event, Journal};
use enter::container::planning::caller::Caller;
use enter::container::record::{Boxed, ImageUse, Kind, LogConfig, LogDriver, Mount, Spec, UserNamespace};
use enter::container::users;
use enter::store::Image;
use plan::Text;

use super::super::run::{HOST_ACCESS, begin, can_reach_host, networks};
use super::super::shell::asked;
use super::super::state::{self, State};
use super::super::{home, ports, resolve, rm, variables};
use super::visit;
use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Makes it, and ends as what was run in it ends.
pub fn make(ui: &Ui, settings: &Settings, args: &ShellArgs, state: &State, name: &str) -> Result<ExitCode, Failure> {
    let caller = Caller::find()?;
    let open = made(ui, settings, args, (state, &caller), name)?;
    visit::inside(ui, settings, args, open)
}

/// Makes it, and holds it.
pub fn made<'a>(
    ui: &Ui,
    settings: &Settings,
    args: &ShellArgs,
    (state, caller): (&'a State, &'a Caller),
    name: &str,
) -> Result<visit::Open<'a>, Failure> {
    refuse(args, name)?;
    let network = args.networks(settings.network);
    let containers = Containers::below(state.root());
    if let Some(other) = containers.by_name(name)? {
        return Err(taken(name, &other.record.spec));
    }
    state.sweep(ui, caller);
    let maps = state::outer_maps(caller)?;
    // Mapped while everything else is found out.
    let making = if network.has_own() { None } else { Some(users::make(&maps)?) };
    let storage = state.storage(settings, &maps);
    let store = state.store()?;
    // Until the box is recorded, by which it is known to be in use, or holds it itself.
    let (image, _lease) = resolve::held(
        || match resolve::target(ui, settings, &store, args.name(), args.literal)? {
            resolve::Target::Image(image) => Ok(image),
            resolve::Target::Host => Err(of_host(name)),
        },
        |image| Some(image),
    )?;
    if resolve::is_in_store(settings, &store, name) {
        ui.warning(&format!(
            "`enter {name}` is the box from now on; the image of that name is entered by its whole name"
        ));
    }
    let (home, project) = home::asked(ui, settings, args, caller)?;
    let mut spec = Spec { storage, home, project, ..spec(settings, args, Some(&image))? };
    networks::set(&mut spec, &network, &containers)?;
    spec.extra_hosts.clone_from(&args.add_host);
    if args.host_access || (settings.host_access && can_reach_host(&spec)?) {
        spec.extra_hosts.push(HOST_ACCESS.into());
    }
    if ports::has_own(&spec.network) {
        spec.ports = ports::wanted(&network, &spec, settings.publish_address)?;
    } else if !network.publish.is_empty() {
        ui.warning("ports are not published with --network host: what listens inside listens on this machine");
    }
    let (folder, record) = containers.create(Containers::new_record(spec)?, Some(name))?;
    Journal::at(state.root()).add(&Event::of_container(&record, "create"));
    let id = record.id.clone();
    let ready = begin::Ready {
        caller,
        containers: &containers,
        root: state.root().to_owned(),
        record,
        folder,
        image: *image,
        users: making,
        maps,
    };
    let opened = begin::open(ui, ready).inspect_err(|_| {
        // Nobody has been in it: what cannot be started is not kept either.
        if let Ok(container) = containers.find(&id) {
            let _ = rm::take_away(&containers, &container, true, None, false);
        }
    })?;
    let container = containers.find(&id)?;
    Ok(visit::Open { state, caller, container, opened, is_new: true })
}

fn refuse(args: &ShellArgs, name: &str) -> Result<(), Failure> {
    if args.name() == "host" {
        return Err(of_host(name));
    }
    if args.rm {
        return Err(Failure::new("--name and --rm exclude each other: a box is kept")
            .with_hint("leave one of them away; a box is removed by `enter rm`"));
    }
    if args.dry_run {
        return Err(Failure::new("--name and --dry-run exclude each other")
            .with_hint("leave --name away: the plan of a throwaway shell shows the rest"));
    }
    Ok(())
}

fn of_host(name: &str) -> Failure {
    Failure::new(format!("cannot make the box {name} of this machine: below it everything would change"))
        .with_hint("`enter host` is a throwaway view of it; make a box from an image")
}

fn taken(name: &str, spec: &Spec) -> Failure {
    match &spec.boxed {
        Some(_) => Failure::new(format!("there is a box {name} already, made from {}", spec.image.name)).with_hint(
            format!("go into it: enter {name}; or remove it first with all that was changed in it: enter rm {name}"),
        ),
        None => Failure::new(format!("a container has the name {name} already"))
            .with_hint(format!("choose another name, or give that one another: enter rename {name} NEW-NAME")),
    }
}

/// What the box is made as, or a shell that may become one; of this machine without an image. Where the settings change later, what they say of variables counts as it is then.
pub fn spec(settings: &Settings, args: &ShellArgs, image: Option<&Image>) -> Result<Spec, Failure> {
    let mut mounts: Vec<Mount> = Vec::new();
    for volume in settings.volumes.iter().chain(&args.volume) {
        let shown = asked::volume(volume)?;
        let target = shown.target.to_str().ok_or_else(|| {
            Failure::new(format!("cannot show anything at {}: the path is not UTF-8", shown.target.display()))
        })?;
        let options = if shown.read_only { ":ro" } else { "" };
        let typed = format!("{}:{target}{options}", shown.source.display());
        let mount = Mount { read_only: shown.read_only, ..Mount::new(Kind::Bind(shown.source), target, &typed) };
        enter::container::planning::check_bind(&volume_source(&mount), mount.target.as_ref())?;
        mounts.retain(|before| before.target != mount.target);
        mounts.push(mount);
    }
    let variables = variables::given(&args.env_file, &args.env)?;
    Ok(Spec {
        boxed: Some(Boxed { keep_running: args.keep_running, tools: args.tools, ..Boxed::default() }),
        image: ImageUse {
            name: args.name().to_owned(),
            id: image.map(|image| image.id.to_string()).unwrap_or_default(),
        },
        platform: args.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
        environment: variables.into_iter().map(joined).collect(),
        hostname: settings.hostname.clone().unwrap_or_default(),
        init: true,
        outward: args.outward.with(settings),
        mounts,
        shares: asked::shares(settings, &args.share),
        users: UserNamespace::KeepId { uid: None, gid: None },
        timezone: "local".into(),
        // What runs in a box writes to the terminals of those who are in it.
        log: LogConfig { driver: LogDriver::None, ..LogConfig::default() },
        exposed: image.map(|image| image.config.execution.exposed_ports.clone()).unwrap_or_default(),
        created_in: std::env::current_dir().unwrap_or_default(),
        created_by: std::env::args_os().map(Text::from).collect(),
        ..Spec::default()
    })
}

fn volume_source(mount: &Mount) -> std::path::PathBuf {
    match &mount.kind {
        Kind::Bind(source) => source.clone(),
        _ => std::path::PathBuf::new(),
    }
}

/// `NAME=VALUE`.
pub(super) fn joined((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Text {
    let mut text = name;
    text.push("=");
    text.push(value);
    Text::from(text)
}
