//! Published ports: passes connections and datagrams on from sockets that were made in one network namespace to the ports of
//! another, the one that [`run`] is called in.
//!
//! Whoever publishes a port binds its socket outside, where a port that is taken is an error at once, and hands it over with an
//! [`Order`]. TCP is passed on by splice(2), from socket to socket without a copy in this process, end of input and resets
//! included; UDP by flows that end when nothing was heard for a while. One thread; what it holds of an idle connection is two sockets.
//!
//! What listens inside is shown a client's own address where the caller wants that and has CAP_NET_ADMIN over the namespace; the namespace's
//! own it sees of clients that came by the loopback interface, by the other IP version, or with datagrams when many others do so.
//!
//! This crate makes no process, enters no namespace, and prints nothing.

mod engine;
mod inside;
mod order;
mod pipe;
mod source;
mod tcp;
mod udp;

pub use order::{Nonsense, Order, Protocol};

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

/// Carries out the orders that arrive at `control` (a socket of `sys::socket::pair`) until its other end is closed.
///
/// `keep_sources`: what listens inside is to be shown a client's own address, where that can be had. This adds routes and rules to the
/// namespace.
///
/// # Errors
/// What the kernel says where there is nothing to wait by. Trouble of a single connection ends that connection.
pub fn run(control: OwnedFd, keep_sources: bool) -> Result<(), Errno> {
    // splice(2) into a socket that is closed raises it.
    let mut unheard = SigSet::empty();
    unheard.add(Signal::SIGPIPE);
    unheard.thread_block()?;
    engine::Engine::new(control, keep_sources)?.run()
}
