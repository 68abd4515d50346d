//! Keeping the store below a size: what nothing needs goes first, then what was not used for longest.
//!
//! Nothing that is used goes: the locks are those of `prune` and `rmi`, and who uses an image is asked under them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::time::SystemTime;

use super::lock::{self, Kind};
use super::remove::{Holder, Removed, Unknown};
use super::{Error, Image, Kept, Store, space};
use crate::image::Digest;

/// What was dropped to keep the store small.
#[derive(Debug, Default)]
pub struct Dropped {
    /// How many compressed forms of layers.
    pub forms: usize,
    /// The images that are gone, with the names that they had.
    pub images: Vec<Image>,
    /// Bytes of disk that were freed.
    pub freed: u64,
    /// What the store takes now, in bytes of disk.
    pub total: u64,
}

impl Store {
    /// Makes the store take at most `most` bytes of disk, as far as that is possible: drops compressed forms, then what no image needs, then
    /// images that are neither pinned nor used by a container nor among `keep`, the one that was not used for longest first.
    ///
    /// # Errors
    /// Damaged records; what the file system says. What was dropped until then is gone.
    pub fn limit(
        &self,
        most: u64,
        keep: &BTreeSet<Digest>,
        holder: &dyn Fn(&Digest) -> Result<Option<Holder>, Unknown>,
    ) -> Result<Dropped, Error> {
        let mut dropped = Dropped { total: self.usage()?.total, ..Dropped::default() };
        if dropped.total <= most {
            return Ok(dropped);
        }
        let over = Cell::new(dropped.total - most);
        let take = |kept: &Kept| {
            let wanted = over.get() > 0;
            if wanted {
                over.set(over.get().saturating_sub(space::of_file(&kept.path)));
            }
            wanted
        };
        let forms = self.drop_compressed(&take)?;
        (dropped.forms, dropped.freed) = (forms.layers, forms.freed);
        dropped.total = self.usage()?.total;
        if dropped.total > most {
            dropped.freed += self.prune()?.freed;
            dropped.total = self.usage()?.total;
        }
        if dropped.total > most {
            let mut images: Vec<(SystemTime, Image)> =
                self.images()?.into_iter().map(|image| (self.last_used(&image), image)).collect();
            images.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.id.cmp(&b.id)));
            for (_, image) in images {
                if dropped.total <= most {
                    break;
                }
                if image.pinned || keep.contains(&image.id) {
                    continue;
                }
                if let Some(removed) = self.evict(&image, holder)? {
                    dropped.freed += removed.freed;
                    dropped.total = self.usage()?.total;
                    dropped.images.push(image);
                }
            }
        }
        Ok(dropped)
    }

    /// When an image was used last: started from, or pulled.
    pub fn last_used(&self, image: &Image) -> SystemTime {
        let record = self.image_dir(&image.id).join("image.json");
        fs::metadata(record).and_then(|metadata| metadata.modified()).unwrap_or(image.pulled)
    }

    /// Removes an image with all its names, if nobody uses it and nobody has pinned it; `None` where somebody does.
    fn evict(
        &self,
        image: &Image,
        holder: &dyn Fn(&Digest) -> Result<Option<Holder>, Unknown>,
    ) -> Result<Option<Removed>, Error> {
        let images = self.lock_images()?;
        let Some(lock) = lock::at_once(&self.image_dir(&image.id), Kind::Exclusive)? else { return Ok(None) };
        let unknown = |source| Error::Users { image: image.id.clone(), source };
        // It may have been named, pinned or used since it was looked at.
        let Some(now) = self.by_id(&image.id)?.filter(|now| !now.pinned && now.names == image.names) else {
            return Ok(None);
        };
        if holder(&image.id).map_err(unknown)?.is_some() || self.last_used(&now) != self.last_used(image) {
            return Ok(None);
        }
        let mut removed = Removed::default();
        for name in &now.names {
            self.take_name_off(&now, name, Some(&lock), &mut removed)?;
        }
        self.delete(&now, lock, &mut removed)?;
        // Layer locks are never taken under this one.
        drop(images);
        removed.freed += self.collect(&now.config.diff_ids.iter().cloned().collect())?;
        Ok(Some(removed))
    }
}
