//! The few messages of netlink(7) that networks of containers are made with.
//!
//! [`Socket`] speaks; [`message`] is the framing; [`link`], [`route`], [`policy`] and [`neighbour`] are rtnetlink(7); [`nft`] is the firewall of
//! nf_tables, [`guard`] what it does at the ports of a bridge. No policy: what is to be linked, routed or dropped is the callers' business. Errors are the kernel's own. Own code, since
//! reading the host's addresses stands at the beginning of every start of a container, and the crates for it are many times as large.

pub mod guard;
pub mod link;
pub mod message;
pub mod neighbour;
pub mod nft;
pub mod policy;
pub mod route;
mod socket;

pub use socket::Socket;

/// What every function here returns.
pub type Result<T> = std::result::Result<T, nix::errno::Errno>;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
