//! Layers whose bytes are still on their way: what can be read of them, and how it is waited for.
//!
//! The tree of such a layer is made from its table of contents ([`crate::layer::Listing`]), where content lies in a space that exists
//! nowhere. At the place of its tar there is a socket, behind which somebody fetches the layer. Whoever wants content asks there for a
//! piece of that space, waits, and is given a file in which the piece lies ([`client`](self), [`answer`]). When all has come, the tar takes
//! the socket's place, with a table beside it that leads from the space into the tar ([`Moved`]): those who have the tree open notice
//! that nobody answers any more, look again, and read the tar from then on.
//!
//! A layer in this state is told by the length that its tree gives it: [`identity`], which is longer than any tar may be and the same
//! only for the same table of contents. So nobody reads one layer by another one's table.

mod client;
mod moved;
mod server;

pub(crate) use client::Arriving;
pub use moved::{Moved, Piece};
pub use server::{Here, Provider, accept, answer, listen};

use std::path::{Path, PathBuf};

/// The lowest length that stands for a layer that is on its way. No tar is as long.
pub const ARRIVING: u64 = 1 << 62;

/// The length that a tree gives a layer which is on its way, by the digest of its table of contents.
pub fn identity(digest: &[u8; 32]) -> u64 {
    let (first, _) = digest.split_at(8);
    let number = first.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
    ARRIVING | (number >> 2)
}

/// Where the table lies that leads from a layer's listing into its tar.
pub fn moved_beside(tar: &Path) -> PathBuf {
    tar.with_extension("moved")
}

/// A request: position and length, little-endian.
const REQUEST: usize = 16;
/// An answer: [`HERE`] or [`LOST`], where it begins in the file, how much of it there is; or why it will not come, as text.
const ANSWER: usize = 24;
/// That text's most bytes.
const REASON: usize = 1000;
/// A file comes along.
const HERE: u64 = 0;
/// It will not come, for now.
const LOST: u64 = 1;

#[cfg(test)]
mod tests;
