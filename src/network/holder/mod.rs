//! The holder: the one process of a user that networks of his own live in, while containers are on them.
//!
//! ```text
//! A  enter __network   outside, with the user's own ids: the socket, the names, the watch over this machine's routes
//! B  its child         root of the user namespace U and in the network namespace N: opens what can be opened there only
//! pasta                the way out of N
//! ```
//!
//! A bridge in N for each network, a cable from it into each container, whose outer user namespace is U: with that, and with no less, the
//! kernel lets one process lay it. A container that has an outer user namespace of its own, having been started on the default network,
//! is plugged in by a [`relay()`] of frames.
//!
//! Nothing is remembered. What is to be is read from the networks and the leases on disk and from who is attached, and what differs
//! is changed. U and N outlive the holder in the hands of those who are attached, and with N all bridges, cables and connections: so a
//! holder that was killed is replaced by the first who notices, and finds everything in its place. In their hands, too, are the sockets
//! for questions about names: what is asked while there is no holder waits there, and is answered by the next one, a little later.

mod begin;
mod client;
mod error;
mod firewall;
mod guest;
mod hands;
mod host_way;
mod names;
mod neighbours;
mod plug;
mod protocol;
mod relay;
mod server;
mod site;
mod talk;
mod way;
mod wiring;

pub use begin::main;
pub use client::{Attached, Client};
pub use error::Error;
pub use relay::{ROLE as RELAY, main as relay};

/// The first argument that makes this program the holder: `enter __network ROOT MAPS`.
pub const ROLE: &str = "__network";

/// Where the holder is found, below `…/enter/v1`.
mod name {
    /// The folder. No network has a name that begins with a dot.
    pub const FOLDER: &str = "networks/.holder";
    /// Locked by the holder for as long as it lives.
    pub const LOCK: &str = "lock";
    /// Locked by who starts one, for as long as that takes.
    pub const STARTING: &str = "starting";
    /// Locked by all who are attached, together.
    pub const MEMBERS: &str = "members";
    /// Where it listens.
    pub const SOCKET: &str = "socket";
}
