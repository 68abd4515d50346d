//! Looking on while a layer is taken in: for those who read of it before it is all here.

use std::fs::File;

use cowfs::arriving::Moved;
use cowfs::layer::Seen;

use super::Error;
use crate::image::Descriptor;

/// Whoever looks on. Called from the thread that writes the tar: it should return soon.
pub trait Watch: Sync {
    /// A tar is begun, which can be read here; what was said of an earlier one does not hold any more.
    fn begins(&self, tar: File) {
        drop(tar);
    }

    /// The tar has so many bytes by now.
    fn written(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something has been found in it.
    fn seen(&self, seen: Seen<'_>) {
        let _ = seen;
    }

    /// Names in the layer's directory that are not removed when it cannot be used.
    fn keeps(&self) -> &'static [&'static str] {
        &[]
    }

    /// All has come, and is what the digests name. Returns where content has gone that was listed elsewhere.
    ///
    /// # Errors
    /// Where the layer is not to be used nevertheless.
    fn complete(&self, blob: &Descriptor) -> Result<Option<Moved>, Error> {
        let _ = blob;
        Ok(None)
    }
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {}
