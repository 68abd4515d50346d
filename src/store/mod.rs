//! The store: images, their layers and their metadata on disk. Owns everything below
//! `$XDG_DATA_HOME/enter/v1/{blobs,layers,images}`, and knows nothing of registries.
//!
//! ```text
//! blobs/sha256/HEX              manifests, indexes and configurations, as received
//! layers/HEX of the diff_id/    layer.tar (what the diff_id hashes), layer.index (made by `cowfs`);
//!                               layer.moved, where content was listed before the tar was here (see `arriving`);
//!                               blob-HEX, the layer in a compressed form with that digest, where it is kept;
//!                               blob-HEX.partial while a pull is under way, or after it was killed;
//!                               a socket in the tar's place while containers run from what has come of it (see `arriving`)
//! layers/new-PID-N/             a layer whose digest is known only at its end, as of a commit, while it is written
//! repair-PID-N/                 a store like this one, while a repair takes in what is put in place of something damaged
//! images/HEX of the ID/         image.json (whose time of change says when the image was used last), tree (all layers resolved, mapped by `cowfs` at start; dropped when
//!                               unused for long, and made again by [`Store::mend`]);
//!                               arriving, locked, while containers may run from an image that is still being fetched
//! images/names.json             what each name stands for, for each platform
//! images/lists.json             lists of images that are put together here
//! ```
//!
//! Every file is written beside its place, synced and renamed, and after what it refers to, so that a reader never needs
//! a lock and a kill at any instant leaves at most unreferenced files. Writers agree by `flock`:
//!
//! - on a layer's directory: exclusive while it is being fetched or removed, shared while a pull that counts on it has not yet
//!   written its record. Whoever gets the lock looks whether the directory is still the one in place;
//! - on `images/`: exclusive while records and blobs change. Held for moments, and always taken after layer locks;
//! - on an image's directory: shared while a container runs from it ([`Image::lease`]).

mod add;
mod arrival;
mod arriving;
mod bounds;
mod bundle;
mod changes;
mod decode;
mod draft;
mod encode;
mod error;
mod file;
mod find;
mod frames;
mod garbage;
mod ingest;
mod kept;
mod layer;
mod limit;
mod lists;
mod load;
mod lock;
mod look;
mod make;
mod members;
mod pin;
mod pipe;
pub mod podman;
mod records;
mod remove;
mod repair;
mod save;
mod scratch;
mod send;
mod space;
mod tag;
mod tee;
mod time;
mod toc;
mod trees;
mod unpack;
mod verify;
mod watch;
mod workers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use add::NewImage;
pub use arrival::{Arrival, Ranges};
pub use arriving::{Landing, Newcomer};
pub use bounds::Bounds;
pub use bundle::Bundle;
pub use changes::LayerChange;
pub use cowfs::layer::Limits;
pub use decode::Decoder;
pub use draft::Draft;
pub use encode::{Compression, Encoded};
pub use error::Error;
pub use garbage::Pruned;
pub use kept::{Keeping, Kept};
pub use layer::{Layer, Pending, Slot};
pub use limit::Dropped;
pub use load::{Layout, Loaded, Wanted};
pub use lock::Lease;
pub use remove::{Holder, Removal, Removed, Unknown};
pub use repair::Shadow;
pub use save::{Named, Packing};
pub use space::{Share, Usage};
pub use time::parse as time;
pub use toc::{MAX_TABLE, TAIL, Toc, Unfit};
pub use unpack::Unpacked;
pub use verify::{Damage, Owner, Part, Verified};
pub use watch::Watch;

use crate::image::{Config, Digest, Platform, Reference};

/// The images of one user. Cheap to make; creates nothing before something is added.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    limits: Limits,
    bounds: Bounds,
    keep: bool,
}

/// An image whose layers are all here.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its ID: the digest of its configuration.
    pub id: Digest,
    /// The digest of the manifest that it was pulled by last.
    pub manifest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// The names that lead to it, complete; none if it is dangling.
    pub names: Vec<Reference>,
    /// For each of its repositories, the digest by which the registry offered it (that of the index, where there was one).
    pub digests: BTreeMap<String, Digest>,
    /// What its layers take on disk, in bytes; shared layers count in every image.
    pub size: u64,
    /// When it was made, by its own account.
    pub created: Option<SystemTime>,
    /// When it was pulled last.
    pub pulled: SystemTime,
    /// Whether it is kept when space is wanted.
    pub pinned: bool,
    /// How to run it.
    pub config: Config,
    /// The resolved tree of all layers, for `cowfs`. It may be missing until [`Store::mend`].
    pub tree: PathBuf,
    /// The layers' tars, bottom first.
    pub tars: Vec<PathBuf>,
}

impl Store {
    /// The store below `root`, which is `…/enter/v1` and need not exist.
    ///
    /// # Errors
    /// [`Error::Io`] where something other than a directory is in its place.
    pub fn open(root: &Path) -> Result<Self, Error> {
        match std::fs::metadata(root) {
            Ok(metadata) if !metadata.is_dir() => {
                Err(Error::io("open the store", root)(std::io::ErrorKind::NotADirectory.into()))
            }
            Ok(_) => Ok(Self::at(root)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::at(root)),
            Err(error) => Err(Error::io("open the store", root)(error)),
        }
    }

    fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), limits: Limits::default(), bounds: Bounds::default(), keep: true }
    }

    /// The same store with other limits for the layers that are added.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same store, which keeps the compressed forms of layers that are taken in, or does not.
    pub fn keeping_compressed(self, keep: bool) -> Self {
        Self { keep, ..self }
    }

    /// Whether compressed forms are kept.
    pub fn keeps_compressed(&self) -> bool {
        self.keep
    }

    /// What is accepted of the layers that are added.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn layer_dir(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    fn images_dir(&self) -> PathBuf {
        self.root.join("images")
    }

    fn image_dir(&self, id: &Digest) -> PathBuf {
        self.images_dir().join(id.hex())
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }
}

#[cfg(test)]
mod tests;
