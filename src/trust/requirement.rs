//! One requirement of a policy, and whether an image meets it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use super::identity::Identity;
use super::key::Key;
use super::payload::Payload;
use super::source::Source;
use crate::image::Digest;

/// The largest file of a key, in bytes.
const MAX_KEY: u64 = 1 << 20;

/// A manifest or index, with the signatures that were found for it. One of them is enough.
#[derive(Debug)]
pub struct Document<'a> {
    /// As received.
    pub bytes: &'a [u8],
    /// In the order of the registry.
    pub signatures: Vec<Signature>,
}

/// A signature as it was received: hostile.
#[derive(Debug, Clone)]
pub struct Signature {
    /// What is signed.
    pub payload: Vec<u8>,
    /// The annotation, in base64.
    pub signature: String,
}

/// What an image must be to be accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "camelCase")]
pub enum Requirement {
    /// Nothing.
    InsecureAcceptAnything {},
    /// No image is.
    Reject {},
    /// Signed by a key, in sigstore's form.
    SigstoreSigned(Box<Sigstore>),
    /// Signed by GPG: read, and never met.
    SignedBy(Gpg),
    /// A layer signed by somebody: read, and never met (containers/image never meets it either).
    SignedBaseLayer(BaseLayer),
}

/// `sigstoreSigned`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sigstore {
    key_path: Option<PathBuf>,
    key_paths: Option<Vec<PathBuf>>,
    key_data: Option<String>,
    key_datas: Option<Vec<String>>,
    fulcio: Option<Value>,
    pki: Option<Value>,
    rekor_public_key_path: Option<PathBuf>,
    rekor_public_key_paths: Option<Vec<PathBuf>>,
    rekor_public_key_data: Option<String>,
    rekor_public_key_datas: Option<Vec<String>>,
    signed_identity: Option<Identity>,
}

/// `signedBy`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gpg {
    key_type: String,
    key_path: Option<PathBuf>,
    key_paths: Option<Vec<PathBuf>>,
    key_data: Option<String>,
    signed_identity: Option<Identity>,
}

/// `signedBaseLayer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BaseLayer {
    base_layer_identity: Identity,
}

fn count(present: &[bool]) -> usize {
    present.iter().filter(|present| **present).count()
}

impl Requirement {
    /// Whether it can be met by something, in the policy's own terms.
    pub fn check(&self) -> Result<(), String> {
        let identity = |identity: &Option<Identity>| identity.as_ref().map_or(Ok(()), Identity::check);
        match self {
            Self::InsecureAcceptAnything {} | Self::Reject {} => Ok(()),
            Self::SigstoreSigned(own) => {
                let keys =
                    [own.key_path.is_some(), own.key_paths.is_some(), own.key_data.is_some(), own.key_datas.is_some()];
                if count(&keys) + count(&[own.fulcio.is_some(), own.pki.is_some()]) != 1 {
                    return Err(
                        "sigstoreSigned wants exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki"
                            .into(),
                    );
                }
                if own.key_paths.as_ref().is_some_and(Vec::is_empty)
                    || own.key_datas.as_ref().is_some_and(Vec::is_empty)
                {
                    return Err("the list of keys of sigstoreSigned is empty".into());
                }
                if own.rekor().count() > 1 {
                    return Err("sigstoreSigned wants at most one of the rekorPublicKey… keys".into());
                }
                identity(&own.signed_identity)
            }
            Self::SignedBy(own) => {
                if own.key_type != "GPGKeys" {
                    return Err(format!("the keyType {:?} of signedBy is not known", own.key_type));
                }
                if count(&[own.key_path.is_some(), own.key_paths.is_some(), own.key_data.is_some()]) != 1 {
                    return Err("signedBy wants exactly one of keyPath, keyPaths and keyData".into());
                }
                identity(&own.signed_identity)
            }
            Self::SignedBaseLayer(own) => own.base_layer_identity.check(),
        }
    }

    /// Whether every image meets it.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::InsecureAcceptAnything {})
    }

    /// Why no image can meet it, whatever its signatures are.
    pub fn never(&self) -> Option<String> {
        let not_supported = |what: &str| Some(format!("it wants {what}, which is not supported"));
        match self {
            Self::InsecureAcceptAnything {} => None,
            Self::Reject {} => Some("it rejects it (reject)".into()),
            Self::SignedBy(_) => not_supported("a GPG signature (signedBy)"),
            Self::SignedBaseLayer(_) => not_supported("a signed base layer (signedBaseLayer)"),
            Self::SigstoreSigned(own) if own.fulcio.is_some() => {
                not_supported("a signature by a certificate of Fulcio (sigstoreSigned with fulcio)")
            }
            Self::SigstoreSigned(own) if own.pki.is_some() => {
                not_supported("a signature by a certificate (sigstoreSigned with pki)")
            }
            Self::SigstoreSigned(own) => {
                let rekor = own.rekor().next()?;
                not_supported(&format!("a signature that is in the log of Rekor (sigstoreSigned with {rekor})"))
            }
        }
    }

    /// Whether one of these documents has a signature that meets it; else why not.
    pub fn met(&self, source: &Source, documents: &[Document<'_>]) -> Result<Result<(), String>, Error> {
        if let Some(never) = self.never() {
            return Ok(Err(never));
        }
        match self {
            Self::SigstoreSigned(own) => own.met(source, documents),
            _ => Ok(Ok(())),
        }
    }
}

impl Sigstore {
    fn rekor(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.rekor_public_key_path.is_some(), "rekorPublicKeyPath"),
            (self.rekor_public_key_paths.is_some(), "rekorPublicKeyPaths"),
            (self.rekor_public_key_data.is_some(), "rekorPublicKeyData"),
            (self.rekor_public_key_datas.is_some(), "rekorPublicKeyDatas"),
        ]
        .into_iter()
        .filter_map(|(present, name)| present.then_some(name))
    }

    fn keys(&self) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        for path in self.key_path.iter().chain(self.key_paths.iter().flatten()) {
            let key = Key::parse(&read(path)?);
            keys.push(key.map_err(|source| Error::Key { name: path.display().to_string(), source })?);
        }
        for data in self.key_data.iter().chain(self.key_datas.iter().flatten()) {
            let pem = STANDARD.decode(data).unwrap_or_default();
            let name = || "in keyData of the policy".to_owned();
            keys.push(Key::parse(&pem).map_err(|source| Error::Key { name: name(), source })?);
        }
        Ok(keys)
    }

    fn met(&self, source: &Source, documents: &[Document<'_>]) -> Result<Result<(), String>, Error> {
        let keys = self.keys()?;
        let mut reasons = Vec::new();
        for document in documents {
            for signature in &document.signatures {
                match self.accepts(&keys, source, document, signature) {
                    Ok(()) => return Ok(Ok(())),
                    Err(reason) if !reasons.contains(&reason) => reasons.push(reason),
                    Err(_) => {}
                }
            }
        }
        let number = documents.iter().map(|document| document.signatures.len()).sum::<usize>();
        Ok(Err(match (number, reasons.len()) {
            (0, _) => "it wants a signature (sigstoreSigned), and there is none".into(),
            (1, _) => format!("its signature does not count: {}", reasons.join("; ")),
            _ => format!("none of its {number} signatures counts: {}", reasons.join("; ")),
        }))
    }

    fn accepts(
        &self,
        keys: &[Key],
        source: &Source,
        document: &Document<'_>,
        signature: &Signature,
    ) -> Result<(), String> {
        let bytes = STANDARD.decode(signature.signature.trim()).map_err(|_| "it is no base64".to_owned())?;
        if !keys.iter().any(|key| key.has_signed(&signature.payload, &bytes)) {
            return Err("it was made by another key".into());
        }
        let payload = Payload::parse(&signature.payload)?;
        if !payload.digest.matches(document.bytes) {
            return Err(format!("it is for {}, and not for {}", payload.digest, Digest::of(document.bytes)));
        }
        let Some(wanted) = source.reference() else {
            return Err("the image has no name that could be compared".into());
        };
        let usual = Identity::default();
        if !self.signed_identity.as_ref().unwrap_or(&usual).takes(wanted, &payload.reference) {
            return Err(format!("it is for the name {}", payload.reference));
        }
        Ok(())
    }
}

/// Whether the file holds a public key that can be used.
pub fn check_key(path: &Path) -> Result<(), Error> {
    Key::parse(&read(path)?).map(drop).map_err(|source| Error::Key { name: path.display().to_string(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_KEY).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}
