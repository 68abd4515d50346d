//! The parsers of this module that nobody else calls, for `tests/fuzz`.

use super::key::Key;
use super::payload::Payload;

/// A payload, which is read once somebody has signed it. Whether it is one.
pub fn payload(bytes: &[u8]) -> bool {
    Payload::parse(bytes).is_ok()
}

/// A PEM file of a public key; where it is one, it must not have signed this very file.
pub fn key(pem: &[u8]) {
    if let Ok(key) = Key::parse(pem) {
        assert!(!key.has_signed(pem, pem));
    }
}
