//! `enter rmi IMAGE…`: every image is tried, whatever happens to those before it.

use std::process::ExitCode;

use enter::registry::{self, PullOptions};
use enter::store::{self, Removed, Store};

use super::resolve;
use crate::cli::RmiArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Removes each image and prints what is gone. An image that is not there is no failure with `--force`, as with docker.
pub fn run(ui: &Ui, settings: &Settings, args: &RmiArgs) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let options = resolve::options(settings);
    let mut failed = false;
    for image in &args.images {
        match remove(&store, image, &options, args.force) {
            Ok(removed) => show(ui, &removed)?,
            Err(error) => {
                failed |= !(args.force && matches!(error, registry::Error::Store(store::Error::NoSuchImage(_))));
                ui.failure(&error.into());
            }
        }
    }
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

/// Removes what `typed` means, where a short name is read as `enter pull` reads it.
fn remove(store: &Store, typed: &str, options: &PullOptions, force: bool) -> Result<Removed, registry::Error> {
    let found = registry::find(store, typed, &options.platform, &options.environment)?;
    let name = found.map_or_else(|| typed.to_owned(), |image| resolve::complete_name(&image, typed));
    Ok(store.remove(&name, &options.platform, force)?)
}

fn show(ui: &Ui, removed: &Removed) -> Result<(), Failure> {
    let mut output = ui.output();
    for name in &removed.untagged {
        output.line(format!("Untagged: {}", name.familiar()));
    }
    for id in &removed.deleted {
        output.line(format!("Deleted: {id}"));
    }
    output.finish()
}
