//! The user's home in shells and boxes: which one is asked for (`--home`, `--project`), and what was set aside of it (`enter diff --home`,
//! `enter apply`, `enter discard`).

mod apply;
mod chosen;
mod diff;

use std::path::{Path, PathBuf};

pub use apply::{apply, discard};
pub use chosen::{find, has_aside};
pub use diff::{lines, patch, tell_conflicts};

use enter::container::Container;
use enter::container::planning::caller::Caller;
use enter::container::planning::home;
use enter::container::record::{Home, Spec};

use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::values;
use crate::ui::Ui;

/// The home that is asked for, and what of the user's is shown although that is not it.
pub fn asked(
    ui: &Ui,
    settings: &Settings,
    args: &ShellArgs,
    caller: &Caller,
) -> Result<(Home, Option<PathBuf>), Failure> {
    if !args.project {
        return Ok((of(settings.home), None));
    }
    let home = match args.home.map(of) {
        None | Some(Home::None) => Home::None,
        Some(Home::Own) => Home::Own,
        Some(home @ (Home::Share | Home::Cow)) => {
            return Err(both(home));
        }
    };
    let project = home::project(caller)?;
    ui.note(&format!("of your home only {} is shown", project.display()));
    Ok((home, Some(project)))
}

/// The word as it is recorded.
pub fn of(home: values::Home) -> Home {
    match home {
        values::Home::Share => Home::Share,
        values::Home::Cow => Home::Cow,
        values::Home::Own => Home::Own,
        values::Home::None => Home::None,
    }
}

/// Changes the home of a box.
pub fn set(spec: &mut Spec, home: Option<values::Home>, project: Option<&Path>) {
    match (home.map(of), project) {
        (Some(Home::Share | Home::Cow), _) => spec.project = None,
        // The one that shows all of it is none with a project.
        (None, Some(_)) if matches!(spec.home, Home::Share | Home::Cow) => spec.home = Home::None,
        _ => {}
    }
    spec.home = home.map_or(spec.home, of);
    spec.project = project.map(Path::to_owned).or(spec.project.take());
}

/// Sees that a home and a project go together, and that the project can be shown.
pub fn check_set(home: Option<values::Home>, project: Option<&Path>) -> Result<(), Failure> {
    let Some(project) = project else { return Ok(()) };
    if let Some(home @ (values::Home::Share | values::Home::Cow)) = home {
        return Err(both(of(home)));
    }
    if !project.is_absolute() {
        return Err(Failure::new(format!("cannot show the project {}: it is not an absolute path", project.display()))
            .with_hint("give the whole path: a box is entered from anywhere"));
    }
    Ok(home::check_project(project, &Caller::find()?)?)
}

/// Says what becomes of what a box has in the home that it had.
pub fn tell_set(ui: &Ui, before: &Spec, container: &Container) {
    let (name, now) = (&container.record.name, container.record.spec.home);
    if before.home == now {
        return;
    }
    match before.home {
        Home::Cow => ui.note(&format!(
            "what {name} has set aside in your home stays with it: see it by `enter diff --home {name}`, and take it over by `enter apply {name}`; \
             it shows again with --home cow"
        )),
        Home::Own => ui.note(&format!("the home of its own that {name} had stays with it, and shows again with --home own")),
        Home::Share | Home::None => {}
    }
}

fn both(home: Home) -> Failure {
    Failure::new(format!("--project and --home {} exclude each other", home.name()))
        .with_hint("leave one of them away: the one shows a part of your home, the other all of it")
}
