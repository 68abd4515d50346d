//! `enter rmi IMAGE…`: every image is tried, whatever happens to those before it.

use std::process::ExitCode;

use enter::image::Platform;
use enter::store::{self, Removed};

use crate::cli::RmiArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Removes each image and prints what is gone. An image that is not there is no failure with `--force`, as with docker.
pub fn run(ui: &Ui, settings: &Settings, args: &RmiArgs) -> Result<ExitCode, Failure> {
    let store = super::store()?;
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    let mut failed = false;
    for image in &args.images {
        match store.remove(image, &platform, args.force) {
            Ok(removed) => show(ui, &removed)?,
            Err(error) => {
                failed |= !(args.force && matches!(error, store::Error::NoSuchImage(_)));
                ui.failure(&error.into());
            }
        }
    }
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
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
