//! `enter pull IMAGE`: fetches an image, or what has changed of it, into the store; or all its tags, or platforms.

use std::collections::BTreeSet;
use std::process::ExitCode;

use enter::image::{Platform, Reference, Transport};
use enter::registry::{self, PullOptions, SearchOptions};
use enter::store::Store;

use super::{places, reach, resolve, room};
use crate::cli::PullArgs;
use crate::failure::{ENTER_FAILED, Failure};
use crate::settings::Settings;
use crate::ui::Ui;

/// The most tags that `--all-tags` fetches.
const MOST_TAGS: usize = 10_000;

/// Pulls `args.image` and prints its complete name.
pub fn run(ui: &Ui, settings: &Settings, args: &PullArgs) -> Result<ExitCode, Failure> {
    let ui = if args.quiet { &ui.quiet() } else { ui };
    let store = super::state::store()?;
    let mut options = resolve::options(settings);
    options.environment = reach::environment(options.environment, &args.reach)?;
    let name = match Transport::parse(&args.image)? {
        // Not as it is told elsewhere, with a tag that was not typed.
        Some(Transport::Registry(name)) if args.all_tags => {
            args.image.strip_prefix("docker://").map_or_else(|| name.to_string(), |_| name.repository())
        }
        Some(Transport::Registry(name)) => name.to_string(),
        Some(place) => return from_place(ui, settings, args, &place),
        None => args.image.clone(),
    };
    if let Some(given) = &args.creds {
        let credentials = reach::credentials(ui, given)?;
        options.environment = options.environment.with_credentials(Reference::parse(&name)?.domain(), credentials);
    }
    if args.all_tags {
        return all_tags(ui, &store, &name, &options);
    }
    if args.all_platforms {
        return all_platforms(ui, &store, &name, &options);
    }
    let image = resolve::pull(ui, &store, &name, &options)?;

    let mut output = ui.output();
    output.line(resolve::complete_name(&image, &args.image));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn asking(options: &PullOptions, limit: usize) -> SearchOptions {
    SearchOptions { transfer: options.transfer.clone(), environment: options.environment.clone(), limit }
}

/// Pulls every tag that there is, whatever becomes of the others. Signatures, which have tags of their own, are no images.
fn all_tags(ui: &Ui, store: &Store, name: &str, options: &PullOptions) -> Result<ExitCode, Failure> {
    let reference = Reference::parse(name)?;
    if name.rsplit('/').next().unwrap_or_default().contains([':', '@']) {
        return Err(Failure::new(format!("cannot fetch all tags of {name}: it has one already"))
            .with_hint("leave out what stands behind the name, or leave out --all-tags"));
    }
    let tags = registry::tags(&reference, &asking(options, MOST_TAGS))?;
    if tags.names.is_empty() {
        return Err(Failure::new(format!("{name} has no tags")).with_hint("see whether the name is right"));
    }
    let mut failed = false;
    for tag in &tags.names {
        if stands_for_a_digest(tag) {
            ui.note(&format!("{name}:{tag} is left out: what has such a tag belongs to an image, and is none"));
            continue;
        }
        let tagged = format!("{name}:{tag}");
        match resolve::pull(ui, store, &tagged, options) {
            Ok(image) => {
                let mut output = ui.output();
                output.line(resolve::complete_name(&image, &tagged));
                output.finish()?;
            }
            Err(failure) => {
                ui.failure(&failure);
                failed = true;
            }
        }
    }
    if tags.more {
        return Err(Failure::new(format!("{name} has more tags than {MOST_TAGS}: the others were not fetched"))
            .with_hint("fetch those that are needed by name: enter search --list-tags shows them"));
    }
    Ok(if failed { ExitCode::from(ENTER_FAILED) } else { ExitCode::SUCCESS })
}

/// `sha256-DIGITS` with or without an ending: where registries without referrers keep what belongs to an image.
fn stands_for_a_digest(tag: &str) -> bool {
    let digits = tag.strip_prefix("sha256-").map(|rest| rest.split('.').next().unwrap_or_default());
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Pulls the image of each platform; they have one name.
fn all_platforms(ui: &Ui, store: &Store, name: &str, options: &PullOptions) -> Result<ExitCode, Failure> {
    let reference = Reference::parse(name)?;
    let entries = registry::describe(&reference, None, &asking(options, 0))?;
    // What comes with an image, and is none, is said to be for an unknown system.
    let known = entries.iter().filter(|entry| !entry.on.os.is_empty() && entry.on.os != "unknown");
    let mut seen = BTreeSet::new();
    let platforms: Vec<Platform> = known
        .map(|entry| Platform::new(&entry.on.os, &entry.on.architecture, entry.on.variant.as_deref()))
        .filter(|platform| seen.insert(platform.to_string()))
        .collect();
    if platforms.is_empty() {
        return Err(Failure::new(format!("{name} does not say for which platforms it is"))
            .with_hint("fetch the one for this machine: leave out --all-platforms"));
    }
    let mut complete = None;
    for platform in platforms {
        let image = resolve::pull(ui, store, name, &PullOptions { platform, ..options.clone() })?;
        complete = Some(resolve::complete_name(&image, name));
    }
    let mut output = ui.output();
    output.line(complete.unwrap_or_default());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Takes in what another place than a registry has, and prints the names of the images, or IDs of those that have none.
fn from_place(ui: &Ui, settings: &Settings, args: &PullArgs, place: &Transport) -> Result<ExitCode, Failure> {
    let flags =
        [("--all-tags", args.all_tags), ("--all-platforms", args.all_platforms), ("--creds", args.creds.is_some())];
    if let Some((flag, _)) = flags.iter().find(|(_, given)| *given) {
        return Err(Failure::new(format!("{flag} is for registries, and {place} is none")).with_hint("leave it out"));
    }
    let store = super::state::store()?.keeping_compressed(settings.keep_compressed).bounded(room::bounds(settings));
    let mut output = ui.output();
    let taken = places::take(settings, &store, place, &places::wanted(settings))?;
    let new: Vec<_> = taken.iter().map(|one| &one.image.id).collect();
    room::keep(ui, &store, room::most(settings), &new);
    for one in taken {
        output.line(one.names.first().map_or_else(|| one.image.id.to_string(), ToString::to_string));
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_signatures_are_no_images() {
        let digits = "a".repeat(64);
        assert!(
            stands_for_a_digest(&format!("sha256-{digits}.sig")) && stands_for_a_digest(&format!("sha256-{digits}"))
        );
        assert!(!stands_for_a_digest("sha256-abc") && !stands_for_a_digest("latest") && !stands_for_a_digest(&digits));
    }
}
