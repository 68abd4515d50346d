//! Images that containers may run from while they are still being fetched.
//!
//! Such an image has a tree, made from its layers' tables of contents, and at the places of the tars that are not here there are sockets
//! ([`cowfs::arriving`]). It has no record: to everybody who lists, removes or saves images it is not there. The one who fetches it
//! holds a lock on the file `arriving` in its directory; when that is gone, or nobody holds it, there is no such image any more.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cowfs::layer::LayerIndex;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::lock::{self, Kind};
use super::{Error, Image, Layer, Lease, Store, file, layer, trees};
use crate::image::{Config, Digest, MAX_MANIFEST, Platform, Reference};

/// The name of the file in an image's directory.
const ARRIVING: &str = "arriving";
/// The version of its form.
const VERSION: u32 = 1;

/// An image that is about to be fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Newcomer {
    version: u32,
    id: Digest,
    manifest: Digest,
    offered: Digest,
    name: String,
    platform: String,
    config: String,
    /// Why the rest of it does not come for now.
    failed: Option<String>,
}

impl Newcomer {
    /// An image of this name and platform; `offered`: by which digest its registry offers it. `None` where the configuration is no text.
    pub fn new(
        name: &Reference,
        platform: &Platform,
        id: &Digest,
        manifest: &Digest,
        offered: &Digest,
        config: &[u8],
    ) -> Option<Self> {
        Some(Self {
            version: VERSION,
            id: id.clone(),
            manifest: manifest.clone(),
            offered: offered.clone(),
            name: name.to_string(),
            platform: platform.to_string(),
            config: std::str::from_utf8(config).ok()?.to_owned(),
            failed: None,
        })
    }
}

/// The right to fetch an image while containers run from it. As long as this lives, [`Store::arriving`] may find the image.
#[derive(Debug)]
pub struct Landing<'a> {
    store: &'a Store,
    dir: PathBuf,
    file: Flock<File>,
    _lease: Lease,
}

impl Store {
    /// Takes the right to fetch an image; `None` where another process has it, or where the image is here.
    ///
    /// # Errors
    /// What the file system says.
    pub fn land(&self, newcomer: &Newcomer) -> Result<Option<Landing<'_>>, Error> {
        let dir = self.image_dir(&newcomer.id);
        file::create_dir(&dir)?;
        let Some(lease) = lock::at_once(&dir, Kind::Shared)? else { return Ok(None) };
        let path = dir.join(ARRIVING);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(Error::io("create", &path))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(Error::io("lock", &path)(errno.into())),
        };
        // Somebody else may have fetched it since it was looked for.
        if !is_in_place(&file, &path) || self.record(&newcomer.id)?.is_some() {
            return Ok(None);
        }
        Ok(Some(Landing { store: self, dir, file, _lease: lease.into() }))
    }

    /// Finds an image that containers can run from although it is not all here.
    ///
    /// # Errors
    /// Where its configuration cannot be used.
    pub fn arriving(&self, id: &Digest) -> Result<Option<Image>, Error> {
        let dir = self.image_dir(id);
        let path = dir.join(ARRIVING);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        if Flock::lock(file, FlockArg::LockSharedNonblock).is_ok() {
            return Ok(None);
        }
        let Some(bytes) = file::read(&path, 2 * MAX_MANIFEST)? else { return Ok(None) };
        // Nobody is let in before it is written whole.
        let Ok(newcomer) = serde_json::from_slice::<Newcomer>(&bytes) else { return Ok(None) };
        if newcomer.version != VERSION || newcomer.id != *id || !id.matches(newcomer.config.as_bytes()) {
            return Ok(None);
        }
        let unusable = |source| Error::Config { image: id.clone(), source };
        let config = Config::parse(newcomer.config.as_bytes()).map_err(unusable)?;
        let names: Vec<Reference> = Reference::parse(&newcomer.name).into_iter().collect();
        let digests = names.iter().map(|name| (name.repository(), newcomer.offered.clone())).collect();
        Ok(Some(Image {
            id: id.clone(),
            manifest: newcomer.manifest,
            platform: Platform::parse(&newcomer.platform).unwrap_or_else(|_| Platform::host()),
            names,
            digests,
            size: 0,
            pinned: false,
            created: config.created.as_deref().and_then(super::time),
            pulled: SystemTime::now(),
            tree: dir.join(trees::TREE),
            tars: config.diff_ids.iter().map(|diff_id| self.layer_dir(diff_id).join(layer::TAR)).collect(),
            config,
        }))
    }

    /// Why an image that containers were started from is not here in the end; `None` where it is, or where it is still coming.
    ///
    /// # Errors
    /// Damaged records.
    pub fn trouble(&self, id: &Digest) -> Result<Option<String>, Error> {
        if self.record(id)?.is_some() {
            return Ok(None);
        }
        if !self.is_landing(id) {
            // It may have come in this very moment.
            return Ok(self.record(id)?.is_none().then(|| "it was cut off".to_owned()));
        }
        let bytes = file::read(&self.image_dir(id).join(ARRIVING), 2 * MAX_MANIFEST)?;
        let newcomer = bytes.and_then(|bytes| serde_json::from_slice::<Newcomer>(&bytes).ok());
        Ok(newcomer.and_then(|newcomer| newcomer.failed))
    }

    /// Whether an image was being fetched by somebody who was killed: containers that have started may still wait for the rest.
    pub fn was_cut_off(&self, id: &Digest) -> bool {
        self.image_dir(id).join(ARRIVING).is_file() && !self.is_landing(id)
    }

    /// Finds an image that is here, or that containers can run from already.
    ///
    /// # Errors
    /// Damaged records.
    pub fn by_id_or_arriving(&self, id: &Digest) -> Result<Option<Image>, Error> {
        match self.by_id(id)? {
            Some(image) => Ok(Some(image)),
            None => self.arriving(id),
        }
    }

    /// Whether an image is being fetched that containers may run from.
    pub(super) fn is_landing(&self, id: &Digest) -> bool {
        File::open(self.image_dir(id).join(ARRIVING))
            .is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
    }
}

impl Landing<'_> {
    /// The index of a layer that is here.
    ///
    /// # Errors
    /// As [`Store::add`].
    pub fn index(&self, layer: &Layer) -> Result<LayerIndex, Error> {
        layer.index(&self.store.limits_of_ours())
    }

    /// Lets containers begin: writes the tree of these layers, bottom first. All sockets are in their places.
    ///
    /// # Errors
    /// [`Error::Tree`] where the layers contradict each other; what the file system says.
    pub fn open(&self, newcomer: &Newcomer, indexes: &[LayerIndex]) -> Result<(), Error> {
        let tree = cowfs::tree::merge_within(indexes, self.store.bounds.list_memory.unwrap_or(cowfs::tree::MEMORY))
            .map_err(|source| Error::Tree { image: newcomer.id.clone(), source })?;
        {
            let _lock = self.store.lock_images()?;
            file::write_bytes(&self.dir.join(trees::TREE), &tree)?;
        }
        self.write(newcomer)
    }

    /// Notes why the rest does not come for now, for those who have started containers.
    ///
    /// # Errors
    /// What the file system says.
    pub fn fail(&self, newcomer: &Newcomer, reason: &str) -> Result<(), Error> {
        self.write(&Newcomer { failed: Some(reason.to_owned()), ..newcomer.clone() })
    }

    fn write(&self, newcomer: &Newcomer) -> Result<(), Error> {
        let path = self.dir.join(ARRIVING);
        let json = serde_json::to_vec(newcomer).map_err(|source| Error::Record { path: path.clone(), source })?;
        let file: &File = &self.file;
        let written = file.set_len(0).and_then(|()| file.write_all_at(&json, 0));
        written.map_err(Error::io("write", &path))
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        // Whoever finds it later sees that nobody holds it.
        let _ = fs::remove_file(self.dir.join(ARRIVING));
        // Only a directory that nothing has come into is removed by this.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Whether the file is the one at the path.
fn is_in_place(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let numbers = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(numbers).ok() == fs::metadata(path).map(numbers).ok()
}
