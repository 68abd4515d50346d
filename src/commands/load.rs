//! `enter load`: images from archives and folders.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::store::Bundle;

use super::state::State;
use super::{places, room};
use crate::cli::LoadArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Takes images in, and prints what they are called.
pub fn run(ui: &Ui, settings: &Settings, args: &LoadArgs) -> Result<ExitCode, Failure> {
    load(ui, settings, args).map_err(|failure| failure.with_code(VERB_FAILED))
}

fn load(ui: &Ui, settings: &Settings, args: &LoadArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let store = state.store()?.keeping_compressed(settings.keep_compressed).bounded(room::bounds(settings));
    let bundle = match &args.input {
        Some(path) => Bundle::from_path(&store, path)?,
        None if io::stdin().is_terminal() => {
            return Err(Failure::new("the standard input is a terminal, and no archive")
                .with_hint("name a file with -i, or send one: enter load < FILE"));
        }
        None => Bundle::from_stream(&store, io::stdin().lock())?,
    };
    let loaded = places::load(settings, &store, &bundle, args.input.as_deref(), &places::wanted(settings))?;
    let new: Vec<_> = loaded.iter().map(|one| &one.image.id).collect();
    room::keep(ui, &store, room::most(settings), &new);
    let mut output = ui.output();
    for one in &loaded {
        for name in &one.names {
            Journal::at(state.root()).add(&Event::of_image(one.image.id.to_string(), name.familiar(), "load"));
            if !args.quiet {
                output.line(format!("Loaded image: {}", name.familiar()));
            }
        }
        if one.names.is_empty() && !args.quiet {
            output.line(format!("Loaded image ID: {}", one.image.id));
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
