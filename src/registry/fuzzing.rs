//! The parsers of this module that nobody else calls, for `tests/fuzz`: each takes whatever a registry could say.

use super::{challenge, session, signatures, token};

/// A `WWW-Authenticate` header.
pub fn challenge(header: &str) {
    let _ = challenge::choose([header, header].into_iter());
}

/// The answer of a realm.
pub fn token(answer: &[u8]) {
    let _ = token::read(answer);
}

/// The body of a refusal: the words that are shown to the user.
pub fn words(body: &[u8]) -> String {
    session::words(body)
}

/// What a registry lists as the signatures of an image.
pub fn signatures(answer: &[u8]) {
    let _ = signatures::parse(answer);
}
