//! The program itself against a registry that means it harm: whatever that says, the program ends by itself with an error that can be
//! understood, within its memory, and nothing outside its store is touched.
//!
//! What each lie does to a pull in detail is tested in `tests/pull`; here is what holds of all of them.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/registry.rs"]
mod registry;

#[path = "../../helpers/cowfs/tests/common/tar.rs"]
mod tars;

mod blobs;
mod documents;
mod files;
mod http;
mod layers;
mod lists;
mod push;
mod tokens;
mod victim;
