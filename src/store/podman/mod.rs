//! Reading images out of the store of podman and buildah (containers/storage), without them and without changing anything.
//!
//! It unpacks layers, and keeps beside each one what a tar says and files do not (`tar-split`), so that the very tar can be put together
//! again; that it is the very one is proved by its digest. What lies there belongs to the user, but files may belong to the user's subordinate
//! ids: whoever calls says how they are opened ([`Files`]).

mod records;
mod tarsplit;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::bundle::wrong;
use super::load::Wanted;
use super::{Decoder, Error, Layer, Loaded, NewImage, Slot, Store, file};
use crate::image::{Config, Digest, Document, MAX_MANIFEST, Manifest, Platform, Reference, Stored, parse_document};
use records::{ImageRecord, LayerRecord};
use tarsplit::Tar;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 64 << 20;

/// A store of podman's.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
    driver: String,
}

/// Opens files of unpacked layers.
pub trait Files {
    /// The file at `path` below `folder`, out of which no link leads.
    ///
    /// # Errors
    /// What the kernel says.
    fn open(&mut self, folder: &Path, path: &Path) -> io::Result<File>;
}

impl Storage {
    /// The store at `root`; `None` where there is none. `driver` is the one that is found there, if none is said.
    pub fn at(root: &Path, driver: Option<&str>) -> Option<Self> {
        let is = |driver: &&str| root.join(format!("{driver}-images")).is_dir();
        let driver = match driver {
            Some(driver) => Some(driver).filter(is),
            None => ["overlay", "vfs", "btrfs", "zfs"].into_iter().find(is),
        };
        driver.map(|driver| Self { root: root.to_owned(), driver: driver.to_owned() })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn images(&self) -> PathBuf {
        self.root.join(format!("{}-images", self.driver))
    }

    fn layers(&self) -> PathBuf {
        self.root.join(format!("{}-layers", self.driver))
    }

    /// Where a layer's files are.
    fn files(&self, layer: &LayerRecord) -> Result<PathBuf, Error> {
        match self.driver.as_str() {
            "overlay" => Ok(self.root.join("overlay").join(&layer.id).join("diff")),
            "vfs" => Ok(self.root.join("vfs/dir").join(&layer.id)),
            other => Err(Error::Foreign(format!("podman's driver {other} keeps layers where only root can look"))),
        }
    }

    fn records(&self) -> Result<Vec<ImageRecord>, Error> {
        let path = self.images().join("images.json");
        let bytes = file::read(&path, MAX_LIST)?.unwrap_or_else(|| b"[]".to_vec());
        records::images(&bytes).map_err(|source| Error::Record { path, source })
    }

    /// The layers from the bottom up to `top`.
    fn chain(&self, top: &str) -> Result<Vec<LayerRecord>, Error> {
        let mut all = Vec::new();
        for name in ["layers.json", "volatile-layers.json"] {
            let path = self.layers().join(name);
            if let Some(bytes) = file::read(&path, MAX_LIST)? {
                all.extend(records::layers(&bytes).map_err(|source| Error::Record { path, source })?);
            }
        }
        records::chain(all, top)
            .ok_or_else(|| wrong(format!("the list of layers there has no {}", super::bundle::shown(top))))
    }

    /// What it keeps for an image under a key.
    fn data(&self, image: &ImageRecord, key: &str) -> Result<Option<Vec<u8>>, Error> {
        file::read(&self.images().join(&image.id).join(records::file_name(key)), MAX_MANIFEST)
    }

    /// The manifest of an image for a platform, as received, with its digest.
    fn manifest(
        &self,
        image: &ImageRecord,
        wanted: &Wanted,
    ) -> Result<(ImageRecord, Vec<u8>, Digest, Manifest), Error> {
        let gone = || Error::Foreign("podman removed the image just now".to_owned());
        let bytes = self.data(image, "manifest")?.ok_or_else(gone)?;
        match parse_document(&bytes, None).map_err(Error::Document)? {
            Document::Manifest(manifest) => {
                Ok((image.clone(), Digest::of(&bytes), bytes, manifest)).map(|(a, b, c, d)| (a, c, b, d))
            }
            Document::Index(index) => {
                let chosen = &index.choose(&wanted.platform).map_err(Error::Document)?.manifest.digest;
                let key = format!("manifest-{chosen}");
                let found =
                    self.records()?.into_iter().find(|other| other.has(&key) || other.digest.as_ref() == Some(chosen));
                let Some(found) = found else {
                    return Err(Error::Foreign(format!(
                        "podman has a list of images for several platforms, but not the one for {}",
                        wanted.platform
                    )));
                };
                let bytes = match self.data(&found, &key)? {
                    Some(bytes) => bytes,
                    None => self.data(&found, "manifest")?.ok_or_else(gone)?,
                };
                match parse_document(&bytes, None).map_err(Error::Document)? {
                    Document::Manifest(manifest) => {
                        let digest = Digest::of(&bytes);
                        Ok((found, bytes, digest, manifest))
                    }
                    Document::Index(_) => Err(wrong("an index there leads to another index")),
                }
            }
        }
    }
}

/// What was asked for.
fn told(stored: &Stored) -> String {
    let id = stored.id.as_ref().map(|id| format!("@{id}")).unwrap_or_default();
    format!("{}{id}", stored.name.as_ref().map(Reference::familiar).unwrap_or_default())
}

impl Store {
    /// Takes in an image that the first of several stores of podman's has, by the names that it has there.
    ///
    /// # Errors
    /// [`Error::Foreign`] for what is not there, or cannot be read; [`Error::Digest`] for what is not what it was.
    pub fn take_stored(
        &self,
        storages: &[Storage],
        stored: &Stored,
        wanted: &Wanted,
        files: &mut dyn Files,
    ) -> Result<Loaded, Error> {
        for storage in storages {
            let records = storage.records()?;
            let mut found = records.iter().filter(|record| record.answers(stored));
            let (Some(record), other) = (found.next(), found.next()) else { continue };
            if other.is_some() {
                return Err(Error::Foreign(format!(
                    "several images there have an ID that begins with {}",
                    stored.id.as_deref().unwrap_or_default()
                )));
            }
            return self.take_record(storage, record, stored, wanted, files);
        }
        let places: Vec<String> = storages.iter().map(|storage| storage.root().display().to_string()).collect();
        let places = if places.is_empty() {
            "podman has no store here".to_owned()
        } else {
            format!("not in {}", places.join(" or in "))
        };
        Err(Error::Foreign(format!("{} is not there: {places}", told(stored))))
    }

    fn take_record(
        &self,
        storage: &Storage,
        record: &ImageRecord,
        stored: &Stored,
        wanted: &Wanted,
        files: &mut dyn Files,
    ) -> Result<Loaded, Error> {
        let (owner, manifest, digest, parsed) = storage.manifest(record, wanted)?;
        let id = parsed.config.digest.clone();
        let config = storage.data(&owner, &id.to_string())?;
        let config = config.ok_or_else(|| Error::Foreign("its configuration is not there".to_owned()))?;
        if !id.matches(&config) {
            let what = "its configuration".to_owned();
            return Err(Error::Digest { what, expected: id, found: Digest::of(&config) });
        }
        let read = Config::parse(&config).map_err(Error::Document)?;
        read.check_layers(parsed.layers.len()).map_err(Error::Document)?;
        if let Some(found) =
            read.platform.as_ref().filter(|found| wanted.strictly && wanted.platform.distance(found).is_none())
        {
            let (wanted, offered) = (wanted.platform.to_string(), found.to_string());
            return Err(Error::Document(crate::image::Error::NoPlatform { wanted, offered }));
        }
        let chain = storage.chain(owner.layer.as_deref().unwrap_or_default())?;
        let mut held = Vec::new();
        for diff_id in &read.diff_ids {
            held.push(self.stored_layer(storage, &chain, diff_id, files)?);
        }
        let names: Vec<Reference> = match &stored.name {
            Some(name) if name.digest().is_none() => {
                let own = Reference::parse(&format!("localhost/{}", name.familiar())).ok();
                let is_own = |own: &Reference| {
                    name.is_short()
                        && !record.names.contains(&name.to_string())
                        && record.names.contains(&own.to_string())
                };
                vec![own.filter(is_own).unwrap_or_else(|| name.clone())]
            }
            Some(_) => Vec::new(),
            None => record
                .names
                .iter()
                .filter_map(|name| Reference::parse(name).ok())
                .filter(|name| name.digest().is_none())
                .collect(),
        };
        let image = self.add(&NewImage {
            names: &names,
            platform: &read.platform.clone().unwrap_or_else(Platform::host),
            index: None,
            index_digest: None,
            manifest: &manifest,
            manifest_digest: &digest,
            config: &config,
            id: &id,
            layers: &held.iter().collect::<Vec<_>>(),
        })?;
        Ok(Loaded { image, names })
    }

    fn stored_layer(
        &self,
        storage: &Storage,
        chain: &[LayerRecord],
        diff_id: &Digest,
        files: &mut dyn Files,
    ) -> Result<Layer, Error> {
        if let Slot::Ready(layer) = self.layer(diff_id, &|| ())? {
            return Ok(layer);
        }
        let found = chain.iter().find(|layer| layer.diff_digest.as_ref() == Some(diff_id));
        let Some(record) = found else {
            return Err(Error::Foreign(format!(
                "podman does not know of the layer {} what its tar was, as of one that it did not fetch whole",
                diff_id.short()
            )));
        };
        let what = format!("the layer {}", diff_id.short());
        let input = |source| Error::Input { what: what.clone(), source };
        let path = storage.layers().join(format!("{}.tar-split.gz", record.id));
        let split = File::open(&path).map_err(Error::io("open", &path))?;
        let split = Decoder::new(BufReader::with_capacity(128 << 10, split)).map_err(input)?;
        let mut tar = Tar::new(BufReader::with_capacity(128 << 10, split), storage.files(record)?, files);
        let draft = self.draft(&what, &mut tar)?;
        if draft.diff_id() != diff_id {
            return Err(Error::Digest { what, expected: diff_id.clone(), found: draft.diff_id().clone() });
        }
        draft.publish()
    }
}
