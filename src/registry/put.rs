//! What a [`Session`] can put into its repository: blobs, if they are not there, and manifests.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::blocking::{Body, Response};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use super::http::{Ask, MakeBody};
use super::session::{Session, What};
use super::source::Source;
use super::upload::Upload;
use super::{Error, Refusal};
use crate::image::{Descriptor, Digest};

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was there.
    Exists,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// It was sent.
    Sent,
}

impl Session<'_> {
    /// Whether the repository has a blob of this digest and size. A registry that does not say counts as one that does not have it.
    ///
    /// # Errors
    /// No connection, and no access.
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let url = self.blob_url(&blob.digest)?;
        let image = self.image();
        let what = What::Sent { part: "a question for a blob", image: &image, session: self };
        let asked = self.http.retry(|| self.ask(Method::HEAD, &url, None, 0, &what));
        match asked {
            Ok(response) => Ok(length(&response).is_none_or(|length| length == blob.size)),
            Err(Error::Reach { .. } | Error::GivenUp) => asked.map(|_| false),
            Err(Error::Refusal(ref refusal)) if matches!(**refusal, Refusal::Unauthorized { .. }) => {
                asked.map(|_| false)
            }
            Err(_) => Ok(false),
        }
    }

    /// Makes the repository have a blob. `others` are repositories of the same registry that should have it.
    ///
    /// # Errors
    /// What the registry says; [`Refusal::Damaged`] where `source` is not what the descriptor says, of which the registry then keeps nothing.
    pub fn put_blob(&self, blob: &Descriptor, source: &Arc<dyn Source>, others: &[String]) -> Result<Put, Error> {
        if self.has_blob(blob)? {
            return Ok(Put::Exists);
        }
        self.send_blob(blob, blob, source, others)
    }

    /// As [`Session::put_blob`], of a blob that is known not to be there. Progress is told of `told_as`.
    pub fn send_blob(
        &self,
        blob: &Descriptor,
        told_as: &Descriptor,
        source: &Arc<dyn Source>,
        others: &[String],
    ) -> Result<Put, Error> {
        let mut upload = Upload::new(self, blob, source);
        upload.told_as = told_as;
        if upload.mount(others)? {
            return Ok(Put::Mounted);
        }
        upload.run().map(|()| Put::Sent)
    }

    /// Takes a blob over from another repository of the registry; `false` where that does not do it.
    pub fn mount_blob(&self, blob: &Descriptor, others: &[String]) -> Result<bool, Error> {
        let nothing: Arc<dyn Source> = Arc::new(Vec::new());
        let mut upload = Upload::new(self, blob, &nothing);
        let mounted = upload.mount(others)?;
        if let Some(location) = upload.location.take() {
            upload.cancel(location);
        }
        Ok(mounted)
    }

    /// Puts a manifest or an index under a tag or its digest.
    ///
    /// # Errors
    /// What the registry says, and [`Error::Answer`] where it has made something else of it.
    pub fn put_manifest(&self, bytes: &[u8], media_type: &str, selector: &str) -> Result<Digest, Error> {
        let url = self.url(&format!("manifests/{selector}"))?;
        let (image, digest) = (self.image(), Digest::of(bytes));
        let what = What::Sent { part: "the manifest", image: &image, session: self };
        let body = Bytes::copy_from_slice(bytes);
        let value = HeaderValue::from_str(media_type).map_err(|_| self.wrong("the manifest", "its type is none"))?;
        let response = self.http.retry(|| {
            let mut ask = self.request(Method::PUT, url.clone(), body.clone());
            ask.headers.retain(|(name, _)| *name != CONTENT_TYPE);
            ask.headers.push((CONTENT_TYPE, value.clone()));
            self.send(ask, &what)
        })?;
        self.check_answer(&response, "the manifest", &digest)?;
        Ok(digest)
    }

    pub(super) fn request(&self, method: Method, url: Url, body: Bytes) -> Ask {
        let mut ask = Ask { method, ..Ask::get(url, self.endpoint.insecure) };
        ask.headers.push((CONTENT_LENGTH, HeaderValue::from(body.len())));
        if !body.is_empty() {
            ask.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
        }
        let make: MakeBody = Arc::new(move || Ok(Body::from(body.clone())));
        ask.body = Some(make);
        ask
    }

    /// Where a registry says what it made of something, that must be what was meant.
    pub(super) fn check_answer(&self, response: &Response, what: &str, digest: &Digest) -> Result<(), Error> {
        let said = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match said.map(Digest::parse) {
            Some(Ok(said)) if said.algorithm() == digest.algorithm() && said != *digest => {
                Err(self.wrong(what, &format!("it says that it has received {said}, and {digest} was sent")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn wrong(&self, what: &str, reason: &str) -> Error {
        Error::Answer { host: self.host(), what: what.to_owned(), reason: reason.to_owned() }
    }
}

fn length(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
