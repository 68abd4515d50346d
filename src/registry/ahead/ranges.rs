//! Ranges of blobs, fetched by themselves; and the way from front to back, which makes room for them.

use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::super::Error;
use super::super::backoff::Failure;
use super::super::blob::{BlobReader, parse_range};
use super::super::http;
use super::super::session::{Session, What};
use crate::image::Descriptor;
use crate::store::{Arrival, Ranges};

/// Ranges up to this are held in memory, and fetched again where the connection breaks off; of longer ones what comes is used as it comes.
const HELD: u64 = 4 << 20;

/// How long the way from front to back makes room at a time. Then it goes on for a moment, so that its connection stays alive.
const ROOM: Duration = Duration::from_secs(1);

/// After something that was waited for, the next is often waited for soon: a program starts, a prompt is made. What came from front to back
/// in between would be in its way, up to all that the line and the kernel hold (megabytes).
const SOON: Duration = Duration::from_millis(100);
/// How long, altogether, is waited for that while nobody fetches anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who fetches what somebody waits for. As long as there is anybody, the rest waits: it is wanted later.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    urgent: usize,
    last: Option<Instant>,
    /// For how long nobody fetched anything although there was something to be fetched.
    lost: Duration,
}

impl Gate {
    fn enter(&self) -> Urgent<'_> {
        self.state().urgent += 1;
        Urgent(self)
    }

    /// Waits until the way from front to back is free, and for a while only.
    fn pass(&self) {
        let deadline = Instant::now() + ROOM;
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let soon = state.last.map_or(Duration::ZERO, |last| (last + SOON).saturating_duration_since(now));
            let is_idle = state.urgent == 0;
            if now >= deadline || (is_idle && (soon.is_zero() || state.lost >= PATIENCE)) {
                return;
            }
            let rest = if is_idle { soon } else { ROOM };
            let waiting = self.changed.wait_timeout(state, rest.min(deadline - now));
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
            if is_idle {
                state.lost += now.elapsed();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Urgent<'g>(&'g Gate);

impl Drop for Urgent<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.urgent -= 1;
        state.last = Some(Instant::now());
        drop(state);
        self.0.changed.notify_all();
    }
}

/// Fetches ranges from a repository.
pub struct Fetcher<'a> {
    pub session: &'a Session<'a>,
    pub gate: &'a Gate,
}

impl Fetcher<'_> {
    /// All of a range.
    pub fn fetch(&self, blob: &Descriptor, range: &Range<u64>) -> Result<Vec<u8>, Error> {
        let length = range.end - range.start;
        self.session.http.retry(|| {
            let mut response = self.ask(blob, range)?;
            let bytes = http::body(self.session.http, &mut response, length)?;
            if bytes.len() as u64 == length {
                return Ok(bytes);
            }
            Err(Failure::soon(self.wrong(blob, "it sends another number of bytes than it announced".into())))
        })
    }

    fn ask(&self, blob: &Descriptor, range: &Range<u64>) -> Result<reqwest::blocking::Response, Failure> {
        let (part, image) = (format!("layer {}", blob.digest), self.session.endpoint.reference.familiar());
        let what = What::Part { part: &part, image: &image, session: self.session };
        let response = self.session.range(&self.session.blob_url(&blob.digest)?, range, &what)?;
        let whole = *range == (0..blob.size);
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return if whole { Ok(response) } else { Err(self.wrong(blob, "it sends no ranges".into()).into()) };
        }
        let header = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match parse_range(header) {
            Some((first, last, size))
                if first == range.start && last + 1 == range.end && size.is_none_or(|size| size == blob.size) =>
            {
                Ok(response)
            }
            _ => Err(self.wrong(blob, format!("it sends the range {:?}", super::super::shorten(header))).into()),
        }
    }

    fn wrong(&self, blob: &Descriptor, reason: String) -> Error {
        Error::Answer { host: self.session.host(), what: format!("layer {}", blob.digest), reason }
    }
}

impl Ranges for Fetcher<'_> {
    fn range<'s>(&'s self, blob: &Descriptor, range: Range<u64>) -> io::Result<Box<dyn Read + 's>> {
        let urgent = self.gate.enter();
        if range.end - range.start <= HELD {
            return Ok(Box::new(Cursor::new(self.fetch(blob, &range).map_err(io::Error::other)?)));
        }
        let response = self.session.http.retry(|| self.ask(blob, &range)).map_err(io::Error::other)?;
        Ok(Box::new(Streamed { response, _urgent: urgent }))
    }
}

struct Streamed<'g> {
    response: reqwest::blocking::Response,
    _urgent: Urgent<'g>,
}

impl Read for Streamed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.response.read(into)
    }
}

/// A blob from front to back, whose arrival is told.
pub struct Front<'a> {
    pub blob: BlobReader<'a>,
    pub arrival: &'a Arrival<'a>,
    pub gate: &'a Gate,
    pub come: u64,
}

impl Read for Front<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.gate.pass();
        let got = self.blob.read(into)?;
        self.come += got as u64;
        self.arrival.has_come(self.come);
        Ok(got)
    }
}
