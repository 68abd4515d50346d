//! Who uses a volume, and removing one that nobody does with all that is in it.

use std::io;
use std::path::{Path, PathBuf};

use uidmap::Maps;

use super::record::{Kind, Record};
use super::{Container, Containers, Error, sweep};
use crate::container::events::{Event, Journal};
use crate::volume::{self, Lock, Volume, Volumes};

/// The volumes that a container mounts, by name.
pub fn of(record: &Record) -> impl Iterator<Item = &str> {
    record.spec.mounts.iter().filter_map(|mount| match &mount.kind {
        Kind::Volume(name) => Some(name.as_str()),
        _ => None,
    })
}

/// The containers, running or not, that mount a volume, and those whose record is damaged: they may mount it.
///
/// # Errors
/// Where the containers cannot be listed.
pub fn users(containers: &Containers, name: &str) -> Result<Vec<Container>, Error> {
    let mut all = containers.all()?;
    all.retain(|container| container.is_damaged() || of(&container.record).any(|used| used == name));
    Ok(all)
}

/// Removes a volume that nobody uses. The caller holds the lock until it has seen that; what takes long needs none. `outer` makes the mapping
/// under which its files were written, and is asked only if it is needed; the caller has a single thread.
///
/// # Errors
/// What could not be removed, and why. The volume is none any more all the same.
pub fn remove(
    volumes: &Volumes,
    lock: Lock,
    volume: &Volume,
    outer: &impl Fn() -> Option<Maps>,
) -> Result<(), volume::Error> {
    let gone = volumes.strike(&lock, volume)?;
    drop(lock);
    if let Some(root) = volume.folder.ancestors().nth(2) {
        Journal::at(root).add(&Event::of_volume(&volume.record.name, "destroy"));
    }
    sweep::remove_all(&gone, outer).map_err(volume::Error::file("remove", gone))
}

/// Removes those of these volumes that were made for one container and that no other uses. What cannot be removed is found by
/// `enter volume prune`.
pub fn remove_anonymous(root: &Path, names: &[String], outer: &impl Fn() -> Option<Maps>) {
    let (volumes, containers) = (Volumes::below(root), Containers::below(root));
    for name in names {
        let Ok(lock) = volumes.lock() else { return };
        let Some(volume) = volumes.named(name).filter(|volume| volume.record.anonymous) else { continue };
        if users(&containers, name).is_ok_and(|users| users.is_empty()) {
            let _ = remove(&volumes, lock, &volume, outer);
        }
    }
}

/// The same for a container that goes with them, by whoever is to see to that: `folder` is the container's.
pub fn remove_with(folder: &Path, names: &[String]) {
    if let Some(root) = folder.ancestors().nth(2).filter(|_| !names.is_empty()) {
        remove_anonymous(root, names, &|| None);
    }
}

/// Removes what killed commands have left of volumes; returns what could not be removed, and why.
///
/// # Errors
/// Where the volumes cannot be locked.
pub fn sweep(volumes: &Volumes, outer: &impl Fn() -> Option<Maps>) -> Result<Vec<(PathBuf, io::Error)>, volume::Error> {
    let lock = volumes.lock()?;
    let rubbish = volumes.rubbish(&lock);
    Ok(rubbish
        .into_iter()
        .filter_map(|path| sweep::remove_all(&path, outer).err().map(|error| (path, error)))
        .collect())
}
