//! What the tests of layers and of what is served from them share.
#![allow(dead_code)]

pub mod layers;
pub mod random;
pub mod tar;
pub mod trees;
pub mod union;
pub mod view;

pub use tar::*;
