//! Key exchange: RFC 4253, sections 7 and 8, by `curve25519-sha256` (RFC 8731), with OpenSSH's strict order.

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::cipher::{self, Key};
use crate::key::{self, HostKey};
use crate::wire::{Reader, Writer};
use crate::{Error, message};

/// The ways to a common secret, the second an older name of the first.
const METHODS: [&str; 2] = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
/// What each side says who counts packets anew with new keys, and takes nothing but the exchange before the first.
const STRICT: [&str; 2] = ["kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"];

/// What one exchange leads to.
pub struct Keys {
    /// For what comes.
    pub opening: Key,
    /// For what goes.
    pub sealing: Key,
    /// The hash of all that was said: that of the first exchange names the session.
    pub hash: Vec<u8>,
}

/// What the client can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// It keeps the strict order.
    pub strict: bool,
    /// It has guessed, and wrong: the next message of the exchange is not meant.
    pub guessed_wrong: bool,
}

/// What this side offers, as the message that says so.
pub fn offer() -> Result<Vec<u8>, Error> {
    let mut cookie = [0; 16];
    SystemRandom::new().fill(&mut cookie).map_err(|_| Error::Random)?;
    let methods = [METHODS[0], METHODS[1], STRICT[1]].join(",");
    let offer = Writer::message(message::KEXINIT).raw(&cookie).string(methods).string(key::KIND);
    // The cipher vouches for its packets itself, so no authenticator is ever used; but the list may not be empty.
    let offer = [cipher::NAME, cipher::NAME, "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""]
        .iter()
        .fold(offer, Writer::string);
    Ok(offer.byte(0).number(0).finish())
}

/// Reads what the client offers.
pub fn agree(offer: &[u8]) -> Result<Agreed, Error> {
    let mut reader = Reader::new(offer);
    reader.skip(1 + 16)?;
    let (methods, keys) = (reader.names()?, reader.names()?);
    let ciphers = [reader.names()?, reader.names()?];
    for _ in 0..6 {
        reader.names()?;
    }
    let guesses = reader.truth()?;
    let has = |what: &'static str, theirs: &[&str], ours: &[&str]| {
        let found = theirs.iter().any(|name| ours.contains(name));
        found.then_some(()).ok_or(Error::Nothing { what, theirs: theirs.join(","), ours: ours.join(",") })
    };
    has("key exchange", &methods, &METHODS)?;
    has("host key", &keys, &[key::KIND])?;
    ciphers.iter().try_for_each(|theirs| has("cipher", theirs, &[cipher::NAME]))?;
    let guessed = methods.first().is_some_and(|name| METHODS.contains(name)) && keys.first() == Some(&key::KIND);
    Ok(Agreed { strict: methods.contains(&STRICT[0]), guessed_wrong: guesses && !guessed })
}

/// What both sides have said.
#[derive(Debug)]
pub struct Said<'a> {
    /// The lines that they greet with, without their ends.
    pub greetings: [&'a [u8]; 2],
    /// Their offers. The client is the first in both.
    pub offers: [&'a [u8]; 2],
    /// The session's name, where it has one.
    pub session: Option<&'a [u8]>,
}

/// Answers the client's half of the secret: the message to send, and the keys.
pub fn answer(said: &Said<'_>, theirs: &[u8], key: &HostKey) -> Result<(Vec<u8>, Keys), Error> {
    let random = SystemRandom::new();
    let secret = EphemeralPrivateKey::generate(&X25519, &random).map_err(|_| Error::Random)?;
    let ours = secret.compute_public_key().map_err(|_| Error::Random)?;
    let peer = UnparsedPublicKey::new(&X25519, theirs);
    let shared = agree_ephemeral(secret, &peer, |shared| Writer::default().large(shared).finish());
    let shared = shared.map_err(|_| Error::Malformed("the client's half of the secret is none"))?;
    let public = key.public();
    let strings = said.greetings.iter().chain(&said.offers).copied().chain([&public[..], theirs, ours.as_ref()]);
    let text = strings.fold(Writer::default(), Writer::string).raw(&shared).finish();
    let hash = digest(&SHA256, &text).as_ref().to_vec();
    let session = said.session.unwrap_or(&hash);
    let keys = Keys {
        opening: derive(&shared, &hash, b'C', session),
        sealing: derive(&shared, &hash, b'D', session),
        hash: hash.clone(),
    };
    let reply = Writer::message(message::KEX_REPLY).string(public).string(ours).string(key.sign(&hash)).finish();
    Ok((reply, keys))
}

/// RFC 4253, section 7.2: as many bytes as the cipher wants, which are two hashes.
fn derive(shared: &[u8], hash: &[u8], letter: u8, session: &[u8]) -> Key {
    let first = digest(&SHA256, &[shared, hash, &[letter], session].concat());
    let second = digest(&SHA256, &[shared, hash, first.as_ref()].concat());
    let mut key = [0; std::mem::size_of::<Key>()];
    let (front, back) = key.split_at_mut(32);
    front.copy_from_slice(first.as_ref());
    back.copy_from_slice(second.as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(methods: &str, ciphers: &str, guesses: u8) -> Vec<u8> {
        let offer = Writer::message(message::KEXINIT).raw(&[0; 16]).string(methods).string("ssh-rsa,ssh-ed25519");
        [ciphers, ciphers, "", "", "none", "none", "", ""]
            .iter()
            .fold(offer, Writer::string)
            .byte(guesses)
            .number(0)
            .finish()
    }

    #[test]
    fn the_two_sides_agree_where_they_have_something_in_common() {
        assert_eq!(agree(&offer().unwrap()).unwrap(), Agreed { strict: false, guessed_wrong: false });
        let agreed = agree(&offers("new,curve25519-sha256,kex-strict-c-v00@openssh.com", cipher::NAME, 1)).unwrap();
        assert_eq!(agreed, Agreed { strict: true, guessed_wrong: true });
        let error = agree(&offers("diffie-hellman-group14-sha256", cipher::NAME, 0)).unwrap_err().to_string();
        assert!(error.contains("key exchange") && error.contains("group14"), "{error}");
        assert!(agree(&offers("curve25519-sha256", "aes128-ctr", 0)).is_err());
        assert!(agree(&offers("curve25519-sha256", cipher::NAME, 0)[..40]).is_err());
    }
}
