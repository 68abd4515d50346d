//! Looking images up, without any lock.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::lock::{self, Kind, Lease};
use super::records::{Names, Record};
use super::{Error, Image, Store, layer, time};
use crate::image::{Digest, Platform, Reference};

/// Fewer digits are not taken for the beginning of an ID: they are more often a name.
const MIN_PREFIX: usize = 3;

/// The end of the year 9999: a time behind it is nobody's, and one far behind it cannot be counted with.
const LAST_SECOND: u64 = 253_402_300_799;

impl Store {
    /// Finds the image that a user means: by ID, by name (for a platform), or by the beginning of an ID, in this order.
    ///
    /// A short name is looked up as `docker.io` has it; where `registries.conf` may say otherwise, `registry::find` is the one to ask.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where several IDs begin so, and damaged records.
    pub fn find(&self, query: &str, platform: &Platform) -> Result<Option<Image>, Error> {
        let hex = query.strip_prefix("sha256:").unwrap_or(query);
        if let Ok(id) = Digest::parse(&format!("sha256:{hex}")) {
            return self.by_id(&id);
        }
        if let Ok(reference) = Reference::parse(query)
            && let Some(image) = self.by_reference(&reference, platform)?
        {
            return Ok(Some(image));
        }
        match self.by_prefix(hex)? {
            Some(id) => self.by_id(&id),
            None => Ok(None),
        }
    }

    /// Finds the image that a name stands for on a platform. A digest in the name may be that of the index or of the manifest.
    ///
    /// # Errors
    /// Damaged records.
    pub fn by_reference(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>, Error> {
        let names = self.names()?;
        let Some(digest) = reference.digest() else {
            let targets = names.names.get(&reference.to_string()).into_iter().flatten();
            let best = targets.filter_map(|target| Some((target.distance(platform)?, &target.image))).min();
            return best.map_or(Ok(None), |(_, id)| self.by_id(id));
        };
        let prefix = reference.repository();
        let here = |name: &str| name.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with([':', '@']));
        let mut best: Option<(u32, Digest)> = None;
        for target in names.names.iter().filter(|(name, _)| here(name)).flat_map(|(_, targets)| targets) {
            let Some(distance) = target.distance(platform) else { continue };
            let Some(record) = self.record(&target.image)? else { continue };
            let answers =
                target.digest == *digest || record.manifest == *digest || record.index.as_ref() == Some(digest);
            if answers && best.as_ref().is_none_or(|(nearest, _)| distance < *nearest) {
                best = Some((distance, target.image.clone()));
            }
        }
        best.map_or(Ok(None), |(_, id)| self.by_id(&id))
    }

    /// Finds an image by its ID.
    ///
    /// # Errors
    /// Damaged records.
    pub fn by_id(&self, id: &Digest) -> Result<Option<Image>, Error> {
        match self.record(id)? {
            Some(record) => self.image(record, &self.names()?),
            None => Ok(None),
        }
    }

    /// The digest by which a registry offered what a name stands for here.
    ///
    /// # Errors
    /// Damaged records.
    pub fn offered(&self, reference: &Reference, platform: &Platform) -> Result<Option<Digest>, Error> {
        let names = self.names()?;
        let targets = names.names.get(&reference.to_string()).into_iter().flatten();
        let best = targets.filter_map(|target| Some((target.distance(platform)?, &target.digest))).min();
        Ok(best.map(|(_, digest)| digest.clone()))
    }

    /// All images, the last pulled first.
    ///
    /// # Errors
    /// Damaged records.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        let names = self.names()?;
        let mut images = Vec::new();
        for id in self.ids()? {
            if let Some(record) = self.record(&id)? {
                images.extend(self.image(record, &names)?);
            }
        }
        images.sort_by(|one, other| other.pulled.cmp(&one.pulled).then_with(|| one.id.cmp(&other.id)));
        Ok(images)
    }

    /// All names, complete, for completions: reads a single file.
    ///
    /// # Errors
    /// Damaged records.
    pub fn all_names(&self) -> Result<Vec<Reference>, Error> {
        Ok(self.names()?.names.keys().filter_map(|name| Reference::parse(name).ok()).collect())
    }

    /// The ID that is meant by a whole ID or its beginning, also where the image's documents are damaged; `None` where it is none.
    pub fn id_of(&self, query: &str) -> Option<Digest> {
        let hex = query.strip_prefix("sha256:").unwrap_or(query);
        self.by_prefix(hex).ok().flatten()
    }

    fn by_prefix(&self, prefix: &str) -> Result<Option<Digest>, Error> {
        if prefix.len() < MIN_PREFIX || !prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(None);
        }
        let found: Vec<Digest> = self.ids()?.into_iter().filter(|id| id.hex().starts_with(prefix)).collect();
        match &found[..] {
            [] => Ok(None),
            [id] => Ok(Some(id.clone())),
            several => Err(Error::Ambiguous {
                prefix: prefix.to_owned(),
                ids: several.iter().take(10).map(|id| id.short().to_owned()).collect(),
            }),
        }
    }

    fn image(&self, record: Record, names: &Names) -> Result<Option<Image>, Error> {
        let Some(config) = self.config(&record.id)? else { return Ok(None) };
        let mut own = Vec::new();
        let mut digests = BTreeMap::new();
        for (name, targets) in &names.names {
            for target in targets.iter().filter(|target| target.image == record.id) {
                // The record's names were written by this program from references; one that is none was tampered with.
                let Ok(reference) = Reference::parse(name) else { continue };
                digests.insert(reference.repository(), target.digest.clone());
                own.push(reference);
            }
        }
        own.dedup();
        let is_pinned = |name: &Reference| names.pinned.contains(&name.to_string());
        let pinned = names.pinned.contains(&record.id.to_string()) || own.iter().any(is_pinned);
        Ok(Some(Image {
            manifest: record.manifest.clone(),
            platform: record.platform(),
            names: own,
            pinned,
            digests,
            size: record.size,
            created: config.created.as_deref().and_then(time::parse),
            pulled: UNIX_EPOCH + Duration::from_secs(record.pulled.min(LAST_SECOND)),
            tree: self.image_dir(&record.id).join(super::trees::TREE),
            tars: config.diff_ids.iter().map(|diff_id| self.layer_dir(diff_id).join(layer::TAR)).collect(),
            config,
            id: record.id,
        }))
    }
}

impl Image {
    /// Keeps the image from being removed for as long as the lease, or a copy of its descriptor, lives.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] where it has been removed since it was found.
    pub fn lease(&self) -> Result<Lease, Error> {
        let gone = || Error::NoSuchImage(self.id.short().to_owned());
        let dir = self.tree.parent().ok_or_else(gone)?;
        Ok(lock::wait(dir, Kind::Shared, &|| ())?.ok_or_else(gone)?.into())
    }
}
