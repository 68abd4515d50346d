//! `enter` in a project: the box that `.enter.toml` describes is made, brought up to date, and gone into. Also what allows such a file, and
//! what writes a first one.

mod allow;
mod apply;
mod hooks;
mod init;
mod kept;
mod loaded;
mod making;

use std::process::ExitCode;

use enter::container::planning::caller::Caller;
use enter::container::{Container, Containers};

use super::boxes;
use super::state::State;
use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::lists::{Element as _, EnvVar};
use crate::ui::Ui;

pub use allow::{allow, deny};
pub use init::init;
use kept::Boxed;
pub use loaded::Loaded;

/// What stands for the project here where a name is expected.
pub const HERE: &str = ".";

/// `enter .`: goes into the project's box.
pub fn enter(ui: &Ui, settings: &Settings, args: ShellArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::here(ui)?.ok_or_else(|| {
        Failure::new(format!(
            "there is no project here: neither this folder nor one above it has a {}",
            crate::project::NAME
        ))
        .with_hint("write one: enter init")
    })?;
    visit(ui, settings, args, &loaded)
}

/// Goes into the box of this project.
pub fn visit(ui: &Ui, settings: &Settings, mut args: ShellArgs, loaded: &Loaded) -> Result<ExitCode, Failure> {
    if args.box_name.is_some() {
        return Err(Failure::new("--name is for a box that is made of an image")
            .with_hint(format!("a project's box has the `name` of {}", loaded.file.display())));
    }
    boxes::refuse(&args, "the project's box")?;
    loaded.must_be_allowed(ui)?;
    // What the caller has open is his, as with every shell.
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))?;
    let (state, caller) = (State::of_user()?, Caller::find()?);
    let work =
        Work { ui, settings, loaded, containers: Containers::below(state.root()), state: &state, caller: &caller };
    let lock = loaded.kept.lock(ui)?;
    let (open, mut boxed) = match work.there_is()? {
        Some((container, mut boxed)) => {
            work.apply(&container, &mut boxed)?;
            (boxes::opened(ui, &state, &caller, &container)?, boxed)
        }
        None => work.make()?,
    };
    hooks::bring_up(&work, &open.container, &mut boxed)?;
    // Others may go in; from here on nothing of the project is changed.
    drop(lock);
    hooks::each_time(&work, &open.container);
    work.complete(&mut args)?;
    boxes::inside(ui, settings, &args, open)
}

/// One `enter` in one project.
struct Work<'a> {
    ui: &'a Ui,
    settings: &'a Settings,
    loaded: &'a Loaded,
    containers: Containers,
    state: &'a State,
    caller: &'a Caller,
}

impl Work<'_> {
    /// The project's box, if there is one, also where whoever made it was killed before he could say so.
    fn there_is(&self) -> Result<Option<(Container, Boxed)>, Failure> {
        let Some(mut boxed) = self.loaded.kept.boxed()? else { return Ok(None) };
        if !boxed.id.is_empty() {
            return match self.containers.find(&boxed.id) {
                Ok(container) => Ok(Some((container, boxed))),
                // Removed by hand: made anew.
                Err(enter::container::Error::NoSuchContainer(_)) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let Some(container) = boxes::named(&self.containers, &boxed.name)? else { return Ok(None) };
        if boxed.begun.is_none_or(|begun| container.record.created < begun) {
            return Ok(None);
        }
        boxed.id.clone_from(&container.record.id);
        self.loaded.kept.keep(&boxed)?;
        Ok(Some((container, boxed)))
    }

    /// What the file says of whoever goes in, below what was typed.
    fn complete(&self, args: &mut ShellArgs) -> Result<(), Failure> {
        let project = &self.loaded.project;
        args.user = args.user.take().or_else(|| project.user.clone());
        if let (None, Some(path)) = (&args.workdir, &project.workdir) {
            args.workdir = Some(self.loaded.folder.join(path));
        }
        let passed = project.environment.iter().filter(|variable| !variable.contains('='));
        let own = passed.cloned().chain([self.variable()]).map(|text| EnvVar::parse(text.as_ref()));
        let own: Vec<EnvVar> = own.collect::<Result<_, _>>().map_err(Failure::new)?;
        args.env.splice(0..0, own);
        Ok(())
    }

    /// Tells programs inside where the project is.
    fn variable(&self) -> String {
        format!("ENTER_PROJECT={}", self.loaded.folder.display())
    }
}
