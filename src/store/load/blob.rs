//! An image whose manifest is there, taken in with its blobs; and layers.

use std::io::{self, BufReader, Read, Write};

use super::Load;
use crate::image::{Config, Descriptor, Digest, Hasher, Manifest, Platform, Reference};

use crate::store::{Decoder, Error, Image, Layer, NewImage, Slot, file};

/// An image's documents, all verified, and where its blobs are.
pub struct Found<'a> {
    /// The manifest, and its digest.
    pub manifest: (&'a [u8], &'a Digest),
    /// The index that led to it, where there is one.
    pub index: Option<(&'a [u8], &'a Digest)>,
    /// What the manifest says.
    pub parsed: &'a Manifest,
    /// The configuration.
    pub config: &'a [u8],
    /// What it is to be called.
    pub names: &'a [Reference],
    /// The file of a blob.
    pub path: &'a dyn Fn(&Digest) -> String,
}

impl Load<'_> {
    /// Takes an image in, its manifest as it is.
    pub fn image(&self, found: &Found<'_>) -> Result<(Image, Vec<Reference>), Error> {
        let config = Config::parse(found.config).map_err(Error::Document)?;
        config.check_layers(found.parsed.layers.len()).map_err(Error::Document)?;
        self.check_platform(&config)?;
        let mut held: Vec<Layer> = Vec::new();
        for (diff_id, blob) in config.diff_ids.iter().zip(&found.parsed.layers) {
            held.push(self.layer(&(found.path)(&blob.digest), blob, diff_id)?);
        }
        let new = NewImage {
            names: found.names,
            platform: &config.platform.clone().unwrap_or_else(Platform::host),
            index: found.index.map(|(bytes, _)| bytes),
            index_digest: found.index.map(|(_, digest)| digest),
            manifest: found.manifest.0,
            manifest_digest: found.manifest.1,
            config: found.config,
            id: &found.parsed.config.digest,
            layers: &held.iter().collect::<Vec<_>>(),
        };
        let image = self.store.add(&new)?;
        Ok((image, found.names.to_vec()))
    }

    /// Refuses an image for another platform than the one that the user has asked for.
    pub fn check_platform(&self, config: &Config) -> Result<(), Error> {
        match &config.platform {
            Some(found) if self.wanted.strictly && self.wanted.platform.distance(found).is_none() => {
                let (wanted, offered) = (self.wanted.platform.to_string(), found.to_string());
                Err(Error::Document(crate::image::Error::NoPlatform { wanted, offered }))
            }
            _ => Ok(()),
        }
    }

    /// Takes a layer in by the blob that a manifest describes, and keeps its compressed form.
    fn layer(&self, path: &str, blob: &Descriptor, diff_id: &Digest) -> Result<Layer, Error> {
        loop {
            let pending = match self.store.layer(diff_id, &|| ())? {
                Slot::Ready(layer) => {
                    self.keep(&layer, path, blob)?;
                    return Ok(layer);
                }
                Slot::Absent(pending) => pending,
            };
            pending.fill(blob, 0, &mut self.bundle.reader(path)?)?;
        }
    }

    /// Keeps the compressed form of a layer that is here already, if it is one.
    fn keep(&self, layer: &Layer, path: &str, blob: &Descriptor) -> Result<(), Error> {
        if !self.store.keeps_compressed() || layer.compressed(&blob.digest).is_some() || !self.bundle.has(path) {
            return Ok(());
        }
        let failed = |source| Error::Decompress { layer: blob.digest.clone(), source };
        let mut keeping = layer.keep()?;
        let mut hasher = Hasher::new(blob.digest.algorithm());
        let copied = Copied { source: self.bundle.reader(path)?, into: &mut keeping, hasher: &mut hasher };
        let mut decoded = Decoder::new(BufReader::with_capacity(128 << 10, copied)).map_err(failed)?;
        let content = file::hash(&mut decoded, Hasher::new(layer.diff_id().algorithm())).map_err(failed)?;
        drop(decoded);
        let wrong = |what: String, expected: &Digest, found| Error::Digest { what, expected: expected.clone(), found };
        let found = hasher.finish();
        if found != blob.digest {
            return Err(wrong("a layer".to_owned(), &blob.digest, found));
        }
        if content != *layer.diff_id() {
            return Err(wrong(format!("the uncompressed layer {}", blob.digest.short()), layer.diff_id(), content));
        }
        // A form is known by its SHA-256 alone.
        if keeping.size() == blob.size && blob.digest.algorithm() == crate::image::Algorithm::Sha256 {
            keeping.finish()?;
        }
        Ok(())
    }

    /// Takes a layer in that only its image's configuration describes. It may be compressed.
    pub fn bare_layer(&self, path: &str, diff_id: &Digest) -> Result<Layer, Error> {
        if let Slot::Ready(layer) = self.store.layer(diff_id, &|| ())? {
            return Ok(layer);
        }
        let what = format!("the layer {}", crate::store::bundle::shown(path));
        let reader = BufReader::with_capacity(128 << 10, self.bundle.reader(path)?);
        let mut decoded = Decoder::new(reader).map_err(|source| Error::Input { what: what.clone(), source })?;
        let draft = self.store.draft(&what, &mut decoded)?;
        if draft.diff_id() != diff_id {
            return Err(Error::Digest { what, expected: diff_id.clone(), found: draft.diff_id().clone() });
        }
        draft.publish()
    }
}

/// A reader of which a copy is kept.
struct Copied<'a, R, W> {
    source: R,
    into: &'a mut W,
    hasher: &'a mut Hasher,
}

impl<R: Read, W: Write> Read for Copied<'_, R, W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(into)?;
        self.into.write_all(&into[..got])?;
        self.hasher.update(&into[..got]);
        Ok(got)
    }
}
