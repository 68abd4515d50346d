//! `enter rmi IMAGE…`: every image is tried, whatever happens to those before it.

use std::process::ExitCode;

use enter::container::Containers;
use enter::container::events::{Event, Journal};
use enter::registry::{self, PullOptions};
use enter::store::{self, Removal, Removed, Store};

use super::{containers, resolve};
use crate::cli::RmiArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Removes each image and prints what is gone. An image that is not there is no failure with `--force`, as with docker.
pub fn run(ui: &Ui, settings: &Settings, args: &RmiArgs) -> Result<ExitCode, Failure> {
    let (store, containers) = (super::state::store()?, containers::of_user()?);
    let options = resolve::options(settings);
    let mut failed = false;
    let all: Vec<String> = match args.all {
        true => store.images()?.into_iter().map(|image| image.id.to_string()).collect(),
        false => Vec::new(),
    };
    for image in args.images.iter().chain(&all) {
        match remove(&store, &containers, image, &options, args.force) {
            Ok(removed) => show(ui, &removed)?,
            Err(error) => {
                let is_missing = matches!(error, registry::Error::Store(store::Error::NoSuchImage(_)));
                if is_missing && args.ignore {
                    continue;
                }
                failed |= !(args.force && is_missing);
                ui.failure(&error.into());
            }
        }
    }
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

/// Removes what `typed` means, where a short name is read as `enter pull` reads it. What a container needs stays, and only its
/// name goes, by force.
fn remove(
    store: &Store,
    containers: &Containers,
    typed: &str,
    options: &PullOptions,
    force: bool,
) -> Result<Removed, registry::Error> {
    let found = registry::find(store, typed, &options.platform, &options.environment)?;
    let name = found.as_ref().map_or_else(|| typed.to_owned(), |image| resolve::complete_name(image, typed));
    let removal = Removal { force, holder: &|image| containers::holder(containers, image) };
    let removed = store.remove(&name, &options.platform, &removal)?;
    tell(store, &found.map(|image| image.id.to_string()).unwrap_or_default(), &removed);
    Ok(removed)
}

/// Writes into the journal what is gone of the image with this ID.
pub fn tell(store: &Store, id: &str, removed: &Removed) {
    let journal = Journal::at(store.root());
    for name in &removed.untagged {
        journal.add(&Event::of_image(id, name.familiar(), "untag"));
    }
    for id in &removed.deleted {
        journal.add(&Event::of_image(id.to_string(), "", "delete"));
    }
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
