//! Whether an image may be taken in: `policy.json` (containers-policy.json(5)), and the signatures that it asks for.
//!
//! This module reads the policy and its keys, says what a changed one is, and judges signatures that others have fetched; it opens no connection and prints nothing.
//! `registry` asks it before a layer is fetched, and the commands before an archive is taken in.
//!
//! It fails closed: a policy that cannot be understood, a requirement that is not supported and a signature that cannot be read refuse
//! the image. The same rules as containers/image has decide which requirements count for which image. Where there is no policy at all,
//! every image is accepted: the file belongs to packages of other programs, and many machines do not have them.

mod edit;
mod error;
pub mod fuzzing;
mod identity;
mod key;
mod payload;
mod policy;
mod requirement;
mod source;

pub use edit::{DEFAULT, Entry, Wanted, entries, for_name, set};
pub use error::Error;
pub use policy::{Policy, Rules};
pub use requirement::{Document, Signature};
pub use source::Source;

/// The most signatures of one document that are looked at: each of them costs a request, and whoever may push can add some.
pub const MAX_SIGNATURES: usize = 64;
/// The largest payload of a signature, in bytes. Those that cosign makes have some hundred.
pub const MAX_PAYLOAD: u64 = 1 << 20;
/// The media type of a payload in cosign's form.
pub const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation that holds the signature of a payload.
pub const SIGNATURE_KEY: &str = "dev.cosignproject.cosign/signature";
