//! `enter pull IMAGE`: fetches an image, or what has changed of it, into the store.

use std::process::ExitCode;

use enter::registry::Policy;

use super::{reach, resolve};
use crate::cli::PullArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Pulls `args.image` and prints its complete name.
pub fn run(ui: &Ui, settings: &Settings, args: &PullArgs) -> Result<ExitCode, Failure> {
    let ui = if args.quiet { &ui.quiet() } else { ui };
    let store = super::state::store()?;
    let mut options = resolve::options(settings);
    // Whoever says "pull" wants what the registry has now, whatever the setting for shells is.
    options.policy = Policy::Always;
    options.environment = reach::environment(options.environment, &args.reach)?;
    let image = resolve::pull(ui, &store, &args.image, &options)?;

    let mut output = ui.output();
    output.line(resolve::complete_name(&image, &args.image));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
