//! Makes a container of an image and flags: its folder, its record, its name.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cowfs::tree;
use enter::container::events::{Event, Journal};
use enter::container::folder::Folder;
use enter::container::planning::account::Accounts;
use enter::container::planning::caller::Caller;
use enter::container::record::{Record, Spec, Storage, UserNamespace};
use enter::container::users::{self, Making};
use enter::container::{Container, Containers, Told, volumes};
use enter::store::{Image, Lease};
use uidmap::Maps;

use super::super::ports;
use super::super::resolve;
use super::super::rm;
use super::super::state::{self, State};
use super::{asked, mounts};
use crate::cli::CreateArgs;
use crate::cli::run::values::StorageOption;
use crate::failure::{ENTER_FAILED, Failure};
use crate::settings::Settings;
use crate::ui::Ui;

/// The fewest ids that `--userns auto` gives, as with podman.
const FEWEST_IDS: u32 = 1024;

/// A container that has been made, and that nobody else can start meanwhile.
pub struct Made {
    /// Whose it is.
    pub caller: Caller,
    /// Where it is.
    pub state: State,
    /// What it was made as.
    pub record: Record,
    /// Its folder, locked.
    pub folder: Folder,
    /// Its image.
    pub image: Image,
    /// Keeps that from being removed while this lives.
    pub lease: Option<Lease>,
    /// All containers.
    pub containers: Containers,
    /// The outer user namespace, on its way where it is to be started at once.
    pub users: Option<Making>,
    /// How that is mapped.
    pub maps: Maps,
}

impl Made {
    /// Finds the image, and makes the container. `at_once`: it is about to be started. `more` is what `run` says beyond `create`.
    pub fn make(
        ui: &Ui,
        settings: &Settings,
        args: &CreateArgs,
        at_once: bool,
        more: impl FnOnce(&mut Spec),
    ) -> Result<Self, Failure> {
        let caller = Caller::find()?;
        let state = State::of_user()?;
        state.sweep(ui, &caller);
        let maps = state::outer_maps(&caller)?;
        // Mapped while everything else is found out. That of networks of one's own is there already, or is made by who holds them.
        let users = if at_once && !args.network.has_own() { Some(users::make(&maps)?) } else { None };
        let storage = state.storage(settings, &maps);

        let name = args.image().to_string_lossy().into_owned();
        let store = state.store()?;
        // Until the container is recorded, by which it is known to be in use, or holds it itself.
        let (image, lease) = resolve::held(|| resolve::image(ui, settings, &store, &name), |image| Some(image))?;
        let containers = Containers::below(state.root());
        let mut spec = asked::spec(args, &image, &name, &containers, settings)?;
        if !args.network.publish.is_empty() && !ports::has_own(&spec.network) {
            ui.warning("ports are not published with --network host: what listens inside listens on this machine");
        }
        spec.writeback = writeback(args, storage)?;
        let place = mounts::Place { ui, settings, store: &store, containers: &containers, root: state.root() };
        let held = mounts::resolve(&place, &mut spec, &args.files, &image.config)?;
        spec.storage = storage;
        more(&mut spec);
        let create = || -> Result<_, Failure> {
            let record = Containers::new_record(spec)?;
            if let Some(name) = args.life.name.as_ref().filter(|_| args.life.replace) {
                replace(&containers, name)?;
            }
            Ok(containers.create_with(record, args.life.name.as_deref(), |record| {
                number(record, &containers, &image, &maps).map_err(enter::container::Error::Told)
            })?)
        };
        let (folder, record) = match create() {
            Ok(created) => created,
            Err(failure) => {
                held.undo();
                return Err(failure);
            }
        };
        drop(held);
        if let Some(file) = &record.spec.id_file {
            write_id(file, &record.id).inspect_err(|_| discard(&containers, &folder, &record))?;
        }
        Journal::at(state.root()).add(&Event::of_container(&record, "create"));
        Ok(Self { caller, state, containers, record, folder, image, users, maps, lease })
    }
}

/// Removes whoever has the name.
fn replace(containers: &Containers, name: &str) -> Result<(), Failure> {
    match containers.by_name(name)? {
        Some(other) => {
            rm::take_away(containers, &other, true, None, false).map_err(|failure| failure.with_code(ENTER_FAILED))
        }
        None => Ok(()),
    }
}

/// Removes a container that was just made and has not run.
pub fn remove(containers: &Containers, id: &str) {
    let Ok(container) = containers.find(id) else { return };
    if let Ok(Some(folder)) = Folder::take(&container.folder) {
        discard(containers, &folder, &container.record);
    }
}

fn discard(containers: &Containers, folder: &Folder, record: &Record) {
    folder.discard();
    containers.forget(&record.name, &record.id);
    if let Some(root) = folder.path().ancestors().nth(2) {
        let names: Vec<String> = volumes::of(record).map(str::to_owned).collect();
        volumes::remove_anonymous(root, &names, &|| None);
    }
}

/// Chooses ids that no other container has, where they were asked for. Nobody else does so at the same time.
fn number(record: &mut Record, containers: &Containers, image: &Image, maps: &Maps) -> Result<(), Told> {
    let UserNamespace::Auto { size, start } = &mut record.spec.users else { return Ok(()) };
    let told = |error: &dyn std::error::Error| Told::by(error, None);
    if *size == 0 {
        let files = tree::Image::open(&image.tree, &image.tars).map_err(|error| told(&error))?;
        *size = (Accounts::read(&files).highest_id() + 1).max(FEWEST_IDS);
    }
    let mut taken: Vec<(u32, u32)> = containers
        .all()
        .map_err(|error| told(&error))?
        .iter()
        .filter_map(|container: &Container| match container.record.spec.users {
            UserNamespace::Auto { size, start } => Some((start, start + size)),
            _ => None,
        })
        .collect();
    taken.sort_unstable();
    let mut first = 1;
    for (start, end) in taken {
        if first + *size > start {
            first = first.max(end);
        }
    }
    let all = maps.uids.len().min(maps.gids.len());
    if first + *size > all {
        return Err(Told {
            message: format!("cannot give the container {size} ids that no other container has"),
            cause: Some(Box::new(Told { message: format!("you have {all} ids, and {} are free", all.saturating_sub(first)), cause: None, hint: None })),
            hint: Some("remove containers that were made with --userns auto, ask for fewer with auto:size=N, or add subordinate ids".into()),
        });
    }
    *start = first;
    Ok(())
}

/// Writes the ID without a line's end, into a file that must be new.
fn write_id(path: &Path, id: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    file.and_then(|mut file| file.write_all(id.as_bytes())).map_err(|error| {
        Failure::new(format!("cannot write the container's ID to {}", path.display()))
            .because(error)
            .with_hint("remove the file first, or name another one with --cidfile")
    })
}

/// Whether the kernel is to collect small writes, which only one driver can be told.
fn writeback(args: &CreateArgs, storage: Storage) -> Result<Option<bool>, Failure> {
    let wanted = args.files.storage_opt.last().map(|StorageOption::Writeback(wanted)| *wanted);
    if wanted == Some(true) && storage == Storage::Overlay {
        return Err(Failure::new("cannot collect small writes with --storage-opt writeback")
            .because("the storage driver is overlay, where the kernel does that as it sees fit")
            .with_hint("leave it away, or add --storage fuse"));
    }
    Ok(wanted)
}
