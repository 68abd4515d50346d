//! `enter tag` and `enter untag`: names of images.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::image::Reference;
use enter::registry;
use enter::store::{self, Image, Store};

use super::resolve;
use super::state::State;
use crate::cli::{TagArgs, UntagArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Gives an image more names.
pub fn tag(_: &Ui, settings: &Settings, args: &TagArgs) -> Result<ExitCode, Failure> {
    let names = new_names(&args.names)?;
    let state = State::of_user()?;
    let store = state.store()?;
    let image = find(settings, &store, &args.image)?;
    // Another may have removed it since it was found.
    store.tag(&image.id, &names).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    for name in &names {
        Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), name.familiar(), "tag"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes names off an image, which stays.
pub fn untag(_: &Ui, settings: &Settings, args: &UntagArgs) -> Result<ExitCode, Failure> {
    let names = new_names(&args.names)?;
    let state = State::of_user()?;
    let store = state.store()?;
    let image = find(settings, &store, &args.image)?;
    let gone = store.untag(&image, &names).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    for name in gone {
        Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), name.familiar(), "untag"));
    }
    Ok(ExitCode::SUCCESS)
}

fn new_names(typed: &[String]) -> Result<Vec<Reference>, Failure> {
    let names: Result<_, Failure> = typed.iter().map(|name| new_name(name)).collect();
    names.map_err(|failure| failure.with_code(VERB_FAILED))
}

/// A name that an image is to be known by.
pub fn new_name(text: &str) -> Result<Reference, Failure> {
    let name = Reference::parse(text)?;
    match name.digest() {
        None => Ok(name),
        Some(_) => Err(Failure::new(format!("{text:?} cannot be given to an image: it has a digest"))
            .with_hint("a digest is what an image has by itself; give a name and a tag")),
    }
}

/// The image that is meant; none is a failure of the verb, as docker has it.
pub fn find(settings: &Settings, store: &Store, typed: &str) -> Result<Image, Failure> {
    let options = resolve::options(settings);
    let found = match registry::find(store, typed, &options.platform, &options.environment) {
        // Whoever asks for no platform means the image that `enter images` lists, though it may not run here.
        Ok(None) if settings.platform.is_none() => registry::find_only(store, typed, &options.environment),
        found => found,
    };
    let none = || store::Error::NoSuchImage(typed.to_owned()).into();
    found
        .map_err(Failure::from)
        .and_then(|image| image.ok_or_else(none))
        .map_err(|failure| failure.with_code(VERB_FAILED))
}
