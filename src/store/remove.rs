//! Removing names and images.

use std::collections::BTreeSet;
use std::fs;

use super::lock::{self, Kind};
use super::{Error, Image, Store, file};
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

impl Store {
    /// Removes what `query` (as [`Store::find`] takes it) names: a name, and with its last name the image; or by ID the image with its only name,
    /// with all its names if `force` is given. Layers and blobs that no other image needs go with it.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::InUse`], [`Error::ManyNames`], and what the file system says.
    pub fn remove(&self, query: &str, platform: &Platform, force: bool) -> Result<Removed, Error> {
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
        let mut removed = Removed::default();
        let image = match by_name {
            Some((name, image)) => {
                if image.names.len() == 1 {
                    self.check_unused(&image, query)?;
                }
                self.take_name_off(&image, &name, &mut removed)?;
                if image.names.len() > 1 {
                    return Ok(removed);
                }
                image
            }
            None => {
                let image = self.find(query, platform)?.ok_or_else(none)?;
                if image.names.len() > 1 && !force {
                    let names = image.names.iter().map(Reference::familiar).collect();
                    return Err(Error::ManyNames { id: image.id, names });
                }
                self.check_unused(&image, query)?;
                for name in &image.names {
                    self.take_name_off(&image, name, &mut removed)?;
                }
                image
            }
        };
        self.delete(&image, query, &mut removed)?;
        // Layer locks are never taken under this one.
        drop(images);
        let layers: BTreeSet<Digest> = image.config.diff_ids.iter().cloned().collect();
        removed.freed += self.collect(&layers)?;
        Ok(removed)
    }

    /// The image that a name stands for where it is the only one, whatever its platform.
    fn only_target(&self, name: &Reference) -> Result<Option<Image>, Error> {
        match self.names()?.names.get(&name.to_string()).map(Vec::as_slice) {
            Some([only]) => self.by_id(&only.image),
            _ => Ok(None),
        }
    }

    fn check_unused(&self, image: &Image, query: &str) -> Result<(), Error> {
        match lock::at_once(&self.image_dir(&image.id), Kind::Exclusive)? {
            Some(_) => Ok(()),
            None => Err(Error::InUse(query.to_owned())),
        }
    }

    fn take_name_off(&self, image: &Image, name: &Reference, removed: &mut Removed) -> Result<(), Error> {
        let mut names = self.names()?;
        let key = name.to_string();
        if let Some(targets) = names.names.get_mut(&key) {
            targets.retain(|target| target.image != image.id);
            if targets.is_empty() {
                names.names.remove(&key);
            }
        }
        self.write_names(&names)?;
        removed.untagged.push(name.clone());
        Ok(())
    }

    fn delete(&self, image: &Image, query: &str, removed: &mut Removed) -> Result<(), Error> {
        let dir = self.image_dir(&image.id);
        let Some(_lock) = lock::at_once(&dir, Kind::Exclusive)? else {
            return Err(Error::InUse(query.to_owned()));
        };
        // The record first: without it there is no image, only garbage.
        file::remove(&dir.join("image.json"))?;
        fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
        self.collect_blobs()?;
        removed.deleted.push(image.id.clone());
        Ok(())
    }
}
