//! The key that a server is known by: Ed25519 alone, which every client of these days knows.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::Error;
use crate::wire::Writer;

/// The name of the kind of key.
pub const KIND: &str = "ssh-ed25519";

/// A server's key.
#[derive(Debug)]
pub struct HostKey(Ed25519KeyPair);

impl HostKey {
    /// Makes one: what is to be kept, in PKCS#8.
    ///
    /// # Errors
    /// Where the kernel gives no random numbers.
    pub fn make() -> Result<Vec<u8>, Error> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Error::Random)?;
        Ok(document.as_ref().to_vec())
    }

    /// Takes one that was kept.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(pkcs8: &[u8]) -> Result<Self, Error> {
        Ed25519KeyPair::from_pkcs8(pkcs8).map(Self).map_err(|_| Error::Key)
    }

    /// What clients know it by: the part of a line of `known_hosts` behind the kind, before base64.
    pub fn public(&self) -> Vec<u8> {
        Writer::default().string(KIND).string(self.0.public_key()).finish()
    }

    /// A signature, as the protocol writes it.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        Writer::default().string(KIND).string(self.0.sign(message)).finish()
    }
}
