//! `enter pull IMAGE`: fetches an image, or what has changed of it, into the store.

use std::process::ExitCode;

use enter::image::Transport;
use enter::registry::Policy;

use super::{places, reach, resolve, room};
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
    let name = match Transport::parse(&args.image)? {
        Some(Transport::Registry(name)) => name.to_string(),
        Some(place) => return from_place(ui, settings, &place),
        None => args.image.clone(),
    };
    let image = resolve::pull(ui, &store, &name, &options)?;

    let mut output = ui.output();
    output.line(resolve::complete_name(&image, &args.image));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Takes in what another place than a registry has, and prints the names of the images, or IDs of those that have none.
fn from_place(ui: &Ui, settings: &Settings, place: &Transport) -> Result<ExitCode, Failure> {
    let store = super::state::store()?.keeping_compressed(settings.keep_compressed);
    let mut output = ui.output();
    let taken = places::take(settings, &store, place, &places::wanted(settings))?;
    let new: Vec<_> = taken.iter().map(|one| &one.image.id).collect();
    room::keep(ui, &store, room::most(settings), &new);
    for one in taken {
        output.line(one.names.first().map_or_else(|| one.image.id.to_string(), ToString::to_string));
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
