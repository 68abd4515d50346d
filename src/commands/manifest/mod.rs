//! `enter manifest`: lists of images, one for each platform, put together here and sent to a registry.

mod find;
pub mod push;

use std::process::ExitCode;

use enter::image::{Digest, Entry, List, Reference};
use enter::registry::{self, SearchOptions};
use enter::store::Store;
use serde_json::Value;

use super::{reach, resolve, state};
use crate::cli::{
    ManifestAddArgs, ManifestAnnotateArgs, ManifestCreateArgs, ManifestExistsArgs, ManifestInspectArgs,
    ManifestRemoveArgs, ManifestRmArgs, ReachArgs, SaidArgs,
};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;
use find::Finder;

/// Makes a list.
pub fn create(ui: &Ui, settings: &Settings, args: &ManifestCreateArgs) -> Result<ExitCode, Failure> {
    let store = state::store()?;
    let name = list_name(&args.list)?;
    let finder = Finder { store: &store, options: &options(settings, &args.reach)?, platform: platform(settings) };
    let mut entries = Vec::new();
    for image in &args.images {
        entries.extend(finder.entries(image, args.all)?);
    }
    if store.by_reference(&name, &finder.platform)?.is_some() {
        return Err(Failure::new(format!("an image has the name {} already", name.familiar()))
            .with_hint("call the list otherwise, or take the name off the image: enter untag"));
    }
    let mut digest = None;
    store.change_list(&name, |before| -> Result<_, Failure> {
        let mut list = match before {
            Some(_) if !args.amend => {
                return Err(Failure::new(format!("there is a list of the name {} already", name.familiar()))
                    .with_hint("go on with it: --amend; or remove it: enter manifest rm"));
            }
            before => before.unwrap_or_default(),
        };
        list.annotations.extend(args.annotation.iter().cloned());
        entries.into_iter().for_each(|entry| list.add(entry));
        digest = Some(digest_of(&list)?);
        Ok(Some(list))
    })?;
    print(ui, digest)
}

/// Puts images into a list.
pub fn add(ui: &Ui, settings: &Settings, args: &ManifestAddArgs) -> Result<ExitCode, Failure> {
    let store = state::store()?;
    let name = list_name(&args.list)?;
    existing(&store, &name)?;
    let said = &args.said;
    let host = platform(settings);
    // What is said of the image chooses it too, where there are several.
    let platform = enter::image::Platform::new(
        said.os.as_deref().unwrap_or(&host.os),
        said.arch.as_deref().unwrap_or(&host.architecture),
        said.variant.as_deref().or(host.variant.as_deref().filter(|_| said.arch.is_none())),
    );
    let finder = Finder { store: &store, options: &options(settings, &args.reach)?, platform };
    let mut entries = Vec::new();
    for image in &args.images {
        entries.extend(finder.entries(image, args.all)?);
    }
    change(ui, &store, &name, |list| {
        for mut entry in entries {
            say(&mut entry, said);
            list.add(entry);
        }
        Ok(())
    })
}

/// Changes what a list says of an image.
pub fn annotate(ui: &Ui, settings: &Settings, args: &ManifestAnnotateArgs) -> Result<ExitCode, Failure> {
    let store = state::store()?;
    let name = list_name(&args.list)?;
    let list = existing(&store, &name)?;
    let options = options(settings, &ReachArgs::default())?;
    let finder = Finder { store: &store, options: &options, platform: platform(settings) };
    let digest = finder.member(&list, &name, &args.image)?;
    change(ui, &store, &name, |list| {
        list.entries.iter_mut().filter(|entry| entry.digest == digest).for_each(|entry| say(entry, &args.said));
        Ok(())
    })
}

/// Takes images out of a list.
pub fn remove(ui: &Ui, settings: &Settings, args: &ManifestRemoveArgs) -> Result<ExitCode, Failure> {
    let store = state::store()?;
    let name = list_name(&args.list)?;
    let list = existing(&store, &name)?;
    let options = options(settings, &ReachArgs::default())?;
    let finder = Finder { store: &store, options: &options, platform: platform(settings) };
    let gone: Vec<Digest> =
        args.images.iter().map(|image| finder.member(&list, &name, image)).collect::<Result<_, _>>()?;
    change(ui, &store, &name, |list| {
        list.entries.retain(|entry| !gone.contains(&entry.digest));
        Ok(())
    })
}

/// Shows a list that is here, or what a registry has.
pub fn inspect(ui: &Ui, settings: &Settings, args: &ManifestInspectArgs) -> Result<ExitCode, Failure> {
    let options = options(settings, &args.reach)?;
    let (reference, here) = match find::remote(&args.name)? {
        Some(reference) => (reference, None),
        None => {
            let reference = Reference::parse(&args.name)?;
            let list = if args.referrers { None } else { state::store()?.list(&reference)? };
            (reference, list)
        }
    };
    let bytes = match here {
        Some(list) => list.compose(list.form())?,
        None if args.referrers => registry::referrers(&reference, &options)?,
        None => registry::document(&reference, &options)?.bytes,
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("what {} leads to is no manifest", args.name)).because(error))?;
    let mut output = ui.output();
    output.line(indented(&value));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Removes lists; every one is tried.
pub fn rm(ui: &Ui, args: &ManifestRmArgs) -> Result<ExitCode, Failure> {
    let store = state::store()?;
    let mut failed = None;
    let mut output = ui.output();
    for text in &args.lists {
        let removed = list_name(text).and_then(|name| {
            let list = existing(&store, &name)?;
            store.change_list(&name, |_| -> Result<_, Failure> { Ok(None) })?;
            Ok((name, digest_of(&list)?))
        });
        match removed {
            Ok((name, digest)) => {
                output.line(format!("Untagged: {}", name.familiar()));
                output.line(format!("Deleted: {digest}"));
            }
            Err(failure) => {
                ui.failure(&failure);
                failed = Some(failure.code());
            }
        }
    }
    output.finish()?;
    Ok(failed.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// 0 if there is such a list, 1 if there is none.
pub fn exists(args: &ManifestExistsArgs) -> Result<ExitCode, Failure> {
    let found = state::store()?.list(&list_name(&args.list)?)?;
    Ok(if found.is_some() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}

fn change(
    ui: &Ui,
    store: &Store,
    name: &Reference,
    change: impl FnOnce(&mut List) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut digest = None;
    store.change_list(name, |before| -> Result<_, Failure> {
        let mut list = before.ok_or_else(|| none(name))?;
        change(&mut list)?;
        digest = Some(digest_of(&list)?);
        Ok(Some(list))
    })?;
    print(ui, digest)
}

/// Lets a list say of an image what was typed.
fn say(entry: &mut Entry, said: &SaidArgs) {
    entry.annotations.extend(said.annotation.iter().cloned());
    let on = &mut entry.on;
    for (place, typed) in [(&mut on.os, &said.os), (&mut on.architecture, &said.arch)] {
        if let Some(typed) = typed {
            place.clone_from(typed);
        }
    }
    for (place, typed) in [(&mut on.variant, &said.variant), (&mut on.os_version, &said.os_version)] {
        if let Some(typed) = typed {
            *place = (!typed.is_empty()).then(|| typed.clone());
        }
    }
    for (place, typed) in [(&mut on.features, &said.features), (&mut on.os_features, &said.os_features)] {
        if !typed.is_empty() {
            place.clone_from(typed);
        }
    }
}

/// The list of a name, which must be there.
pub fn existing(store: &Store, name: &Reference) -> Result<List, Failure> {
    store.list(name)?.ok_or_else(|| none(name))
}

fn none(name: &Reference) -> Failure {
    let name = name.familiar();
    Failure::new(format!("there is no list {name}")).with_hint(format!("make one: enter manifest create {name} IMAGE"))
}

/// The name of a list.
pub fn list_name(text: &str) -> Result<Reference, Failure> {
    let name = Reference::parse(text)?;
    match name.digest() {
        None => Ok(name),
        Some(_) => Err(Failure::new(format!("{text:?} is no name for a list: it has a digest"))
            .with_hint("give a name, and perhaps a tag")),
    }
}

/// How registries are asked.
pub fn options(settings: &Settings, args: &ReachArgs) -> Result<SearchOptions, Failure> {
    let options = resolve::options(settings);
    let environment = reach::environment(options.environment, args)?;
    Ok(SearchOptions { transfer: options.transfer, environment, limit: 1 })
}

fn platform(settings: &Settings) -> enter::image::Platform {
    resolve::options(settings).platform
}

fn digest_of(list: &List) -> Result<Digest, Failure> {
    Ok(Digest::of(&list.compose(list.form())?))
}

fn print(ui: &Ui, digest: Option<Digest>) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    output.line(digest.map(|digest| digest.to_string()).unwrap_or_default());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// As podman and docker indent it.
fn indented(value: &Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // Values become text without fail: their keys are strings, and the text lies in memory.
    drop(serde::Serialize::serialize(value, &mut serializer));
    String::from_utf8_lossy(&text).into_owned()
}
