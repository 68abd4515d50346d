//! The tree of an image: what its layers amount to, resolved once and then only looked up.
//!
//! [`merge`] replays the entries of all layers, from the bottom up, as an unpacker would on a disk, and
//! returns the bytes of a file. [`Tree`] reads such a file in place, mapped into memory: opening it
//! costs the same for any number of files. Called by the store (merge) and by whoever shows an image.

mod build;
mod format;
mod image;
mod names;
mod read;
mod replay;

pub use build::{merge, merge_within};
pub use image::Image;
pub(crate) use image::cached;
pub(crate) use names::Names;
pub use read::{Data, DirEntry, Inode, Kind, Tree};
pub use replay::MEMORY;

/// The most layers that an image may have.
pub const MAX_LAYERS: usize = 500;
