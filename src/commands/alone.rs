//! `enter`, and nothing more: the project's box, where there is a project; else help.

use std::ffi::OsString;
use std::process::ExitCode;

use super::project::{self, Loaded};
use super::{answer, configured};
use crate::cli::{self, Cli, ShellArgs};
use crate::failure::Failure;
use crate::settings::Overrides;
use crate::ui::Ui;

/// Does what is best here; `args` is the program's name alone.
pub fn run(ui: &mut Ui, args: &[OsString]) -> Result<ExitCode, Failure> {
    if let Some(loaded) = Loaded::here(ui)? {
        return configured(ui, Overrides::default(), |ui, settings| {
            project::visit(ui, settings, named(project::HERE)?, &loaded)
        });
    }
    match cli::parse(args) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(said) => answer(ui, said),
    }
}

/// What `enter NAME` would be.
fn named(name: &str) -> Result<ShellArgs, Failure> {
    match cli::parse(&["enter", "--", name].map(Into::into)) {
        Ok(Cli { command: None, shell }) => Ok(shell),
        _ => Err(Failure::new(format!("cannot enter {name}"))),
    }
}
