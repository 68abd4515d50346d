//! Tars: writing them, for layers, `export`, `cp` and `save`. What is read of them is checked where it is put to use.
//!
//! Knows no container, store or image, and opens no file.

mod write;

pub use write::{Entry, Kind, Writer};
