//! What the process has to know that fetches an image: all that the pull has found out about it.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::configuration::Endpoint;
use super::super::session::Received;
use super::super::{Error, PullOptions, Transfer};
use super::WORTH_IT;
use crate::image::{
    Config, Contents, Descriptor, Digest, Document, Manifest, Platform, Reference, contents, parse_document,
};
use crate::store::{Bounds, Newcomer, Store};

/// An image to be fetched from a place, verified documents included. It can be sent to another process of this program.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    name: String,
    place: String,
    insecure: bool,
    is_mirror: bool,
    platform: String,
    newcomer: Newcomer,
    index: Option<(String, Digest)>,
    manifest: (String, Digest),
    config: String,
    id: Digest,
    transfer: Form,
    keep_compressed: bool,
    bounds: Bounds,
}

/// [`Transfer`], as it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Form {
    parallel: usize,
    retries: u32,
    stall_timeout: Duration,
    first_wait: Duration,
    longest_wait: Duration,
    token_hosts: Vec<String>,
}

/// A layer that is to be fetched: its blob, what it is uncompressed, and where its table is.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub diff_id: Digest,
    pub blob: Descriptor,
    pub contents: Option<Contents>,
}

/// What a pull has found out.
pub struct Found<'a> {
    pub name: &'a Reference,
    pub endpoint: &'a Endpoint,
    pub options: &'a PullOptions,
    pub index: Option<&'a Received>,
    pub manifest: &'a Received,
    pub config: &'a [u8],
    pub parsed: &'a Manifest,
    pub diff_ids: &'a [Digest],
}

impl Job {
    /// The job, where every layer that is not here has a table of contents, and enough is missing to be worth it.
    pub fn of(store: &Store, found: &Found<'_>) -> Option<Self> {
        let wanted = wanted(&found.manifest.bytes, found.parsed, found.diff_ids);
        let missing: Vec<&Wanted> = wanted.iter().filter(|wanted| !store.has_layer(&wanted.diff_id)).collect();
        let bytes = missing.iter().fold(0, |sum: u64, wanted| sum.saturating_add(wanted.blob.size));
        if bytes < WORTH_IT || missing.iter().any(|wanted| wanted.contents.is_none()) {
            return None;
        }
        let Found { name, endpoint, options, index, manifest, config, parsed, .. } = found;
        let text = |received: &Received| {
            Some((std::str::from_utf8(&received.bytes).ok()?.to_owned(), received.digest.clone()))
        };
        let id = parsed.config.digest.clone();
        let offered = &index.unwrap_or(manifest).digest;
        let Transfer { parallel, retries, stall_timeout, first_wait, longest_wait, token_hosts } =
            options.transfer.clone();
        Some(Self {
            name: name.to_string(),
            place: endpoint.reference.to_string(),
            insecure: endpoint.insecure,
            is_mirror: endpoint.is_mirror,
            platform: options.platform.to_string(),
            newcomer: Newcomer::new(name, &options.platform, &id, &manifest.digest, offered, config)?,
            index: match index {
                Some(index) => Some(text(index)?),
                None => None,
            },
            manifest: text(manifest)?,
            config: std::str::from_utf8(config).ok()?.to_owned(),
            id,
            transfer: Form { parallel, retries, stall_timeout, first_wait, longest_wait, token_hosts },
            keep_compressed: store.keeps_compressed(),
            bounds: options.bounds,
        })
    }

    /// The image's ID.
    pub fn image(&self) -> &Digest {
        &self.id
    }

    pub(super) fn newcomer(&self) -> &Newcomer {
        &self.newcomer
    }

    pub(super) fn name(&self) -> Result<Reference, Error> {
        Ok(Reference::parse(&self.name)?)
    }

    pub(super) fn platform(&self) -> Platform {
        Platform::parse(&self.platform).unwrap_or_else(|_| Platform::host())
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, Error> {
        let Self { insecure, is_mirror, .. } = *self;
        Ok(Endpoint { reference: Reference::parse(&self.place)?, insecure, is_mirror })
    }

    pub(super) fn transfer(&self) -> Transfer {
        let Form { parallel, retries, stall_timeout, first_wait, longest_wait, .. } = self.transfer;
        let token_hosts = self.transfer.token_hosts.clone();
        Transfer { parallel, retries, stall_timeout, first_wait, longest_wait, token_hosts }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn keeps_compressed(&self) -> bool {
        self.keep_compressed
    }

    pub(super) fn index(&self) -> Option<(&[u8], &Digest)> {
        self.index.as_ref().map(|(text, digest)| (text.as_bytes(), digest))
    }

    pub(super) fn manifest(&self) -> (&[u8], &Digest) {
        (self.manifest.0.as_bytes(), &self.manifest.1)
    }

    pub(super) fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    /// What the layers are uncompressed, bottom first, each as often as the image has it.
    pub(super) fn order(&self) -> Result<Vec<Digest>, Error> {
        let unusable = |source| Error::Metadata { image: self.name.clone(), source };
        Ok(Config::parse(self.config()).map_err(unusable)?.diff_ids)
    }

    /// The layers, each once.
    pub(super) fn layers(&self) -> Result<Vec<Wanted>, Error> {
        let unusable = |source| Error::Metadata { image: self.name.clone(), source };
        let Document::Manifest(parsed) = parse_document(self.manifest().0, None).map_err(unusable)? else {
            return Err(unusable(crate::image::Error::NestedIndex));
        };
        Ok(wanted(self.manifest().0, &parsed, &self.order()?))
    }
}

fn wanted(manifest: &[u8], parsed: &Manifest, diff_ids: &[Digest]) -> Vec<Wanted> {
    let mut places = contents(manifest);
    // A manifest that was read otherwise has none.
    places.resize(parsed.layers.len(), None);
    let mut seen = HashSet::new();
    let layers = diff_ids.iter().zip(&parsed.layers).zip(places);
    let all =
        layers.map(|((diff_id, blob), contents)| Wanted { diff_id: diff_id.clone(), blob: blob.clone(), contents });
    all.filter(|wanted| seen.insert(wanted.diff_id.clone())).collect()
}
