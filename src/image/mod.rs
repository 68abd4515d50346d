//! What an image is, as data: names, digests, platforms, manifests and configurations.
//!
//! Everything here parses bytes or text that others wrote (a user, a registry, a file of the store) and
//! either returns a value that the rest of the program may trust, or an error that says what was wrong with it.
//! This module reads no file, opens no connection and prints nothing. `registry` and `store` stand on it.

mod amend;
mod artifact;
mod change;
mod compose;
mod config;
mod contents;
mod digest;
mod error;
mod list;
mod manifest;
mod media;
mod platform;
mod recompose;
mod reference;
mod transport;

pub use amend::{Amended, History, HistoryStep, healthcheck, history_of};
pub use artifact::Artifact;
pub use change::{Change, Command};
pub use compose::{Form, Source, compose, layers_of};
pub use config::{Config, Execution, Healthcheck};
pub use contents::{Contents, contents};
pub use digest::{Algorithm, Digest, Hasher};
pub use error::Error;
pub use list::{Entry, List, On};
pub use manifest::{Candidate, Descriptor, Document, Index, MAX_LAYERS, MAX_MANIFEST, Manifest, parse_document};
pub use media::{ACCEPTED_MANIFESTS, LayerKind, MediaType};
pub use platform::Platform;
pub use recompose::{Outline, Outlined, Replacement, compose_index, is_own, media_type_of, outline, recompose};
pub use reference::{DEFAULT_DOMAIN, DEFAULT_TAG, Reference, check_path, check_registry};
pub use transport::{Chosen, Stored, Transport};
