//! A filesystem over container image layers that are never unpacked.
//!
//! A layer stays the tar that its digest names; beside it lies an index ([`layer`]). The indexes of
//! an image's layers are merged once into one resolved tree ([`tree`]), which is mapped into memory
//! at every start, so that starting costs the same for ten files as for a hundred thousand.
//! [`serve`] shows such an image, or a directory of the host ([`host`]), through FUSE as a read-only
//! filesystem whose owners are translated on the way ([`owners`]).
//!
//! This crate knows nothing of registries, stores or containers, prints nothing, and reads no
//! environment. Everything in a tar or in an index is taken for hostile.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod acl;
pub mod arriving;
mod bytes;
pub mod dirs;
mod error;
pub mod host;
pub mod layer;
pub mod mounting;
pub mod options;
pub mod owners;
pub mod serve;
pub mod sides;
pub mod tree;
pub mod upper;

pub use error::{Error, Result};
