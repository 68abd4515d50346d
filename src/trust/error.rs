//! Why an image is not trusted.

use std::io;
use std::path::PathBuf;

use super::key::KeyError;

/// A policy that cannot be used, or one that refuses an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy, or a key that it names, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The policy is no JSON, or has something in it that is not known.
    #[error("the policy {} cannot be used", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A key of the policy is none.
    #[error("the key {name} cannot be used")]
    Key {
        /// The file, or which entry of the policy.
        name: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A scope that no image of a registry has.
    #[error("{scope:?} is no scope of images: {reason}")]
    Scope {
        /// As it was typed.
        scope: String,
        /// Why.
        reason: String,
    },
    /// The policy refuses the image.
    #[error("{image} is refused by the policy {}, {scope}: {reason}", path.display())]
    Refused {
        /// Its name.
        image: String,
        /// The file.
        path: PathBuf,
        /// Which of its entries.
        scope: String,
        /// Which requirement is not met, and why.
        reason: String,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "mend its permissions, or correct the policy; see containers-policy.json(5)".into(),
            Self::Policy { .. } => {
                "see containers-policy.json(5) for what can stand there; while it cannot be read, no image is accepted"
                    .into()
            }
            Self::Key { .. } => {
                "a public key is a PEM file that begins with -----BEGIN PUBLIC KEY-----, such as cosign.pub".into()
            }
            Self::Scope { .. } => {
                "a scope is `default`, a registry such as quay.io or *.example.com, or the beginning of a complete name: docker.io/library"
                    .into()
            }
            Self::Refused { path, .. } => {
                format!("if you trust this image, say so in {}; see containers-policy.json(5)", path.display())
            }
        })
    }
}
