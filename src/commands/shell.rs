//! `enter NAME`: a shell, or one command, in a throwaway container.

pub mod asked;
mod back;

pub use back::{Back, limit};

use std::process::ExitCode;

use cowfs::tree::Image;
use enter::container::launch::{self, Start};
use enter::container::planning::caller::Caller;
use enter::container::planning::request::Request;
use enter::container::planning::run::{Networks, pasta_options};
use enter::container::planning::{self, Place};
use enter::container::record::{Port, Spec};
use enter::container::users::{self, Users};
use enter::container::{Attach, Containers, DetachKeys, Left, Told};
use plan::Stream;

use super::ports;
use super::resolve::{self, Target};
use super::run::{HOST_ACCESS, can_reach_host, networks};
use super::state::{self, State};
use super::told;
use super::{ahead, boxes, ending, home};
use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{Mark, Ui};

/// Opens the shell, and ends as what was run in it ends.
pub fn run(ui: &Ui, settings: &Settings, args: &ShellArgs) -> Result<ExitCode, Failure> {
    open(ui, settings, args, None)
}

/// The same, for one that was left, where that is given.
pub fn open(ui: &Ui, settings: &Settings, args: &ShellArgs, back: Option<Back>) -> Result<ExitCode, Failure> {
    asked::refuse_what_cannot_be(args)?;
    let network = args.networks(settings.network);
    networks::refuse(&network)?;
    // What the caller has open is his: a lock or a pipe that the monitor kept would outlive this process.
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))?;
    let state = State::of_user()?;
    if let (Some(name), None) = (&args.box_name, &back) {
        return boxes::make(ui, settings, args, &state, name);
    }
    if back.is_none()
        && let Some(container) = boxes::named(&Containers::below(state.root()), args.name())?
    {
        return boxes::enter(ui, settings, args, &state, &container);
    }
    let caller = Caller::find()?;
    state.sweep(ui, &caller);
    let mut has_lost = false;
    let mut warn = |told: Told| {
        has_lost |= told.is_loss();
        told::warn(ui, &told);
    };
    let maps = state::outer_maps(&caller)?;
    // Mapped while everything else is found out.
    let users = if args.dry_run || network.has_own() { None } else { Some(users::make(&maps)?) };
    let storage = state.storage(settings, &maps);

    let store = state.store()?;
    // The monitor holds the lease too: an image that is in use is not removed.
    let (target, lease) = resolve::held(
        || match &back {
            Some(back) => back.target(&store),
            None => resolve::target(ui, settings, &store, args.name(), args.literal),
        },
        |target| if let Target::Image(image) = target { Some(image) } else { None },
    )?;
    let arriving = matches!(&target, Target::Image(image) if ahead::is_arriving(&store, image));
    let files = match &target {
        Target::Image(image) => Some(Image::open(&image.tree, &image.tars)?),
        Target::Host => None,
    };
    let storage = match (&back, &target) {
        (Some(back), _) => back.storage(),
        (None, Target::Host) => state::host_storage(settings),
        (None, Target::Image(_)) => storage,
    };
    let home = home::asked(ui, settings, args, &caller)?;
    let mut request = asked::request(settings, args, storage, &target, files.as_ref(), home)?;
    let containers = Containers::below(state.root());
    let mut spec = spec(settings, args, &target, &request)?;
    networks::set(&mut spec, &network, &containers)?;
    request.pasta = pasta_options(&spec)?;
    if settings.host_access && !args.host_access && can_reach_host(&spec)? {
        request.hosts.push(HOST_ACCESS.into());
    }
    spec.extra_hosts.clone_from(&request.hosts);
    if ports::has_own(&spec.network) {
        spec.ports = ports::wanted(&network, &spec, settings.publish_address)?;
    } else if !network.publish.is_empty() {
        ui.warning("ports are not published with --network host: what listens inside listens on this machine");
    }
    request.ports = spec.ports.iter().map(Port::planned).collect();
    // As far as can be told before it has its addresses.
    request.networks = spec.has_networks().then(|| Networks { leads_out: true, ..Networks::default() });
    let record = match &back {
        Some(back) => back.record(spec),
        None => Containers::new_record(spec)?,
    };
    let id = record.id.clone();
    let place = Place { folder: containers.folder().join(&id), state: state.root().to_owned(), id };
    if args.dry_run {
        return show(ui, &planning::plan(&request, &caller, maps, place, &mut warn)?);
    }
    let is_new = back.is_none();
    let (folder, mut record) = match back {
        Some(back) => containers.take_back(back.folder, record, None)?,
        None => containers.create(record, None)?,
    };
    // Until the container is attached itself: so long the holder has somebody, and keeps its namespaces.
    let mut holding = None;
    let ready = || -> Result<_, Failure> {
        request.networks = networks::take(&containers, state.root(), &record, folder.path())?;
        let users = match users {
            Some(users) => Users::from(users),
            None => {
                let (client, users) = networks::users(state.root(), &maps)?;
                holding = Some(client);
                Users::Joined(users)
            }
        };
        let sockets = ports::open(&containers, &mut record)?;
        request.ports = record.spec.ports.iter().map(Port::planned).collect();
        let mut plan = planning::plan(&request, &caller, maps, place, &mut warn)?;
        plan.container.restorable = back::most(settings, args);
        Ok((users, sockets, plan))
    };
    let (users, ports, plan) = match ready() {
        Ok(ready) => ready,
        Err(failure) => {
            // One that was left is set aside again by the next command.
            if is_new {
                folder.discard();
            }
            containers.forget(&record.name, &record.id);
            return Err(failure);
        }
    };
    let held = lease.iter().map(|lease| lease.file()).collect::<Vec<_>>();
    let attach = Attach {
        input: plan.process.streams[0] != Stream::Direct,
        output: true,
        error: true,
        keys: DetachKeys::none(),
        proxy_signals: true,
        shell: true,
    };
    let start = Start { plan: &plan, folder, users, ports, held: &held, attach: Some(attach) };
    let mark = Mark::set(args.name(), settings.mark_terminal && args.command.is_empty());
    let left = launch::start(start, &mut warn);
    drop(mark);
    drop(holding);
    if let (Target::Image(image), true) = (&target, arriving && !has_lost) {
        ahead::tell(ui, &store, image, args.name());
    }
    back::tell(ui, settings, state.root(), &record.id);
    match left? {
        Left::Ended(end) => ending::code(&plan, end),
        // There are no keys that leave a shell, and its signals are the payload's.
        Left::Detached | Left::Interrupted(_) => Ok(ExitCode::SUCCESS),
    }
}

/// What the container is called on the list of containers.
fn spec(settings: &Settings, args: &ShellArgs, target: &Target, request: &Request<'_>) -> Result<Spec, Failure> {
    let image = match target {
        Target::Image(image) => Some(&**image),
        Target::Host => None,
    };
    Ok(Spec {
        shell: true,
        boxed: None,
        // Only that has it removed whatever was changed.
        remove: args.rm,
        outward: args.outward.with(settings),
        storage: request.storage,
        home: request.home,
        project: request.project.clone(),
        command: args.command.iter().cloned().map(Into::into).collect(),
        user: args.user.clone().unwrap_or_default(),
        terminal: request.has_terminal(),
        open_input: true,
        attached: [true; 3],
        // Whatever else there is to be known of it, should it become a box.
        ..boxes::spec(settings, args, image)?
    })
}

fn show(ui: &Ui, plan: &plan::Plan) -> Result<ExitCode, Failure> {
    let json = plan.to_json().map_err(|error| Failure::new("cannot show the plan").because(error))?;
    let mut output = ui.output();
    output.line(json);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
