//! What is signed: a small JSON document that says which manifest is good under which name ("simple signing", in cosign's form).
//!
//! As containers/image reads it: every key is known and stands there once, but for remarks of the signer's.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

use super::identity::Signed;
use crate::image::Digest;

/// The only kind of payload that is known.
const KIND: &str = "cosign container image signature";

/// What a signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Of the manifest or index.
    pub digest: Digest,
    /// The name under which it is good.
    pub reference: Signed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    critical: Critical,
    // It must be there, though it may be null.
    #[serde(deserialize_with = "optional")]
    #[allow(dead_code, reason = "only its form counts")]
    optional: Option<Optional>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    r#type: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: Signed,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its form counts")]
struct Optional {
    #[serde(default)]
    creator: String,
    #[serde(default)]
    timestamp: f64,
    #[serde(flatten)]
    other: BTreeMap<String, IgnoredAny>,
}

/// Without it, serde takes a missing key for a null.
fn optional<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Optional>, D::Error> {
    Option::deserialize(deserializer)
}

impl Payload {
    /// Reads one whose signature is good; one that nobody has vouched for is not worth reading.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| format!("its payload cannot be read: {error}"))?;
        if raw.critical.r#type != KIND {
            let kind: String = raw.critical.r#type.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!("its payload is a {kind:?}, and not a {KIND:?}"));
        }
        Ok(Self { digest: raw.critical.image.digest, reference: raw.critical.identity.reference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"critical":{"identity":{"docker-reference":"r.io/a:1"},"image":{"docker-manifest-digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"},"type":"cosign container image signature"},"optional":OPTIONAL}"#;

    fn with(optional: &str) -> String {
        GOOD.replace("OPTIONAL", optional)
    }

    #[test]
    fn remarks_are_no_matter() {
        for optional in ["null", "{}", r#"{"creator":"me","timestamp":1.5,"mine":[1]}"#] {
            let payload =
                Payload::parse(with(optional).as_bytes()).unwrap_or_else(|error| panic!("{optional}: {error}"));
            assert_eq!(payload.digest.hex(), "0".repeat(64));
        }
    }

    #[test]
    fn everything_else_is_as_it_must_be() {
        let good = with("null");
        for (from, to) in [
            ("\"optional\":null", "\"optional\":1"),
            ("\"optional\":null", "\"optional\":{\"creator\":1}"),
            (",\"optional\":null", ""),
            (",\"optional\":null", ",\"optional\":null,\"optional\":null"),
            ("{\"critical\"", "{\"more\":1,\"critical\""),
            ("{\"identity\"", "{\"more\":1,\"identity\""),
            ("{\"docker-reference\"", "{\"more\":1,\"docker-reference\""),
            ("{\"docker-manifest", "{\"docker-manifest-digest\":\"sha256:1\",\"docker-manifest"),
            ("\"r.io/a:1\"", "\"r.io/A:1\""),
            ("sha256:0", "sha256:x"),
            ("cosign container", "atomic container"),
            (",\"type\":\"cosign container image signature\"", ""),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(Payload::parse(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Payload::parse(&bytes);
        }

        #[test]
        fn no_change_of_a_byte_makes_it_panic(at in 0usize..200, byte in any::<u8>()) {
            let mut bytes = with("null").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Payload::parse(&bytes);
        }
    }
}
