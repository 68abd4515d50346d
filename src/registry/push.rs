//! A push, from an image in the store to a name in a registry.

mod list;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::blob::BlobReader;
use super::configuration::Endpoint;
use super::crew;
use super::http::Http;
use super::put::Put;
use super::session::Session;
use super::source::Source;
use super::{Configuration, Environment, Error, LayerEvent, Progress, Refusal, Transfer};
use crate::image::{
    DEFAULT_TAG, Descriptor, Digest, Form, Outlined, Reference, Replacement, compose_index, is_own, media_type_of,
    outline, recompose,
};
use crate::store::{Compression, Image, Layer, Store};

pub use list::push_list;

/// From so many repositories blobs are taken over at most: a token has to allow reading each.
const MAX_OTHERS: usize = 8;
/// More uploads at once than this would only take memory.
const MAX_PARALLEL: usize = 8;

/// How an image is pushed.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// How uploads behave.
    pub transfer: Transfer,
    /// Whose configuration counts.
    pub environment: Environment,
    /// How layers are to be compressed; as they came, and gzip where they never were, without it.
    pub compression: Option<Compression>,
    /// How hard.
    pub level: Option<i32>,
    /// Whether layers that are compressed in this way are compressed anew.
    pub force_compression: bool,
    /// Whose media types the manifest is to have; those that it has, without it.
    pub format: Option<Form>,
    /// Whether the store keeps what is compressed or fetched for this.
    pub keep_compressed: bool,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The name there, with a tag or a digest.
    pub name: Reference,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The size of that, in bytes.
    pub size: u64,
}

/// Pushes an image to where `destination` says. `name` is what it is called here, of several names the one that counts.
///
/// # Errors
/// What the registry says ([`Error::Refusal`]), and what the store says.
pub fn push(
    store: &Store,
    image: &Image,
    name: Option<&Reference>,
    destination: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, Error> {
    with_push(store, destination, options, progress, |push| {
        let manifest = push.image(image, name)?;
        let pushed = push.name(&manifest)?;
        store.pushed(destination, image, &manifest, &manifest)?;
        Ok(pushed)
    })
}

/// Pushes what a name stands for on each platform, and an index of that: the one that it was pulled by, if all of that is here and unchanged.
///
/// # Errors
/// As [`push`].
pub fn push_all(
    store: &Store,
    images: &[Image],
    name: &Reference,
    destination: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, Error> {
    with_push(store, destination, options, progress, |push| {
        let mut manifests = Vec::new();
        for image in images {
            let manifest = push.image(image, Some(name))?;
            let (digest, kind) = (Digest::of(&manifest), media_type_of(&manifest));
            push.session.put_manifest(&manifest, &kind, &digest.to_string())?;
            manifests.push((manifest, image.platform.clone()));
        }
        let index = push.index(images, name, &manifests)?;
        let pushed = push.name(&index)?;
        for (image, (manifest, _)) in images.iter().zip(&manifests) {
            store.pushed(destination, image, manifest, &index)?;
        }
        Ok(pushed)
    })
}

fn with_push<T>(
    store: &Store,
    destination: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
    work: impl FnOnce(&Push<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    check(options)?;
    let configuration = Configuration::load(&options.environment)?;
    // Mirrors are for reading: the registry itself is the last.
    let endpoints = configuration.endpoints(destination)?;
    let Some(endpoint) = endpoints.last() else { return Err(Error::NotHere { image: destination.familiar() }) };
    let http = Http::new(&options.environment, &configuration, &options.transfer, progress);
    let mut holders = store.repositories_of_blobs(destination.domain())?;
    for repositories in holders.values_mut() {
        repositories.remove(destination.path());
    }
    let others: BTreeSet<&String> = holders.values().flatten().collect();
    let others: Vec<String> = others.into_iter().take(MAX_OTHERS).cloned().collect();
    let session = Session::new(&http, endpoint)?.for_push(&others);
    work(&Push { store, destination, options, session: &session, holders, others })
}

/// Refuses what cannot go together.
fn check(options: &PushOptions) -> Result<(), Error> {
    let asked = |reason: String| Err(Refusal::Asked(reason).into());
    if let (Some(Form::Docker), Some(how @ (Compression::Zstd | Compression::ZstdChunked))) =
        (options.format, options.compression)
    {
        return asked(format!("manifests of docker's form know no {}: it takes --format oci", how.name()));
    }
    let how = options.compression.unwrap_or(Compression::Gzip);
    if let Some(level) = options.level.filter(|level| !how.levels().contains(level)) {
        let (least, most) = (how.levels().start().to_owned(), how.levels().end().to_owned());
        return asked(format!("{} has the levels {least} to {most}, and not {level}", how.name()));
    }
    Ok(())
}

/// A push that is under way.
struct Push<'a> {
    store: &'a Store,
    destination: &'a Reference,
    options: &'a PushOptions,
    session: &'a Session<'a>,
    /// In which other repositories of the registry a blob should be.
    holders: BTreeMap<Digest, BTreeSet<String>>,
    /// Those of them that a token is asked for.
    others: Vec<String>,
}

/// A layer that is to be there.
struct Wanted<'a> {
    image: &'a Image,
    layer: &'a Layer,
    old: &'a Outlined,
    /// In which way it is to be compressed anew.
    anew: Option<Compression>,
}

impl Push<'_> {
    /// Makes the registry have all that an image needs, and returns the manifest that says so.
    fn image(&self, image: &Image, name: Option<&Reference>) -> Result<Vec<u8>, Error> {
        let unusable = |source| Error::Metadata { image: image.id.short().to_owned(), source };
        let _lease = image.lease()?;
        let config = self.store.config_of(image)?;
        let manifest = self.store.manifest_for(image, name)?;
        let about = outline(&manifest).map_err(unusable)?;
        let layers = self.store.layers_here(&image.config.diff_ids)?;
        if layers.len() != about.layers.len() {
            return Err(unusable(crate::image::Error::Layers(about.layers.len())));
        }
        let own = is_own(&manifest, &config);
        let form = self.form(about.form);
        let wanted: Vec<Wanted<'_>> = layers
            .iter()
            .zip(&about.layers)
            .map(|(layer, old)| Wanted { image, layer, old, anew: self.anew(layer, old, own, form) })
            .collect();
        let mut distinct: Vec<Descriptor> = Vec::new();
        for layer in &wanted {
            if !distinct.contains(&layer.old.blob) {
                distinct.push(layer.old.blob.clone());
            }
        }
        self.session.http.progress.pushing(self.destination, &distinct);
        let replaced = self.layers(&wanted)?;
        let replaced: Vec<Option<Replacement>> =
            about.layers.iter().map(|old| replaced.get(&old.blob.digest).cloned().flatten()).collect();
        self.put_config(&image.id, config)?;
        recompose(&manifest, form, &replaced).map_err(unusable)
    }

    fn form(&self, now: Form) -> Form {
        match (self.options.format, self.options.compression) {
            (Some(form), _) => form,
            (None, Some(Compression::Zstd | Compression::ZstdChunked)) => Form::Oci,
            (None, _) => now,
        }
    }

    /// Whether and how a layer is compressed anew. What was pulled goes as it came.
    fn anew(&self, layer: &Layer, old: &Outlined, own: bool, form: Form) -> Option<Compression> {
        let is = match (old.compression, old.is_chunked) {
            ("gzip", _) => Some(Compression::Gzip),
            ("zstd", true) => Some(Compression::ZstdChunked),
            ("zstd", false) => Some(Compression::Zstd),
            _ => None,
        };
        match self.options.compression {
            Some(how) if self.options.force_compression || is != Some(how) => Some(how),
            Some(_) => None,
            None if self.options.force_compression => Some(is.unwrap_or(Compression::Gzip)),
            None if own && old.blob.digest == *layer.diff_id() => Some(Compression::Gzip),
            None if form == Form::Docker && old.compression == "zstd" => Some(Compression::Gzip),
            None => None,
        }
    }

    fn put_config(&self, id: &Digest, config: Vec<u8>) -> Result<(), Error> {
        let blob = Descriptor { digest: id.clone(), size: config.len() as u64 };
        let source: Arc<dyn Source> = Arc::new(config);
        self.session.put_blob(&blob, &source, &[]).map(drop)
    }

    /// Puts a manifest or index under the name that was asked for.
    fn name(&self, bytes: &[u8]) -> Result<Pushed, Error> {
        let found = Digest::of(bytes);
        if let Some(expected) = self.destination.digest().filter(|expected| !expected.matches(bytes)) {
            let (image, expected) = (self.destination.familiar(), expected.clone());
            return Err(Refusal::OtherDigest { image, expected, found }.into());
        }
        let selector = match (self.destination.tag(), self.destination.digest()) {
            (Some(tag), _) => tag.to_owned(),
            (None, Some(digest)) => digest.to_string(),
            (None, None) => DEFAULT_TAG.to_owned(),
        };
        self.session.put_manifest(bytes, &media_type_of(bytes), &selector)?;
        Ok(Pushed { name: self.destination.clone(), digest: found, size: bytes.len() as u64 })
    }

    /// The index that all came by, if it leads to these manifests and nothing else; a new one else.
    fn index(
        &self,
        images: &[Image],
        name: &Reference,
        manifests: &[(Vec<u8>, crate::image::Platform)],
    ) -> Result<Vec<u8>, Error> {
        let unusable = |source| Error::Metadata { image: name.familiar(), source };
        let ours: BTreeSet<Digest> = manifests.iter().map(|(manifest, _)| Digest::of(manifest)).collect();
        for image in images {
            if let Some(index) = self.store.index_of(name, &image.platform)?
                && let Ok(crate::image::Document::Index(parsed)) = crate::image::parse_document(&index, None)
                && parsed.candidates.iter().all(|candidate| ours.contains(&candidate.manifest.digest))
                && parsed.candidates.len() >= ours.len()
            {
                return Ok(index);
            }
        }
        let docker = manifests.iter().all(|(manifest, _)| media_type_of(manifest).contains("docker"));
        compose_index(if docker { Form::Docker } else { Form::Oci }, manifests).map_err(unusable)
    }

    /// Makes the registry have all layers, several at once; returns what has become of each, by the digest that it had.
    fn layers(&self, wanted: &[Wanted<'_>]) -> Result<BTreeMap<Digest, Option<Replacement>>, Error> {
        let http = self.session.http;
        let mut seen = BTreeSet::new();
        let queue: VecDeque<&Wanted<'_>> = wanted.iter().filter(|layer| seen.insert(&layer.old.blob.digest)).collect();
        let workers = self.options.transfer.parallel.clamp(1, MAX_PARALLEL).min(queue.len().max(1));
        let work = |layer: &Wanted<'_>| Ok((layer.old.blob.digest.clone(), self.layer(layer)?));
        Ok(crew::each(http, workers, queue, work)?.into_iter().collect())
    }

    fn layer(&self, wanted: &Wanted<'_>) -> Result<Option<Replacement>, Error> {
        let old = &wanted.old.blob;
        match wanted.anew {
            Some(how) => self.encoded(wanted, how).map(Some),
            None if self.session.has_blob(old)? => {
                self.tell(old, LayerEvent::Exists);
                Ok(None)
            }
            None => self.as_it_came(wanted),
        }
    }

    /// Sends the very blob that the manifest names: from another repository, from what is kept, or from where it was pulled.
    fn as_it_came(&self, wanted: &Wanted<'_>) -> Result<Option<Replacement>, Error> {
        let old = &wanted.old.blob;
        let others = self.others(old);
        if let Some(path) = wanted.layer.compressed(&old.digest) {
            let file = File::open(&path).map_err(|source| Refusal::Source { source })?;
            match self.send(old, old, file, &others) {
                Ok(()) => return Ok(None),
                // Whatever damaged it: it is of no more use.
                Err(Error::Refusal(refusal)) if refusal.is_about_us() && path != wanted.layer.tar() => {
                    self.store.drop_compressed(&|kept| kept.path == path)?;
                }
                Err(error) => return Err(error),
            }
        } else if self.session.mount_blob(old, &others)? {
            self.tell(old, LayerEvent::Mounted);
            return Ok(None);
        }
        if let Some(file) = self.fetch(wanted)? {
            return self.send(old, old, file, &[]).map(|()| None);
        }
        let how = match (wanted.old.compression, wanted.old.is_chunked) {
            ("zstd", true) => Compression::ZstdChunked,
            ("zstd", false) => Compression::Zstd,
            _ => Compression::Gzip,
        };
        let new = self.encoded(wanted, how)?;
        let why = "its compressed form is neither kept here nor given by the registry that it came from";
        self.session.http.progress.changed(&old.digest, &new.blob.digest, why);
        Ok(Some(new))
    }

    fn encoded(&self, wanted: &Wanted<'_>, how: Compression) -> Result<Replacement, Error> {
        let old = &wanted.old.blob;
        self.tell(old, LayerEvent::Compressing);
        let made = wanted.layer.encode(how, self.options.level, self.options.keep_compressed)?;
        if self.session.has_blob(&made.blob)? {
            self.tell(old, LayerEvent::Exists);
        } else {
            self.send(old, &made.blob, made.file, &self.others(&made.blob))?;
        }
        let compression = if made.compression == Compression::Gzip { "gzip" } else { "zstd" };
        Ok(Replacement { blob: made.blob, compression, annotations: made.annotations })
    }

    fn send(&self, told_as: &Descriptor, blob: &Descriptor, file: File, others: &[String]) -> Result<(), Error> {
        let source: Arc<dyn Source> = Arc::new(file);
        let event = match self.session.send_blob(blob, told_as, &source, others)? {
            Put::Exists => LayerEvent::Exists,
            Put::Mounted => LayerEvent::Mounted,
            Put::Sent => LayerEvent::Done,
        };
        self.tell(told_as, event);
        Ok(())
    }

    fn others(&self, blob: &Descriptor) -> Vec<String> {
        let holders = self.holders.get(&blob.digest).into_iter().flatten();
        holders.filter(|holder| self.others.contains(holder)).cloned().collect()
    }

    fn tell(&self, blob: &Descriptor, event: LayerEvent) {
        self.session.http.progress.layer(&blob.digest, event);
    }

    /// Fetches a blob again from where one of the image's names came from, verified.
    fn fetch(&self, wanted: &Wanted<'_>) -> Result<Option<File>, Error> {
        let blob = &wanted.old.blob;
        let http = self.session.http;
        let origins = self.origins(wanted)?;
        if !origins.is_empty() {
            self.tell(blob, LayerEvent::Waiting);
        }
        for endpoint in origins {
            let Ok(session) = Session::new(http, &endpoint) else { continue };
            let mut keeping = wanted.layer.keep()?;
            let mut reader = BlobReader::new(&session, blob, 0)?;
            if let Err(error) = io::copy(&mut reader, &mut keeping) {
                match error.downcast::<Error>() {
                    Ok(Error::GivenUp) => return Err(Error::GivenUp),
                    // It may not have it any more, or not for us.
                    Ok(_) => continue,
                    Err(source) => return Err(Refusal::Source { source }.into()),
                }
            }
            let (found, file) = if self.options.keep_compressed && keeping.size() == blob.size {
                keeping.finish_as(&blob.digest)?
            } else {
                keeping.detach()?
            };
            if found == *blob {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Where the image, and others with this layer, may have come from.
    fn origins(&self, wanted: &Wanted<'_>) -> Result<Vec<Endpoint>, Error> {
        let mut images = self.store.images()?;
        images.retain(|image| image.config.diff_ids.contains(wanted.layer.diff_id()));
        images.sort_by_key(|image| image.id != wanted.image.id);
        let mut origins: Vec<Endpoint> = Vec::new();
        for name in images.iter().flat_map(|image| &image.names) {
            for endpoint in self.session.http.configuration.endpoints(name)? {
                let known = |other: &Endpoint| other.reference.repository() == endpoint.reference.repository();
                if !origins.iter().any(known) {
                    origins.push(endpoint);
                }
            }
        }
        Ok(origins)
    }
}
