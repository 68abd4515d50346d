//! An image's manifest and blobs as they are written out: as they came where that is possible.

use std::fs::File;

use super::Packing;
use super::sink::Sink;
use crate::image::{Digest, Document, Form, Manifest, Reference, Source, compose, layers_of, parse_document};
use crate::store::{Compression, Error, Image, Layer, Store};

/// An image that is about to be written.
pub struct Going {
    /// Its manifest's bytes.
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: Digest,
    /// Its configuration.
    pub config: Vec<u8>,
    /// Its layers' files: digest, size, and the content, open, as kept forms may be dropped at any time.
    pub blobs: Vec<(Digest, u64, File)>,
    _layers: Vec<Layer>,
}

impl Store {
    /// The manifest of an image, as it was received: the one by which the first of `names` was offered, as an image may have come by several,
    /// else the one by which the image came last.
    ///
    /// # Errors
    /// Damaged records and documents.
    pub fn manifest_of(&self, image: &Image, names: &[Reference]) -> Result<Option<(Digest, Vec<u8>)>, Error> {
        for name in names {
            let Some(offered) = self.offered(name, &image.platform)? else { continue };
            let Some(bytes) = self.document(&offered)? else { continue };
            let (digest, bytes) = match parse_document(&bytes, None) {
                Ok(Document::Index(index)) => {
                    let Ok(chosen) = index.choose(&image.platform) else { continue };
                    let Some(bytes) = self.document(&chosen.manifest.digest)? else { continue };
                    (chosen.manifest.digest.clone(), bytes)
                }
                _ => (offered, bytes),
            };
            if let Ok(Document::Manifest(manifest)) = parse_document(&bytes, None)
                && manifest.config.digest == image.id
            {
                return Ok(Some((digest, bytes)));
            }
        }
        Ok(self.document(&image.manifest)?.map(|bytes| (image.manifest.clone(), bytes)))
    }

    /// Finds out how an image goes out. `form` is that of a manifest where there must be a new one; `only` says that no other will do.
    pub(super) fn going(
        &self,
        image: &Image,
        names: &[Reference],
        form: Form,
        only: bool,
        how: Packing,
    ) -> Result<Going, Error> {
        let layers = self.layers_here(&image.config.diff_ids)?;
        let config = self.config_of(image)?;
        let (known_digest, original) = self.manifest_of(image, names)?.unzip();
        let known = original.as_deref().and_then(|bytes| described(bytes, layers.len()));
        let (mut blobs, mut sources, mut as_it_came) = (Vec::new(), Vec::new(), known.is_some());
        for (number, layer) in layers.iter().enumerate() {
            let here = known.as_ref().and_then(|(manifest, sources)| {
                let blob = &manifest.layers[number];
                let plain = blob.digest == *layer.diff_id();
                let path = layer.compressed(&blob.digest).filter(|_| how != Packing::Plain || plain)?;
                Some((blob.clone(), File::open(path).ok()?, sources[number].clone()))
            });
            let here = here.filter(|(blob, ..)| how != Packing::Compressed || blob.digest != *layer.diff_id());
            if let Some((blob, file, source)) = here {
                blobs.push((blob.digest, blob.size, file));
                sources.push(source);
                continue;
            }
            as_it_came = false;
            if how == Packing::Compressed {
                // The very bytes that a push sends.
                let made = layer.encode(Compression::Gzip, None, self.keeps_compressed())?;
                sources.push(Source::gzip(&made.blob.digest, made.blob.size));
                blobs.push((made.blob.digest, made.blob.size, made.file));
            } else {
                sources.push(Source::plain(layer.diff_id(), layer.size()?));
                blobs.push((layer.diff_id().clone(), layer.size()?, open(&layer.tar())?));
            }
        }
        let fits = |bytes: &Vec<u8>| !only || is_oci(bytes);
        let manifest = match original.filter(|bytes| as_it_came && fits(bytes)) {
            Some(manifest) => manifest,
            None => {
                compose(form, &config, &sources).map_err(|source| Error::Config { image: image.id.clone(), source })?
            }
        };
        let digest = known_digest.filter(|known| known.matches(&manifest)).unwrap_or_else(|| Digest::of(&manifest));
        Ok(Going { digest, manifest, config, blobs, _layers: layers })
    }

    /// Writes an image's layers and configuration, whose files `path` names.
    pub(super) fn write_blobs(
        &self,
        image: &Image,
        going: &Going,
        path: &dyn Fn(&Digest) -> String,
        sink: &mut dyn Sink,
    ) -> Result<(), Error> {
        for (digest, size, mut file) in going.blobs.iter().map(|(digest, size, file)| (digest, size, file)) {
            let name = path(digest);
            if sink.wants(&name, *size) {
                sink.file(&name, *size, &mut file)?;
            }
        }
        let name = path(&image.id);
        if sink.wants(&name, going.config.len() as u64) {
            sink.small(&name, &going.config)?;
        }
        Ok(())
    }
}

fn open(path: &std::path::Path) -> Result<File, Error> {
    File::open(path).map_err(Error::io("open", path))
}

/// What a manifest says, and its layers as they can stand in another one.
fn described(bytes: &[u8], layers: usize) -> Option<(Manifest, Vec<Source>)> {
    let Ok(Document::Manifest(manifest)) = parse_document(bytes, None) else { return None };
    let sources = layers_of(bytes)?;
    (manifest.layers.len() == layers && sources.len() == layers).then_some((manifest, sources))
}

/// Whether a manifest is OCI's, which is what everybody reads in a layout of theirs.
fn is_oci(manifest: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let kind = |value: &serde_json::Value| value["mediaType"].as_str().map(str::to_owned);
    let is = |kind: Option<String>, wanted: &str| kind.is_none_or(|kind| kind == wanted);
    is(kind(&value), "application/vnd.oci.image.manifest.v1+json")
        && kind(&value["config"]).is_some_and(|kind| kind.starts_with("application/vnd.oci."))
}
