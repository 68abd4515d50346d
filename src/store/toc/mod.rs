//! A layer's table of contents: what is in it, and where in the compressed blob each piece of content lies.
//!
//! The table is as hostile as the layer. It makes an index by the rules of a tar's ([`cowfs::layer::Listing`]), every piece must lie inside
//! the blob, and what is read by it is checked against the table's own digests. Whether it says the same as the tar is known when
//! all of that is here: [`Agreement`].

mod agree;
mod entries;
mod table;

pub use agree::Agreement;
pub use table::TAIL;

use cowfs::layer::{LayerIndex, Limits};

use crate::image::Digest;

/// The longest table that is read, in bytes: some two hundred thousand files.
pub const MAX_TABLE: u64 = 64 << 20;

/// Why a table cannot be used. Then the layer is fetched as any other.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its bytes are not those that the manifest names.
    #[error("it should have the digest {expected}, but has {found}")]
    Digest {
        /// By the manifest.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// It is longer than we read.
    #[error("it is longer than {MAX_TABLE} bytes")]
    Long,
    /// It is no table, or says what cannot be.
    #[error("{0}")]
    Wrong(&'static str),
    /// An entry cannot be.
    #[error(transparent)]
    Entry(#[from] cowfs::Error),
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It cannot be decompressed.
    #[error("it cannot be decompressed")]
    Decompress(#[source] std::io::Error),
}

/// A table of contents that has been read.
#[derive(Debug)]
pub struct Toc {
    /// The layer's entries. Content lies in a space of its own.
    pub index: LayerIndex,
    /// All content, in the order of that space.
    pub chunks: Vec<Chunk>,
    /// See [`cowfs::arriving::identity`].
    pub identity: u64,
}

/// A piece of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it lies in the index's space.
    pub listed: u64,
    /// How long it is, in bytes, never 0.
    pub len: u64,
    /// Where in the blob decompression begins.
    pub blob: u64,
    /// Where it ends at the latest.
    pub end: u64,
    /// How much comes out before the piece begins.
    pub inner: u64,
    /// Its SHA-256; without one it cannot be used before the whole layer is here.
    pub digest: Option<[u8; 32]>,
    /// Nothing but zeros, and not in the blob.
    pub zeros: bool,
}

impl Toc {
    /// Reads the table of an eStargz blob of `size` bytes that ends with `tail`. `Ok(Err(from))`: the tail must begin at this byte.
    ///
    /// # Errors
    /// What the table is unfit by.
    pub fn from_tail(tail: &[u8], size: u64, digest: &Digest, limits: &Limits) -> Result<Result<Self, u64>, Unfit> {
        table::from_tail(tail, size, digest, limits)
    }

    /// Reads the table of a zstd:chunked blob from its frame, which begins at `offset` of the blob.
    ///
    /// # Errors
    /// What the table is unfit by.
    pub fn from_chunked(frame: &[u8], offset: u64, digest: &Digest, limits: &Limits) -> Result<Self, Unfit> {
        table::from_chunked(frame, offset, digest, limits)
    }

    /// Reads a table whose digest has been checked. `end`: where in the blob content ends at the latest.
    pub(super) fn parse(json: &[u8], digest: &Digest, end: u64, limits: &Limits) -> Result<Self, Unfit> {
        let (listing, mut chunks) = entries::read(json, limits)?;
        entries::set_ends(&mut chunks, end)?;
        let identity = cowfs::arriving::identity(&bytes(digest).ok_or(Unfit::Wrong("its digest is no SHA-256"))?);
        // A copy, which takes no part of the room that those share who are being made: the tar's own index is to be made beside it.
        let index = listing.finish(identity).clone();
        Ok(Self { index, chunks, identity })
    }

    /// The piece that a position lies in.
    pub fn chunk_at(&self, position: u64) -> Option<usize> {
        let at = self.chunks.partition_point(|chunk| chunk.listed + chunk.len <= position);
        self.chunks.get(at).filter(|chunk| chunk.listed <= position).map(|_| at)
    }
}

/// A SHA-256 as bytes.
pub fn bytes(digest: &Digest) -> Option<[u8; 32]> {
    let hex = digest.hex().as_bytes();
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
