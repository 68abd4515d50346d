//! How much an image may take, so that a few bytes of a hostile one fill neither the memory nor the disk. What is large honestly is let in:
//! who sends a gigabyte may have a list of files that is long, and layers that are larger still when they are not compressed.

use cowfs::layer::{Limits, Room};
use cowfs::tree::MEMORY;
use serde::{Deserialize, Serialize};

use super::{Error, Layer, Store};

/// For each compressed byte, so many bytes of memory for the list of files.
const MEMORY_PER_BYTE: u64 = 2;
/// What is not known compressed counts as the tar divided by this: a tar of empty files shrinks further, one of real files does not.
pub(super) const LEAST_PACKED: u64 = 32;
/// For each compressed byte, so many of a layer's tar.
const TAR_PER_BYTE: u64 = 200;
/// A layer's tar may have so many bytes in any case.
const SMALL_TAR: u64 = 16 << 30;

/// What the user allows, in the place of what follows from an image's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes of memory for the list of an image's files.
    pub list_memory: Option<u64>,
    /// Bytes of a layer that is not compressed.
    pub layer_size: Option<u64>,
}

impl Store {
    /// The same store, which takes in what these allow.
    pub fn bounded(mut self, bounds: Bounds) -> Self {
        if let Some(bytes) = bounds.list_memory {
            self.limits.room = Room::new(bytes);
        }
        if let Some(bytes) = bounds.layer_size {
            self.limits.tar_bytes = bytes;
        }
        Self { bounds, ..self }
    }

    /// What is accepted of a layer that is so long compressed.
    pub(super) fn limits_for(&self, compressed: u64) -> Limits {
        let most = compressed.saturating_mul(TAR_PER_BYTE).max(SMALL_TAR);
        let tar_bytes = match self.bounds.layer_size {
            Some(_) => self.limits.tar_bytes,
            None => self.limits.tar_bytes.min(most),
        };
        Limits { tar_bytes, ..self.limits.clone() }
    }

    /// What is accepted of layers that have been accepted before.
    pub(super) fn limits_of_ours(&self) -> Limits {
        Limits { room: Room::new(u64::MAX), tar_bytes: u64::MAX, ..self.limits.clone() }
    }

    /// How much memory the list of files of an image of these layers may take, in bytes.
    pub(super) fn list_memory(&self, layers: &[&Layer]) -> Result<u64, Error> {
        if let Some(bytes) = self.bounds.list_memory {
            return Ok(bytes);
        }
        let mut packed = 0_u64;
        for layer in layers {
            // The forms lie here: nobody can claim one that he has not sent.
            let forms = layer.forms()?.iter().map(|form| form.size).max();
            packed = packed.saturating_add(forms.map_or(layer.size()? / LEAST_PACKED, |form| form));
        }
        Ok(packed.saturating_mul(MEMORY_PER_BYTE).max(MEMORY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_allows_for_what_it_becomes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.limits_for(1000).tar_bytes, SMALL_TAR);
        assert_eq!(store.limits_for(1 << 30).tar_bytes, 200 << 30);
        assert_eq!(store.limits_for(u64::MAX).tar_bytes, store.limits().tar_bytes);
        assert_eq!(store.list_memory(&[]).unwrap(), MEMORY);
        let bounded = store.bounded(Bounds { list_memory: Some(7), layer_size: Some(9) });
        assert_eq!((bounded.limits_for(1 << 40).tar_bytes, bounded.list_memory(&[]).unwrap()), (9, 7));
        assert_eq!(bounded.limits().room.limit(), 7);
    }
}
