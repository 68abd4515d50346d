//! Public keys, as PEM files hold them, and the signatures that they vouch for.
//!
//! Which curves and hashes go together is what cosign and containers/image make: SHA-256 everywhere, and for P-384 its own SHA-384 too.

use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{RawPublicKeyEntity, ring};

/// The signatures that are known.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
];
/// How far the words of an error of a parser are passed on.
const MAX_WORDS: usize = 100;

/// Why something is no key that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// No PEM at all.
    #[error("it is no PEM file")]
    NotPem,
    /// Something else than a public key.
    #[error("it holds no public key, but something called {0}")]
    NotPublic(String),
    /// The key's own structure is damaged.
    #[error("the key in it is damaged")]
    Damaged,
    /// No signature of this key can be verified.
    #[error("its kind is not supported: known are ECDSA on P-256 and P-384, Ed25519, and RSA of 2048 bits and more")]
    Unsupported,
}

/// A public key.
#[derive(Debug, Clone)]
pub struct Key(SubjectPublicKeyInfoDer<'static>);

impl Key {
    /// Reads the first section of a PEM text, which must be a public key in the form of X.509 (`openssl pkey -pubout`, cosign.pub).
    pub fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
        let der = match sections.next() {
            Some(Ok((SectionKind::PublicKey, der))) => der,
            Some(Ok((other, _))) => {
                return Err(KeyError::NotPublic(format!("{other:?}").chars().take(MAX_WORDS).collect()));
            }
            Some(Err(_)) | None => return Err(KeyError::NotPem),
        };
        let key = Self(der.into());
        let entity = RawPublicKeyEntity::try_from(&key.0).map_err(|_| KeyError::Damaged)?;
        // What a kind of key does not suit says so before it looks at the signature.
        let suits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            !matches!(
                entity.verify_signature(**algorithm, b"", b""),
                Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_))
            )
        };
        if ALGORITHMS.iter().any(|algorithm| suits(&algorithm)) { Ok(key) } else { Err(KeyError::Unsupported) }
    }

    /// Whether this key has signed these bytes.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(entity) = RawPublicKeyEntity::try_from(&self.0) else { return false };
        ALGORITHMS.iter().any(|algorithm| entity.verify_signature(*algorithm, bytes, signature).is_ok())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// What openssl(1) says.
    pub fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is there");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A private key in a file, and its public key.
    pub fn pair(folder: &std::path::Path, kind: &[&str]) -> (String, Vec<u8>) {
        let private = folder.join("key.pem").to_str().unwrap().to_owned();
        let mut arguments = vec!["genpkey", "-out", &private];
        arguments.extend(kind);
        openssl(&arguments, b"");
        let public = openssl(&["pkey", "-in", &private, "-pubout"], b"");
        (private, public)
    }

    #[test]
    fn what_openssl_has_signed_is_known() {
        for (kind, hash) in [
            (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], Some("sha256")),
            (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], Some("sha256")),
            (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], Some("sha384")),
            (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], Some("sha256")),
            (&["-algorithm", "ED25519"], None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (private, public) = pair(folder.path(), kind);
            let message = folder.path().join("message").to_str().unwrap().to_owned();
            std::fs::write(&message, b"payload").unwrap();
            let signature = match hash {
                Some(hash) => openssl(&["dgst", &format!("-{hash}"), "-sign", &private, &message], b""),
                None => openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &private, "-in", &message], b""),
            };
            let key = Key::parse(&public).unwrap();
            assert!(key.has_signed(b"payload", &signature), "{kind:?} {hash:?}");
            assert!(!key.has_signed(b"Payload", &signature));
            let mut other = signature.clone();
            *other.last_mut().unwrap() ^= 1;
            assert!(!key.has_signed(b"payload", &other));
            assert!(!key.has_signed(b"payload", b""));
            let stranger = tempfile::tempdir().unwrap();
            let (_, public) = pair(stranger.path(), kind);
            assert!(!Key::parse(&public).unwrap().has_signed(b"payload", &signature));
        }
    }

    #[test]
    fn what_is_no_public_key_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (private, _) = pair(folder.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let private = std::fs::read(private).unwrap();
        assert!(matches!(Key::parse(&private), Err(KeyError::NotPublic(_))));
        let (_, other) = pair(folder.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]);
        assert_eq!(Key::parse(&other).unwrap_err(), KeyError::Unsupported);
        for text in
            ["", "hello", "-----BEGIN PUBLIC KEY-----\n", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n"]
        {
            assert_eq!(Key::parse(text.as_bytes()).unwrap_err(), KeyError::NotPem, "{text:?}");
        }
        let empty = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        assert_eq!(Key::parse(empty.as_bytes()).unwrap_err(), KeyError::Damaged);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN (PUBLIC KEY|X)-----\n)?[A-Za-z0-9+/=\n]{0,120}(-----END (PUBLIC KEY|X)-----\n)?") {
            let _ = Key::parse(text.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(der in proptest::collection::vec(any::<u8>(), 0..120), signature in proptest::collection::vec(any::<u8>(), 0..80)) {
            let key = Key(der.into());
            prop_assert!(!key.has_signed(b"x", &signature));
        }
    }
}
