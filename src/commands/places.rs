//! Images that come from, or go to, a place that is typed with its transport: `oci:FOLDER:TAG`, `docker-archive:FILE`, `containers-storage:NAME`.

use std::path::Path;

use enter::container::events::{Event, Journal};
use enter::image::{Chosen, Digest, Platform, Reference, Transport};
use enter::registry;
use enter::store::{Bundle, Image, Layout, Loaded, Packing, Store, Wanted};
use enter::trust::Source;

use super::resolve;
use super::written::Written;
use crate::failure::Failure;
use crate::settings::Settings;

/// What the settings want of an archive with several images.
pub fn wanted(settings: &Settings) -> Wanted {
    Wanted {
        platform: settings.platform.clone().unwrap_or_else(Platform::host),
        strictly: settings.platform.is_some(),
        ..Wanted::default()
    }
}

/// Takes images in, if `policy.json` accepts what lies there. `path` is `None` for the standard input.
pub fn load(
    settings: &Settings,
    store: &Store,
    bundle: &Bundle,
    path: Option<&Path>,
    wanted: &Wanted,
) -> Result<Vec<Loaded>, Failure> {
    let layout = wanted.layout.map_or_else(|| bundle.layout(), Ok)?;
    let image = wanted.chosen.as_ref().map(ToString::to_string);
    let path = path.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    let transport = match (layout, bundle.is_folder()) {
        (Layout::Docker, _) => "docker-archive",
        (Layout::Oci, true) => "oci",
        (Layout::Oci, false) => "oci-archive",
        (Layout::Dir, _) => "dir",
    };
    admit(
        settings,
        &match &path {
            Some(path) if layout != Layout::Docker => Source::path(transport, path, image.as_deref()),
            Some(path) => Source::whole(transport, &path.display().to_string()),
            None => Source::whole(transport, "the standard input"),
        },
    )?;
    Ok(store.load(bundle, wanted)?)
}

/// Asks `policy.json`, which may want signatures: those are with a registry alone.
pub fn admit(settings: &Settings, source: &Source) -> Result<(), Failure> {
    if let Some(policy) = registry::policy(&resolve::environment(settings))? {
        let rules = policy.rules(source);
        rules.check_first().and_then(|()| rules.check(&[])).map_err(registry::Error::from)?;
    }
    Ok(())
}

/// Takes in what a place has. A registry is none that this knows: that is for `resolve`.
pub fn take(settings: &Settings, store: &Store, from: &Transport, wanted: &Wanted) -> Result<Vec<Loaded>, Failure> {
    let file = |path: &Path, layout, chosen: &Option<Chosen>| {
        let wanted = Wanted { layout: Some(layout), chosen: chosen.clone(), ..wanted.clone() };
        load(settings, store, &Bundle::from_path(store, path)?, Some(path), &wanted)
    };
    let taken = match from {
        Transport::Registry(_) => Vec::new(),
        Transport::DockerArchive(path, chosen) => file(path, Layout::Docker, chosen)?,
        Transport::OciLayout(path, chosen) | Transport::OciArchive(path, chosen) => file(path, Layout::Oci, chosen)?,
        Transport::Dir(path) => file(path, Layout::Dir, &None)?,
        Transport::ContainersStorage(stored) => {
            admit(settings, &Source::whole("containers-storage", &from.to_string()))?;
            vec![super::podman::take(store, stored, wanted)?]
        }
    };
    for one in &taken {
        let name = one.names.first().map(Reference::familiar).unwrap_or_default();
        Journal::at(store.root()).add(&Event::of_image(one.image.id.to_string(), name, "pull"));
    }
    Ok(taken)
}

/// The only image of a place, where that is none of a registry.
pub fn take_one(settings: &Settings, store: &Store, from: &Transport) -> Result<Image, Failure> {
    let taken = take(settings, store, from, &Wanted { single: true, ..wanted(settings) })?;
    let one = taken.into_iter().next().ok_or_else(|| Failure::new(format!("{from} has no image")))?;
    Ok(one.image)
}

/// Writes an image to a place, by the name that was typed for it unless the place says another, and returns its manifest's digest, where
/// there is one of it. `to` is no registry: those are pushed to.
pub fn give(
    store: &Store,
    image: &Image,
    name: Option<&Reference>,
    to: &Transport,
    packing: Packing,
) -> Result<Option<Digest>, Failure> {
    let text = |chosen: &Option<Chosen>| match chosen {
        None => Ok(None),
        Some(Chosen::Name(name)) => Ok(Some(name.clone())),
        Some(Chosen::At(_)) => Err(Failure::new(format!("{to} says a place in a list, which is for reading"))
            .with_hint("say a name instead of @NUMBER")),
    };
    let named = |text: Option<String>| vec![(image.clone(), text.into_iter().collect::<Vec<_>>())];
    match to {
        Transport::Registry(_) => Ok(None),
        Transport::DockerArchive(path, chosen) => {
            let said = text(chosen)?.map(|text| Reference::parse(&text)).transpose()?;
            let names: Vec<Reference> = said.or_else(|| name.cloned()).into_iter().collect();
            let mut out = Written::create(path)?;
            store.save_docker(&[(image.clone(), names)], &mut out)?;
            out.keep()?;
            Ok(None)
        }
        Transport::OciArchive(path, chosen) => {
            let text = text(chosen)?.or_else(|| name.map(ToString::to_string));
            let mut out = Written::create(path)?;
            let digests = store.save_oci(&named(text), packing, &mut out)?;
            out.keep()?;
            Ok(digests.into_iter().next())
        }
        Transport::OciLayout(path, chosen) => {
            Ok(store.save_oci_folder(&named(text(chosen)?), packing, path)?.into_iter().next())
        }
        Transport::Dir(path) => {
            Ok(Some(store.save_dir(&(image.clone(), name.cloned().into_iter().collect()), packing, path)?))
        }
        Transport::ContainersStorage(_) => Err(Failure::new("podman's store is only read")
            .with_hint("let podman take the image in: enter save IMAGE | podman load")),
    }
}
