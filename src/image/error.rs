//! What can be wrong with an image's names and metadata.

use super::{Artifact, MAX_LAYERS};

/// A name, digest, platform, manifest or configuration that cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no image name by the grammar of the distribution project.
    #[error("{name:?} is not an image name: {reason}")]
    Reference {
        /// What was given.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The text is no registry, nor a part of one.
    #[error("{name:?} is not a registry: {reason}")]
    Registry {
        /// What was given.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The text is no digest that this program can verify.
    #[error("{text:?} is not a digest: {reason}")]
    Digest {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The text is no `os/architecture[/variant]`.
    #[error("{text:?} is not a platform: {reason}")]
    Platform {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The text begins like a place for images, `TRANSPORT:`, and is none that there is here.
    #[error("{text:?} cannot be used: {reason}")]
    Transport {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
        /// What else can be done.
        hint: Option<String>,
    },
    /// The text is no instruction of a Dockerfile that can be given outside of one.
    #[error("the change {text:?} cannot be made: {reason}")]
    Change {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The document is larger than anything honest.
    #[error("the {what} is {size} bytes long, and at most {limit} are accepted")]
    TooLarge {
        /// Manifest, configuration.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The document is not JSON, or lacks a field that it must have.
    #[error("the {what} cannot be read")]
    Json {
        /// Manifest, image configuration.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Docker's first manifest format: neither its layers nor its configuration can be verified by digest.
    #[error("the image has a manifest of Docker's schema 1, which is obsolete and not supported")]
    Schema1,
    /// A manifest of a kind that is no image.
    #[error("{0:?} is not a manifest of an image")]
    MediaType(String),
    /// A layer that is to be fetched from an address inside the manifest, or of a kind that is no tar.
    #[error("layer {number} cannot be used: {reason}")]
    Layer {
        /// Counted from 1, at the bottom.
        number: usize,
        /// Why.
        reason: String,
    },
    /// A field of a descriptor that cannot be.
    #[error("the descriptor of {what} is wrong: {reason}")]
    Descriptor {
        /// What it describes.
        what: String,
        /// Why it cannot be.
        reason: String,
    },
    /// More layers than any overlay can have.
    #[error("the image has {0} layers, and at most {MAX_LAYERS} are accepted")]
    Layers(usize),
    /// Manifest and configuration contradict each other.
    #[error("the manifest lists {layers} layers, but the image configuration {diff_ids}")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration's `rootfs.diff_ids`.
        diff_ids: usize,
    },
    /// The index has nothing for the platform that was asked for.
    #[error("there is no image for {wanted} here, only for {offered}")]
    NoPlatform {
        /// What was asked for.
        wanted: String,
        /// What the index has, separated by commas.
        offered: String,
    },
    /// It is something else that registries keep.
    #[error("it is no image, but {}{}", if .0.hint.is_some() { "" } else { "an artifact " }, .0.kind)]
    Artifact(Artifact),
    /// An index within an index.
    #[error("the index points to another index")]
    NestedIndex,
}

impl Error {
    /// Whether it is what somebody's document says that is wrong, so that only its maker can mend it.
    pub fn is_of_the_document(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::Json { .. }
                | Self::MediaType(_)
                | Self::Layer { .. }
                | Self::Descriptor { .. }
                | Self::Layers(_)
                | Self::LayerCount { .. }
                | Self::NestedIndex
        )
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Reference { name, .. } => {
                let lower = name.to_lowercase();
                if lower != *name && super::Reference::parse(&lower).is_ok() {
                    return Some(format!("image names are lower case: {lower}"));
                }
                if let Some((_, rest)) =
                    name.split_once("://").filter(|(_, rest)| super::Reference::parse(rest).is_ok())
                {
                    return Some(format!("write it without what stands before it: {rest}"));
                }
                Some("a name looks like debian, debian:12 or registry.example.com/team/tool:1.0".into())
            }
            Self::Registry { .. } => Some("a registry looks like docker.io, quay.io/team or localhost:5000".into()),
            Self::Digest { .. } => {
                Some("a digest is sha256: or sha512: and 64 or 128 hexadecimal digits in lower case".into())
            }
            Self::Platform { .. } => Some("a platform looks like linux/amd64, linux/arm64 or linux/arm/v7".into()),
            Self::Transport { hint, .. } => Some(hint.clone().unwrap_or_else(|| {
                "write docker://NAME, oci:FOLDER:TAG, oci-archive:FILE, docker-archive:FILE, dir:FOLDER or \
                 containers-storage:NAME"
                    .into()
            })),
            Self::Change { .. } => Some("write it as in a Dockerfile, for example --change 'CMD [\"/bin/sh\"]'".into()),
            Self::Artifact(artifact) => {
                Some(artifact.hint.unwrap_or("fetch it with a tool for artifacts, such as oras pull NAME").into())
            }
            Self::Schema1 => Some("push the image again with a current docker, podman or skopeo".into()),
            Self::NoPlatform { offered, .. } => {
                let first = offered.split(", ").next().filter(|first| !first.is_empty())?;
                Some(format!("choose one of them with --platform, for example --platform {first}"))
            }
            _ => {
                Some("what the registry has under this name is no image that can be used here: tell who made it".into())
            }
        }
    }
}
