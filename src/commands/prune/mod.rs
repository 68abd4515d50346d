//! `enter container prune`, `enter image prune`, `enter system prune`: what nothing needs any more goes.

pub mod filter;

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use enter::container::Containers;
use enter::container::folder::Folder;
use enter::container::planning::caller::Caller;
use enter::store::{self, Image, Removal, Store};
use enter::volume::Volumes;

use super::state::State;
use super::{containers, network, ps, rm, rmi, volume};
use crate::cli::{ContainerPruneArgs, ImagePruneArgs, PruneArgs, SystemPruneArgs};
use crate::failure::Failure;
use crate::ui::{Output, Ui, human};
use filter::Filters;

/// What was removed.
#[derive(Debug, Default)]
struct Gone {
    containers: Vec<String>,
    networks: Vec<String>,
    volumes: Vec<String>,
    images: Vec<String>,
    bytes: u64,
}

/// What a prune works on.
struct Place {
    state: State,
    containers: Containers,
    store: Store,
    filters: Filters,
}

impl Place {
    fn open(args: &PruneArgs, images: bool) -> Result<Self, Failure> {
        let filters = Filters::parse(&args.filter, images)?;
        let state = State::of_user()?;
        let (containers, store) = (Containers::below(state.root()), state.store()?);
        Ok(Self { state, containers, store, filters })
    }
}

/// `enter container prune`.
pub fn containers(ui: &Ui, args: &ContainerPruneArgs) -> Result<ExitCode, Failure> {
    let place = Place::open(&args.prune, false)?;
    if !agreed(ui, &args.prune, "WARNING! This will remove all stopped containers.")? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut gone = Gone::default();
    place.prune_containers(ui, &mut gone)?;
    gone.show(ui)
}

/// `enter image prune`.
pub fn images(ui: &Ui, args: &ImagePruneArgs) -> Result<ExitCode, Failure> {
    let place = Place::open(&args.prune, true)?;
    let all = place.filters.dangling().map_or(args.all, |dangling| !dangling);
    let question = format!("WARNING! This will remove {}.", which_images(all));
    if !agreed(ui, &args.prune, &question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut gone = Gone::default();
    place.prune_images(all, &mut gone)?;
    gone.show(ui)
}

/// `enter system prune`.
pub fn system(ui: &Ui, args: &SystemPruneArgs) -> Result<ExitCode, Failure> {
    let place = Place::open(&args.prune, false)?;
    let mut what = vec![
        "all stopped containers",
        "all networks not used by at least one container",
        which_images(args.all),
        "what pulls that failed have left",
    ];
    if place.filters.is_empty() {
        what.push("all compressed forms of layers, which are kept for a push");
    }
    if args.volumes {
        what.insert(1, "all anonymous volumes not used by at least one container");
    }
    let list: String = what.iter().map(|line| format!("\n  - {line}")).collect();
    if !agreed(ui, &args.prune, &format!("WARNING! This will remove:{list}\n"))? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut gone = Gone::default();
    place.prune_containers(ui, &mut gone)?;
    gone.networks = network::Place::of_user()?.remove_unused(&place.filters)?;
    if args.volumes {
        let filters = args.prune.filter.iter().filter(|text| text.starts_with("label")).cloned().collect::<Vec<_>>();
        let filters = volume::ls::Filters::parse(&filters, &Volumes::below(place.state.root()))?;
        let pruned = volume::prune_unused(ui, &place.state, false, &filters)?;
        gone.bytes += pruned.bytes;
        gone.volumes = pruned.names;
    }
    place.prune_images(args.all, &mut gone)?;
    gone.show(ui)
}

fn which_images(all: bool) -> &'static str {
    if all { "all images without at least one container associated to them" } else { "all dangling images" }
}

/// Asks, unless nothing is to be asked. An end of input is a no; docker takes only a y.
pub fn agreed(ui: &Ui, args: &PruneArgs, question: &str) -> Result<bool, Failure> {
    if args.force {
        return Ok(true);
    }
    ui.ask(&format!("{question}\nAre you sure you want to continue? [y/N] "));
    let mut answer = String::new();
    let stdin = std::io::stdin();
    let read = stdin.lock().read_line(&mut answer);
    read.map_err(|error| Failure::new("cannot read the answer").because(error).with_hint("do not be asked: --force"))?;
    if !stdin.is_terminal() {
        // Nobody's Enter has ended the line of the question.
        ui.note("");
    }
    Ok(matches!(answer.trim(), "y" | "Y"))
}

impl Place {
    /// Removes every container that does not live. One that another command is at work on is left to that.
    fn prune_containers(&self, ui: &Ui, gone: &mut Gone) -> Result<(), Failure> {
        // What a killed shell has left is no container that anybody knows.
        self.state.sweep(ui, &Caller::find()?);
        for container in self.containers.all()? {
            // A box is kept until somebody removes it by its name.
            let is_kept = container.is_alive() || container.record.spec.boxed.is_some();
            if is_kept || !self.filters.take_container(&container) {
                continue;
            }
            // It may have come to life meanwhile, or have gone.
            let Some(_lock) = Folder::take(&container.folder)? else { continue };
            let bytes = ps::size::written(&container);
            match rm::clear(&container, false) {
                Ok(()) => {
                    gone.bytes += bytes;
                    gone.containers.push(container.record.id);
                }
                Err(failure) => ui.failure(&failure),
            }
        }
        Ok(())
    }

    /// Removes the images that no container was made from: those without a name, or all. Then the layers that are left over.
    fn prune_images(&self, all: bool, gone: &mut Gone) -> Result<(), Failure> {
        let removal = Removal { force: false, holder: &|image| containers::holder_or_dropped(&self.containers, image) };
        for image in self.store.images()? {
            let dangling = image.names.is_empty();
            let wanted = (dangling || all) && !image.pinned && self.filters.take_image(&image);
            if !wanted || !self.is_unused(&image)? {
                continue;
            }
            let id = image.id.to_string();
            // Name by name, so that an image that comes into use meanwhile keeps its last one.
            let names = image.names.iter().map(ToString::to_string);
            for word in names.chain(dangling.then(|| id.clone())) {
                let removed = match self.store.remove(&word, &image.platform, &removal) {
                    Ok(removed) => removed,
                    // Somebody was quicker: it is needed now, or gone.
                    Err(store::Error::InUse { .. } | store::Error::NoSuchImage(_)) => break,
                    Err(error) => return Err(error.into()),
                };
                rmi::tell(&self.store, &id, &removed);
                gone.images.extend(removed.untagged.iter().map(|name| format!("untagged: {}", name.familiar())));
                gone.images.extend(removed.deleted.iter().map(|id| format!("deleted: {id}")));
                gone.bytes += removed.freed;
            }
        }
        gone.bytes += self.store.prune()?.freed;
        // Nothing needs them; but who wants only some images to go does not speak of them.
        if self.filters.is_empty() {
            gone.bytes += self.store.drop_compressed(&|_| true)?.freed;
        }
        Ok(())
    }

    fn is_unused(&self, image: &Image) -> Result<bool, Failure> {
        let user = containers::holder_or_dropped(&self.containers, &image.id);
        Ok(user.map_err(|error| Failure::new("cannot tell which images are used").because(error))?.is_none())
    }
}

impl Gone {
    /// docker's account of it.
    fn show(&self, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut output = ui.output();
        let list = |output: &mut Output, heading: &str, lines: &[String]| {
            if !lines.is_empty() {
                output.line(heading);
                lines.iter().for_each(|line| output.line(line));
                output.line("");
            }
        };
        list(&mut output, "Deleted Containers:", &self.containers);
        list(&mut output, "Deleted Volumes:", &self.volumes);
        list(&mut output, "Deleted Networks:", &self.networks);
        list(&mut output, "Deleted Images:", &self.images);
        output.line(format!("Total reclaimed space: {}", human::size(self.bytes)));
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
