//! The bytes of an upload: how much is sent at once, and sending it. Called by `upload`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::blocking::Body;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Url};

use super::{LARGEST, LAST, PART_TIME, SLOW, SMALLEST, Upload, header, parse_range};
use crate::registry::backoff::Failure;
use crate::registry::crew::lock;
use crate::registry::rhythm::Nature;
use crate::registry::source::Reader;
use crate::registry::{Error, LayerEvent, Refusal};

impl Upload<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rough figure, and then a range is kept"
    )]
    fn part_size(&self) -> u64 {
        ((self.speed * PART_TIME.as_secs_f64()) as u64).clamp(self.smallest, LARGEST.max(self.smallest))
    }

    /// How much is sent at once now: less where the registry is about to die and would lose all with it; nothing if that is near.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rough figure, and then a range is kept"
    )]
    pub(super) fn dared(&self) -> Option<u64> {
        let rhythm = &self.session.rhythm;
        let part = self.part_size();
        let Some(room) = rhythm.room().filter(|_| rhythm.nature() == Nature::LosesBroken && !self.trials.have_lasted())
        else {
            return Some(part);
        };
        // It need not become slower for that.
        let safe = (rhythm.speed().unwrap_or(self.speed) * room.as_secs_f64() / 2.0) as u64;
        let least = if self.smallest > SMALLEST { self.smallest } else { LAST };
        (safe >= least.min(self.blob.size - self.offset)).then(|| safe.min(part).max(least))
    }

    /// How long a request with so many bytes may take: as long as four times what it should, and a silence.
    #[expect(clippy::cast_precision_loss, reason = "a rough figure")]
    fn patience(&self, bytes: u64) -> Duration {
        let speed = if self.speed > SLOW { self.speed / 4.0 } else { self.speed.max(1024.0) };
        self.session.http.transfer.stall_timeout + Duration::from_secs_f64(bytes as f64 / speed)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rough figure")]
    pub(super) fn send_part(&mut self, location: Url, size: u64) -> Result<bool, Failure> {
        let (bytes, size) = {
            let mut content = lock(&self.content);
            let size = content.ready(self.offset).map_or(size, |ready| ready.min(size));
            (content.read(self.offset, size)?, size)
        };
        let next = self.offset + size;
        let after = self.part_size().min(self.blob.size - next);
        self.trials.sending();
        let mut ask = self.session.request(Method::PATCH, location, bytes);
        let range = format!("{}-{}", self.offset, next - 1);
        ask.headers.extend(HeaderValue::from_str(&range).ok().map(|range| (CONTENT_RANGE, range)));
        ask.timeout = Some(self.patience(size));
        let began = Instant::now();
        let sent = std::thread::scope(|scope| {
            if after > 0 {
                // Without a thread it is read when it is wanted.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || lock(&self.content).prepare(next, after));
            }
            self.send(ask)
        });
        let response = match sent {
            Ok(response) => response,
            Err(failure) => {
                self.speed /= 2.0;
                return Err(failure);
            }
        };
        self.speed = size as f64 / began.elapsed().as_secs_f64().max(0.001);
        self.session.rhythm.took(self.speed);
        let location = self.next_location(&response)?;
        self.location = location.or(self.location.take());
        let there = header(&response, &RANGE).and_then(parse_range).unwrap_or(next);
        if there > next || there < self.offset {
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
        self.trials.there(there);
        self.trials.on_the_way = false;
        if there == self.blob.size {
            progress.layer(&self.told_as.digest, LayerEvent::Finishing);
        }
    }

    /// Says that this was all, with the last bytes, which are all of them or none.
    pub(super) fn finish(&mut self, location: Url, bytes: Bytes) -> Result<bool, Failure> {
        self.check()?;
        let size = bytes.len() as u64;
        if size > 0 {
            self.trials.sending();
        }
        // Once more is not done for ever: whatever had been waited for, this is an attempt.
        self.trials.is_forgiven = false;
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
        let content = lock(&self.content);
        let found = content.digest();
        if content.hashed() == self.blob.size && found != self.blob.digest {
            return Err(Refusal::Damaged { expected: self.blob.digest.clone(), found }.into());
        }
        Ok(())
    }

    fn with_digest(&self, mut location: Url) -> Url {
        location.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        location
    }

    pub(super) fn send_whole(&mut self, location: Url) -> Result<bool, Failure> {
        let size = self.blob.size;
        loop {
            let mut content = lock(&self.content);
            let hashed = content.hashed();
            if hashed == size {
                break;
            }
            content.read(hashed, SMALLEST.min(size - hashed))?;
        }
        self.check()?;
        let mut ask = self.session.request(Method::PUT, self.with_digest(location), Bytes::new());
        ask.headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
        self.trials.sending();
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
