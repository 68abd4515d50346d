//! `enter create IMAGE [COMMAND]…`: a container that is not started yet.

use std::process::ExitCode;

use crate::cli::CreateArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Makes a container, and prints its ID.
pub fn run(ui: &Ui, settings: &Settings, args: &CreateArgs) -> Result<ExitCode, Failure> {
    super::run::create(ui, settings, args)
}
