//! Networks of one's own: which there are, and who has which address on them.
//!
//! Most of what is here is files and arithmetic; it starts nothing. Commands make and remove networks and take leases; the
//! [`holder`], which carries the packets, reads both.
//!
//! ```text
//! networks/NAME.json       a network: see `record`
//! networks/.leases.json    who has which address: see `lease`
//! networks/.lock           held by whoever changes any of these
//! ```

mod collection;
pub mod dns;
mod error;
mod file;
pub mod holder;
pub mod host;
pub mod lease;
mod mac;
pub mod pool;
pub mod publish;
pub mod record;

pub use collection::Networks;
pub use error::Error;
pub use lease::Lease;
pub use mac::Mac;
pub use record::{Network, Range, Subnet};
