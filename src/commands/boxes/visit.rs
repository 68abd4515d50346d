//! `enter BOX`: one more shell, or one command, in a box. One that does not run is started first.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cowfs::tree;
use enter::container::folder::Folder;
use enter::container::late::Shown;
use enter::container::planning::boxes::{self, Visit};
use enter::container::planning::caller::Caller;
use enter::container::planning::integration::Integration;
use enter::container::planning::view::Layered;
use enter::container::record::{NetworkMode, Status};
use enter::container::upper::Upper;
use enter::container::{Container, Containers, DetachKeys, Error, Execute, Remote};
use enter::image::Digest;
use enter::store::Image;
use plan::Plan;

use super::super::start::Starter;
use super::super::state::State;
use super::super::{containers, ending, resolve, told, variables};
use crate::cli::ShellArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Mark, Ui};

/// So long a box may take to end, or to be started or changed by another command, before somebody gives up who wants to go in.
const PATIENCE: Duration = Duration::from_secs(30);

/// A moment in which that may have happened.
const MOMENT: Duration = Duration::from_millis(3);

/// A box that runs at least as long as this is there.
pub struct Open<'a> {
    pub state: &'a State,
    pub caller: &'a Caller,
    pub container: Container,
    /// The plan that it runs by, and the connection that holds it.
    pub opened: (Plan, Remote),
    /// It was started for this.
    pub is_new: bool,
}

/// Goes into it, and ends as what was run in it ends.
pub fn enter(
    ui: &Ui,
    settings: &Settings,
    args: &ShellArgs,
    state: &State,
    container: &Container,
) -> Result<ExitCode, Failure> {
    let name = &container.record.name;
    refuse(args, name)?;
    if state.root().join("images").exists() && resolve::is_in_store(settings, &state.store()?, name) {
        ui.note(&format!("{name} is a box here; the image of that name is entered by its whole name"));
    }
    let caller = Caller::find()?;
    inside(ui, settings, args, opened(ui, state, &caller, container)?)
}

/// Starts it if it does not run, and holds it.
pub fn opened<'a>(ui: &Ui, state: &'a State, caller: &'a Caller, container: &Container) -> Result<Open<'a>, Failure> {
    let (container, opened, is_new) = open(ui, &Containers::below(state.root()), container)?;
    Ok(Open { state, caller, container, opened, is_new })
}

/// Refuses what is for those that are made.
pub fn refuse(args: &ShellArgs, name: &str) -> Result<(), Failure> {
    let given = [
        (!args.volume.is_empty(), "--volume", Some("--volume SOURCE:TARGET")),
        (args.home.is_some(), "--home", Some("--home HOME")),
        (args.project, "--project", Some("--project FOLDER")),
        (!args.network.is_empty(), "--network", Some("--network NETWORK")),
        (!args.publish.is_empty(), "--publish", Some("--publish PORT")),
        (args.host_access, "--host-access", Some("--add-host host.docker.internal:host-gateway")),
        (!args.add_host.is_empty(), "--add-host", Some("--add-host NAME:ADDRESS")),
        (args.hostname.is_some(), "--hostname", Some("--hostname NAME")),
        (!args.outward.allow_host_exec.is_empty(), "--allow-host-exec", Some("--allow-host-exec PROGRAM")),
        (args.outward.allow_open.is_some(), "--allow-open", Some("--allow-open")),
        (args.tools, "--tools", Some("--tools")),
        (args.storage.is_some(), "--storage", None),
        (args.platform.is_some(), "--platform", None),
        (args.pull.is_some(), "--pull", None),
        (!args.share.shares().is_empty(), "--share and --unshare", Some("--share WHAT, or --unshare WHAT")),
        (args.rm, "--rm", None),
        (args.dry_run, "--dry-run", None),
    ];
    let Some((_, flag, set)) = given.iter().find(|(given, ..)| *given) else {
        return Ok(());
    };
    let failure = Failure::new(format!("{flag} is for what is only being made, and {name} is a box that is there"));
    Err(match set {
        Some(set) => failure.with_hint(format!("change the box: enter set {name} {set}")),
        None => failure.with_hint(format!("leave it away; an image called {name} is entered by its whole name")),
    })
}

/// Finds the box running, and holds it; or starts it. Others may do the same at the same time, or be the last to leave.
pub fn open(
    ui: &Ui,
    containers: &Containers,
    container: &Container,
) -> Result<(Container, (Plan, Remote), bool), Failure> {
    let name = &container.record.name;
    let deadline = Instant::now() + PATIENCE;
    let again = || containers.find(&container.record.id).map_err(Failure::from);
    loop {
        match Remote::of(container).and_then(|remote| remote.hold().map(|()| remote)) {
            Ok(remote) => {
                let now = again()?;
                if now.state.status == Status::Paused {
                    return Err(Failure::new(format!("{name} is paused"))
                        .with_hint(format!("let it go on first: enter unpause {name}"))
                        .with_code(VERB_FAILED));
                }
                let plan = containers::plan(&now).ok_or_else(|| Error::NotRunning(name.clone()))?;
                return Ok((now, (plan, remote), false));
            }
            Err(Error::NotRunning(_) | Error::MonitorGone) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(folder) = Folder::take(&container.folder)? {
            let opened = Starter::new(ui)?.open(container, folder)?;
            return Ok((again()?, opened, true));
        }
        // Removed by now?
        again()?;
        if Instant::now() > deadline {
            return Err(Error::Busy(name.clone()).into());
        }
        std::thread::sleep(MOMENT);
    }
}

/// Runs a shell or a command in a box that is held.
pub fn inside(ui: &Ui, settings: &Settings, args: &ShellArgs, open: Open<'_>) -> Result<ExitCode, Failure> {
    let Open { state, caller, container, opened: (plan, remote), is_new } = open;
    let spec = &container.record.spec;
    let image = image(state, &container)?;
    let files = tree::Image::open(&image.tree, &image.tars)?;
    let upper = Upper::open(&container.folder, spec.storage).map_err(|errno| {
        Failure::new(format!("cannot look at what was changed in {}", container.record.name)).because(errno)
    })?;
    let types = io::stdin().is_terminal();
    // A terminal of the box's own where the caller has one for both ways.
    let size = sys::terminal::size(io::stdin()).ok().filter(|_| types && io::stdout().is_terminal());
    let shared = Integration::of(&spec.shares, caller, spec.network == NetworkMode::Host);
    shared.warn(&spec.shares, &mut |told| told::warn(ui, &told));
    // Who has just started it, or else what is known of it.
    let mut shown = match is_new {
        true => Shown::at_start(&container.folder, &container.state, &plan),
        false => Shown::find(&container.folder, &container.state),
    };
    let lacking = shared.lacking(&|offer| shown.has(&offer.steps));
    shown.add(&plan, &lacking);
    let visit = Visit {
        spec,
        shared: &shared,
        shown: &shown,
        name: &container.record.name,
        image: &image.config.execution.env,
        user: args.user.as_deref(),
        command: args.command.clone(),
        settings: settings.environment.iter().filter_map(variables::pair).collect(),
        environment: variables::given(&args.env_file, &args.env)?,
        directory: args.workdir.clone(),
        types,
        terminal: size.map(|size| plan::Rows { rows: size.rows, columns: size.columns }),
    };
    let process = boxes::visit(visit, &plan, &Layered::new(&upper, &files), caller)?;
    drop((upper, files));
    let execute =
        Execute { process, passed: Vec::new(), input: true, keys: DetachKeys::none(), detached: false, leaves: true };
    let mark = Mark::set(&container.record.name, settings.mark_terminal && args.command.is_empty());
    let left = remote.execute(execute, &mut |warning| told::warn(ui, &warning));
    drop(mark);
    let left = left?;
    ending::left(&plan, left)
}

/// The image that it was made from.
pub fn image(state: &State, container: &Container) -> Result<Image, Failure> {
    let used = &container.record.spec.image;
    let store = state.store()?;
    let found = Digest::parse(&used.id).ok().map(|id| store.by_id_or_arriving(&id)).transpose()?.flatten();
    found.ok_or_else(|| {
        let name = &container.record.name;
        Failure::new(format!("cannot enter {name}: its image {} is not in the store any more", used.name))
            .with_hint(format!("fetch it again: enter pull {}", used.name))
    })
}
