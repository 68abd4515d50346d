//! Manifests and indexes as a registry has them, without the images. Called by `manifest`.

use reqwest::Method;

use super::http::{self, Http};
use super::session::{Received, Session, What};
use super::{Configuration, Error, SearchOptions, Silent};
use crate::image::{Config, Document, Entry, List, MAX_MANIFEST, On, Platform, Reference, parse_document};

/// A document of a registry.
pub struct Fetched {
    /// The name that it was found by, complete.
    pub name: Reference,
    /// As received, and verified where the name has a digest.
    pub bytes: Vec<u8>,
}

/// Fetches what a name leads to.
///
/// # Errors
/// Those of the place that was asked last.
pub fn document(reference: &Reference, options: &SearchOptions) -> Result<Fetched, Error> {
    each(reference, options, |session, name| Ok(Fetched { name: name.clone(), bytes: session.manifest(None)?.bytes }))
}

/// Finds out how a list would speak of what a name leads to: of an image; of an index, of all that it has, or of what suits a platform.
///
/// # Errors
/// Those of the place that was asked last; an index that has nothing for the platform; what is no image.
pub fn describe(
    reference: &Reference,
    wanted: Option<&Platform>,
    options: &SearchOptions,
) -> Result<Vec<Entry>, Error> {
    each(reference, options, |session, name| {
        let unusable = |source| Error::Metadata { image: name.familiar(), source };
        let top = session.manifest(None)?;
        match parse_document(&top.bytes, top.media_type.as_deref()).map_err(unusable)? {
            Document::Manifest(manifest) => {
                let config = Config::parse(&session.config(&manifest.config)?).map_err(unusable)?;
                let platform = config.platform.unwrap_or_else(Platform::host);
                Ok(vec![entry(&top, name, &platform)])
            }
            Document::Index(index) => {
                let list = List::parse(&top.bytes, &name.repository()).map_err(unusable)?;
                let Some(wanted) = wanted else { return Ok(list.entries) };
                let chosen = &index.choose(wanted).map_err(unusable)?.manifest.digest;
                Ok(list.entries.into_iter().filter(|entry| entry.digest == *chosen).take(1).collect())
            }
        }
    })
}

fn entry(manifest: &Received, name: &Reference, platform: &Platform) -> Entry {
    Entry {
        media_type: manifest_type(&manifest.bytes),
        digest: manifest.digest.clone(),
        size: manifest.bytes.len() as u64,
        on: On::of(platform),
        annotations: Default::default(),
        image: None,
        source: Some(format!("{}@{}", name.repository(), manifest.digest)),
    }
}

/// What the manifest of an image calls itself.
pub fn manifest_type(bytes: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let own = value["mediaType"].as_str().filter(|kind| !kind.is_empty());
    own.unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned()
}

/// Fetches the index of what refers to an image, such as signatures (distribution-spec, "Listing Referrers", with the tag that stands in for
/// it in registries that do not know it).
///
/// # Errors
/// Those of the place that was asked last.
pub fn referrers(reference: &Reference, options: &SearchOptions) -> Result<Vec<u8>, Error> {
    each(reference, options, |session, name| {
        let digest = match name.digest() {
            Some(digest) => digest.clone(),
            None => session.manifest(None)?.digest,
        };
        let image = name.familiar();
        let what = What::Image { image: &image, session };
        let fetch = |rest: &str| {
            let url = session.repository_url(rest)?;
            session.http.retry(|| {
                let accepted = Some("application/vnd.oci.image.index.v1+json");
                let mut response = session.ask(Method::GET, &url, accepted, 0, &what)?;
                http::body(session.http, &mut response, MAX_MANIFEST)
            })
        };
        let tag = format!("manifests/{}-{}", digest.algorithm().name(), digest.hex());
        let found = match fetch(&format!("referrers/{digest}")) {
            Ok(bytes) if is_index(&bytes) => Ok(bytes),
            Ok(_) | Err(Error::NotFound { .. } | Error::Status { .. }) => fetch(&tag),
            other => other,
        };
        match found {
            Ok(bytes) if is_index(&bytes) => Ok(bytes),
            Err(Error::NotFound { .. }) => Ok(List::default().compose(crate::image::Form::Oci).unwrap_or_default()),
            Ok(_) => Err(Error::Answer {
                host: session.host(),
                what: "what refers to the image".into(),
                reason: "it is no index".into(),
            }),
            other => other,
        }
    })
}

fn is_index(bytes: &[u8]) -> bool {
    bytes.len() as u64 <= MAX_MANIFEST && matches!(parse_document(bytes, None), Ok(Document::Index(_)))
}

/// Tries the places that a name may mean, one after the other.
pub fn each<T>(
    reference: &Reference,
    options: &SearchOptions,
    ask: impl Fn(&Session<'_>, &Reference) -> Result<T, Error>,
) -> Result<T, Error> {
    let configuration = Configuration::load(&options.environment)?;
    let http = Http::new(&options.environment, &configuration, &options.transfer, &Silent);
    let mut attempts = Vec::new();
    for name in configuration.candidates(reference)? {
        for endpoint in configuration.endpoints(&name)? {
            match Session::new(&http, &endpoint).and_then(|session| ask(&session, &name)) {
                Ok(done) => return Ok(done),
                Err(error) => attempts.push(error),
            }
        }
    }
    Err(Error::of_all(&reference.familiar(), attempts))
}
