//! What the store takes on disk, and what of that each image alone would free.
//!
//! Counted as du(1) counts: the blocks of files and directories, not their lengths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layer::{INDEX, TAR};
use super::{Error, Store, file, kept, layer};
use crate::image::{Descriptor, Digest};

/// `st_blocks` counts in these, whatever the file system has (stat(2)).
const BLOCK: u64 = 512;

/// What the store takes, in bytes of disk.
#[derive(Debug, Default, Clone)]
pub struct Usage {
    /// For each image.
    pub images: BTreeMap<Digest, Share>,
    /// All of it.
    pub total: u64,
    /// What no image needs, compressed forms of layers included: what the next prune frees, whichever images stay.
    pub idle: u64,
    /// Each thing that images need, by its bare need, with who needs it.
    parts: Vec<(u64, BTreeSet<Digest>)>,
}

impl Usage {
    /// What would be free without all images but these, in bytes of disk.
    pub fn free_without_all_but(&self, used: &BTreeSet<Digest>) -> u64 {
        let free = self.parts.iter().filter(|(_, users)| users.is_disjoint(used));
        self.idle + free.map(|(bare, _)| bare).sum::<u64>()
    }
}

/// What an image takes, in bytes of disk.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What would be free without it, and without the compressed forms of what it alone has.
    pub unique: u64,
    /// What other images need too.
    pub shared: u64,
}

/// The blocks of one file or directory, in bytes; 0 where there is none.
pub(super) fn of_file(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.blocks() * BLOCK)
}

/// A directory with all that is in it.
pub(super) fn of_tree(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let inner = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => of_tree(&entry.path()),
        _ => of_file(&entry.path()),
    });
    of_file(dir) + inner.sum::<u64>()
}

impl Store {
    /// What it takes on disk.
    ///
    /// # Errors
    /// Damaged records; what the file system says.
    pub fn usage(&self) -> Result<Usage, Error> {
        // What each image needs: layers' directories, blobs, and its own.
        let mut needs: BTreeMap<Digest, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut users: BTreeMap<PathBuf, BTreeSet<Digest>> = BTreeMap::new();
        let documents = self.documents_of_images()?;
        for id in self.ids()? {
            if self.record(&id)?.is_none() {
                continue;
            }
            let Some(config) = self.config(&id)? else { continue };
            let mut own: BTreeSet<_> = config.diff_ids.iter().map(|diff_id| self.layer_dir(diff_id)).collect();
            own.extend(documents.get(&id).into_iter().flatten().map(|digest| self.blob(digest)));
            for path in &own {
                users.entry(path.clone()).or_default().insert(id.clone());
            }
            needs.insert(id, own);
        }
        let mut usage = Usage::default();
        let mut needed = 0;
        // The bare need of a layer, and with its compressed forms.
        let mut sizes: BTreeMap<&Path, (u64, u64)> = BTreeMap::new();
        for (path, users) in &users {
            let whole = of_tree(path);
            let bare = if path.is_dir() {
                of_file(path) + [TAR, INDEX].iter().map(|name| of_file(&path.join(name))).sum::<u64>()
            } else {
                whole
            };
            needed += bare;
            usage.parts.push((bare, users.clone()));
            sizes.insert(path, (bare, whole));
        }
        for (id, own) in &needs {
            let dir = of_tree(&self.image_dir(id));
            needed += dir;
            usage.parts.push((dir, BTreeSet::from([id.clone()])));
            let mut share = Share { unique: dir, shared: 0 };
            for path in own {
                let (bare, whole) = sizes.get(path.as_path()).copied().unwrap_or_default();
                if users.get(path).is_some_and(|users| users.len() > 1) {
                    share.shared += bare;
                } else {
                    share.unique += whole;
                }
            }
            usage.images.insert(id.clone(), share);
        }
        let folders = [self.root.join("blobs"), self.layers(), self.images_dir()];
        usage.total = folders.iter().map(|folder| of_tree(folder)).sum();
        let shadows = file::list(&self.root)?;
        let shadows = shadows.iter().filter(|name| name.starts_with(super::repair::PREFIX));
        usage.total += shadows.map(|name| of_tree(&self.root.join(name))).sum::<u64>();
        // The folders themselves are nobody's, and stay.
        let kept =
            [self.root.join("blobs/sha256"), self.root.join("blobs/sha512"), self.images_dir().join("names.json")];
        let frame: u64 = folders.iter().chain(&kept).map(|path| of_file(path)).sum();
        usage.idle = usage.total.saturating_sub(needed + frame);
        Ok(usage)
    }

    /// How many bytes of a layer's blob are still to come; 0 where the layer is here.
    pub fn missing(&self, diff_id: &Digest, blob: &Descriptor) -> u64 {
        let dir = self.layer_dir(diff_id);
        if layer::is_complete(&dir) {
            return 0;
        }
        let part = fs::metadata(dir.join(kept::part_name(&blob.digest))).map_or(0, |metadata| metadata.len());
        blob.size.saturating_sub(part)
    }

    /// How much the file system of the store still takes, in bytes, for this user.
    ///
    /// # Errors
    /// What the file system says.
    pub fn room(&self) -> Result<u64, Error> {
        let mut place = self.root.as_path();
        // The store itself need not exist yet.
        while !place.exists() {
            match place.parent() {
                Some(above) => place = above,
                None => break,
            }
        }
        let found = nix::sys::statvfs::statvfs(place)
            .map_err(|errno| Error::io("look at the space of", place)(errno.into()))?;
        Ok(found.blocks_available().saturating_mul(found.fragment_size()))
    }
}
