//! What a name that was typed stands for, and getting it here.

use enter::container::Containers;
use enter::container::events::{Event, Journal};
use enter::image::{Platform, Reference, Transport};
use enter::registry::{self, Configuration, Environment, Job, Policy, PullOptions, Silent, Start, Transfer};
use enter::store::{self, Image, Lease, Store};

use super::{ahead, boxes, places, room};
use crate::cli;
use crate::failure::Failure;
use crate::nearest;
use crate::settings::Settings;
use crate::settings::values::PullPolicy;
use crate::ui::{self, Ui};

/// What can be entered.
#[derive(Debug)]
pub enum Target {
    /// This machine.
    Host,
    /// An image, which is in the store.
    Image(Box<Image>),
}

/// Finds what `name` stands for, fetching an image by the settings' policy. A `literal` name is no slip for a subcommand.
pub fn target(ui: &Ui, settings: &Settings, store: &Store, name: &str, literal: bool) -> Result<Target, Failure> {
    if name == "host" {
        return Ok(Target::Host);
    }
    if let Some(place) = Transport::parse(name)? {
        return from_place(ui, settings, store, &place).map(|image| Target::Image(Box::new(image)));
    }
    let options = options(settings);
    if let Some(image) = in_store(store, name, &options)? {
        return Ok(Target::Image(Box::new(image)));
    }
    if !literal {
        refuse_slips(name)?;
        refuse_box_slips(name, &boxes::names(&Containers::below(store.root())))?;
    }
    pull_to_run(ui, settings, store, name, &options).map(|image| Target::Image(Box::new(image)))
}

/// Finds the image that `name` means, fetching it by the settings' policy: docker's verbs take any name for an image's.
pub fn image(ui: &Ui, settings: &Settings, store: &Store, name: &str) -> Result<Image, Failure> {
    if let Some(place) = Transport::parse(name)? {
        return from_place(ui, settings, store, &place);
    }
    let options = options(settings);
    match in_store(store, name, &options)? {
        Some(image) => Ok(image),
        None => pull_to_run(ui, settings, store, name, &options),
    }
}

/// How often an image is looked for again that somebody else has removed just when it was found.
const MOST_SEARCHES: usize = 5;

/// Finds an image, or what else there is, and holds it: nobody removes it from then on.
///
/// Between finding it, perhaps by a pull, and holding it somebody else may be quicker with `rmi` or `prune`: then it is found once more.
pub fn held<T>(
    find: impl Fn() -> Result<T, Failure>,
    image: impl Fn(&T) -> Option<&Image>,
) -> Result<(T, Option<Lease>), Failure> {
    let mut searches = 1;
    loop {
        let found = find()?;
        match image(&found).map(Image::lease).transpose() {
            Err(store::Error::NoSuchImage(_)) if searches < MOST_SEARCHES => searches += 1,
            lease => return Ok((found, lease?)),
        }
    }
}

/// The image of a place that is typed with its transport.
fn from_place(ui: &Ui, settings: &Settings, store: &Store, place: &Transport) -> Result<Image, Failure> {
    let Transport::Registry(name) = place else {
        let store = store.clone().keeping_compressed(settings.keep_compressed).bounded(room::bounds(settings));
        let image = places::take_one(settings, &store, place)?;
        room::keep(ui, &store, room::most(settings), &[&image.id]);
        return Ok(image);
    };
    let (name, options) = (name.to_string(), options(settings));
    match in_store(store, &name, &options)? {
        Some(image) => Ok(image),
        None => pull_to_run(ui, settings, store, &name, &options)
            .map_err(|failure| for_another_platform(failure, settings, store, &name, &options)),
    }
}

/// Adds to the failure of a pull that the store has the image, but for another platform.
fn for_another_platform(
    failure: Failure,
    settings: &Settings,
    store: &Store,
    name: &str,
    options: &PullOptions,
) -> Failure {
    // The failure is told in any case, and counts more than a damaged list of names.
    match registry::find_only(store, name, &options.environment) {
        Ok(Some(image)) if settings.platform.is_none() && options.platform.distance(&image.platform).is_none() => {
            failure.with_hint(format!(
                "the image is here for {0} only, and this is {1}: to try it with an emulator, say --platform {0}",
                image.platform, options.platform
            ))
        }
        _ => failure,
    }
}

/// Whether the store has an image of this name; also not, where that cannot be found out.
pub fn is_in_store(settings: &Settings, store: &Store, name: &str) -> bool {
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    // By an ID's beginning nobody means an image who has given something that name.
    let is_name = |image: &Image| {
        Reference::parse(name).is_ok_and(|typed| {
            image.names.iter().any(|known| known.tag() == typed.tag() && known.path().ends_with(typed.typed_path()))
        })
    };
    registry::find(store, name, &platform, &environment(settings)).ok().flatten().is_some_and(|image| is_name(&image))
}

/// The image that the store has already, where the policy asks no registry.
fn in_store(store: &Store, name: &str, options: &PullOptions) -> Result<Option<Image>, Failure> {
    if !matches!(options.policy, Policy::Missing | Policy::Never) {
        return Ok(None);
    }
    match registry::find(store, name, &options.platform, &options.environment)? {
        Some(image) if store.mend(&image)? => Ok(Some(image)),
        _ => Ok(None),
    }
}

/// How the settings want images to be pulled.
pub fn options(settings: &Settings) -> PullOptions {
    let policy = match settings.pull {
        PullPolicy::Missing => Policy::Missing,
        PullPolicy::Always => Policy::Always,
        PullPolicy::Never => Policy::Never,
        PullPolicy::Newer => Policy::Newer,
    };
    let transfer = Transfer {
        parallel: settings.parallel_downloads.get().into(),
        retries: settings.retries.get().into(),
        stall_timeout: settings.stall_timeout,
        token_hosts: settings.token_hosts.clone(),
        ..Transfer::default()
    };
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    let keep_compressed = settings.keep_compressed;
    let max_size = room::most(settings);
    let (environment, bounds) = (environment(settings), room::bounds(settings));
    PullOptions { policy, platform, transfer, environment, keep_compressed, bounds, max_size }
}

/// Whose configuration counts when images are taken in.
pub fn environment(settings: &Settings) -> Environment {
    Environment::of_process().with_policy(settings.signature_policy.clone())
}

/// Pulls the image that `name` means, telling how it goes. All of it is here then.
pub fn pull(ui: &Ui, store: &Store, name: &str, options: &PullOptions) -> Result<Image, Failure> {
    pull_with(ui, store, name, options, None)
}

/// Pulls the image that `name` means for a container, which may begin before all of it is here.
fn pull_to_run(
    ui: &Ui,
    settings: &Settings,
    store: &Store,
    name: &str,
    options: &PullOptions,
) -> Result<Image, Failure> {
    let start = |job: &Job| ahead::start(store, job);
    pull_with(ui, store, name, options, settings.lazy.then_some(&start))
}

fn pull_with(
    ui: &Ui,
    store: &Store,
    name: &str,
    options: &PullOptions,
    start: Option<&Start<'_>>,
) -> Result<Image, Failure> {
    let typed = Reference::parse(name).map_err(|error| with_neighbours(error.into(), store, name))?;
    let chosen = choose(ui, &typed, options)?;
    let reference = chosen.clone().unwrap_or_else(|| typed.clone());
    let pulled = match ui.pull_progress() {
        None => registry::pull_or_start(store, &reference, options, &Silent, start),
        Some(progress) => {
            let pulled = registry::pull_or_start(store, &reference, options, &progress, start);
            progress.finish();
            pulled
        }
    };
    let image = pulled.map_err(|error| match error {
        // Whatever is wrong with the registry, the name that it was asked for is wrong perhaps too.
        registry::Error::NotFound { .. }
        | registry::Error::Unauthorized { .. }
        | registry::Error::Denied { .. }
        | registry::Error::Reach { .. }
        | registry::Error::Nowhere { .. }
        | registry::Error::NotHere { .. } => with_neighbours(error.into(), store, name),
        error => error.into(),
    })?;
    if let Some(chosen) = &chosen
        && let Err(error) = registry::remember(&options.environment, &typed, chosen)
    {
        ui.warning(&format!("what {} means is not remembered: {error}", typed.typed_path()));
    }
    let complete = complete_name(&image, name);
    let familiar = Reference::parse(&complete).map_or(complete, |reference| reference.familiar());
    Journal::at(store.root()).add(&Event::of_image(image.id.to_string(), familiar, "pull"));
    room::keep(ui, store, options.max_size, &[&image.id]);
    Ok(image)
}

/// Lets whoever sits at the terminal say which of several images a short name means; `None` where it is clear, or nobody is there.
fn choose(ui: &Ui, typed: &Reference, options: &PullOptions) -> Result<Option<Reference>, Failure> {
    if !typed.is_short() || options.policy == Policy::Never || !ui::is_answerable() {
        return Ok(None);
    }
    let choices = Configuration::load(&options.environment)?.choices(typed)?;
    if choices.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = choices.iter().map(ToString::to_string).collect();
    let question = format!("{} could be an image of several registries:", typed.familiar());
    let chosen = ui.choose(&question, &names)?.ok_or_else(|| {
        Failure::new(format!("none of the images that {} could be was chosen", typed.familiar()))
            .with_hint(format!("give the complete name, one of: {}", names.join(", ")))
    })?;
    Ok(choices.into_iter().nth(chosen))
}

/// The complete name under which the store has the image that was typed, or what was typed where that is no name of its.
pub fn complete_name(image: &Image, typed: &str) -> String {
    if let Ok(Some(place)) = Transport::parse(typed) {
        return match place {
            Transport::Registry(name) => name.to_string(),
            _ => image.names.first().map_or_else(|| image.id.to_string(), ToString::to_string),
        };
    }
    let Ok(reference) = Reference::parse(typed) else { return typed.to_owned() };
    let same = |name: &&Reference| name.tag() == reference.tag() && name.path().ends_with(reference.typed_path());
    let exact = image.names.iter().find(|name| **name == reference);
    let short = || image.names.iter().find(same).filter(|_| reference.is_short());
    exact.or_else(short).map_or_else(|| typed.to_owned(), ToString::to_string)
}

/// Stops where `name` looks like a subcommand that was mistyped, before a registry is asked for it.
fn refuse_slips(name: &str) -> Result<(), Failure> {
    let subcommands = cli::subcommands();
    let meant = nearest::to(name, subcommands.iter().map(String::as_str));
    if meant.is_none() && !cli::FOREIGN_VERBS.contains(&name) {
        return Ok(());
    }
    if let Some(instead) = cli::instead_of(name) {
        return Err(Failure::new(format!("there is no subcommand `{name}`, and no image of that name in the store"))
            .with_hint(format!("{instead}; an image of that name is fetched by: enter -- {name}")));
    }
    let question = meant.map(|meant| format!("did you mean `enter {meant}`? ")).unwrap_or_default();
    Err(Failure::new(format!("there is no subcommand `{name}`, and no image of that name in the store"))
        .with_hint(format!("{question}an image of that name is fetched by: enter -- {name}")))
}

/// Stops where `name` looks like that of a box that was mistyped, before a registry is asked for it.
fn refuse_box_slips(name: &str, boxes: &[String]) -> Result<(), Failure> {
    // `alpine` is no slip for a box `alpine2`, nor is anything that only an image can be called.
    let is_longer = |known: &str| known.starts_with(name) || name.starts_with(known);
    let others = boxes.iter().map(String::as_str).filter(|known| !is_longer(known));
    match nearest::to(name, others).filter(|_| !name.contains(['/', ':', '@'])) {
        Some(meant) => Err(Failure::new(format!("there is no box `{name}`, and no image of that name in the store"))
            .with_hint(format!("did you mean `enter {meant}`? an image of that name is fetched by: enter -- {name}"))),
        None => Ok(()),
    }
}

/// Adds the image in the store that was perhaps meant.
fn with_neighbours(failure: Failure, store: &Store, name: &str) -> Failure {
    // This is about to fail for a better reason than a damaged list of names.
    let names: Vec<String> = store.all_names().unwrap_or_default().iter().map(Reference::familiar).collect();
    if names.iter().any(|known| known == name || known.rsplit_once(':').is_some_and(|(known, _)| known == name)) {
        return failure;
    }
    let words = names.iter().map(String::as_str).chain(names.iter().filter_map(|name| Some(name.rsplit_once(':')?.0)));
    match nearest::to(name, words) {
        Some(meant) => {
            let hint = failure.hint().map(|hint| format!("{hint}, or ")).unwrap_or_default();
            failure.with_hint(format!("{hint}did you mean `{meant}`, which is in the store?"))
        }
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_refused_and_images_are_not() {
        for name in ["imagse", "pul", "completoin", "statz", "network"] {
            assert!(refuse_slips(name).is_err(), "{name}");
        }
        for name in ["debian", "ubuntu:24.04", "alpine", "rust", "node", "go", "quay.io/a/imagse"] {
            assert!(refuse_slips(name).is_ok(), "{name}");
        }
        assert_eq!(
            refuse_slips("imagse").unwrap_err().hint().unwrap(),
            "did you mean `enter images`? an image of that name is fetched by: enter -- imagse"
        );
    }

    #[test]
    fn a_slip_for_a_box_is_refused_and_other_images_are_not() {
        let boxes = ["work".to_owned(), "alpine2".to_owned()];
        assert!(refuse_box_slips("wrok", &boxes).is_err());
        for name in ["alpine", "debian", "quay.io/wrok", "wrok:1"] {
            assert!(refuse_box_slips(name, &boxes).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_verb_of_ours_is_called_foreign() {
        for verb in cli::subcommands() {
            assert!(!cli::FOREIGN_VERBS.contains(&verb.as_str()), "{verb}");
        }
    }
}
