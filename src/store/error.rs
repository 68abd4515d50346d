//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

use super::{Holder, Unknown};
use crate::image::Digest;

/// A failure of the store, naming what was done to which file or image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// A verb: create, write, read, …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The bytes of a layer stopped coming. The reader's own error is the source.
    #[error("the download of layer {layer} broke off")]
    Source {
        /// The blob's digest.
        layer: Digest,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// What was being taken in from elsewhere than a registry could not be read. The reader's own error is the source.
    #[error("cannot read {what}")]
    Input {
        /// What.
        what: String,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// What was being taken in is no tar, or one that is refused.
    #[error("{what} cannot be used")]
    Unusable {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: cowfs::Error,
    },
    /// An archive of images that cannot be taken in.
    #[error("the archive cannot be loaded: {0}")]
    Archive(String),
    /// A document in what was being taken in that is none, or that is no image's.
    #[error("there is no image in it that can be taken in")]
    Document(#[source] crate::image::Error),
    /// What was being taken in is not what it says of itself.
    #[error("the archive is damaged")]
    Damaged(#[source] Box<Error>),
    /// The store of another tool does not have what was asked for, or not in a form that can be read.
    #[error("cannot take the image from podman's store: {0}")]
    Foreign(String),
    /// Something else is where images were to be written.
    #[error("cannot write there: {0}")]
    Occupied(String),
    /// An archive could not be written.
    #[error("cannot write the archive")]
    Output(#[source] io::Error),
    /// Fewer or more bytes than the manifest says.
    #[error("layer {layer} is {} than the {expected} bytes that the manifest says", if *longer { "longer" } else { "shorter" })]
    Size {
        /// The blob's digest.
        layer: Digest,
        /// By the manifest.
        expected: u64,
        /// Whether it went on after that, or ended before.
        longer: bool,
    },
    /// The bytes are not what their digest names.
    #[error("{what} should have the digest {expected}, but what arrived has {found}")]
    Digest {
        /// Which bytes.
        what: String,
        /// By the manifest or the configuration.
        expected: Digest,
        /// What was received.
        found: Digest,
    },
    /// The compressed stream is damaged.
    #[error("layer {layer} cannot be decompressed")]
    Decompress {
        /// The blob's digest.
        layer: Digest,
        /// What the decompressor said.
        #[source]
        source: io::Error,
    },
    /// The layer is no tar, or one that is refused.
    #[error("layer {layer} cannot be used")]
    Layer {
        /// The blob's digest, or the layer's own where it is read again.
        layer: Digest,
        /// Why.
        #[source]
        source: cowfs::Error,
    },
    /// A layer is not what its table of contents says, by which it has been read before it was here.
    #[error("layer {layer} is not what its table of contents says: {what} differs")]
    Contents {
        /// The blob's digest.
        layer: Digest,
        /// What is not the same: a path, or anything else.
        what: String,
    },
    /// The layers do not make a tree.
    #[error("the layers of image {image} cannot be put together")]
    Tree {
        /// The image's ID.
        image: Digest,
        /// Why.
        #[source]
        source: cowfs::Error,
    },
    /// A record of the store is damaged.
    #[error("the record {} cannot be read", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A record that a later version wrote.
    #[error("the record {} has version {found}, and this program reads version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The image's configuration is damaged.
    #[error("the configuration of image {image} cannot be used")]
    Config {
        /// The image's ID.
        image: Digest,
        /// Why.
        #[source]
        source: crate::image::Error,
    },
    /// No image answers to this name or ID.
    #[error("no such image: {0}")]
    NoSuchImage(String),
    /// A layer that an image needs is not here.
    #[error("layer {0} is not in the store")]
    NoSuchLayer(Digest),
    /// Several images' IDs begin so.
    #[error("several images have an ID that begins with {prefix}: {}", ids.join(", "))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The first of them, shortened.
        ids: Vec<String>,
    },
    /// What is to come does not fit on the disk.
    #[error("there is no room for {image}: it takes {} or more, and {} are free for {}", amount(*needed), amount(*room), path.display())]
    NoRoom {
        /// Its name.
        image: String,
        /// At least so many bytes.
        needed: u64,
        /// What the file system has for this user, in bytes.
        room: u64,
        /// The store.
        path: PathBuf,
    },
    /// What is to come is larger than the store may be.
    #[error("{image} takes {} or more, and the whole store may take {} (max-store-size)", amount(*needed), amount(*most))]
    AboveLimit {
        /// Its name.
        image: String,
        /// At least so many bytes.
        needed: u64,
        /// The limit, in bytes.
        most: u64,
    },
    /// A container needs it.
    #[error("conflict: {}", conflict(query, image, *by_name, holder.as_ref()))]
    InUse {
        /// What was to be removed.
        query: String,
        /// The image's ID.
        image: Digest,
        /// It was named by its last name, and not by its ID.
        by_name: bool,
        /// Who needs it; `None` where that cannot be told, as of a container that is just being made.
        holder: Option<Holder>,
    },
    /// Nothing is removed while it is not known who needs it.
    #[error("cannot tell whether a container needs image {}", image.short())]
    Users {
        /// The image's ID.
        image: Digest,
        /// Why.
        #[source]
        source: Unknown,
    },
    /// An ID that has several names was to be removed.
    #[error("image {} has several names: {}", id.short(), names.join(", "))]
    ManyNames {
        /// The image's ID.
        id: Digest,
        /// Its names.
        names: Vec<String>,
    },
}

impl Error {
    /// For `map_err`: what was being done to which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether there is no room, so that nothing that takes some should stay without need.
    pub fn is_about_room(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// Whether the bytes that arrived were wrong, so that nothing of them is worth keeping.
    pub fn is_about_content(&self) -> bool {
        matches!(self, Self::Size { .. } | Self::Digest { .. } | Self::Decompress { .. } | Self::Layer { .. })
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Digest { .. } | Self::Size { .. } | Self::Decompress { .. } => {
                Some("the registry or something on the way to it damages the image: try again, or tell who runs the registry".into())
            }
            Self::Contents { .. } => Some("do not trust this image: what was run of it was perhaps something else than what it holds".into()),
            Self::Layer { source, .. } | Self::Tree { source, .. } | Self::Unusable { source, .. } if source.is_too_many_files() => {
                Some("if it is meant to have so many files, allow for more by the setting max-list-memory".into())
            }
            Self::Layer { source, .. } | Self::Unusable { source, .. } if source.is_too_long() => {
                Some("if it is meant to be so large, allow for more by the setting max-layer-size".into())
            }
            Self::Layer { source, .. } | Self::Tree { source, .. } => source.hint(),
            Self::Unusable { .. } => Some("see whether it is all there, and a tar".into()),
            Self::Record { path, .. } => Some(format!("move {} away and pull the image again", path.display())),
            Self::Version { .. } => Some("use the newer enter that wrote it, or set XDG_DATA_HOME to another directory".into()),
            Self::Config { image, .. } => Some(format!("remove the image and pull it again: enter rmi {}", image.short())),
            Self::NoSuchImage(_) => Some("see the images that are here: enter images".into()),
            Self::NoSuchLayer(_) => Some("pull the image again that it belongs to".into()),
            Self::NoRoom { .. } => Some("see what takes it with `enter df -v`; `enter image prune` and `enter rmi` make room".into()),
            Self::AboveLimit { .. } => Some("set max-store-size to more, in the settings or by ENTER_MAX_STORE_SIZE".into()),
            Self::Ambiguous { .. } => Some("give more digits".into()),
            Self::InUse { holder: Some(holder), .. } => Some(if holder.running {
                format!("stop and remove it first: enter rm -f {}", holder.container)
            } else {
                format!("remove it first: enter rm {}", holder.container)
            }),
            Self::InUse { holder: None, .. } => Some("leave its shells first, or unmount it: enter image unmount".into()),
            Self::Users { .. } => Some("see the containers with `enter ps -a`".into()),
            Self::ManyNames { .. } => Some("remove the names one by one, or all of them with --force".into()),
            Self::Archive(_) => Some("an archive of images is what `enter save`, docker or podman wrote; one of files is for `enter import`".into()),
            Self::Foreign(_) => Some("see what podman has with `podman images`; or let it write the image: podman save IMAGE | enter load".into()),
            Self::Occupied(_) => Some("name another place, or move away what is there".into()),
            // What would be said of a registry is none of its doing here.
            Self::Document(source) if source.is_of_the_document() => {
                Some("have it written again by the tool that made it; one that holds no image is for `enter import`".into())
            }
            Self::Document(source) => source.hint(),
            Self::Damaged(_) => Some("copy it again, or have it written again by the tool that made it".into()),
            Self::Output(source) => io_hint(source),
            Self::Input { source, .. } => io_hint(source).or_else(|| {
                Some("see whether it is whole and can be read, and copy it again if it is not".into())
            }),
            Self::Source { .. } => None,
        }
    }
}

/// docker's words for what is needed.
fn conflict(query: &str, image: &Digest, by_name: bool, holder: Option<&Holder>) -> String {
    let short = image.short();
    let Some(Holder { container, running }) = holder else {
        return format!("unable to remove {query} - image {short} is being used by a running container");
    };
    match (by_name, running) {
        (true, _) => format!(
            "unable to remove repository reference \"{query}\" (must force) - container {container} is using its \
             referenced image {short}"
        ),
        (false, true) => {
            format!(
                "unable to delete {short} (cannot be forced) - image is being used by running container {container}"
            )
        }
        (false, false) => {
            format!("unable to delete {short} (must be forced) - image is being used by stopped container {container}")
        }
    }
}

/// Bytes, for people.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

fn io_hint(source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, for example by removing images (enter rmi), or set XDG_DATA_HOME to another disk".into())
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is read-only: set XDG_DATA_HOME to a directory that can be written".into())
        }
        io::ErrorKind::PermissionDenied => Some(
            "see whose it is with ls -ld; if another user (perhaps root, by sudo) made it, give it back with chown, or set XDG_DATA_HOME to a directory of yours"
                .into(),
        ),
        io::ErrorKind::NotADirectory => Some("move away what is in the place of a directory".into()),
        _ => None,
    }
}
