//! `enter save` and `enter load`: images to and from archives.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::image::Reference;
use enter::store::{self, Image, Store};

use super::state::State;
use super::{cp, resolve, tag};
use crate::cli::{ArchiveForm, LoadArgs, SaveArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Writes images.
pub fn save(_: &Ui, settings: &Settings, args: &SaveArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    if args.output.is_none() {
        cp::refuse_terminal().map_err(failed)?;
    }
    let store = super::state::store()?;
    let images = chosen(settings, &store, &args.images)?;
    // None of them is removed meanwhile.
    let _leases = images.iter().map(|(image, _)| image.lease()).collect::<Result<Vec<_>, _>>()?;
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(
            File::create(path)
                .map_err(|error| failed(Failure::new(format!("cannot make {}", path.display())).because(error)))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let saved = match args.format {
        ArchiveForm::DockerArchive => store.save_docker(&images, &mut out),
        ArchiveForm::OciArchive => store.save_oci(&images, &mut out),
    };
    match saved {
        Err(store::Error::Output(error)) if args.output.is_none() && error.kind() == io::ErrorKind::BrokenPipe => {
            sys::broken_pipe::die()
        }
        saved => saved.map_err(|error| failed(error.into()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Each image once, with the names by which it was asked for. One that was asked for by ID gets none.
fn chosen(settings: &Settings, store: &Store, typed: &[String]) -> Result<Vec<(Image, Vec<Reference>)>, Failure> {
    let mut images: Vec<(Image, Vec<Reference>)> = Vec::new();
    for text in typed {
        let image = tag::find(settings, store, text)?;
        let complete = resolve::complete_name(&image, text);
        let name = image.names.iter().find(|name| name.to_string() == complete).cloned();
        match images.iter_mut().find(|(other, _)| other.id == image.id) {
            Some((_, names)) => names.extend(name),
            None => images.push((image, name.into_iter().collect())),
        }
    }
    Ok(images)
}

/// Takes images in, and prints what they are called.
pub fn load(ui: &Ui, _: &Settings, args: &LoadArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let input: Box<dyn Read> = match &args.input {
        Some(path) => Box::new(
            File::open(path)
                .map_err(|error| failed(Failure::new(format!("cannot open {}", path.display())).because(error)))?,
        ),
        None if io::stdin().is_terminal() => {
            return Err(failed(
                Failure::new("the standard input is a terminal, and no archive")
                    .with_hint("name a file with -i, or send one: enter load < FILE"),
            ));
        }
        None => Box::new(io::stdin().lock()),
    };
    let state = State::of_user()?;
    let loaded = state.store()?.load(input).map_err(|error| failed(error.into()))?;
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
