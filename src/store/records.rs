//! The records below `images/`: JSON, with a version, replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Error, Store, file};
use crate::image::{Config, Digest, MAX_MANIFEST, Platform};

/// The version of every record here.
const VERSION: u32 = 1;
/// The largest record that is read, in bytes: names of some hundred thousand images.
const MAX_RECORD: u64 = 64 << 20;

/// `images/names.json`.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Names {
    version: u32,
    /// By complete name, what it stands for on each platform.
    pub names: BTreeMap<String, Vec<Target>>,
    /// Complete names, and IDs, of images that stay when space is wanted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pinned: BTreeSet<String>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `os/architecture[/variant]`.
    platform: String,
    /// The image's ID.
    pub image: Digest,
    /// The digest by which the registry offered it: that of the index, or of the manifest where there is none.
    pub digest: Digest,
}

/// `images/HEX/image.json`. What the configuration says is not repeated here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The image's ID.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Digest,
    /// The index that led to it.
    pub index: Option<Digest>,
    platform: String,
    /// All layers, in bytes.
    pub size: u64,
    /// In seconds since 1970.
    pub pulled: u64,
}

impl Target {
    /// Makes one.
    pub fn new(platform: &Platform, image: Digest, digest: Digest) -> Self {
        Self { platform: platform.to_string(), image, digest }
    }

    /// How well it suits a platform, as [`Platform::distance`].
    pub fn distance(&self, wanted: &Platform) -> Option<u32> {
        wanted.distance(&Platform::parse(&self.platform).ok()?)
    }

    /// What it runs on.
    pub fn platform(&self) -> Platform {
        Platform::parse(&self.platform).unwrap_or_else(|_| Platform::host())
    }

    /// Whether it is for the same platform as another.
    pub fn is_for_the_same(&self, other: &Target) -> bool {
        self.platform == other.platform
    }
}

impl Record {
    /// Makes one.
    pub fn new(
        id: Digest,
        manifest: Digest,
        index: Option<Digest>,
        platform: &Platform,
        size: u64,
        pulled: u64,
    ) -> Self {
        Self { version: VERSION, id, manifest, index, platform: platform.to_string(), size, pulled }
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        Platform::parse(&self.platform).unwrap_or_else(|_| Platform::host())
    }
}

impl Store {
    /// Reads what each name stands for.
    pub(super) fn names(&self) -> Result<Names, Error> {
        let path = self.images_dir().join("names.json");
        Ok(read(&path)?.unwrap_or_default())
    }

    /// Replaces it. The caller holds the lock of `images/`.
    pub(super) fn write_names(&self, names: &Names) -> Result<(), Error> {
        let path = self.images_dir().join("names.json");
        let mut names = Names { version: VERSION, ..names.clone() };
        let Names { names: all, pinned, .. } = &mut names;
        // A pin goes with its name.
        pinned.retain(|pin| Digest::parse(pin).is_ok() || all.contains_key(pin));
        write(&path, &names)
    }

    /// Reads an image's record; `None` where there is no such image.
    pub(super) fn record(&self, id: &Digest) -> Result<Option<Record>, Error> {
        read(&self.image_dir(id).join("image.json"))
    }

    /// Replaces an image's record. The caller holds the lock of `images/`.
    pub(super) fn write_record(&self, record: &Record) -> Result<(), Error> {
        write(&self.image_dir(&record.id).join("image.json"), record)
    }

    /// Reads an image's configuration; `None` where the blob is gone, which happens only while the image is being removed.
    pub(super) fn config(&self, id: &Digest) -> Result<Option<Config>, Error> {
        let Some(bytes) = file::read(&self.blob(id), MAX_MANIFEST)? else { return Ok(None) };
        Config::parse(&bytes).map(Some).map_err(|source| Error::Config { image: id.clone(), source })
    }

    /// The IDs of all images that have a directory.
    pub(super) fn ids(&self) -> Result<Vec<Digest>, Error> {
        let names = file::list(&self.images_dir())?;
        let id = |hex: &String| {
            let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
            Digest::parse(&format!("{algorithm}:{hex}")).ok()
        };
        Ok(names.iter().filter_map(id).collect())
    }
}

pub(super) fn read<T: DeserializeOwned>(path: &std::path::Path) -> Result<Option<T>, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Some(bytes) = file::read(path, MAX_RECORD)? else { return Ok(None) };
    let damaged = |source| Error::Record { path: path.to_owned(), source };
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(Error::Version { path: path.to_owned(), found: version, known: VERSION });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

pub(super) fn write<T: Serialize>(path: &std::path::Path, record: &T) -> Result<(), Error> {
    let mut bytes =
        serde_json::to_vec_pretty(record).map_err(|source| Error::Record { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    file::write_bytes(path, &bytes)
}
