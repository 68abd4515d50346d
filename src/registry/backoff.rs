//! Waiting before another attempt: twice as long each time, and never exactly as long as everybody else.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{Error, Transfer};

/// Why an attempt failed, and whether another one makes sense.
#[derive(Debug)]
pub struct Failure {
    /// What to report if there is no other attempt.
    pub error: Box<Error>,
    /// Whether there is one.
    pub again: Again,
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It would fail in the same way.
    Never,
    /// It may succeed, but if it does not at once then it will not: asked once more.
    Once,
    /// It may succeed.
    Soon,
    /// It may succeed, but not before this time.
    After(Duration),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.into(), Again::Never)
    }
}

impl Failure {
    /// An attempt that failed.
    pub fn new(error: Error, again: Again) -> Self {
        Self { error: Box::new(error), again }
    }

    /// One that may pass.
    pub fn soon(error: Error) -> Self {
        Self::new(error, Again::Soon)
    }
}

/// Counts the attempts of one thing.
#[derive(Debug, Clone)]
pub struct Backoff {
    left: u32,
    next: Duration,
    longest: Duration,
    once: bool,
}

impl Backoff {
    /// A fresh count.
    pub fn new(transfer: &Transfer) -> Self {
        Self { left: transfer.retries, next: transfer.first_wait, longest: transfer.longest_wait, once: true }
    }

    /// How long to wait before the next attempt; `None` where there should be none.
    pub fn wait(&mut self, again: Again) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let own = self.next.mul_f64(0.5 + random()).min(self.longest);
        self.next = self.next.saturating_mul(2).min(self.longest);
        match again {
            Again::Never => None,
            Again::Once => std::mem::take(&mut self.once).then_some(own),
            Again::Soon => Some(own),
            Again::After(asked) if asked > self.longest => None,
            Again::After(asked) => Some(asked),
        }
    }
}

/// A number from 0 to 1. The keys of the standard library's hash maps are random enough to keep clients apart.
fn random() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Reads `Retry-After` (RFC 9110, 10.2.3) in its form of seconds; the form of a date is taken as no advice.
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let transfer = Transfer {
            retries: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(3),
            ..Transfer::default()
        };
        let mut backoff = Backoff::new(&transfer);
        let mut low = 0.5;
        for _ in 0..4 {
            let wait = backoff.wait(Again::Soon).unwrap();
            assert!(wait >= Duration::from_secs_f64(low) && wait <= Duration::from_secs(3), "{wait:?}");
            low = (low * 2.0).min(1.5);
        }
        assert_eq!(backoff.wait(Again::Soon), None);
        let mut backoff = Backoff::new(&transfer);
        assert_eq!(backoff.wait(Again::After(Duration::from_secs(2))), Some(Duration::from_secs(2)));
        assert_eq!(backoff.wait(Again::After(Duration::from_secs(4))), None);
        assert_eq!(backoff.wait(Again::Never), None);
        let mut backoff = Backoff::new(&transfer);
        assert!(backoff.wait(Again::Once).is_some() && backoff.wait(Again::Once).is_none());
    }

    #[test]
    fn advice_is_read() {
        assert_eq!(retry_after(Some(" 7 ")), Some(Duration::from_secs(7)));
        for text in ["", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "99999999999999999999999"] {
            assert_eq!(retry_after(Some(text)), None, "{text}");
        }
    }
}
