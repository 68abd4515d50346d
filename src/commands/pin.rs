//! `enter image pin` and `enter image unpin`: what stays when space is wanted.

use std::process::ExitCode;

use enter::image::Reference;
use enter::store::{Image, Store};

use super::{resolve, tag};
use crate::cli::PinArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Pins, and prints what is pinned.
pub fn pin(ui: &Ui, settings: &Settings, args: &PinArgs) -> Result<ExitCode, Failure> {
    each(ui, settings, args, |store, image, name| {
        store.pin(image, name, true)?;
        Ok(())
    })
}

/// Takes pins off, and prints what is pinned no more.
pub fn unpin(ui: &Ui, settings: &Settings, args: &PinArgs) -> Result<ExitCode, Failure> {
    each(ui, settings, args, |store, image, name| {
        if store.pin(image, name, false)? {
            return Ok(());
        }
        let called = name.map_or_else(|| image.id.short().to_owned(), Reference::familiar);
        let failure = Failure::new(format!("{called} is not pinned")).with_code(VERB_FAILED);
        Err(match image.pinned {
            true => failure.with_hint("the image is pinned by another name, or by its ID: take off that pin"),
            false => failure.with_hint("see what is: enter images --filter pinned=true"),
        })
    })
}

fn each(
    ui: &Ui,
    settings: &Settings,
    args: &PinArgs,
    change: impl Fn(&Store, &Image, Option<&Reference>) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let (mut output, mut failed) = (ui.output(), false);
    for typed in &args.images {
        let changed = tag::find(settings, &store, typed).and_then(|image| {
            let complete = resolve::complete_name(&image, typed);
            let name = image.names.iter().find(|name| name.to_string() == complete);
            change(&store, &image, name)?;
            Ok(name.map_or_else(|| image.id.to_string(), Reference::familiar))
        });
        match changed {
            Ok(called) => output.line(called),
            Err(failure) => {
                failed = true;
                ui.failure(&failure);
            }
        }
    }
    output.finish()?;
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}
