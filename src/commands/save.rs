//! `enter save`: images to archives and folders.

use std::io;
use std::process::ExitCode;

use enter::image::Reference;
use enter::store::{self, Image, Packing, Store};

use super::written::Written;
use super::{cp, resolve, tag};
use crate::cli::{ArchiveForm, SaveArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Writes images.
pub fn save(_: &Ui, settings: &Settings, args: &SaveArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let out = match args.output {
        Some(_) => None,
        None => Some(Written::standard_output()?),
    };
    check(args).map_err(failed)?;
    let store = super::state::store()?;
    let images = chosen(settings, &store, &args.images)?;
    // None of them is removed meanwhile.
    let leases: Result<Vec<_>, _> = images.iter().map(|(image, _)| image.lease()).collect();
    // One that has gone since it was found is as one that was not there.
    let _leases = leases.map_err(|error| failed(error.into()))?;
    write(&store, &images, args, out).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what does not fit together, before anything is made.
fn check(args: &SaveArgs) -> Result<(), Failure> {
    let folder = matches!(args.format, ArchiveForm::OciDir | ArchiveForm::DockerDir);
    if folder && args.output.is_none() {
        return Err(Failure::new("a folder cannot be written to the standard output").with_hint("name one with -o"));
    }
    if args.format == ArchiveForm::DockerArchive && args.compress {
        return Err(Failure::new("the layers of a docker-archive are plain tars, and not compressed")
            .with_hint("compress the whole: enter save IMAGE | gzip; or write --format oci-archive"));
    }
    if args.format == ArchiveForm::DockerDir && args.images.len() > 1 {
        return Err(Failure::new("a docker-dir has one image").with_hint("write the others to folders of their own"));
    }
    if args.output.is_none() { cp::refuse_terminal() } else { Ok(()) }
}

fn write(
    store: &Store,
    images: &[(Image, Vec<Reference>)],
    args: &SaveArgs,
    standard: Option<Written>,
) -> Result<(), Failure> {
    let packing = match args {
        SaveArgs { uncompressed: true, .. } => Packing::Plain,
        SaveArgs { compress: true, .. } => Packing::Compressed,
        _ => Packing::Kept,
    };
    let named = || -> Vec<store::Named> {
        let texts = |names: &[Reference]| names.iter().map(ToString::to_string).collect();
        images.iter().map(|(image, names)| (image.clone(), texts(names))).collect()
    };
    match (&args.output, args.format, images) {
        (Some(path), ArchiveForm::OciDir, _) => store.save_oci_folder(&named(), packing, path).map(drop)?,
        (Some(path), ArchiveForm::DockerDir, [image, ..]) => store.save_dir(image, packing, path).map(drop)?,
        (output, form, _) => {
            let mut out = match (output, standard) {
                (Some(path), _) => Written::create(path)?,
                (None, Some(standard)) => standard,
                (None, None) => Written::standard_output()?,
            };
            let saved = match form {
                ArchiveForm::DockerArchive => store.save_docker(images, &mut out),
                _ => store.save_oci(&named(), packing, &mut out).map(drop),
            };
            match saved {
                Err(store::Error::Output(error)) if output.is_none() && error.kind() == io::ErrorKind::BrokenPipe => {
                    sys::broken_pipe::die()
                }
                saved => saved?,
            }
            out.keep()?;
        }
    }
    Ok(())
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
