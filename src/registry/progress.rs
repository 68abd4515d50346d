//! How a pull tells what it does.

use std::time::Duration;

use crate::image::{Descriptor, Digest, Reference};

/// Listens to a pull. Called from several threads at once, and often: it should return soon.
pub trait Progress: Sync {
    /// The image has been found under this complete name, and has these distinct layers, bottom first.
    fn resolved(&self, name: &Reference, layers: &[Descriptor]) {
        let _ = (name, layers);
    }

    /// Something happened to a layer, known by the digest of its blob.
    fn layer(&self, layer: &Digest, event: LayerEvent) {
        let _ = (layer, event);
    }

    /// An image is pushed under this name, and has these distinct layers, bottom first, known by the digests that they have here.
    fn pushing(&self, name: &Reference, layers: &[Descriptor]) {
        let _ = (name, layers);
    }

    /// A layer is pushed with another digest than it had, although nobody asked for that.
    fn changed(&self, layer: &Digest, now: &Digest, why: &str) {
        let _ = (layer, now, why);
    }

    /// Something did not succeed and is tried again after a while.
    fn retrying(&self, reason: &Error, wait: Duration) {
        let _ = (reason, wait);
    }
}

use super::Error;

/// What happened to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEvent {
    /// The store, or the registry, has it already. Nothing else follows.
    Exists,
    /// Another process is fetching it.
    Waiting,
    /// It is being fetched from this byte on: not from the first where an earlier pull was cut off.
    Started {
        /// How many bytes are here already.
        from: u64,
    },
    /// So many bytes more have come, or gone.
    Received(u64),
    /// All bytes have come; they are being written out.
    Finishing,
    /// The registry has taken it over from another of its repositories. Nothing else follows.
    Mounted,
    /// It is being compressed.
    Compressing,
    /// It is in the store, or in the registry.
    Done,
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
