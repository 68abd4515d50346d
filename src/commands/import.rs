//! `enter import SOURCE [NAME]`: an archive of files becomes an image of one layer.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::image::{Amended, Form, History, Platform, Reference};
use enter::registry;
use enter::store::Unpacked;
use enter::trust::Source;

use super::state::State;
use super::{places, resolve, room, tag};
use crate::cli::ImportArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Makes the image, and prints its ID.
pub fn run(ui: &Ui, settings: &Settings, args: &ImportArgs) -> Result<ExitCode, Failure> {
    import(ui, settings, args).map_err(|failure| failure.with_code(VERB_FAILED))
}

fn import(ui: &Ui, settings: &Settings, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let names: Vec<Reference> = args.image.iter().map(|name| tag::new_name(name)).collect::<Result<_, _>>()?;
    let platform = match &args.platform {
        Some(text) => Platform::parse(text)?,
        None => settings.platform.clone().unwrap_or_else(Platform::host),
    };
    // podman's name for an archive of files, which has no scopes.
    places::admit(settings, &Source::whole("tarball", &args.source))?;
    let mut config = Amended::empty(&platform);
    // What is wrong with a change is said before anything is written.
    config.apply_all(args.change.iter().map(String::as_str))?;

    let state = State::of_user()?;
    let store = state.store()?.bounded(room::bounds(settings));
    let input = BufReader::with_capacity(128 << 10, open(settings, &args.source)?);
    let unreadable = |error: io::Error| Failure::new(format!("cannot read {}", args.source)).because(error);
    let mut decoded = Unpacked::new(input).map_err(unreadable)?;
    // Held until the image's record says that it is needed.
    let layer = store.draft(&args.source, &mut decoded)?.publish()?;
    let history = History {
        created: jiff::Timestamp::now().to_string(),
        comment: args.message.clone().unwrap_or_else(|| format!("Imported from {}", args.source)),
        ..History::default()
    };
    config.add_layer(Some(layer.diff_id()), &history)?;
    let image = store.make(&config.to_bytes(), None, Form::Oci, &names)?;
    let name = names.first().map(Reference::familiar).unwrap_or_default();
    Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), name, "import"));
    room::keep(ui, &store, room::most(settings), &[&image.id]);
    let mut output = ui.output();
    output.line(image.id.to_string());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn open(settings: &Settings, source: &str) -> Result<Box<dyn Read>, Failure> {
    if source == "-" {
        if io::stdin().is_terminal() {
            return Err(Failure::new("the standard input is a terminal, and no archive")
                .with_hint("send it one, for example: tar c -C FOLDER . | enter import - NAME"));
        }
        return Ok(Box::new(io::stdin().lock()));
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        return Ok(Box::new(registry::download(source, &resolve::options(settings))?));
    }
    let opened = File::open(source);
    Ok(Box::new(opened.map_err(|error| {
        Failure::new(format!("cannot open {source}"))
            .because(error)
            .with_hint("name a tar that you may read, the address of one, or - for the standard input")
    })?))
}
