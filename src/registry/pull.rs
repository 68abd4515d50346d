//! A pull, from the name that was typed to an image in the store.

use std::collections::HashSet;

use super::ahead::{Found, Job, Mender, Start, fill_showing};
use super::blob::BlobReader;
use super::crew;
use super::http::Http;
use super::session::{Received, Session};
use super::signatures;
use super::{Configuration, Environment, Error, LayerEvent, Progress, Transfer};
use crate::image::{Config, Descriptor, Digest, Document, Manifest, Platform, Reference, parse_document};
use crate::store::{self, Bounds, Image, Layer, NewImage, Slot, Store};
use crate::trust::{self, Rules, Source};

/// When the registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// If the image is not in the store.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Never.
    Never,
    /// Every time, but what is in the store serves where the registry cannot be reached.
    Newer,
}

/// How an image is pulled.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// When the registry is asked.
    pub policy: Policy,
    /// What the image is to run on.
    pub platform: Platform,
    /// How downloads behave.
    pub transfer: Transfer,
    /// Whose configuration counts.
    pub environment: Environment,
    /// Whether the store keeps layers also in the compressed form in which they come.
    pub keep_compressed: bool,
    /// How much an image may take.
    pub bounds: Bounds,
    /// How large the whole store may be, in bytes.
    pub max_size: Option<u64>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Missing,
            platform: Platform::host(),
            transfer: Transfer::default(),
            environment: Environment::of_process(),
            keep_compressed: true,
            bounds: Bounds::default(),
            max_size: None,
        }
    }
}

/// Finds the image in the store that a user means, as [`Store::find`] does, but short names mean what `registries.conf` says.
///
/// # Errors
/// A configuration that cannot be used; what the store says.
pub fn find(
    store: &Store,
    query: &str,
    platform: &Platform,
    environment: &Environment,
) -> Result<Option<Image>, Error> {
    if let Ok(reference) = Reference::parse(query)
        && reference.is_short()
        && let Some(found) =
            find_candidate(store, &Configuration::load(environment)?.candidates(&reference)?, platform)?
    {
        return Ok(Some(found));
    }
    if let Some(found) = store.find(query, platform)? {
        return Ok(Some(found));
    }
    // What was made here, or came in an archive, may have no registry: it is this machine's own, as podman has it too.
    match Reference::parse(&format!("localhost/{query}")) {
        Ok(own) if Reference::parse(query).is_ok_and(|typed| typed.is_short()) => {
            Ok(store.by_reference(&own, platform)?)
        }
        _ => Ok(None),
    }
}

/// Finds the image of this name where the store has it for a single platform, whatever that is: what an archive for another machine brought
/// can be looked at, named and sent from here, though not run.
///
/// # Errors
/// A configuration that cannot be used; damaged records.
pub fn find_only(store: &Store, query: &str, environment: &Environment) -> Result<Option<Image>, Error> {
    let Ok(typed) = Reference::parse(query) else { return Ok(None) };
    let mut names = if typed.is_short() { Configuration::load(environment)?.candidates(&typed)? } else { Vec::new() };
    let is_short = typed.is_short();
    names.push(typed);
    if is_short {
        names.extend(Reference::parse(&format!("localhost/{query}")));
    }
    for name in &names {
        if let Some(image) = store.only_target(name)? {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

fn find_candidate(store: &Store, candidates: &[Reference], platform: &Platform) -> Result<Option<Image>, Error> {
    for candidate in candidates {
        if let Some(image) = store.by_reference(candidate, platform)? {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

/// Gives the image that a name means, fetching what is not in the store.
///
/// ```no_run
/// use enter::{image::Reference, registry, store::Store};
///
/// let store = Store::open("/home/me/.local/share/enter/v1".as_ref())?;
/// let image = registry::pull(&store, &Reference::parse("debian")?, &registry::PullOptions::default(), &registry::Silent)?;
/// println!("{} has {} layers", image.id, image.tars.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// That of the registry or mirror that was asked last, or of the store. What has arrived of big layers is kept for the next pull.
pub fn pull(
    store: &Store,
    reference: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    pull_or_start(store, reference, options, progress, None)
}

/// As [`pull()`]; but where an image is not here and its layers can be read before they are, `start` may let somebody else fetch it.
///
/// # Errors
/// As [`pull()`].
pub fn pull_or_start(
    store: &Store,
    reference: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
    start: Option<&Start<'_>>,
) -> Result<Image, Error> {
    let configuration = Configuration::load(&options.environment)?;
    let candidates = configuration.candidates(reference)?;
    let here = match find_candidate(store, &candidates, &options.platform)? {
        Some(image) if store.mend(&image)? => Some(image),
        _ => None,
    };
    match (options.policy, &here) {
        (Policy::Missing | Policy::Never, Some(image)) => return Ok(image.clone()),
        (Policy::Never, None) => return Err(Error::NotHere { image: reference.familiar() }),
        _ => {}
    }
    let candidates = configuration.guesses(reference)?;
    let trust = signatures::policy(&options.environment)?;
    let http = Http::new(&options.environment, &configuration, &options.transfer, progress);
    let store = &store.clone().keeping_compressed(options.keep_compressed).bounded(options.bounds);
    let way = Way { store, options, trust: trust.as_ref(), start, http: &http };
    match (way.first(reference, &candidates), here) {
        (Err(error), Some(here)) if options.policy == Policy::Newer && is_out_of_reach(&error) => Ok(here),
        (pulled, _) => pulled,
    }
}

/// Whether a registry that works might have given the image.
fn is_out_of_reach(error: &Error) -> bool {
    match error {
        Error::Reach { .. } | Error::RateLimited { .. } | Error::Status { .. } => true,
        Error::Nowhere { attempts, .. } => attempts.iter().any(is_out_of_reach),
        _ => false,
    }
}

/// What a pull goes by.
struct Way<'a> {
    store: &'a Store,
    options: &'a PullOptions,
    trust: Option<&'a trust::Policy>,
    start: Option<&'a Start<'a>>,
    http: &'a Http<'a>,
}

impl Way<'_> {
    /// Tries the names that a short name may mean, and for each the places where it may be, until one has the image.
    fn first(&self, typed: &Reference, candidates: &[Reference]) -> Result<Image, Error> {
        let Self { store, options, trust, start, http } = *self;
        let mut attempts = Vec::new();
        for name in candidates {
            let source = Source::registry(name);
            let rules = trust.map(|policy| policy.rules(&source));
            if let Some(Err(refused)) = rules.as_ref().map(Rules::check_first) {
                attempts.push(refused.into());
                continue;
            }
            for endpoint in http.configuration.endpoints(name)? {
                let tried = Session::new(http, &endpoint).and_then(|session| {
                    Pull { store, name, options, rules: rules.as_ref(), start, session: &session }.run()
                });
                match tried {
                    Ok(image) => return Ok(image),
                    Err(error) if may_be_elsewhere(&error) => attempts.push(error),
                    Err(error) => return Err(error),
                }
            }
        }
        Err(Error::of_all(&typed.familiar(), attempts))
    }
}

/// Whether another mirror, or another registry that a short name may mean, could do better.
fn may_be_elsewhere(error: &Error) -> bool {
    use trust::Error::{Key, Policy, Read};
    !matches!(
        error,
        Error::Store(_)
            | Error::Trust(Read { .. } | Policy { .. } | Key { .. })
            | Error::GivenUp
            | Error::AuthFile { .. }
            | Error::AuthEntry { .. }
            | Error::Certificate { .. }
    )
}

/// One pull from one place.
struct Pull<'a> {
    store: &'a Store,
    name: &'a Reference,
    options: &'a PullOptions,
    /// What the policy requires of it; `None` where there is no policy.
    rules: Option<&'a Rules<'a>>,
    /// Who may let somebody else fetch it.
    start: Option<&'a Start<'a>>,
    session: &'a Session<'a>,
}

/// An image's documents, all verified.
struct Documents {
    index: Option<Received>,
    manifest: Received,
    parsed: Manifest,
    config: Vec<u8>,
    diff_ids: Vec<Digest>,
}

impl Pull<'_> {
    fn run(&self) -> Result<Image, Error> {
        if let Some(image) = self.unchanged()? {
            return Ok(image);
        }
        let documents = self.documents()?;
        if let Some(rules) = self.rules {
            let signed: Vec<&Received> =
                [Some(&documents.manifest), documents.index.as_ref()].into_iter().flatten().collect();
            signatures::check(rules, self.session, &signed)?;
        }
        // Where there is room for the layers but not for their compressed forms too, those do not stay.
        let frugal = self.store.clone().keeping_compressed(false);
        let store = if self.check_room(&documents)? { self.store } else { &frugal };
        if let Some(start) = self.start
            && let Some(image) = (Pull { store, ..*self }).job(&documents)?.as_ref().and_then(start)
        {
            return Ok(image);
        }
        if let Some(image) = (Pull { store, ..*self }).mended(&documents)? {
            return Ok(image);
        }
        let layers = Pull { store, ..*self }.layers(&documents)?;
        let ordered: Vec<&Layer> = documents
            .diff_ids
            .iter()
            .filter_map(|wanted| layers.iter().find(|layer| layer.diff_id() == wanted))
            .collect();
        let new = NewImage {
            names: std::slice::from_ref(self.name),
            platform: &self.options.platform,
            index: documents.index.as_ref().map(|index| &index.bytes[..]),
            index_digest: documents.index.as_ref().map(|index| &index.digest),
            manifest: &documents.manifest.bytes,
            manifest_digest: &documents.manifest.digest,
            config: &documents.config,
            id: &documents.parsed.config.digest,
            layers: &ordered,
        };
        let image = self.store.add(&new)?;
        // The image is here; what old pulls left can wait for `prune` if it cannot be removed now.
        let _ = self.store.sweep();
        Ok(image)
    }

    /// Refuses what cannot fit before it is fetched: a layer takes at least what its blob does. Whether there is room for the blobs beside.
    fn check_room(&self, documents: &Documents) -> Result<bool, Error> {
        let mut seen = HashSet::new();
        let pairs = documents.diff_ids.iter().zip(&documents.parsed.layers);
        let (mut all, mut layers, mut missing) = (0_u64, 0_u64, 0_u64);
        for (diff_id, blob) in pairs.filter(|(diff_id, _)| seen.insert(*diff_id)) {
            let still = self.store.missing(diff_id, blob);
            all = all.saturating_add(blob.size);
            missing = missing.saturating_add(still);
            layers = layers.saturating_add(if still > 0 { blob.size } else { 0 });
        }
        if let Some(most) = self.options.max_size.filter(|most| all > *most) {
            return Err(store::Error::AboveLimit { image: self.name.familiar(), needed: all, most }.into());
        }
        let room = self.store.room()?;
        if missing > 0 && layers > room {
            return Err(store::Error::NoRoom {
                image: self.name.familiar(),
                needed: layers,
                room,
                path: self.store.root().to_owned(),
            }
            .into());
        }
        Ok(layers.saturating_add(missing) <= room)
    }

    /// What somebody else has to know to fetch the image, where containers could begin meanwhile.
    fn job(&self, documents: &Documents) -> Result<Option<Job>, Error> {
        if self.store.by_id(&documents.parsed.config.digest)?.is_some() {
            return Ok(None);
        }
        Ok(Job::of(
            self.store,
            &Found {
                name: self.name,
                endpoint: self.session.endpoint,
                options: self.options,
                index: documents.index.as_ref(),
                manifest: &documents.manifest,
                config: &documents.config,
                parsed: &documents.parsed,
                diff_ids: &documents.diff_ids,
            },
        ))
    }

    /// Fetches the image in the way in which somebody had begun who was killed, so that containers that run from what had come go on. `None`
    /// where there was nobody, and where it cannot be had so.
    fn mended(&self, documents: &Documents) -> Result<Option<Image>, Error> {
        if !self.store.was_cut_off(&documents.parsed.config.digest) {
            return Ok(None);
        }
        let Some(job) = self.job(documents)? else { return Ok(None) };
        // What is wrong with the layers themselves is told by the ordinary way too.
        Ok(fill_showing(self.store, &job, &self.options.environment, &Mender, self.session.http.progress).ok())
    }

    /// The image that is here, where the registry says that the name still means it. Asks with HEAD, which registries do not count.
    fn unchanged(&self) -> Result<Option<Image>, Error> {
        // What must be signed is looked at each time: the signature, or the policy, may be another one today.
        if self.rules.is_some_and(|rules| !rules.accept_anything()) {
            return Ok(None);
        }
        let Some(known) = self.store.offered(self.name, &self.options.platform)? else { return Ok(None) };
        let image = match self.store.by_reference(self.name, &self.options.platform)? {
            Some(image) if self.store.mend(&image)? => image,
            _ => return Ok(None),
        };
        match self.session.digest() {
            Ok(digest) => Ok((digest == Some(known)).then_some(image)),
            // Not every registry knows HEAD.
            Err(Error::Status { .. } | Error::Answer { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn documents(&self) -> Result<Documents, Error> {
        let image = self.name.familiar();
        let unusable = |source| Error::Metadata { image: image.clone(), source };
        let top = self.session.manifest(None)?;
        let (index, manifest, parsed) = match parse_document(&top.bytes, top.media_type.as_deref()).map_err(unusable)? {
            Document::Manifest(parsed) => (None, top, parsed),
            Document::Index(index) => {
                let chosen = index.choose(&self.options.platform).map_err(unusable)?;
                let child = self.session.manifest(Some(&chosen.manifest))?;
                match parse_document(&child.bytes, child.media_type.as_deref()).map_err(unusable)? {
                    Document::Manifest(parsed) => (Some(top), child, parsed),
                    Document::Index(_) => return Err(unusable(crate::image::Error::NestedIndex)),
                }
            }
        };
        let config = self.session.config(&parsed.config)?;
        let read = Config::parse(&config).map_err(unusable)?;
        read.check_layers(parsed.layers.len()).map_err(unusable)?;
        if let Some(found) = &read.platform
            && self.options.platform.distance(found).is_none()
        {
            return Err(Error::Platform { image, found: found.to_string(), wanted: self.options.platform.to_string() });
        }
        Ok(Documents { index, manifest, parsed, config, diff_ids: read.diff_ids })
    }

    /// Fetches the layers that are not here, several at once; waits for those that others are fetching.
    fn layers(&self, documents: &Documents) -> Result<Vec<Layer>, Error> {
        let mut seen = HashSet::new();
        let pairs = documents.diff_ids.iter().zip(&documents.parsed.layers);
        let distinct: Vec<(&Digest, &Descriptor)> = pairs.filter(|(diff_id, _)| seen.insert(*diff_id)).collect();
        let blobs: Vec<Descriptor> = distinct.iter().map(|(_, blob)| (*blob).clone()).collect();
        let http = self.session.http;
        http.progress.resolved(self.name, &blobs);
        let workers = self.options.transfer.parallel.clamp(1, distinct.len().max(1));
        let fetched = crew::each(http, workers, distinct.into(), |(diff_id, blob)| self.layer(diff_id, blob));
        if let Err(Error::Store(error)) = &fetched
            && error.is_about_room()
        {
            // The other layers' parts would only keep the disk full. If they cannot be removed, the lack of room is still the news.
            let _ = documents.diff_ids.iter().try_for_each(|diff_id| self.store.discard(diff_id));
        }
        fetched
    }

    fn layer(&self, diff_id: &Digest, blob: &Descriptor) -> Result<Layer, Error> {
        let progress = self.session.http.progress;
        let mut fetched = false;
        loop {
            let waiting = || progress.layer(&blob.digest, LayerEvent::Waiting);
            let pending = match self.store.layer(diff_id, &waiting)? {
                Slot::Ready(layer) => {
                    progress.layer(&blob.digest, if fetched { LayerEvent::Done } else { LayerEvent::Exists });
                    return Ok(layer);
                }
                Slot::Absent(pending) => pending,
            };
            let from = pending.resumable(blob);
            match self.fill(&pending, blob, from) {
                // What an earlier pull left was not what it should be.
                Err(Error::Store(error)) if from > 0 && error.is_about_content() => self.fill(&pending, blob, 0)?,
                other => other?,
            }
            fetched = true;
        }
    }

    fn fill(&self, pending: &store::Pending<'_>, blob: &Descriptor, from: u64) -> Result<(), Error> {
        self.session.http.progress.layer(&blob.digest, LayerEvent::Started { from });
        let mut source = BlobReader::new(self.session, blob, from)?;
        pending.fill(blob, from, &mut source).map_err(Error::of_fill)
    }
}
