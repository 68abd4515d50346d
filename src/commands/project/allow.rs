//! `enter allow` and `enter deny`: which project files are used.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::state::State;
use super::Loaded;
use super::kept::Kept;
use super::loaded;
use crate::cli::{AllowArgs, DenyArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::project::NAME;
use crate::ui::Ui;

/// Allows the file as it is now, and tells what it does.
pub fn allow(ui: &Ui, args: &AllowArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::read(meant(ui, args.path.as_deref())?).map_err(|failure| failure.with_code(VERB_FAILED))?;
    loaded.tell(ui);
    loaded.kept.allow(&loaded.file, &loaded.text)?;
    ui.note("allowed, as long as it stays as it is");
    Ok(ExitCode::SUCCESS)
}

/// Takes that back.
pub fn deny(ui: &Ui, args: &DenyArgs) -> Result<ExitCode, Failure> {
    let file = meant(ui, args.path.as_deref())?;
    if !Kept::about(State::of_user()?.root(), &file).deny()? {
        ui.note(&format!("{} was not allowed", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The file that a path means.
fn meant(ui: &Ui, path: Option<&Path>) -> Result<PathBuf, Failure> {
    let none = |what: String| Failure::new(what).with_hint("write one: enter init").with_code(VERB_FAILED);
    let typed = path.unwrap_or(Path::new("."));
    let folder = if typed.file_name().is_some_and(|name| name == NAME) { typed.parent() } else { Some(typed) };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole = folder.canonicalize().map_err(|error| {
        Failure::new(format!("cannot look for a project file in {}", folder.display()))
            .because(error)
            .with_hint("name the folder that it is in")
            .with_code(VERB_FAILED)
    })?;
    loaded::find(ui, &whole).ok_or_else(|| {
        none(format!(
            "there is no project file of yours: neither {} nor a folder above it has a {NAME}",
            whole.display()
        ))
    })
}
