//! The table that leads from a layer's listing into its tar.

use crate::arriving::ARRIVING;
use crate::bytes::{Put, u64_at};
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"cowfsmov";
const HEADER: usize = 24;
const PIECE: usize = 24;

/// A run of content: where it was listed, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its place in the listing.
    pub listed: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Its place in the tar.
    pub tar: u64,
}

/// Where everything has gone. What no piece covers is a hole, and reads as zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    identity: u64,
    pieces: Vec<Piece>,
}

impl Moved {
    /// The table of the layer of this [identity](super::identity). The pieces are in the listing's order; `None` where they are not, or where they
    /// overlap.
    pub fn new(identity: u64, pieces: Vec<Piece>) -> Option<Self> {
        let mut end = 0;
        for piece in &pieces {
            piece.tar.checked_add(piece.len)?;
            if piece.listed < end || piece.len == 0 {
                return None;
            }
            end = piece.listed.checked_add(piece.len)?;
        }
        Some(Moved { identity, pieces })
    }

    /// Whose it is.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// As a file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.pieces.len() * PIECE);
        out.put(MAGIC);
        out.put_u64(self.identity);
        out.put_u64(self.pieces.len() as u64);
        for piece in &self.pieces {
            out.put_u64(piece.listed);
            out.put_u64(piece.len);
            out.put_u64(piece.tar);
        }
        out
    }

    /// From a file's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |reason| Error::Damaged { what: "table of moved content".to_owned(), reason };
        let read = || {
            let identity = u64_at(bytes, 8)?;
            let count = usize::try_from(u64_at(bytes, 16)?).ok()?;
            if bytes.get(..8)? != MAGIC || HEADER.checked_add(count.checked_mul(PIECE)?)? != bytes.len() {
                return None;
            }
            let number = |at| u64_at(bytes, at);
            let piece = |at| Some(Piece { listed: number(at)?, len: number(at + 8)?, tar: number(at + 16)? });
            let pieces = (0..count).map(|number| piece(HEADER + number * PIECE)).collect::<Option<Vec<_>>>()?;
            Some((identity, pieces))
        };
        let (identity, pieces) = read().ok_or_else(|| damaged("it is cut off or too long"))?;
        if identity < ARRIVING {
            return Err(damaged("it is nobody's"));
        }
        Moved::new(identity, pieces).ok_or_else(|| damaged("its pieces overlap"))
    }

    /// Fills `buffer` with what was listed from `position` on, by reads of the tar: `read(into, from)`.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read<E>(
        &self,
        mut buffer: &mut [u8],
        mut position: u64,
        mut read: impl FnMut(&mut [u8], u64) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let first = self.pieces.partition_point(|piece| piece.listed + piece.len <= position);
        for piece in &self.pieces[first..] {
            let hole = usize::try_from(piece.listed.saturating_sub(position)).unwrap_or(usize::MAX);
            if hole >= buffer.len() {
                break;
            }
            let (zeros, rest) = buffer.split_at_mut(hole);
            zeros.fill(0);
            position += hole as u64;
            let skipped = position - piece.listed;
            let length = usize::try_from(piece.len - skipped).map_or(rest.len(), |left| left.min(rest.len()));
            let (into, rest) = rest.split_at_mut(length);
            read(into, piece.tar + skipped)?;
            position += length as u64;
            buffer = rest;
        }
        buffer.fill(0);
        Ok(())
    }
}
