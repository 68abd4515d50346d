//! A layer's bytes as a reader that goes on where a connection broke off.

use std::io::{self, Read};
use std::time::Instant;

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Method, StatusCode, Url};

use super::backoff::{Backoff, Failure};
use super::http::{self, Http};
use super::pace::Pace;
use super::session::{Session, What};
use super::{Error, LayerEvent};
use crate::image::Descriptor;

/// After so many bytes without trouble earlier troubles are forgotten.
const FORGIVEN: u64 = 1 << 20;

/// Reads a blob. Its digest is not checked here: who reads does that, over all bytes.
pub struct BlobReader<'a> {
    session: &'a Session<'a>,
    blob: &'a Descriptor,
    url: Url,
    what: String,
    image: String,
    position: u64,
    response: Option<Response>,
    backoff: Backoff,
    since_trouble: u64,
    pace: Pace,
    /// That the last bytes came too slowly, to be told at the next read.
    slow: Option<Failure>,
    /// Whether the registry has answered a range wrongly, so that it is asked for everything instead.
    no_ranges: bool,
}

impl<'a> BlobReader<'a> {
    /// A reader that starts at byte `from`. Asks for nothing before it is read from.
    pub fn new(session: &'a Session<'a>, blob: &'a Descriptor, from: u64) -> Result<Self, Error> {
        Ok(Self {
            url: session.blob_url(&blob.digest)?,
            what: format!("layer {}", blob.digest),
            image: session.endpoint.reference.familiar(),
            session,
            blob,
            position: from,
            response: None,
            backoff: Backoff::new(session.http.transfer),
            since_trouble: 0,
            pace: Pace::new(session.http.transfer.stall_timeout),
            slow: None,
            no_ranges: false,
        })
    }

    fn http(&self) -> &'a Http<'a> {
        self.session.http
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Answer { host: self.session.host(), what: self.what.clone(), reason }
    }

    /// Asks for the bytes from the position on, and checks that this is what comes.
    fn open(&mut self) -> Result<Response, Failure> {
        let from = if self.no_ranges { 0 } else { self.position };
        let what = What::Part { part: &self.what, image: &self.image, session: self.session };
        let asked = self.session.ask(Method::GET, &self.url, None, from, &what);
        let response = asked.map_err(|failure| match &*failure.error {
            Error::Status { status, .. } if from > 0 && status.starts_with("416") => {
                self.no_ranges = true;
                Failure::soon(self.wrong("it refuses the range of bytes that is missing".into()))
            }
            _ => failure,
        })?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => self.check_range(&response, from)?,
            _ => 0,
        };
        let announced = response
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        if let Some(announced) = announced
            && announced != self.blob.size - start
        {
            let reason = format!("it announces {announced} bytes where the manifest says {}", self.blob.size - start);
            return Err(self.wrong(reason).into());
        }
        self.skip(response, self.position - start)
    }

    /// `Content-Range: bytes FIRST-LAST/SIZE` (RFC 9110, 14.4).
    fn check_range(&mut self, response: &Response, from: u64) -> Result<u64, Failure> {
        let header = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match parse_range(header) {
            Some((first, last, size))
                if first == from && last + 1 == self.blob.size && size.is_none_or(|size| size == self.blob.size) =>
            {
                Ok(from)
            }
            _ => {
                self.no_ranges = true;
                Err(Failure::soon(self.wrong(format!(
                    "it was asked for the bytes from {from} on, and sends {:?}",
                    super::shorten(header)
                ))))
            }
        }
    }

    /// Reads and forgets what is here already.
    fn skip(&self, mut response: Response, bytes: u64) -> Result<Response, Failure> {
        let url = response.url().clone();
        let skipped = io::copy(&mut response.by_ref().take(bytes), &mut io::sink());
        match skipped {
            Ok(skipped) if skipped == bytes => Ok(response),
            Ok(_) => Err(Failure::soon(self.wrong("it ends before what is missing".into()))),
            Err(error) => Err(http::broken(self.http(), &url, error)),
        }
    }

    fn attempt(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        if let Some(failure) = self.slow.take() {
            return Err(failure);
        }
        let mut response = match self.response.take() {
            Some(response) => response,
            None => {
                self.pace = Pace::new(self.http().transfer.stall_timeout);
                self.open()?
            }
        };
        let asked = Instant::now();
        match response.read(into) {
            Ok(0) if self.position < self.blob.size => Err(Failure::soon(Error::Reach {
                host: http::host(response.url()),
                reason: super::Reason::Broken,
                certificate: None,
                proxy: None,
                source: None,
            })),
            Ok(got) => {
                // What is whole is not too slow. What came is kept, whether the rest is asked for again or not.
                if self.pace.keeps(got, asked.elapsed()) || self.position + got as u64 >= self.blob.size {
                    self.response = Some(response);
                } else {
                    self.slow = Some(http::stalled(self.http(), response.url()));
                }
                Ok(got)
            }
            Err(error) => {
                let url = response.url().clone();
                Err(http::broken(self.http(), &url, error))
            }
        }
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || (self.response.is_none() && self.position >= self.blob.size) {
            return Ok(0);
        }
        loop {
            if self.http().is_given_up() {
                return Err(io::Error::other(Error::GivenUp));
            }
            match self.attempt(into) {
                Ok(got) => {
                    self.position += got as u64;
                    self.since_trouble += got as u64;
                    let progress = self.http().progress;
                    progress.layer(&self.blob.digest, LayerEvent::Received(got as u64));
                    if got > 0 && self.position == self.blob.size {
                        progress.layer(&self.blob.digest, LayerEvent::Finishing);
                    }
                    return Ok(got);
                }
                Err(failure) => {
                    if self.since_trouble >= FORGIVEN {
                        self.backoff = Backoff::new(self.http().transfer);
                    }
                    self.since_trouble = 0;
                    self.http().rest(&mut self.backoff, failure).map_err(io::Error::other)?;
                }
            }
        }
    }
}

/// First, last and size; the size may be `*`.
pub fn parse_range(header: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = header.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && last < u64::MAX).then_some((first, last, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, 9, None)));
        for header in [
            "",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-/10",
            "items 5-9/10",
            "bytes 5-18446744073709551615/*",
            "bytes -5-9/10",
        ] {
            assert_eq!(parse_range(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "(bytes )?\\PC{0,30}") {
            let _ = parse_range(&text);
        }
    }
}
