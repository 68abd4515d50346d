//! What is mounted in a container, as its record has it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::spec::ImageUse;

/// Something that is mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What.
    pub kind: Kind,
    /// Where, absolute in the container.
    pub target: String,
    /// Only to be read.
    pub read_only: bool,
    /// Programs on it are not run.
    pub no_exec: bool,
    /// Mounts below the source come along.
    pub recursive: bool,
    /// What was typed for it, as `inspect` shows it; empty where the image asks for it.
    pub typed: String,
    /// What of the volume or the image is mounted: a path below its top; empty for all of it.
    #[serde(default)]
    pub subpath: String,
    /// Nothing of the image is taken over into the volume.
    #[serde(default)]
    pub no_copy: bool,
    /// Everything in it is given to the container's user at each start.
    #[serde(default)]
    pub give: bool,
    /// What is mounted on the host later does not show in it.
    #[serde(default)]
    pub private: bool,
    /// The source is made where it is missing.
    #[serde(default)]
    pub create: bool,
    /// What is written goes elsewhere, and is thrown away when the container ends.
    #[serde(default)]
    pub overlay: bool,
    /// It cannot be mounted once more elsewhere in the container.
    #[serde(default)]
    pub unbindable: bool,
    /// What was asked of files in memory and of terminals beyond their kind.
    #[serde(default)]
    pub looks: Looks,
}

/// What files in memory and terminals are to be like; each as it is in any case where it was not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Looks {
    /// Whose they are, in the container's ids.
    pub uid: Option<u32>,
    /// Which group's.
    pub gid: Option<u32>,
    /// Permission bits: of the top of files in memory, of each terminal.
    pub mode: Option<u32>,
    /// At most so many files or terminals.
    pub most: Option<u64>,
    /// What the image has in the place is taken over, at each start.
    pub copy_up: bool,
}

impl Mount {
    /// A mount without any restriction.
    pub fn new(kind: Kind, target: &str, typed: &str) -> Self {
        Self {
            kind,
            target: target.to_owned(),
            read_only: false,
            no_exec: false,
            recursive: true,
            typed: typed.to_owned(),
            subpath: String::new(),
            no_copy: false,
            give: false,
            private: false,
            create: false,
            overlay: false,
            unbindable: false,
            looks: Looks::default(),
        }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file or directory of the host's, absolute.
    Bind(PathBuf),
    /// Files in memory.
    Tmpfs {
        /// At most so many bytes.
        size: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
    },
    /// Terminals of the container's own.
    Devpts,
    /// A volume of ours, by name.
    Volume(String),
    /// The files of an image.
    Image(ImageUse),
}
