//! The server's side of the secure shell protocol (RFC 4251 to 4254), over any two streams: bytes go in, events come out, and answers become
//! bytes again. It opens nothing, starts nothing and waits for nothing: whoever has a [`Server`] does that.
//!
//! It is for a server that its client has started itself, as the program behind OpenSSH's `ProxyCommand`: the streams are nobody else's, so
//! whoever speaks is let in, by any name. There is one way of everything: X25519, Ed25519, ChaCha20-Poly1305, all of them by `ring`,
//! no compression. Each channel is sent no more than it has asked for, and asks for no more than its reader takes.

mod channels;
mod cipher;
mod exchange;
mod key;
mod message;
mod transport;
mod wire;

pub use channels::{Channel, Event, Kind, Server, Size};
pub use key::{HostKey, KIND};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client does not speak the protocol.
    #[error("the client does not keep to the protocol: {0}")]
    Malformed(&'static str),
    /// A packet is not what the client sent.
    #[error("a packet was changed on its way")]
    Forged,
    /// The two sides have nothing in common.
    #[error("the client knows no {what} of {ours}, but only {theirs}")]
    Nothing {
        /// What for.
        what: &'static str,
        /// What the client has.
        theirs: String,
        /// What this side has.
        ours: String,
    },
    /// The client has gone, in its own words.
    #[error("the client has gone: {0}")]
    Gone(String),
    /// There is no randomness.
    #[error("there are no random numbers")]
    Random,
    /// What was kept is no key.
    #[error("that is no Ed25519 key in PKCS#8")]
    Key,
}
