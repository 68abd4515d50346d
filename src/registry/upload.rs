//! A blob on its way to a registry: taken over from another repository of it, or sent in parts that go on where a connection broke
//! (OCI distribution-spec, "Pushing blobs"). Called by `put`.

mod content;
mod parts;
mod trials;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::blocking::Response;
use reqwest::header::{HeaderName, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::backoff::{Backoff, Failure};
use super::crew::lock;
use super::http::{self, Ask};
use super::rhythm::{Nature, Turn};
use super::session::{Session, What};
use super::source::Source;
use super::{Error, LayerEvent, Reason, Refusal, bounds};
use crate::image::Descriptor;
use content::Content;
use trials::Trials;

/// The smallest part of a blob that is sent by itself: S3 below a registry takes no smaller ones.
const SMALLEST: u64 = 5 << 20;
/// The largest one: each upload has one in memory, and the next.
const LARGEST: u64 = 8 << 20;
/// The largest one, where the registry takes no smaller ones.
const MOST: u64 = 16 << 20;
/// A part is made as large as can be sent in about this time.
const PART_TIME: Duration = Duration::from_secs(2);
/// What a connection is taken to do before it has been measured, in bytes a second.
const SLOW: f64 = 64.0 * 1024.0;
/// The smallest part where the registry is about to die.
const LAST: u64 = 1 << 20;
/// How often it is looked whether it has died, and whether it is back.
const LOOK: Duration = Duration::from_millis(20);
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
    /// The same, of which the next part is read while one is sent.
    content: Mutex<Content>,
    what: String,
    image: String,
    /// Where the registry wants the next part; `None` before it was asked, and after it forgot.
    pub location: Option<Url>,
    /// How much it has.
    offset: u64,
    /// Whether it has to be asked how much it has.
    unsure: bool,
    trials: Trials,
    /// No other blob is on its way.
    turn: Option<Turn<'a>>,
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
            content: Mutex::new(Content::new(blob.digest.algorithm(), source)),
            what: format!("layer {}", blob.digest),
            image: session.image(),
            location: None,
            offset: 0,
            unsure: false,
            trials: Trials::default(),
            turn: None,
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
        let began = Instant::now();
        let is_own = self.session.is_own(&ask.url);
        let sent = self.session.send(ask, &What::Sent { part: &self.what, image: &self.image, session: self.session });
        match &sent {
            _ if !is_own => {}
            Err(failure) if is_death(&failure.error) => self.session.rhythm.broke(began),
            Err(failure) if !matches!(*failure.error, Error::Refusal(_)) => {}
            Ok(_) | Err(_) => self.session.rhythm.answered(),
        }
        sent
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
                    if self.trials.forgives() {
                        self.refused = 0;
                        backoff = Backoff::new(http.transfer);
                    }
                    self.unsure = true;
                    match self.session.rhythm.away().filter(|_| self.trials.is_forgiven && is_death(&failure.error)) {
                        Some(away) => self.look_out(&failure.error, away)?,
                        None => http.rest(&mut backoff, failure)?,
                    }
                }
            }
        }
    }

    /// Waits for a registry that has died, so that what is left of its next life is known.
    fn look_out(&mut self, error: &Error, away: Duration) -> Result<(), Error> {
        let http = self.session.http;
        let wait = (away / 8).max(LOOK);
        if !std::mem::replace(&mut self.trials.is_told, true) {
            self.trials.died();
            http.progress.retrying(error, wait);
        }
        http.nap(wait)
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
        let Some(part) = self.dared() else {
            // It is about to die. Whether it has done so is seen when it is asked.
            self.session.http.nap(LOOK)?;
            (self.unsure, self.trials.is_forgiven) = (true, true);
            return Ok(false);
        };
        if self.offset == 0 && self.blob.size <= part {
            let bytes = lock(&self.content).read(0, self.blob.size)?;
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
        if !self.may_begin()? {
            self.session.http.nap(LOOK)?;
            self.trials.is_forgiven = true;
            return Ok(false);
        }
        let url = self.session.url("blobs/uploads/")?;
        let response = self.send(self.session.request(Method::POST, url, Bytes::new()))?;
        self.begun(&response)?;
        Ok(false)
    }

    /// Whether this is the time to begin: where all is lost when the registry dies, one blob goes after the other, and each is begun when there
    /// is the time for it, or when most of a life is left.
    fn may_begin(&mut self) -> Result<bool, Failure> {
        let rhythm = &self.session.rhythm;
        let loses = if self.whole { Nature::LosesBroken } else { Nature::LosesAll };
        if rhythm.nature() < loses {
            return Ok(true);
        }
        if self.turn.is_none() {
            self.turn = rhythm.turn();
        }
        if self.turn.is_none() {
            return Ok(false);
        }
        if self.trials.have_lasted() || rhythm.has_room_for(self.blob.size) {
            return Ok(true);
        }
        let ask = Ask {
            method: Method::HEAD,
            ..Ask::get(self.session.blob_url(&self.blob.digest)?, self.session.endpoint.insecure)
        };
        match self.send(ask) {
            Err(failure) if is_death(&failure.error) => Err(failure),
            _ => {
                self.trials.is_told = false;
                Ok(false)
            }
        }
    }

    /// The registry has nothing of it any more.
    fn lose(&mut self) -> Result<(), Error> {
        self.location = None;
        self.offset = 0;
        let nature = if self.trials.on_the_way { Nature::LosesBroken } else { Nature::LosesAll };
        if self.trials.lost() {
            self.session.rhythm.lost(nature);
            self.session.http.progress.layer(&self.told_as.digest, LayerEvent::Started { from: 0 });
        }
        if self.trials.are_too_many() {
            return Err(self.wrong(
                "whenever the connection breaks it loses what it had of it, and that is always before all is there",
            ));
        }
        Ok(())
    }

    fn begun(&mut self, response: &Response) -> Result<(), Error> {
        self.offset = 0;
        self.unsure = false;
        self.location = Some(self.next_location(response)?.ok_or_else(|| self.wrong("it says no place for it"))?);
        let wanted =
            header(response, &HeaderName::from_static("oci-chunk-min-length")).and_then(|text| text.parse().ok());
        self.smallest = wanted.unwrap_or(0).max(SMALLEST);
        // A part is held in memory; all at once is streamed.
        self.whole = self.whole || self.smallest > MOST;
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
                    self.lose()?;
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
        if there != self.offset {
            self.session.http.progress.layer(&self.told_as.digest, LayerEvent::Started { from: there });
        }
        (self.unsure, self.trials.on_the_way, self.trials.is_told) = (false, false, false);
        self.offset = there;
        // What a connection that broke has brought is progress, too.
        self.trials.there(there);
        Ok(false)
    }
}

/// Whether an error is what the end of a registry looks like, or of what is behind a proxy.
fn is_death(error: &Error) -> bool {
    match error {
        Error::Reach { reason, .. } => matches!(reason, Reason::Broken | Reason::Refused),
        Error::Refusal(refusal) => matches!(**refusal, Refusal::Other { code: 502..=504, .. }),
        _ => false,
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
