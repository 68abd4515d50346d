//! Removing names and images.

use std::collections::BTreeSet;
use std::fs;

use super::lock::{self, Kind, Lock};
use super::{Error, Image, Store, file, space};
use crate::image::{Digest, Platform, Reference};

/// What a removal did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Names that stand for nothing now, complete.
    pub untagged: Vec<Reference>,
    /// Images that are gone, by ID.
    pub deleted: Vec<Digest>,
    /// Bytes of disk that were freed.
    pub freed: u64,
}

/// Who needs an image: a container, which this module knows nothing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The container, as people are to know it.
    pub container: String,
    /// Whether it runs.
    pub running: bool,
}

/// Why it cannot be told who needs an image.
pub type Unknown = Box<dyn std::error::Error + Send + Sync>;

/// How something is removed.
#[derive(Clone, Copy)]
pub struct Removal<'a> {
    /// All names are taken off an image that has several, or that is needed; what is needed stays without a name.
    pub force: bool,
    /// Who needs the image with this ID. It is asked while nobody can begin to: whoever makes a container from an image holds a
    /// lease on it until the container can be seen.
    pub holder: &'a dyn Fn(&Digest) -> Result<Option<Holder>, Unknown>,
}

impl Store {
    /// Removes what `query` (as [`Store::find`] takes it) names: a name, and with its last name the image; or by ID the image with its only name,
    /// with all its names by force. Layers and blobs that no other image needs go with it.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::InUse`], [`Error::ManyNames`], and what the file system says.
    pub fn remove(&self, query: &str, platform: &Platform, removal: &Removal<'_>) -> Result<Removed, Error> {
        let none = || Error::NoSuchImage(query.to_owned());
        let images = self.lock_images()?;
        let by_name = match Reference::parse(query) {
            Ok(reference) if reference.digest().is_none() => {
                let image = match self.by_reference(&reference, platform)? {
                    Some(image) => Some(image),
                    // What is named here may be here for another platform only.
                    None => self.only_target(&reference)?,
                };
                image.map(|image| (reference, image))
            }
            _ => None,
        };
        let (image, names) = match by_name {
            Some((name, image)) => (image, vec![name]),
            None => {
                let image = self.find(query, platform)?.ok_or_else(none)?;
                if image.names.len() > 1 && !removal.force {
                    let names = image.names.iter().map(Reference::familiar).collect();
                    return Err(Error::ManyNames { id: image.id, names });
                }
                let names = image.names.clone();
                (image, names)
            }
        };
        let mut removed = Removed::default();
        // A name that is not the last one is nobody's need.
        let last = names.len() >= image.names.len();
        let free = if last { self.free(&image, query, removal)? } else { None };
        for name in &names {
            self.take_name_off(&image, name, free.as_ref(), &mut removed)?;
        }
        let Some(lock) = free else { return Ok(removed) };
        self.delete(&image, lock, &mut removed)?;
        // Layer locks are never taken under this one.
        drop(images);
        let layers: BTreeSet<Digest> = image.config.diff_ids.iter().cloned().collect();
        removed.freed += self.collect(&layers)?;
        Ok(removed)
    }

    /// The image that a name stands for where it is the only one, whatever its platform.
    ///
    /// # Errors
    /// Damaged records.
    pub fn only_target(&self, name: &Reference) -> Result<Option<Image>, Error> {
        match self.names()?.names.get(&name.to_string()).map(Vec::as_slice) {
            Some([only]) => self.by_id(&only.image),
            _ => Ok(None),
        }
    }

    /// The image's lock, if nobody needs it; `None` where somebody does, and names alone are to go.
    fn free(&self, image: &Image, query: &str, removal: &Removal<'_>) -> Result<Option<Lock>, Error> {
        let lock = lock::at_once(&self.image_dir(&image.id), Kind::Exclusive)?;
        let unknown = |source| Error::Users { image: image.id.clone(), source };
        let holder = (removal.holder)(&image.id).map_err(unknown)?;
        match (lock, holder) {
            (Some(lock), None) => Ok(Some(lock)),
            _ if removal.force => Ok(None),
            (_, holder) => {
                let name = Reference::parse(query).ok().filter(|name| image.names.contains(name));
                let by_name = name.is_some();
                let query = name.map_or_else(|| query.to_owned(), |name| name.familiar());
                Err(Error::InUse { query, image: image.id.clone(), by_name, holder })
            }
        }
    }

    /// Takes a name off an image, whose lock the caller may have.
    pub(super) fn take_name_off(
        &self,
        image: &Image,
        name: &Reference,
        lock: Option<&Lock>,
        removed: &mut Removed,
    ) -> Result<(), Error> {
        let mut names = self.names()?;
        let key = name.to_string();
        if let Some(targets) = names.names.get_mut(&key) {
            targets.retain(|target| target.image != image.id);
            if targets.is_empty() {
                names.names.remove(&key);
            }
        }
        match self.write_names(&names) {
            // A shorter list wants room too before the longer one goes. On a full disk, this is what is to make room.
            Err(error) if error.is_about_room() => {
                self.drop_trees(lock.map(|_| &image.id));
                self.write_names(&names)?;
            }
            written => written?,
        }
        removed.untagged.push(name.clone());
        Ok(())
    }

    /// Removes an image that nobody needs, under its lock.
    pub(super) fn delete(&self, image: &Image, _lock: Lock, removed: &mut Removed) -> Result<(), Error> {
        let dir = self.image_dir(&image.id);
        removed.freed += space::of_tree(&dir);
        // The record first: without it there is no image, only garbage.
        file::remove(&dir.join("image.json"))?;
        fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
        let mut names = self.names()?;
        if names.pinned.remove(&image.id.to_string()) {
            self.write_names(&names)?;
        }
        removed.freed += self.collect_blobs()?;
        removed.deleted.push(image.id.clone());
        Ok(())
    }
}
