//! What a push wants to know of images, and leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use super::records::Target;
use super::{Error, Image, Store};
use crate::image::{Digest, Document, Platform, Reference, parse_document};

impl Store {
    /// The manifest of an image by which a name came, or else the one by which it came last.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] where it has been removed since it was found.
    pub fn manifest_for(&self, image: &Image, name: Option<&Reference>) -> Result<Vec<u8>, Error> {
        let found = self.manifest_of(image, name.map(std::slice::from_ref).unwrap_or_default())?;
        found.map(|(_, bytes)| bytes).ok_or_else(|| Error::NoSuchImage(image.id.short().to_owned()))
    }

    /// The index that led to what a name stands for, where there was one.
    ///
    /// # Errors
    /// Damaged records.
    pub fn index_of(&self, name: &Reference, platform: &Platform) -> Result<Option<Vec<u8>>, Error> {
        let Some(offered) = self.offered(name, platform)? else { return Ok(None) };
        let document = self.document(&offered)?;
        Ok(document.filter(|bytes| matches!(parse_document(bytes, None), Ok(Document::Index(_)))))
    }

    /// All images that a name stands for: one for each platform.
    ///
    /// # Errors
    /// Damaged records.
    pub fn all_platforms(&self, name: &Reference) -> Result<Vec<Image>, Error> {
        let mut images = Vec::new();
        for target in self.names()?.names.get(&name.to_string()).into_iter().flatten() {
            images.extend(self.by_id(&target.image)?);
        }
        Ok(images)
    }

    /// In which repositories of a registry a blob should be, by the names of the images that have it.
    ///
    /// # Errors
    /// Damaged records.
    pub fn repositories_of_blobs(&self, domain: &str) -> Result<BTreeMap<Digest, BTreeSet<String>>, Error> {
        let mut found: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
        for image in self.images()? {
            for name in image.names.iter().filter(|name| name.domain() == domain) {
                let Ok(manifest) = self.manifest_for(&image, Some(name)) else { continue };
                if let Ok(Document::Manifest(manifest)) = parse_document(&manifest, None) {
                    for blob in manifest.layers.into_iter().chain([manifest.config]) {
                        found.entry(blob.digest).or_default().insert(name.path().to_owned());
                    }
                }
            }
        }
        Ok(found)
    }

    /// Notes as what a registry offers a name now. Nothing happens where the name stands for another image here.
    ///
    /// # Errors
    /// What the file system says.
    pub fn pushed(&self, name: &Reference, image: &Image, manifest: &[u8], offered: &[u8]) -> Result<(), Error> {
        let _lock = self.lock_images()?;
        let mut names = self.names()?;
        let Some(targets) = names.names.get_mut(&name.to_string()) else { return Ok(()) };
        let digest = Digest::of(offered);
        let Some(own) = targets.iter_mut().find(|target| target.image == image.id && target.digest != digest) else {
            return Ok(());
        };
        *own = Target::new(&image.platform, image.id.clone(), digest.clone());
        self.write_blob(&digest, offered)?;
        self.write_blob(&Digest::of(manifest), manifest)?;
        self.write_names(&names)
    }
}
