//! Volumes: folders that live longer than the containers that mount them.
//!
//! Knows what lies on the disk, and nothing of containers: who uses a volume is for `container::volumes` to say, and who may remove files
//! of subordinate ids too. Called by `container` and `commands`.
//!
//! ```text
//! volumes/NAME/volume.json   what it was made as: `Record`
//! volumes/NAME/_data         its files
//! volumes/NAME/fresh         there until an image's files have been taken over into it
//! volumes/NAME/filling       there while they are
//! volumes/.new-…, .gone-…    being made; being removed
//! ```
//!
//! `volumes/` is locked by whoever makes or removes one, and by whoever makes a container until that is recorded as a user. A volume's own
//! folder is locked by the container that takes an image's files over into it.

mod collection;
mod error;
mod options;
mod record;

pub use collection::{Lock, Volume, Volumes};
pub use error::Error;
pub use options::Looks;
pub use record::{Asked, Record, is_name};

/// Names in a volume's folder.
pub mod name {
    /// What it was made as.
    pub const RECORD: &str = "volume.json";
    /// Its files, as podman and docker call the folder.
    pub const DATA: &str = "_data";
    /// Nothing of an image was taken over yet.
    pub const FRESH: &str = "fresh";
}
