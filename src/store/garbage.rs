//! What no image needs: layers, blobs, and what killed pulls left.
//!
//! A layer is removed only under its exclusive lock and only if, under that lock, no record mentions it. A pull holds its layers'
//! shared locks until it has written its record, so that either the record is seen here or the lock is not had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::lock::{self, Kind};
use super::{Error, Store, file, layer, space};
use crate::image::{Digest, Document, parse_document};

/// How long what a later pull may use is kept for that.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What was thrown away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many layers or parts of layers.
    pub layers: usize,
    /// Bytes of disk that were freed.
    pub freed: u64,
}

impl Store {
    /// Throws away all that no image needs, what a killed pull left included.
    ///
    /// # Errors
    /// Damaged records, before anything is removed; what the file system says.
    pub fn prune(&self) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let needed: BTreeSet<_> = self.needed_layers()?.iter().map(|diff_id| self.layer_dir(diff_id)).collect();
        for dir in self.layer_dirs()?.into_iter().filter(|dir| !needed.contains(dir)) {
            if let Some(freed) = self.collect_layer(&dir)? {
                pruned.layers += 1;
                pruned.freed += freed;
            }
        }
        pruned.freed += self.collect_parts()?;
        if self.images_dir().is_dir() {
            let _lock = self.lock_images()?;
            pruned.freed += self.collect_blobs()? + self.collect_images()?;
        }
        pruned.freed += self.collect_shadows()?;
        Ok(pruned)
    }

    /// Throws away what failed and killed pulls left, unless another pull may soon go on from it: parts of blobs, and whole layers that no image
    /// has come to need within a day.
    ///
    /// # Errors
    /// As [`Store::prune`].
    pub fn sweep(&self) -> Result<(), Error> {
        let needed: BTreeSet<_> = self.needed_layers()?.iter().map(|diff_id| self.layer_dir(diff_id)).collect();
        for dir in self.layer_dirs()?.into_iter().filter(|dir| !needed.contains(dir)) {
            if !is_young(&dir, if layer::is_complete(&dir) { layer::INDEX } else { layer::PARTIAL }) {
                self.collect_layer(&dir)?;
            }
        }
        Ok(())
    }

    /// Throws away what there is of a layer that is not whole, unless another process is fetching it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(&self, diff_id: &Digest) -> Result<(), Error> {
        let dir = self.layer_dir(diff_id);
        match lock::at_once(&dir, Kind::Exclusive)? {
            Some(_lock) if !layer::is_complete(&dir) => layer::remove_dir(&dir),
            _ => Ok(()),
        }
    }

    /// Removes those of some layers that no image needs any more; returns the bytes freed.
    pub(super) fn collect(&self, layers: &BTreeSet<Digest>) -> Result<u64, Error> {
        let mut freed = 0;
        for diff_id in layers {
            freed += self.collect_layer(&self.layer_dir(diff_id))?.unwrap_or(0);
        }
        Ok(freed)
    }

    fn collect_layer(&self, dir: &Path) -> Result<Option<u64>, Error> {
        let Some(_lock) = lock::at_once(dir, Kind::Exclusive)? else { return Ok(None) };
        if self.needed_layers()?.iter().any(|diff_id| self.layer_dir(diff_id) == dir) {
            return Ok(None);
        }
        let freed = space::of_tree(dir);
        layer::remove_dir(dir)?;
        Ok(Some(freed))
    }

    fn layer_dirs(&self) -> Result<Vec<std::path::PathBuf>, Error> {
        Ok(file::list(&self.layers())?.into_iter().map(|name| self.layers().join(name)).collect())
    }

    /// All layers that some image needs. An image that cannot be read makes this fail, and nothing is removed.
    fn needed_layers(&self) -> Result<BTreeSet<Digest>, Error> {
        let mut needed = BTreeSet::new();
        for id in self.ids()? {
            if self.record(&id)?.is_some() {
                needed.extend(self.config(&id)?.into_iter().flat_map(|config| config.diff_ids));
            }
        }
        Ok(needed)
    }

    /// Removes the blobs that no image needs; returns the bytes freed. The caller holds the lock of `images/`.
    pub(super) fn collect_blobs(&self) -> Result<u64, Error> {
        // Names that cannot be read may need any of them.
        if self.names().is_err() {
            return Ok(0);
        }
        let needed: BTreeSet<_> =
            self.documents_of_images()?.values().flatten().map(|digest| self.blob(digest)).collect();
        let mut freed = 0;
        for algorithm in ["sha256", "sha512"] {
            let dir = self.root.join("blobs").join(algorithm);
            for name in file::list(&dir)? {
                let path = dir.join(name);
                if !needed.contains(&path) {
                    freed += space::of_file(&path);
                    file::remove(&path)?;
                }
            }
        }
        Ok(freed)
    }

    /// The documents that each image needs: those that its record names, and those that its names were offered by.
    pub(super) fn documents_of_images(&self) -> Result<BTreeMap<Digest, BTreeSet<Digest>>, Error> {
        let mut documents: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
        for id in self.ids()? {
            if let Some(record) = self.record(&id)? {
                let own = [Some(record.id), Some(record.manifest), record.index];
                documents.insert(id, own.into_iter().flatten().collect());
            }
        }
        for target in self.names()?.names.into_values().flatten() {
            documents.entry(target.image.clone()).or_default().extend(self.offered_documents(&target.digest));
        }
        Ok(documents)
    }

    /// What a name was offered as, and the manifests that lead from there: an image that came by two manifests, with the same configuration
    /// but layers that were compressed otherwise, has a record of the last one only.
    pub(super) fn offered_documents(&self, digest: &Digest) -> BTreeSet<Digest> {
        let mut documents = BTreeSet::from([digest.clone()]);
        if let Ok(Some(bytes)) = self.document(digest)
            && let Ok(Document::Index(index)) = parse_document(&bytes, None)
        {
            documents.extend(index.candidates.into_iter().map(|candidate| candidate.manifest.digest));
        }
        documents
    }

    /// Removes directories of images whose record was never written, or is gone. The caller holds the lock of `images/`.
    fn collect_images(&self) -> Result<u64, Error> {
        let mut freed = 0;
        for id in self.ids()? {
            let dir = self.image_dir(&id);
            if self.record(&id)?.is_none() && !self.is_landing(&id) {
                freed += space::of_tree(&dir);
                fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
            }
        }
        Ok(freed)
    }
}

/// Whether a directory has a file whose name ends so, and that was written lately.
fn is_young(dir: &Path, end: &str) -> bool {
    let young = |name: &String| {
        let modified = fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age < KEPT))
    };
    file::list(dir).is_ok_and(|names| names.iter().any(|name| name.ends_with(end) && young(name)))
}
