//! The parts of `enter` that know nothing of a command line: they never print, and return data and errors.
//!
//! A library of its own, so that the tests can pull from a registry of theirs, and so that what is public is what is used
//! across modules. Imports go one way: `registry → store, trust → image`, and `container → store, security, volume`; `tests/imports.rs` has the
//! table.

pub mod archive;
pub mod container;
pub mod doctor;
pub mod duration;
pub mod image;
pub mod network;
pub mod registry;
pub mod security;
pub mod store;
pub mod trust;
pub mod volume;
