//! Adding an image whose layers are all here.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::lock::{self, Kind};
use super::records::{Record, Target};
use super::{Error, Image, Layer, Slot, Store, file, trees};
use crate::image::{Digest, Platform, Reference};

/// An image as it was received.
pub struct NewImage<'a> {
    /// Its complete names; an image may have none.
    pub names: &'a [Reference],
    /// What it runs on.
    pub platform: &'a Platform,
    /// The index that led to it, where there was one, as received.
    pub index: Option<&'a [u8]>,
    /// Its manifest, as received.
    pub manifest: &'a [u8],
    /// The manifest's digest.
    pub manifest_digest: &'a Digest,
    /// The index's digest.
    pub index_digest: Option<&'a Digest>,
    /// Its configuration, as received.
    pub config: &'a [u8],
    /// The configuration's digest, which is the image's ID.
    pub id: &'a Digest,
    /// Its layers, bottom first.
    pub layers: &'a [&'a Layer],
}

impl Store {
    /// Records an image, and lets its names stand for it on its platform from now on.
    ///
    /// # Errors
    /// [`Error::Tree`] where the layers contradict each other; else what the file system says. Then nothing has changed for readers.
    pub fn add(&self, new: &NewImage<'_>) -> Result<Image, Error> {
        let size = new.layers.iter().map(|layer| layer.size()).sum::<Result<u64, Error>>()?;
        let tree = self.merge(new.layers, new.id, self.list_memory(new.layers)?)?;
        file::create_dir(&self.layers())?;
        file::sync_dir(&self.layers())?;

        let _lock = self.lock_images()?;
        for (digest, bytes) in [
            (Some(new.id), Some(new.config)),
            (Some(new.manifest_digest), Some(new.manifest)),
            (new.index_digest, new.index),
        ] {
            if let (Some(digest), Some(bytes)) = (digest, bytes) {
                self.write_blob(digest, bytes)?;
            }
        }
        let dir = self.image_dir(new.id);
        file::create_dir(&dir)?;
        file::write_bytes(&dir.join(trees::TREE), &tree)?;
        trees::used(&dir.join(trees::TREE));
        self.trim_trees();
        let pulled = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let record = Record::new(
            new.id.clone(),
            new.manifest_digest.clone(),
            new.index_digest.cloned(),
            new.platform,
            size,
            pulled,
        );
        self.write_record(&record)?;
        file::sync_dir(&dir)?;
        let offered = new.index_digest.unwrap_or(new.manifest_digest);
        if !new.names.is_empty() {
            self.point(new.names, &Target::new(new.platform, new.id.clone(), offered.clone()))?;
        }
        file::sync_dir(&self.images_dir())?;
        // The directories above, which may be as new as the rest.
        for dir in [self.root.join("blobs"), self.root.clone()] {
            file::sync_dir(&dir)?;
        }
        self.by_id(new.id)?.ok_or_else(|| Error::NoSuchImage(new.id.short().to_owned()))
    }

    /// Makes sure that an image is all here, before it is used. Its tree is put together again from its layers where it is damaged, of a
    /// format that another version of this program wrote, or was not used for so long that it was dropped.
    ///
    /// `false` where a file is missing, by hand or because another process is removing the image: then it is as good as not here.
    ///
    /// # Errors
    /// As [`Store::add`].
    pub fn mend(&self, image: &Image) -> Result<bool, Error> {
        if !image.tars.iter().all(|tar| tar.is_file()) {
            // What of it can be read already is as good as here.
            return Ok(self.is_landing(&image.id) && cowfs::tree::Tree::open(&image.tree).is_ok());
        }
        if cowfs::tree::Tree::open(&image.tree).is_ok() {
            trees::used(&image.tree);
            return Ok(true);
        }
        let mut layers = Vec::new();
        for diff_id in &image.config.diff_ids {
            match self.layer(diff_id, &|| ())? {
                Slot::Ready(layer) => layers.push(layer),
                Slot::Absent(_) => return Ok(false),
            }
        }
        // It was accepted once.
        let tree = self.merge(&layers.iter().collect::<Vec<_>>(), &image.id, u64::MAX)?;
        let _lock = self.lock_images()?;
        if self.record(&image.id)?.is_none() {
            return Ok(false);
        }
        file::write_bytes(&image.tree, &tree)?;
        trees::used(&image.tree);
        self.trim_trees();
        Ok(true)
    }

    /// What the layers amount to, bottom first. `most`: how much memory that may take, in bytes.
    fn merge(&self, layers: &[&Layer], image: &Digest, most: u64) -> Result<Vec<u8>, Error> {
        let limits = self.limits_of_ours();
        let indexes = layers.iter().map(|layer| layer.index(&limits)).collect::<Result<Vec<_>, _>>()?;
        cowfs::tree::merge_within(&indexes, most).map_err(|source| Error::Tree { image: image.clone(), source })
    }

    /// The lock that changes of records and blobs are made under.
    pub(super) fn lock_images(&self) -> Result<lock::Lock, Error> {
        let dir = self.images_dir();
        loop {
            file::create_dir(&dir)?;
            if let Some(lock) = lock::wait(&dir, Kind::Exclusive, &|| ())? {
                return Ok(lock);
            }
        }
    }

    /// Lets names stand for something, in place of what they stood for on that platform.
    pub(super) fn point(&self, names: &[Reference], target: &Target) -> Result<(), Error> {
        let mut all = self.names()?;
        for name in names {
            let targets = all.names.entry(name.to_string()).or_default();
            targets.retain(|other| !other.is_for_the_same(target));
            targets.push(target.clone());
        }
        self.write_names(&all)
    }

    pub(super) fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.blob(digest);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes.len() as u64) {
            return Ok(());
        }
        let dir = path.with_file_name("");
        file::create_dir(&dir)?;
        file::write_bytes(&path, bytes)?;
        file::sync_dir(&dir)
    }
}
