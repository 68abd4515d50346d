//! What is sent to a registry: bytes that can be read again, since an upload may have to begin anew.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What is sent: bytes that can be read again from any place.
pub trait Source: Send + Sync {
    /// Reads some bytes from `at` on, none at the end only.
    ///
    /// # Errors
    /// What the kernel says.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Source for std::fs::File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, at)
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let got = rest.len().min(into.len());
        into[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }
}

/// A source from its beginning.
pub struct Reader {
    source: Arc<dyn Source>,
    at: u64,
}

impl Reader {
    /// Reads all of it.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, at: 0 }
    }
}

impl io::Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read_at(into, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_memory_are_a_source() {
        let source = vec![1_u8, 2, 3];
        let mut into = [0; 2];
        assert_eq!((source.read_at(&mut into, 1).unwrap(), into), (2, [2, 3]));
        assert_eq!(source.read_at(&mut into, 3).unwrap(), 0);
        assert_eq!(source.read_at(&mut into, u64::MAX).unwrap(), 0);
    }
}
