//! `enter push IMAGE [DESTINATION]`: sends an image to a registry.

use std::path::Path;
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::image::{DEFAULT_TAG, Form, Platform, Reference, Transport};
use enter::registry::{self, PushOptions, Pushed, Silent};
use enter::store::{Compression, Image, Packing, Store};

use super::state::State;
use super::{places, reach, resolve, room, tag};
use crate::cli::{CompressionForm, PushArgs, PushForm};
use crate::failure::{ENTER_FAILED, Failure};
use crate::settings::Settings;
use crate::ui::Ui;

/// Pushes `args.image` and tells the digest that it has there.
pub fn run(ui: &Ui, settings: &Settings, args: &PushArgs) -> Result<ExitCode, Failure> {
    refuse_signing(args)?;
    let ui = if args.quiet { &ui.quiet() } else { ui };
    if args.all_tags {
        return all_tags(ui, settings, args);
    }
    let state = State::of_user()?;
    let store = state.store()?;
    let image = find(settings, &store, args)?;
    let name =
        Reference::parse(&resolve::complete_name(&image, &args.image)).ok().filter(|name| image.names.contains(name));
    if let Some(place) = args.destination.as_deref().map(Transport::parse).transpose()?.flatten()
        && !matches!(place, Transport::Registry(_))
    {
        return to_place(ui, &state, args, (&image, name.as_ref()), &place);
    }
    let destination = destination(args, name.as_ref())?;
    let options = options(ui, settings, args, &destination)?;
    let pushed = push(ui, &store, args, (&image, name.as_ref()), &destination, &options)?;
    // What was compressed for this is kept.
    room::keep(ui, &store, room::most(settings), &[&image.id]);
    Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), destination.familiar(), "push"));
    if let Some(path) = &args.digestfile {
        write_digest(path, &pushed)?;
    }
    let mut output = ui.output();
    output.line(if args.quiet { destination.to_string() } else { line(&pushed) });
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Pushes every tag that a name has here, each to its own place.
fn all_tags(ui: &Ui, settings: &Settings, args: &PushArgs) -> Result<ExitCode, Failure> {
    if args.destination.is_some() {
        return Err(Failure::new("--all-tags pushes each tag to the place that it names")
            .with_hint("leave the destination out; `enter tag` gives images other names"));
    }
    let typed = Reference::parse(&args.image)?;
    if args.image.rsplit('/').next().unwrap_or_default().contains([':', '@']) {
        return Err(Failure::new(format!("cannot push all tags of {}: it has one already", args.image))
            .with_hint("leave out what stands behind the name, or leave out --all-tags"));
    }
    let state = State::of_user()?;
    let store = state.store()?;
    let names: Vec<Reference> =
        store.all_names()?.into_iter().filter(|name| name.repository() == typed.repository()).collect();
    if names.is_empty() {
        return Err(Failure::new(format!("no image here is called {}", typed.repository()))
            .with_hint("see the images that are here: enter images"));
    }
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    for name in names {
        let images = store.all_platforms(&name)?;
        let distance = |image: &&Image| platform.distance(&image.platform).unwrap_or(u32::MAX);
        let Some(image) = images.iter().min_by_key(distance) else { continue };
        let options = options(ui, settings, args, &name)?;
        let pushed = push(ui, &store, args, (image, Some(&name)), &name, &options)?;
        room::keep(ui, &store, room::most(settings), &[&image.id]);
        Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), name.familiar(), "push"));
        let mut output = ui.output();
        output.line(if args.quiet { name.to_string() } else { line(&pushed) });
        output.finish()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the image to a file or a folder, and tells the digest of its manifest, where it has one there.
fn to_place(
    ui: &Ui,
    state: &State,
    args: &PushArgs,
    (image, name): (&Image, Option<&Reference>),
    place: &Transport,
) -> Result<ExitCode, Failure> {
    let refused = |flag: &str| {
        Failure::new(format!("{flag} is for registries, and {place} is none"))
            .with_hint("leave it out; what files and folders can have is told by: enter save --help")
    };
    let packing = match args.compression {
        _ if args.all => return Err(refused("--all")),
        _ if args.format.is_some() => return Err(refused("--format")),
        _ if args.compression_level.is_some() => return Err(refused("--compression-level")),
        _ if args.digestfile.is_some() && matches!(place, Transport::DockerArchive(..)) => {
            return Err(refused("--digestfile"));
        }
        _ if args.force_compression => return Err(refused("--force-compression")),
        None => Packing::Kept,
        Some(CompressionForm::Gzip) => Packing::Compressed,
        Some(_) => return Err(refused("--compression with zstd")),
    };
    let _lease = image.lease()?;
    let digest = places::give(&state.store()?, image, name, place, packing)?;
    Journal::at(state.root()).add(&Event::of_image(image.id.to_string(), place.to_string(), "push"));
    if let (Some(path), Some(digest)) = (&args.digestfile, &digest) {
        keep_digest(path, &digest.to_string())?;
    }
    let mut output = ui.output();
    output.line(match digest {
        Some(digest) if !args.quiet => format!("{place}: digest: {digest}"),
        _ => place.to_string(),
    });
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What docker prints.
fn line(pushed: &Pushed) -> String {
    let tag = pushed.name.tag().unwrap_or(if pushed.name.digest().is_some() { "<none>" } else { DEFAULT_TAG });
    format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size)
}

/// podman's flags for signing with GnuPG or a key: nobody must believe that an image is signed when it is not.
fn refuse_signing(args: &PushArgs) -> Result<(), Failure> {
    let asked = [
        ("--sign-by", &args.sign_by),
        ("--sign-by-sigstore", &args.sign_by_sigstore),
        ("--sign-by-sigstore-private-key", &args.sign_by_sigstore_private_key),
    ];
    match asked.iter().find(|(_, value)| value.is_some()) {
        Some((flag, _)) => Err(Failure::new(format!("{flag}: enter makes no signatures"))
            .with_hint("push it, and sign what --digestfile says: cosign sign --key KEY NAME@DIGEST")),
        None => Ok(()),
    }
}

/// The image that is meant. One that is here for a single platform needs no `--platform`.
fn find(settings: &Settings, store: &Store, args: &PushArgs) -> Result<Image, Failure> {
    match tag::find(settings, store, &args.image) {
        Err(failure) if args.platform.is_none() => {
            let reference = Reference::parse(&args.image).ok();
            let images = reference.map(|name| store.all_platforms(&name)).transpose()?.unwrap_or_default();
            match images.into_iter().next() {
                Some(image) => Ok(image),
                None => Err(failure.with_code(ENTER_FAILED)),
            }
        }
        // podman's code, as for `pull`.
        found => found.map_err(|failure| failure.with_code(ENTER_FAILED)),
    }
}

fn destination(args: &PushArgs, name: Option<&Reference>) -> Result<Reference, Failure> {
    let Some(typed) = &args.destination else {
        return name.cloned().ok_or_else(|| {
            Failure::new(format!("{} is no name, so that it says nothing of where to push to", args.image))
                .with_hint(format!("give a destination: enter push {} HOST/NAME:TAG", args.image))
        });
    };
    match Transport::parse(typed)? {
        None => Ok(Reference::parse(typed)?),
        Some(Transport::Registry(name)) => Ok(name),
        Some(place) => Err(Failure::new(format!("{place} is no registry")).with_hint("push to HOST/NAME:TAG")),
    }
}

fn options(ui: &Ui, settings: &Settings, args: &PushArgs, destination: &Reference) -> Result<PushOptions, Failure> {
    let usual = resolve::options(settings);
    let mut environment = reach::environment(usual.environment, &args.reach)?;
    if let Some(given) = &args.creds {
        environment = environment.with_credentials(destination.domain(), reach::credentials(ui, given)?);
    }
    Ok(PushOptions {
        transfer: usual.transfer,
        environment,
        compression: args.compression.map(|form| match form {
            CompressionForm::Gzip => Compression::Gzip,
            CompressionForm::Zstd => Compression::Zstd,
            CompressionForm::ZstdChunked => Compression::ZstdChunked,
        }),
        level: args.compression_level,
        force_compression: args.force_compression,
        format: args.format.map(|form| match form {
            PushForm::Oci => Form::Oci,
            PushForm::Docker => Form::Docker,
        }),
        keep_compressed: settings.keep_compressed,
    })
}

fn push(
    ui: &Ui,
    store: &Store,
    args: &PushArgs,
    (image, name): (&Image, Option<&Reference>),
    destination: &Reference,
    options: &PushOptions,
) -> Result<Pushed, Failure> {
    let progress = ui.pull_progress();
    let listener: &dyn registry::Progress = progress.as_ref().map_or(&Silent, |progress| progress);
    let pushed = match name.filter(|_| args.all) {
        Some(name) => {
            let images = store.all_platforms(name)?;
            registry::push_all(store, &images, name, destination, options, listener)
        }
        None if args.all => {
            return Err(Failure::new(format!("{} is no name, and an image by itself has one platform", args.image))
                .with_hint("give the name, or leave --all out"));
        }
        None => registry::push(store, image, name, destination, options, listener),
    };
    if let Some(progress) = &progress {
        progress.finish();
    }
    Ok(pushed?)
}

fn write_digest(path: &Path, pushed: &Pushed) -> Result<(), Failure> {
    keep_digest(path, &pushed.digest.to_string())
}

fn keep_digest(path: &Path, digest: &str) -> Result<(), Failure> {
    std::fs::write(path, digest).map_err(|error| {
        Failure::new(format!("the image was pushed, but its digest cannot be written to {}", path.display()))
            .because(error)
            .with_hint(format!("it is {digest}"))
    })
}
