//! A blob on its way to a registry: taken over from another repository of it, or sent in parts that go on where a connection broke
//! (OCI distribution-spec, "Pushing blobs"). Called by `put`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::blocking::{Body, Response};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::backoff::{Backoff, Failure};
use super::http::{self, Ask};
use super::session::{Session, What};
use super::source::{Reader, Source};
use super::{Error, LayerEvent, Refusal, bounds};
use crate::image::{Descriptor, Hasher};

/// The smallest part of a blob that is sent by itself: S3 below a registry takes no smaller ones.
const SMALLEST: u64 = 5 << 20;
/// The largest one: each upload has one in memory.
const LARGEST: u64 = 16 << 20;
/// A part is made as large as can be sent in about this time.
const PART_TIME: Duration = Duration::from_secs(2);
/// What a connection is taken to do before it has been measured, in bytes a second.
const SLOW: f64 = 64.0 * 1024.0;
/// After so many bytes more than ever before earlier troubles are forgotten.
const FORGIVEN: u64 = 1 << 20;
/// From how many other repositories a blob is tried to be taken over.
const MAX_MOUNTS: usize = 2;
/// How often a registry may refuse the way in which something is sent before that counts as a refusal.
const MAX_REFUSED: u32 = 3;

/// One blob on its way.
pub struct Upload<'a> {
    session: &'a Session<'a>,
    blob: &'a Descriptor,
    /// What progress is told of.
    pub told_as: &'a Descriptor,
    source: &'a Arc<dyn Source>,
    what: String,
    image: String,
    /// Where the registry wants the next part; `None` before it was asked, and after it forgot.
    pub location: Option<Url>,
    /// How much it has.
    offset: u64,
    /// Whether it has to be asked how much it has.
    unsure: bool,
    /// How much it had at best, by whichever attempt.
    best: u64,
    hasher: Hasher,
    hashed: u64,
    smallest: u64,
    speed: f64,
    /// All in one request, for registries that know nothing else.
    whole: bool,
    refused: u32,
}

impl<'a> Upload<'a> {
    pub fn new(session: &'a Session<'a>, blob: &'a Descriptor, source: &'a Arc<dyn Source>) -> Self {
        Self {
            session,
            blob,
            told_as: blob,
            source,
            what: format!("layer {}", blob.digest),
            image: session.image(),
            location: None,
            offset: 0,
            unsure: false,
            best: 0,
            hasher: Hasher::new(blob.digest.algorithm()),
            hashed: 0,
            smallest: SMALLEST,
            speed: SLOW,
            whole: false,
            refused: 0,
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        self.session.wrong(&self.what, reason)
    }

    fn send(&self, ask: Ask) -> Result<Response, Failure> {
        self.session.send(ask, &What::Sent { part: &self.what, image: &self.image, session: self.session })
    }

    /// Asks the registry to take the blob over. What else it answers may be the beginning of an upload.
    pub fn mount(&mut self, others: &[String]) -> Result<bool, Error> {
        for other in others.iter().take(MAX_MOUNTS) {
            let mut url = self.session.url("blobs/uploads/")?;
            url.query_pairs_mut().append_pair("mount", &self.blob.digest.to_string()).append_pair("from", other);
            let asked =
                self.session.http.retry(|| self.send(self.session.request(Method::POST, url.clone(), Bytes::new())));
            match asked {
                Ok(response) if response.status() == StatusCode::CREATED => return Ok(true),
                Ok(response) => {
                    if let Some(earlier) = self.location.take() {
                        self.cancel(earlier);
                    }
                    self.begun(&response)?;
                }
                Err(error @ (Error::Reach { .. } | Error::GivenUp)) => return Err(error),
                // It may know nothing of this; if it is nothing that can be written to, that is said next.
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Sends all of it, whatever it takes.
    pub fn run(mut self) -> Result<(), Error> {
        let http = self.session.http;
        let mut backoff = Backoff::new(http.transfer);
        let mut forgiven_at = 0;
        http.progress.layer(&self.told_as.digest, LayerEvent::Started { from: 0 });
        loop {
            if http.is_given_up() {
                return Err(Error::GivenUp);
            }
            match self.step() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) => {
                    let failure = self.consider(failure)?;
                    if self.best >= forgiven_at + FORGIVEN {
                        forgiven_at = self.best;
                        self.refused = 0;
                        backoff = Backoff::new(http.transfer);
                    }
                    http.rest(&mut backoff, failure)?;
                    self.unsure = true;
                }
            }
        }
    }

    /// What a failure means for the way in which the rest is sent.
    fn consider(&mut self, failure: Failure) -> Result<Failure, Error> {
        let refusal = match *failure.error {
            Error::Refusal(refusal) if refusal.is_about_the_way() || refusal.is_about_digests() => refusal,
            error => return Ok(Failure { error: Box::new(error), again: failure.again }),
        };
        self.refused += 1;
        let anew = self.refused > 1 || refusal.is_about_digests();
        // 1: it may have another opinion of how much it has. 2: it may have lost it. 3: it may know no parts.
        if self.location.is_none() || self.refused > if refusal.is_about_digests() { 1 } else { MAX_REFUSED } {
            return Err(Error::Refusal(refusal));
        }
        if anew {
            self.forget();
        }
        self.whole = self.refused == MAX_REFUSED;
        Ok(Failure::soon(Error::Refusal(refusal)))
    }

    fn forget(&mut self) {
        if let Some(location) = self.location.take() {
            self.cancel(location);
        }
        self.offset = 0;
    }

    /// Tells the registry that nothing more comes. It forgets by itself if it does not listen.
    pub fn cancel(&self, location: Url) {
        let ask = Ask { method: Method::DELETE, ..Ask::get(location, self.session.endpoint.insecure) };
        drop(self.send(ask));
    }

    /// One request, and what follows from it. `true`: done.
    fn step(&mut self) -> Result<bool, Failure> {
        let Some(location) = self.location.clone() else { return self.begin() };
        if self.unsure {
            return self.ask_state(location);
        }
        if self.whole {
            return self.send_whole(location);
        }
        let part = self.part_size();
        if self.offset == 0 && self.blob.size <= part {
            let bytes = self.read(0, self.blob.size)?;
            return self.finish(location, bytes);
        }
        if self.offset == self.blob.size {
            return self.finish(location, Bytes::new());
        }
        self.send_part(location, part.min(self.blob.size - self.offset))
    }

    fn begin(&mut self) -> Result<bool, Failure> {
        // What was finished without our hearing of it.
        if self.unsure && self.session.has_blob(self.blob)? {
            return Ok(true);
        }
        let url = self.session.url("blobs/uploads/")?;
        let response = self.send(self.session.request(Method::POST, url, Bytes::new()))?;
        self.begun(&response)?;
        if self.best > 0 {
            self.session.http.progress.layer(&self.told_as.digest, LayerEvent::Started { from: 0 });
        }
        Ok(false)
    }

    fn begun(&mut self, response: &Response) -> Result<(), Error> {
        self.offset = 0;
        self.unsure = false;
        self.location = Some(self.next_location(response)?.ok_or_else(|| self.wrong("it says no place for it"))?);
        let wanted =
            header(response, &HeaderName::from_static("oci-chunk-min-length")).and_then(|text| text.parse().ok());
        self.smallest = wanted.unwrap_or(0).max(SMALLEST);
        // A part is held in memory; all at once is streamed.
        self.whole = self.whole || self.smallest > LARGEST;
        Ok(())
    }

    /// Where the next request goes: absolute or relative, and with a query that is not ours to read.
    fn next_location(&self, response: &Response) -> Result<Option<Url>, Error> {
        let Some(text) = header(response, &LOCATION) else { return Ok(None) };
        let base = response.url();
        let mut next = base.join(text).map_err(|_| self.wrong("the place for it is no address"))?;
        let forbidden = |reason: &str| Error::Redirect { host: http::host(base), reason: reason.to_owned() };
        if let Some(reason) = bounds::forbids(base, &next) {
            return Err(forbidden(reason));
        }
        match (base.scheme(), next.scheme()) {
            ("https", "http") if next.host_str() == base.host_str() => {
                // A registry behind a proxy that ends TLS often does not know that there is any.
                if next.set_scheme("https").is_err() || next.set_port(base.port()).is_err() {
                    return Err(self.wrong("the place for it is no address"));
                }
            }
            (_, "https") | ("http", "http") => {}
            (_, "http") => return Err(forbidden("an upload from https to http")),
            _ => return Err(forbidden("an upload to something other than https")),
        }
        Ok(Some(next))
    }

    /// Asks how much has arrived.
    fn ask_state(&mut self, location: Url) -> Result<bool, Failure> {
        let asked = self.send(Ask::get(location, self.session.endpoint.insecure));
        let response = match asked {
            Ok(response) => response,
            Err(failure) => match &*failure.error {
                Error::Refusal(refusal) if !refusal.is_about_access() => {
                    self.location = None;
                    self.offset = 0;
                    return Ok(false);
                }
                _ => return Err(failure),
            },
        };
        let there = header(&response, &RANGE).and_then(parse_range).unwrap_or(0);
        if there > self.blob.size {
            self.forget();
            return Ok(false);
        }
        if let Some(next) = self.next_location(&response)? {
            self.location = Some(next);
        }
        self.unsure = false;
        self.offset = there;
        // What a connection that broke has brought is progress, too.
        self.best = self.best.max(there);
        self.session.http.progress.layer(&self.told_as.digest, LayerEvent::Started { from: there });
        Ok(false)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rough figure, and then a range is kept"
    )]
    fn part_size(&self) -> u64 {
        ((self.speed * PART_TIME.as_secs_f64()) as u64).clamp(self.smallest, LARGEST.max(self.smallest))
    }

    /// How long a request with so many bytes may take: as long as four times what it should, and a silence.
    #[expect(clippy::cast_precision_loss, reason = "a rough figure")]
    fn patience(&self, bytes: u64) -> Duration {
        let speed = if self.speed > SLOW { self.speed / 4.0 } else { self.speed.max(1024.0) };
        self.session.http.transfer.stall_timeout + Duration::from_secs_f64(bytes as f64 / speed)
    }

    /// Reads a part, and hashes what was not hashed yet: no part is ever passed over.
    fn read(&mut self, at: u64, size: u64) -> Result<Bytes, Error> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.source.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => return Err(Refusal::Source { source: io::ErrorKind::UnexpectedEof.into() }.into()),
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Refusal::Source { source }.into()),
            }
        }
        if at <= self.hashed && self.hashed < at + size {
            self.hasher.update(&bytes[usize::try_from(self.hashed - at).unwrap_or_default()..]);
            self.hashed = at + size;
        }
        Ok(bytes.into())
    }

    #[expect(clippy::cast_precision_loss, reason = "a rough figure")]
    fn send_part(&mut self, location: Url, size: u64) -> Result<bool, Failure> {
        let bytes = self.read(self.offset, size)?;
        let mut ask = self.session.request(Method::PATCH, location, bytes);
        let range = format!("{}-{}", self.offset, self.offset + size - 1);
        ask.headers.extend(HeaderValue::from_str(&range).ok().map(|range| (CONTENT_RANGE, range)));
        ask.timeout = Some(self.patience(size));
        let began = Instant::now();
        let response = match self.send(ask) {
            Ok(response) => response,
            Err(failure) => {
                self.speed /= 2.0;
                return Err(failure);
            }
        };
        self.speed = size as f64 / began.elapsed().as_secs_f64().max(0.001);
        let next = self.next_location(&response)?;
        self.location = next.or(self.location.take());
        let there = header(&response, &RANGE).and_then(parse_range).unwrap_or(self.offset + size);
        if there > self.offset + size || there < self.offset {
            return Err(Failure::soon(self.wrong("it has kept another part of it than was sent")));
        }
        if there == self.offset {
            return Err(Failure::soon(self.wrong("it has kept nothing of what was sent")));
        }
        self.arrived(there);
        Ok(false)
    }

    fn arrived(&mut self, there: u64) {
        let progress = self.session.http.progress;
        progress.layer(&self.told_as.digest, LayerEvent::Received(there - self.offset));
        self.offset = there;
        self.best = self.best.max(there);
        if there == self.blob.size {
            progress.layer(&self.told_as.digest, LayerEvent::Finishing);
        }
    }

    /// Says that this was all, with the last bytes, which are all of them or none.
    fn finish(&mut self, location: Url, bytes: Bytes) -> Result<bool, Failure> {
        self.check()?;
        let size = bytes.len() as u64;
        let mut ask = self.session.request(Method::PUT, self.with_digest(location), bytes);
        // It may hash all of it only now.
        ask.timeout = Some(self.patience(self.blob.size));
        let response = self.send(ask)?;
        self.session.check_answer(&response, &self.what, &self.blob.digest)?;
        if size > 0 {
            self.arrived(size);
        }
        Ok(true)
    }

    /// What is damaged here is not offered as what it should be.
    fn check(&self) -> Result<(), Error> {
        let found = self.hasher.clone().finish();
        if self.hashed == self.blob.size && found != self.blob.digest {
            return Err(Refusal::Damaged { expected: self.blob.digest.clone(), found }.into());
        }
        Ok(())
    }

    fn with_digest(&self, mut location: Url) -> Url {
        location.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        location
    }

    fn send_whole(&mut self, location: Url) -> Result<bool, Failure> {
        let size = self.blob.size;
        while self.hashed < size {
            self.read(self.hashed, SMALLEST.min(size - self.hashed))?;
        }
        self.check()?;
        let mut ask = self.session.request(Method::PUT, self.with_digest(location), Bytes::new());
        ask.headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
        let source = Arc::clone(self.source);
        ask.body = Some(Arc::new(move || {
            let reader = Reader::new(Arc::clone(&source));
            Ok(Body::sized(io::BufReader::with_capacity(256 << 10, reader), size))
        }));
        ask.timeout = Some(self.patience(size));
        let response = self.send(ask)?;
        self.session.check_answer(&response, &self.what, &self.blob.digest)?;
        self.offset = 0;
        self.arrived(size);
        Ok(true)
    }
}

fn header<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// `Range: 0-LAST`, with or without `bytes=`: how many bytes there are. `0-0` is what registries say of nothing.
fn parse_range(text: &str) -> Option<u64> {
    let text = text.trim();
    let (first, last) =
        text.strip_prefix("bytes=").or_else(|| text.strip_prefix("bytes ")).unwrap_or(text).split_once('-')?;
    if first.trim() != "0" {
        return None;
    }
    match last.trim() {
        "" | "0" | "-1" => Some(0),
        last => last.parse::<u64>().ok()?.checked_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_uploads_are_read() {
        for (text, there) in
            [("0-99", Some(100)), ("bytes=0-99", Some(100)), ("0-0", Some(0)), ("0--1", Some(0)), (" 0-9 ", Some(10))]
        {
            assert_eq!(parse_range(text), there, "{text}");
        }
        for text in ["", "5-9", "0", "0-x", "0-18446744073709551615"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,30}") {
            let _ = parse_range(&text);
        }
    }
}
