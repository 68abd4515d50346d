//! Pins: images that the store keeps when space is wanted. A name that is pinned pins what it stands for, also after the next pull.

use super::{Error, Image, Store, file};
use crate::image::Reference;

impl Store {
    /// Pins an image by one of its names, or by its ID; `pinned` false takes the pin off. Whether anything has changed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn pin(&self, image: &Image, name: Option<&Reference>, pinned: bool) -> Result<bool, Error> {
        let _lock = self.lock_images()?;
        let mut records = self.names()?;
        let key = name.map_or_else(|| image.id.to_string(), ToString::to_string);
        let changed = if pinned { records.pinned.insert(key) } else { records.pinned.remove(&key) };
        if changed {
            self.write_names(&records)?;
            file::sync_dir(&self.images_dir())?;
        }
        Ok(changed)
    }
}
