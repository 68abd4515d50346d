//! `enter start CONTAINER…`: every one is tried, whatever happens to those before it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use enter::container::folder::Folder;
use enter::container::planning::caller::Caller;

use enter::container::record::{Restart, Spec};
use enter::container::{Attach, Container, Containers, Error, Left, Remote, Told};
use enter::image::{Digest, Platform};
use uidmap::Maps;

use super::ps::filter::{Filters, Place};
use super::run::{begin, keys};
use super::state::{self, State};
use super::{containers, ending, told};
use crate::cli::StartArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// So long another command may be at work on a container.
const PATIENCE: Duration = Duration::from_secs(10);

/// The word for a container that is printed, and the container that it means.
type Chosen = (String, Result<Container, Error>);

/// Starts each container, and prints its name as it was typed; or stays with the one that is to be attached to.
pub fn run(ui: &Ui, settings: &Settings, args: &StartArgs) -> Result<ExitCode, Failure> {
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))?;
    let starter = Starter::new(ui)?;
    let chosen = starter.chosen(settings, args)?;
    if args.attach || args.interactive {
        let [(_, container)] = &chosen[..] else {
            return Err(Failure::new("cannot start and attach to more than one container").with_code(VERB_FAILED));
        };
        let container = container.as_ref().map_err(lost)?;
        return starter.attached(container, args);
    }
    let mut failed = false;
    for (typed, container) in &chosen {
        let started = match container {
            Ok(container) => starter.start(container),
            Err(error) => Err(lost(error)),
        };
        match started {
            Ok(()) => {
                let mut output = ui.output();
                output.line(typed);
                output.finish()?;
            }
            Err(failure) => {
                ui.failure(&failure);
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

/// An error is printed once, and is not to be copied: what it says goes on.
fn lost(error: &Error) -> Failure {
    let failure = Failure::new(error.to_string()).with_code(VERB_FAILED);
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Who starts containers that are there.
pub struct Starter<'a> {
    ui: &'a Ui,
    caller: Caller,
    containers: Containers,
    state: State,
    maps: Maps,
}

impl<'a> Starter<'a> {
    /// For this user's containers. What killed ones have left is cleared away first.
    pub fn new(ui: &'a Ui) -> Result<Self, Failure> {
        let caller = Caller::find()?;
        let state = State::of_user()?;
        state.sweep(ui, &caller);
        let maps = state::outer_maps(&caller)?;
        Ok(Self { ui, caller, containers: Containers::below(state.root()), state, maps })
    }

    /// The containers that are meant, each with the word for it that is printed.
    fn chosen(&self, settings: &Settings, args: &StartArgs) -> Result<Vec<Chosen>, Failure> {
        if args.latest {
            let latest = self.containers.latest()?.ok_or_else(|| {
                Failure::new("there is no container").with_hint("make one with `enter run`").with_code(VERB_FAILED)
            })?;
            return Ok(vec![(latest.record.id.clone(), Ok(latest))]);
        }
        if args.all || !args.filter.is_empty() {
            let store = self.state.store()?;
            let platform = settings.platform.clone().unwrap_or_else(Platform::host);
            let place = Place { containers: &self.containers, store: &store, platform: &platform };
            let filters = Filters::parse(&args.filter, &place)?;
            let mut all = self.containers.all()?;
            // A box is there for who comes, unless its policy says more.
            let is_meant = |spec: &Spec| !spec.shell && (spec.boxed.is_none() || spec.restart != Restart::No);
            all.retain(|container| {
                is_meant(&container.record.spec) && !container.is_alive() && filters.take(container)
            });
            // Those that were made first may be what the others are in.
            all.reverse();
            return Ok(all.into_iter().map(|container| (container.record.id.clone(), Ok(container))).collect());
        }
        Ok(args.containers.iter().map(|typed| (typed.clone(), self.containers.find(typed))).collect())
    }

    /// Starts one in the background, if it does not run.
    pub fn start(&self, container: &Container) -> Result<(), Failure> {
        let Some(folder) = Self::hold(container)? else { return Ok(()) };
        let (plan, left) = self.begin(container, folder, None)?;
        // One that has run, however shortly, has been started; only what could not be run is a failure.
        ending::left(&plan, left).map(drop).map_err(|failure| failure.with_code(VERB_FAILED))
    }

    fn attached(&self, container: &Container, args: &StartArgs) -> Result<ExitCode, Failure> {
        let spec = &container.record.spec;
        let typed = args.detach_keys.as_ref().unwrap_or(&spec.detach_keys);
        let attach = Attach {
            input: args.interactive && spec.open_input,
            output: true,
            error: true,
            keys: keys(typed),
            proxy_signals: args.sig_proxy,
            shell: false,
        };
        let Some(folder) = Self::hold(container)? else {
            let left = Remote::of(container)?.attach(&attach, &mut |told: Told| told::warn(self.ui, &told))?;
            return containers::plan(container).map_or(Ok(ExitCode::SUCCESS), |plan| ending::left(&plan, left));
        };
        let (plan, left) = self.begin(container, folder, Some(attach))?;
        ending::left(&plan, left)
    }

    /// The lock of a container that does not run; `None` where it runs. Another command that is about to start or to change it is
    /// waited for.
    pub fn hold(container: &Container) -> Result<Option<Folder>, Failure> {
        let failed = |error: Error| Failure::from(error).with_code(VERB_FAILED);
        let name = &container.record.name;
        let deadline = Instant::now() + PATIENCE;
        loop {
            // As it is by now: it may have been named twice.
            match Container::read(container.folder.clone())? {
                None => return Err(failed(Error::NoSuchContainer(name.clone()))),
                Some(now) if now.is_alive() => return Ok(None),
                Some(_) => {}
            }
            match Folder::take(&container.folder)? {
                Some(folder) => return Ok(Some(folder)),
                None if Instant::now() > deadline => return Err(failed(Error::Busy(name.clone()))),
                None => {}
            }
        }
    }

    fn begin(
        &self,
        container: &Container,
        folder: Folder,
        attach: Option<Attach>,
    ) -> Result<(plan::Plan, Left), Failure> {
        let begun = begin::begin(self.ui, self.ready(container, folder)?, attach);
        begun.map_err(|failure| failure.with_code(VERB_FAILED))
    }

    /// Starts a box that does not run, and whose lock this is, for as long as the connection that is returned is there.
    pub fn open(&self, container: &Container, folder: Folder) -> Result<(plan::Plan, Remote), Failure> {
        begin::open(self.ui, self.ready(container, folder)?)
    }

    /// All that a start needs.
    fn ready(&self, container: &Container, folder: Folder) -> Result<begin::Ready<'_>, Failure> {
        let name = &container.record.name;
        let verb = |failure: Failure| failure.with_code(VERB_FAILED);
        // As it is now that nobody else can change it.
        let gone = || verb(Error::NoSuchContainer(name.clone()).into());
        let record = Container::read(container.folder.clone())?.ok_or_else(gone)?.record;
        let image = &record.spec.image;
        let store = self.state.store()?;
        let found = Digest::parse(&image.id).ok().map(|id| store.by_id_or_arriving(&id)).transpose()?.flatten();
        let image = found.ok_or_else(|| {
            let failure =
                Failure::new(format!("cannot start {name}: its image {} is not in the store any more", image.name));
            verb(failure.with_hint(format!("fetch it again: enter pull {}", image.name)))
        })?;
        Ok(begin::Ready {
            caller: &self.caller,
            containers: &self.containers,
            root: self.state.root().to_owned(),
            record,
            folder,
            image,
            users: None,
            maps: self.maps.clone(),
        })
    }
}
