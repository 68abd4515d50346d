//! `signedIdentity`: which name a signature must hold, so that a signed image cannot be given out under the name of another.

use serde::Deserialize;

use crate::image::Reference;

/// How the name in a signature is compared with the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Identity {
    /// The same name and tag or digest.
    MatchExact {},
    /// The same, or the same repository where a digest was asked for.
    MatchRepoDigestOrExact {},
    /// The same repository.
    MatchRepository {},
    /// This name, whatever was asked for.
    ExactReference {
        /// With a tag or a digest.
        docker_reference: Signed,
    },
    /// Any tag of this repository, whatever was asked for.
    ExactRepository {
        /// Without a tag.
        docker_repository: Signed,
    },
    /// As the second, after the beginning of the name that was asked for has been replaced: for mirrors.
    #[serde(rename = "remapIdentity")]
    Remap {
        /// What is replaced: a registry, a namespace or a repository.
        prefix: String,
        /// What takes its place.
        signed_prefix: String,
    },
}

impl Default for Identity {
    fn default() -> Self {
        Self::MatchRepoDigestOrExact {}
    }
}

/// A name in a signature or a policy. Unlike one that a user types it gets no tag where it has none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Signed {
    reference: Reference,
    bare: bool,
}

impl TryFrom<String> for Signed {
    type Error = crate::image::Error;

    fn try_from(text: String) -> Result<Self, crate::image::Error> {
        let reference = Reference::parse(&text)?;
        let tagged = reference.tag().is_some_and(|tag| {
            let upto = text.split('@').next().unwrap_or(&text);
            upto.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':'))
        });
        let bare = !tagged && reference.digest().is_none();
        Ok(Self { reference, bare })
    }
}

impl std::fmt::Display for Signed {
    /// As it was written, but for what `docker.io` adds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.bare { f.write_str(&self.reference.repository()) } else { self.reference.fmt(f) }
    }
}

impl Identity {
    /// Whether the policy's own part makes sense.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::ExactReference { docker_reference } if docker_reference.bare => {
                Err("the dockerReference of exactReference has neither a tag nor a digest".into())
            }
            Self::Remap { prefix, signed_prefix } => {
                for part in [prefix, signed_prefix] {
                    // Also a registry alone, which is no name of an image.
                    if Reference::parse(&format!("{part}/x")).is_err() || part.contains('@') {
                        return Err(format!("{part:?} is no prefix of image names"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a signature for `signed` is one for the image that was asked for as `wanted`, which has one name only: with a digest, its tag does
    /// not count.
    pub fn takes(&self, wanted: &Reference, signed: &Signed) -> bool {
        match self {
            Self::MatchExact {} => !signed.bare && same(wanted, &signed.reference),
            Self::MatchRepoDigestOrExact {} => repo_digest_or_exact(wanted, signed),
            Self::MatchRepository {} => wanted.repository() == signed.reference.repository(),
            Self::ExactReference { docker_reference } => {
                !signed.bare && !docker_reference.bare && docker_reference.reference == signed.reference
            }
            Self::ExactRepository { docker_repository } => {
                docker_repository.reference.repository() == signed.reference.repository()
            }
            Self::Remap { prefix, signed_prefix } => {
                let repository = wanted.repository();
                let remapped = match repository.strip_prefix(prefix.as_str()) {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                        match wanted.in_repository(&format!("{signed_prefix}{rest}")) {
                            Ok(remapped) => remapped,
                            Err(_) => return false,
                        }
                    }
                    _ => wanted.clone(),
                };
                repo_digest_or_exact(&remapped, signed)
            }
        }
    }
}

fn same(wanted: &Reference, signed: &Reference) -> bool {
    let tag = wanted.tag().filter(|_| wanted.digest().is_none());
    wanted.repository() == signed.repository() && tag == signed.tag() && wanted.digest() == signed.digest()
}

fn repo_digest_or_exact(wanted: &Reference, signed: &Signed) -> bool {
    // That the signature is one for the digest is seen from its payload.
    let repository = wanted.digest().is_some() && wanted.repository() == signed.reference.repository();
    !signed.bare && (repository || same(wanted, &signed.reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(identity: &str, wanted: &str, signed: &str) -> bool {
        let identity: Identity = serde_json::from_str(identity).unwrap();
        identity.check().unwrap();
        identity.takes(&Reference::parse(wanted).unwrap(), &Signed::try_from(signed.to_owned()).unwrap())
    }

    #[test]
    fn names_are_compared_as_containers_image_compares_them() {
        let digest = format!("r.io/a@sha256:{}", "0".repeat(64));
        let digest = digest.as_str();
        let exact = r#"{"type":"matchExact"}"#;
        let usual = r#"{"type":"matchRepoDigestOrExact"}"#;
        let repository = r#"{"type":"matchRepository"}"#;
        let one = r#"{"type":"exactReference","dockerReference":"r.io/b:1"}"#;
        let any = r#"{"type":"exactRepository","dockerRepository":"r.io/b"}"#;
        let remap = r#"{"type":"remapIdentity","prefix":"mirror.io/r","signedPrefix":"r.io"}"#;
        for (identity, wanted, signed, expected) in [
            (exact, "r.io/a:1", "r.io/a:1", true),
            (exact, "r.io/a:1", "r.io/a:2", false),
            (exact, "r.io/a", "r.io/a", false),
            (exact, "r.io/a", "r.io/a:latest", true),
            (exact, digest, "r.io/a:1", false),
            (exact, digest, digest, true),
            (usual, "r.io/a:1", "r.io/a:1", true),
            (usual, "r.io/a:1", "r.io/a", false),
            (usual, digest, "r.io/a:1", true),
            (usual, digest, "r.io/b:1", false),
            (usual, digest, "r.io/a", false),
            (repository, "r.io/a:1", "r.io/a", true),
            (repository, "r.io/a:1", "r.io/b", false),
            (repository, "busybox", "docker.io/library/busybox", true),
            (one, "r.io/a:1", "r.io/b:1", true),
            (one, "r.io/a:1", "r.io/b:2", false),
            (one, "r.io/b:1", "r.io/b", false),
            (any, "r.io/a:1", "r.io/b:7", true),
            (any, "r.io/a:1", "r.io/a:1", false),
            (remap, "mirror.io/r/a:1", "r.io/a:1", true),
            (remap, "mirror.io/r/a:1", "mirror.io/r/a:1", false),
            (remap, "mirror.io/rr/a:1", "mirror.io/rr/a:1", true),
            (remap, "mirror.io/rr/a:1", "r.ior/a:1", false),
        ] {
            assert_eq!(takes(identity, wanted, signed), expected, "{identity} {wanted} {signed}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            r#"{"type":"matchAny"}"#,
            r#"{}"#,
            r#"{"type":"matchExact","x":1}"#,
            r#"{"type":"matchRepoDigestOrExact","x":1}"#,
            r#"{"type":"matchRepository","x":1}"#,
            r#"{"type":"exactReference"}"#,
            r#"{"type":"exactReference","dockerReference":"r.io/b:1","dockerReference":"r.io/b:1"}"#,
            r#"{"type":"exactReference","dockerReference":"UPPER/case/B:1"}"#,
        ] {
            assert!(serde_json::from_str::<Identity>(text).is_err(), "{text}");
        }
        for text in [
            r#"{"type":"exactReference","dockerReference":"r.io/b"}"#,
            r#"{"type":"remapIdentity","prefix":"","signedPrefix":"r.io"}"#,
            r#"{"type":"remapIdentity","prefix":"r.io@x","signedPrefix":"r.io"}"#,
        ] {
            assert!(serde_json::from_str::<Identity>(text).unwrap().check().is_err(), "{text}");
        }
    }
}
