//! `enter manifest push`: a list, and the images that it is of, to a registry.

use std::process::ExitCode;

use enter::image::{Form, Transport};
use enter::registry::{self, PushOptions, Silent};

use super::{existing, list_name, reach, resolve, state};
use crate::cli::{ListForm, ManifestPushArgs};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Pushes a list and prints the digest that it has there.
pub fn run(ui: &Ui, settings: &Settings, args: &ManifestPushArgs) -> Result<ExitCode, Failure> {
    let ui = if args.quiet { &ui.quiet() } else { ui };
    let store = state::store()?;
    let name = list_name(&args.list)?;
    let list = existing(&store, &name)?;
    let destination = match &args.destination {
        None => name.clone(),
        Some(typed) => match Transport::parse(typed)? {
            None => list_name(typed)?,
            Some(Transport::Registry(reference)) => reference,
            Some(_) => {
                return Err(Failure::new(format!("{typed} is no registry"))
                    .with_hint("lists are sent to registries; an image goes to a file by enter save"));
            }
        },
    };
    let form = args.format.map(|form| match form {
        ListForm::Oci => Form::Oci,
        ListForm::V2s2 => Form::Docker,
    });
    let is_annotated = !list.annotations.is_empty() || list.entries.iter().any(|entry| !entry.annotations.is_empty());
    if form == Some(Form::Docker) && is_annotated {
        ui.warning("what the list says in annotations is left out: Docker's form has no place for them");
    }
    let usual = resolve::options(settings);
    let options = PushOptions {
        transfer: usual.transfer,
        environment: reach::environment(usual.environment, &args.reach)?,
        compression: None,
        level: None,
        force_compression: false,
        format: form,
        keep_compressed: settings.keep_compressed,
    };
    let progress = ui.pull_progress();
    let listener: &dyn registry::Progress = progress.as_ref().map_or(&Silent, |progress| progress);
    let pushed = registry::push_list(&store, &list, (args.all, form), &destination, &options, listener);
    if let Some(progress) = &progress {
        progress.finish();
    }
    let pushed = pushed?;
    if let Some(path) = &args.digestfile {
        std::fs::write(path, pushed.digest.to_string()).map_err(|error| {
            Failure::new(format!("the list was pushed, but its digest cannot be written to {}", path.display()))
                .because(error)
                .with_hint(format!("it is {}", pushed.digest))
        })?;
    }
    if args.rm {
        store.change_list(&name, |_| -> Result<_, Failure> { Ok(None) })?;
    }
    let mut output = ui.output();
    output.line(pushed.digest.to_string());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
