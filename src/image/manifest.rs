//! Manifests and indexes, OCI's and Docker's (OCI image-spec `manifest.md`, `image-index.md`; Docker image manifest v2 schema 2).
//!
//! The bytes come from a registry and are hostile. What leaves this module has digests that can be verified, sizes that can be
//! counted down, layers that are tars, and no more of them than an overlay could have.

use serde::Deserialize;

use super::{Artifact, Digest, Error, LayerKind, MediaType, Platform};

/// The largest manifest, index or configuration, in bytes (OCI distribution-spec: at least 4 MiB must be accepted).
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The most layers of an image: what the kernel's overlayfs takes.
pub const MAX_LAYERS: usize = 500;
/// The most images that an index is read for; the largest known ones have some tens.
const MAX_CANDIDATES: usize = 4096;

/// Names content: its digest and its exact size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What its bytes must hash to.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// A manifest: one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The image configuration; its digest is the image's ID.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// One of an index's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its manifest.
    pub manifest: Descriptor,
    /// What it is for; `None` where the index does not say.
    pub platform: Option<Platform>,
}

/// An index (Docker: manifest list): several images under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// In the index's order.
    pub candidates: Vec<Candidate>,
}

/// What a tag or digest can lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: String,
    size: i64,
    #[serde(default)]
    urls: Option<Vec<serde::de::IgnoredAny>>,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl RawDescriptor {
    fn check(&self, what: &dyn Fn() -> String) -> Result<Descriptor, Error> {
        let wrong = |reason: String| Error::Descriptor { what: what(), reason };
        let digest = Digest::parse(&self.digest).map_err(|error| wrong(error.to_string()))?;
        let size = u64::try_from(self.size).map_err(|_| wrong(format!("its size is {}", self.size)))?;
        Ok(Descriptor { digest, size })
    }

    /// A manifest, an index or a configuration, all of which are read into memory.
    fn check_small(&self, what: &'static str) -> Result<Descriptor, Error> {
        let descriptor = self.check(&|| format!("the {what}"))?;
        if descriptor.size > MAX_MANIFEST {
            return Err(Error::TooLarge { what, size: descriptor.size, limit: MAX_MANIFEST });
        }
        Ok(descriptor)
    }

    fn check_layer(&self, number: usize) -> Result<Descriptor, Error> {
        let refuse = |reason: &str| Err(Error::Layer { number, reason: reason.to_owned() });
        let media_type = self.media_type.as_deref().unwrap_or_default();
        if self.urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
            return refuse("the manifest wants it fetched from another address");
        }
        match LayerKind::parse(media_type) {
            LayerKind::Tar => self.check(&|| format!("layer {number}")),
            LayerKind::Foreign => refuse("it may not be distributed by this registry"),
            LayerKind::Encrypted => refuse("it is encrypted"),
            LayerKind::Other => Err(Error::Layer {
                number,
                reason: format!("its type is {:?}, which is no tar", media_type.chars().take(100).collect::<String>()),
            }),
        }
    }
}

/// Parses a manifest or an index, whichever it is.
///
/// `content_type` is what the registry called it, if anything: the document's own `mediaType` goes before that, and its shape decides where
/// neither says. Which of the two a document is can thus not be changed by a header that no digest covers.
///
/// # Errors
/// Anything of [`Error`] that is about documents.
pub fn parse_document(bytes: &[u8], content_type: Option<&str>) -> Result<Document, Error> {
    let size = bytes.len() as u64;
    if size > MAX_MANIFEST {
        return Err(Error::TooLarge { what: "manifest", size, limit: MAX_MANIFEST });
    }
    let raw: Raw = serde_json::from_slice(bytes).map_err(|source| Error::Json { what: "manifest", source })?;
    match kind(&raw, content_type)? {
        MediaType::Schema1 => Err(Error::Schema1),
        MediaType::Manifest => manifest(&raw).map(Document::Manifest),
        MediaType::Index => index(&raw).map(Document::Index),
    }
}

fn kind(raw: &Raw, content_type: Option<&str>) -> Result<MediaType, Error> {
    if raw.schema_version == Some(1) || raw.fs_layers.is_some() {
        return Ok(MediaType::Schema1);
    }
    // A document that is both could be shown to one reader as this and to another as that (CVE-2021-41190).
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
        return Err(Error::MediaType("a document that is both manifest and index".into()));
    }
    if let Some(name) = raw.media_type.as_deref().filter(|name| !name.is_empty()) {
        return MediaType::parse(name).ok_or_else(|| Error::MediaType(name.chars().take(100).collect()));
    }
    match (&raw.manifests, &raw.layers, content_type) {
        (Some(_), _, _) => Ok(MediaType::Index),
        (None, Some(_), _) => Ok(MediaType::Manifest),
        (None, None, content_type) => {
            Err(Error::MediaType(content_type.unwrap_or("unknown").chars().take(100).collect()))
        }
    }
}

fn missing(field: &'static str) -> Error {
    Error::Json { what: "manifest", source: serde::de::Error::missing_field(field) }
}

fn manifest(raw: &Raw) -> Result<Manifest, Error> {
    let config = raw.config.as_ref().ok_or_else(|| missing("config"))?;
    let layers = raw.layers.as_ref().ok_or_else(|| missing("layers"))?;
    let kinds = layers.iter().filter_map(|layer| layer.media_type.as_deref());
    if let Some(artifact) = Artifact::of(raw.artifact_type.as_deref(), config.media_type.as_deref(), kinds) {
        return Err(Error::Artifact(artifact));
    }
    let config = config.check_small("image configuration")?;
    if layers.len() > MAX_LAYERS {
        return Err(Error::Layers(layers.len()));
    }
    let layers = layers.iter().enumerate().map(|(at, layer)| layer.check_layer(at + 1)).collect::<Result<_, _>>()?;
    Ok(Manifest { config, layers })
}

fn index(raw: &Raw) -> Result<Index, Error> {
    let manifests = raw.manifests.as_ref().ok_or_else(|| missing("manifests"))?;
    let candidate = |entry: &RawDescriptor| -> Result<Candidate, Error> {
        let platform =
            entry.platform.as_ref().filter(|platform| !platform.os.is_empty() && !platform.architecture.is_empty());
        Ok(Candidate {
            manifest: entry.check_small("manifest")?,
            platform: platform
                .map(|platform| Platform::new(&platform.os, &platform.architecture, platform.variant.as_deref())),
        })
    };
    Ok(Index { candidates: manifests.iter().take(MAX_CANDIDATES).map(candidate).collect::<Result<_, _>>()? })
}

impl Index {
    /// The image that suits a platform best; of equals, the first.
    ///
    /// # Errors
    /// [`Error::NoPlatform`], naming what there is.
    pub fn choose(&self, wanted: &Platform) -> Result<&Candidate, Error> {
        let suits = |candidate: &&Candidate| candidate.platform.as_ref().and_then(|platform| wanted.distance(platform));
        let best = self
            .candidates
            .iter()
            .filter(|candidate| suits(candidate).is_some())
            .min_by_key(|candidate| suits(candidate));
        if let Some(best) = best {
            return Ok(best);
        }
        // An index of a single image often says nothing about it.
        if let [only @ Candidate { platform: None, .. }] = &self.candidates[..] {
            return Ok(only);
        }
        let mut offered: Vec<String> = Vec::new();
        for platform in self.candidates.iter().filter_map(|candidate| candidate.platform.as_ref()) {
            let name = platform.to_string();
            // Build attestations stand in an index under this name.
            if platform.os != "unknown" && !offered.contains(&name) && offered.len() < 20 {
                offered.push(name);
            }
        }
        let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
        Err(Error::NoPlatform { wanted: wanted.to_string(), offered })
    }
}

#[cfg(test)]
mod tests;
