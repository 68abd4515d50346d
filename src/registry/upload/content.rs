//! The bytes of a blob that is sent: hashed on their way, and the next ones read while the others are sent. Called by `parts`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::image::{Algorithm, Digest, Hasher};
use crate::registry::source::Source;
use crate::registry::{Error, Refusal};

/// What an upload sends.
pub struct Content {
    source: Arc<dyn Source>,
    hasher: Hasher,
    hashed: u64,
    /// What was read before it was wanted, and from where on.
    ahead: Option<(u64, Bytes)>,
}

impl Content {
    /// What `source` has.
    pub fn new(algorithm: Algorithm, source: &Arc<dyn Source>) -> Self {
        Self { source: Arc::clone(source), hasher: Hasher::new(algorithm), hashed: 0, ahead: None }
    }

    /// How many bytes from `at` on are at hand already.
    pub fn ready(&self, at: u64) -> Option<u64> {
        self.ahead.as_ref().filter(|(from, _)| *from == at).map(|(_, bytes)| bytes.len() as u64)
    }

    /// So many bytes from `at` on.
    ///
    /// # Errors
    /// When the source has fewer of them, or cannot be read.
    pub fn read(&mut self, at: u64, size: u64) -> Result<Bytes, Error> {
        match self.ahead.take() {
            Some((from, bytes)) if from == at && bytes.len() as u64 >= size => {
                Ok(bytes.slice(..usize::try_from(size).unwrap_or(usize::MAX)))
            }
            _ => self.fetch(at, size),
        }
    }

    /// Reads what will be wanted next. Whether that can be done is seen when it is wanted.
    pub fn prepare(&mut self, at: u64, size: u64) {
        self.ahead = None;
        self.ahead = self.fetch(at, size).ok().map(|bytes| (at, bytes));
    }

    /// Reads, and hashes what was not hashed yet: no part is ever passed over.
    fn fetch(&mut self, at: u64, size: u64) -> Result<Bytes, Error> {
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

    /// How much of it has been hashed, from its beginning on.
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// The digest of what has been hashed.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_prepared_is_what_would_have_been_read() {
        let bytes: Vec<u8> = (0..=255).collect();
        let digest = Digest::of(&bytes);
        let mut content = Content::new(digest.algorithm(), &(Arc::new(bytes.clone()) as Arc<dyn Source>));
        assert_eq!(content.read(0, 10).unwrap(), bytes[..10]);
        content.prepare(10, 90);
        assert_eq!((content.ready(10), content.ready(11)), (Some(90), None));
        assert_eq!(content.read(10, 40).unwrap(), bytes[10..50]);
        assert_eq!(content.read(50, 50).unwrap(), bytes[50..100], "read once more, and not hashed again");
        content.prepare(200, 56);
        assert_eq!(content.read(100, 156).unwrap(), bytes[100..]);
        assert_eq!((content.hashed(), content.digest()), (256, digest));
        content.prepare(250, 10);
        assert_eq!(content.ready(250), None);
        assert!(content.read(250, 10).is_err());
    }
}
