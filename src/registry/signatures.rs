//! The signatures of a manifest or index, where cosign puts them: in the same repository, under the tag `sha256-HEX.sig`.
//!
//! They are read whatever registries.d says of `use-sigstore-attachments`: what a policy makes of them is decided by keys, and one signature more
//! cannot make an image less trusted. `pull` asks for them only where the policy wants some.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::configuration::Endpoint;
use super::session::{Received, Session};
use super::{Environment, Error};
use crate::image::{Descriptor, Digest};
use crate::trust::{Document, MAX_PAYLOAD, MAX_SIGNATURES, PAYLOAD_TYPE, Policy, Rules, SIGNATURE_KEY, Signature};

/// The user's policy, or the system's where the user has none; `None` where there is neither.
///
/// # Errors
/// A policy that cannot be used: then nothing is to be accepted.
pub fn policy(environment: &Environment) -> Result<Option<Policy>, Error> {
    Ok(match environment.named_policy() {
        // One that was named must be there.
        Some(path) => Some(Policy::read(path)?),
        None => Policy::load(&environment.policies())?,
    })
}

/// Judges the documents that lead to an image by a policy, with what signatures the registry has of them.
pub fn check(rules: &Rules<'_>, session: &Session<'_>, documents: &[&Received]) -> Result<(), Error> {
    if rules.accept_anything() {
        return Ok(());
    }
    let mut signed = Vec::new();
    let mut refused = None;
    for document in documents {
        signed.push(Document { bytes: &document.bytes, signatures: of(session, &document.digest)? });
        // The index is asked about only where the manifest does not do.
        match rules.check(&signed) {
            Ok(()) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), |error| Err(error.into()))
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What of a signature's manifest can be a signature: where its payload is, and the annotation.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<(Descriptor, String)>, serde_json::Error> {
    let manifest: Manifest = serde_json::from_slice(bytes)?;
    let signature = |mut layer: Layer| {
        let is_one = layer.media_type == PAYLOAD_TYPE && layer.size <= MAX_PAYLOAD;
        let signature = layer.annotations.remove(SIGNATURE_KEY).filter(|_| is_one)?;
        Some((Descriptor { digest: layer.digest, size: layer.size }, signature))
    };
    Ok(manifest.layers.into_iter().filter_map(signature).take(MAX_SIGNATURES).collect())
}

/// The signatures that the registry has of a document; none where it has none.
fn of(session: &Session<'_>, digest: &Digest) -> Result<Vec<Signature>, Error> {
    let tag = format!("{}-{}.sig", digest.algorithm().name(), digest.hex());
    let reference = session.endpoint.reference.with_tag(&tag)?;
    let endpoint = Endpoint { reference, ..session.endpoint.clone() };
    let session = Session::new(session.http, &endpoint)?;
    let manifest = match session.manifest(None) {
        Ok(manifest) => manifest,
        Err(Error::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let listed = parse(&manifest.bytes).map_err(|error| Error::Answer {
        host: session.host(),
        what: "the list of signatures".into(),
        reason: super::shorten(&error.to_string()),
    })?;
    let fetched = listed.into_iter().map(|(payload, signature)| {
        let payload = session.small(&payload, "a signature")?;
        Ok(Signature { payload, signature })
    });
    fetched.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(media_type: &str, size: u64, annotation: &str) -> String {
        format!(
            r#"{{"mediaType":"{media_type}","digest":"sha256:{}","size":{size},"annotations":{{"{annotation}":"c2ln"}}}}"#,
            "0".repeat(64)
        )
    }

    #[test]
    fn only_what_can_be_a_signature_is_fetched() {
        let layers = [
            layer(PAYLOAD_TYPE, 100, SIGNATURE_KEY),
            layer("application/vnd.dsse.envelope.v1+json", 100, SIGNATURE_KEY),
            layer(PAYLOAD_TYPE, MAX_PAYLOAD + 1, SIGNATURE_KEY),
            layer(PAYLOAD_TYPE, 100, "other"),
        ];
        let parsed = parse(format!(r#"{{"layers":[{}]}}"#, layers.join(",")).as_bytes()).unwrap();
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].1, "c2ln");
        let many = vec![layers[0].clone(); MAX_SIGNATURES + 10];
        let parsed = parse(format!(r#"{{"layers":[{}]}}"#, many.join(",")).as_bytes()).unwrap();
        assert_eq!(parsed.len(), MAX_SIGNATURES);
        for text in [
            "",
            "{}",
            r#"{"layers":null}"#,
            r#"{"layers":[{"digest":"sha256:1","size":1}]}"#,
            r#"{"layers":[{"size":-1}]}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
