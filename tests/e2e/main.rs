//! `enter` from end to end: the real program, as an ordinary user, with a real registry and real images.
//!
//! One test program for all of it, so that the registry is started and the images are pulled once.

#[path = "../support/mod.rs"]
mod support;

mod harness;
