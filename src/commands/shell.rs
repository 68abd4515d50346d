//! `enter NAME`: placeholder until the container lands.

use std::process::ExitCode;

use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Opens the shell.
pub fn run(_ui: &Ui, _settings: &Settings, args: &ShellArgs) -> Result<ExitCode, Failure> {
    Err(Failure::new(format!("cannot open a shell in {}: the container is not there yet", args.name())))
}
