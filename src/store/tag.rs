//! Giving images names, and taking them away.

use super::records::Target;
use super::{Error, Image, Store, file};
use crate::image::{Digest, Reference};

impl Store {
    /// Lets `names` stand for an image too, in place of what they stood for on that image's platform: all of them, or none.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] where it has been removed since it was found; damaged records.
    pub fn tag(&self, image: &Digest, names: &[Reference]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let _lock = self.lock_images()?;
        let record = self.record(image)?.ok_or_else(|| Error::NoSuchImage(image.short().to_owned()))?;
        let digest = record.index.clone().unwrap_or_else(|| record.manifest.clone());
        self.point(names, &Target::new(&record.platform(), record.id.clone(), digest))?;
        file::sync_dir(&self.images_dir())
    }

    /// Takes `names` off an image, or all that it has where none are given. The image stays. Returns the names that are gone.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] for a name that does not stand for this image, before any is taken off.
    pub fn untag(&self, image: &Image, names: &[Reference]) -> Result<Vec<Reference>, Error> {
        let _lock = self.lock_images()?;
        let mut records = self.names()?;
        let own = |name: &Reference| {
            let targets = records.names.get(&name.to_string());
            targets.is_some_and(|targets| targets.iter().any(|target| target.image == image.id))
        };
        let gone: Vec<Reference> = if names.is_empty() { image.names.clone() } else { names.to_vec() };
        if let Some(other) = names.iter().find(|name| !own(name)) {
            return Err(Error::NoSuchImage(other.familiar()));
        }
        for name in &gone {
            let key = name.to_string();
            if let Some(targets) = records.names.get_mut(&key) {
                targets.retain(|target| target.image != image.id);
                if targets.is_empty() {
                    records.names.remove(&key);
                }
            }
        }
        self.write_names(&records)?;
        file::sync_dir(&self.images_dir())?;
        Ok(gone)
    }
}
