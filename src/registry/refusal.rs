//! What a registry says when it does not take something, and what the user can do about it. `session` makes these of answers.

use std::io;

use super::error::{login, quote};
use crate::image::Digest;

/// A registry that does not take what it is sent.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It wants to know who asks, or does not accept the answer.
    #[error("{host} does not take {image} {}{}", if *known { "with the credentials that are stored" } else { "without a login" }, quote(said))]
    Unauthorized {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// Whether there were credentials.
        known: bool,
        /// The host that credentials were not sent to, because they are for another.
        withheld: Option<String>,
        /// The registry's words.
        said: String,
    },
    /// It knows who asks, and says no.
    #[error("{host} denies to write {image}{}", quote(said))]
    Denied {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// Whether there were credentials.
        known: bool,
        /// The registry's words.
        said: String,
    },
    /// It has no such repository, and makes none by itself.
    #[error("{host} has no repository for {image}{}", quote(said))]
    NoRepository {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// The registry's words.
        said: String,
    },
    /// It can only be read.
    #[error("{host} can only be read{}", quote(said))]
    ReadOnly {
        /// `host[:port]`.
        host: String,
        /// The registry's words.
        said: String,
    },
    /// It has no more room, or no more for this user.
    #[error("{host} has no room for {what} of {image}{}", quote(said))]
    NoRoom {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// What was sent.
        what: String,
        /// The registry's words.
        said: String,
    },
    /// It, or a proxy before it, takes nothing as large.
    #[error("{host} finds {what} of {image} too large{}", quote(said))]
    TooLarge {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// What was sent.
        what: String,
        /// The registry's words.
        said: String,
    },
    /// Its rules for names are narrower than those of everybody.
    #[error("{host} does not accept the name {image}{}", quote(said))]
    Name {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// The registry's words.
        said: String,
    },
    /// It does not understand the manifest, or wants another one.
    #[error("{host} does not accept the manifest of {image}{}", quote(said))]
    Manifest {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// The registry's words.
        said: String,
    },
    /// It found another digest in what it received.
    #[error("{host} received something else for {what} of {image} than was sent{}", quote(said))]
    Digest {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// What was sent.
        what: String,
        /// The registry's words.
        said: String,
    },
    /// Any other refusal.
    #[error("{host} answered {status} when {what} of {image} was sent{}", quote(said))]
    Other {
        /// `host[:port]`.
        host: String,
        /// The name that was to be pushed.
        image: String,
        /// What was sent.
        what: String,
        /// `500 Internal Server Error`.
        status: String,
        /// The number in it.
        code: u16,
        /// The registry's words.
        said: String,
    },
    /// What is to be sent cannot be read.
    #[error("cannot read what is to be sent")]
    Source {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What is to be sent is not what its digest says.
    #[error("what the store keeps of {expected} is damaged: it has the digest {found}")]
    Damaged {
        /// By its descriptor.
        expected: Digest,
        /// By its bytes.
        found: Digest,
    },
    /// A name with a digest, and what would be put there has another one.
    #[error("{image} names the digest {expected}, and what would be pushed has {found}")]
    OtherDigest {
        /// The name that was to be pushed.
        image: String,
        /// In the name.
        expected: Digest,
        /// Of the manifest.
        found: Digest,
    },
    /// What cannot go together.
    #[error("{0}")]
    Asked(String),
}

impl Refusal {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unauthorized { withheld: Some(realm), host, .. } => format!(
                "your credentials for {host} were not sent to {realm}, which hands out its tokens; if you trust it, add it to token-hosts in the settings"
            ),
            Self::Unauthorized { host, known: false, .. } | Self::Denied { host, known: false, .. } => {
                format!("log in: enter login {}", login(host))
            }
            Self::Unauthorized { host, .. } => format!("log in again: enter login {}", login(host)),
            Self::Denied { .. } => {
                "see whether the name is in a namespace that you may write to, or ask whoever owns it".into()
            }
            Self::NoRepository { .. } => {
                "this registry wants repositories or projects to be made before something is pushed: make it there first"
                    .into()
            }
            Self::ReadOnly { .. } => "push to another registry, or ask who runs this one when it can be written".into(),
            Self::NoRoom { .. } => "remove what is not needed there, or ask who runs it for more room".into(),
            Self::TooLarge { .. } => {
                "compress more (--compression zstd --compression-level 19), or ask who runs it to allow larger uploads"
                    .into()
            }
            Self::Name { .. } => "give it another name: enter push IMAGE HOST/NAME:TAG".into(),
            Self::Manifest { .. } => "try the other kind of manifest: --format docker, or --format oci".into(),
            Self::Digest { .. } => {
                "the registry, or something on the way to it such as a proxy, is faulty: tell who runs it".into()
            }
            Self::Other { code: 500.., .. } => "this is the registry's fault: try again later".into(),
            Self::Other { .. } => "see whether this is a registry that images can be pushed to".into(),
            Self::Damaged { .. } => "see what is damaged: enter verify".into(),
            Self::OtherDigest { .. } => "push to a tag; it will have the digest that its content has".into(),
            Self::Source { .. } | Self::Asked(_) => return None,
        })
    }

    /// Whether it does not let us.
    pub(super) fn is_about_access(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Denied { .. })
    }

    /// Whether it has found another digest.
    pub(super) fn is_about_digests(&self) -> bool {
        matches!(self, Self::Digest { .. })
    }

    /// Whether what is here of it is not to be used.
    pub(super) fn is_about_us(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Source { .. })
    }

    /// Whether the registry has nothing against us, but cannot do what it was asked for in this way.
    pub(super) fn is_about_the_way(&self) -> bool {
        matches!(
            self,
            Self::Other { code: 400 | 404 | 405 | 411 | 412 | 415 | 416 | 422 | 501, .. } | Self::ReadOnly { .. }
        )
    }
}

/// Something that was sent and refused.
pub struct Sent {
    pub host: String,
    pub image: String,
    pub what: String,
    pub known: bool,
    pub withheld: Option<String>,
    pub status: String,
    pub said: String,
}

impl Sent {
    /// What a status and a code of OCI's list mean. Words count as well, as registries agree on few codes for the lack of room.
    pub fn refused(self, status: u16, code: &str) -> Refusal {
        let Self { host, image, what, known, withheld, status: text, said } = self;
        let words = said.to_ascii_lowercase();
        let about_room = ["quota", "no space", "storage limit", "disk full", "insufficient storage"]
            .iter()
            .any(|word| words.contains(word));
        match (status, code) {
            _ if about_room => Refusal::NoRoom { host, image, what, said },
            (507, _) => Refusal::NoRoom { host, image, what, said },
            (401, _) => Refusal::Unauthorized { host, image, known, withheld, said },
            (403, _) | (_, "DENIED") => Refusal::Denied { host, image, known, said },
            (413, _) => Refusal::TooLarge { host, image, what, said },
            (405, _) | (_, "UNSUPPORTED") => Refusal::ReadOnly { host, said },
            (404, "NAME_UNKNOWN" | "NOT_FOUND" | "PROJECT_UNKNOWN") => Refusal::NoRepository { host, image, said },
            (_, "NAME_INVALID") => Refusal::Name { host, image, said },
            (_, "MANIFEST_INVALID" | "MANIFEST_UNVERIFIED" | "TAG_INVALID") => Refusal::Manifest { host, image, said },
            (_, "DIGEST_INVALID" | "SIZE_INVALID") => Refusal::Digest { host, image, what, said },
            (code, _) => Refusal::Other { host, image, what, status: text, code, said },
        }
    }
}
