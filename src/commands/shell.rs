//! `enter NAME`: placeholder until the container lands.

use std::process::ExitCode;

use super::resolve::{self, Target};
use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Opens the shell.
pub fn run(ui: &Ui, settings: &Settings, args: &ShellArgs) -> Result<ExitCode, Failure> {
    let what = match resolve::target(ui, settings, &super::store()?, args.name(), args.literal)? {
        Target::Host => "this machine".to_owned(),
        Target::Image(image) => image.id.short().to_owned(),
    };
    Err(Failure::new(format!("cannot open a shell in {what}: the container is not there yet")))
}
