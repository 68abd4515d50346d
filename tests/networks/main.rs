//! Networks of one's own, as the holder makes them: real packets between namespaces that play containers, in a laboratory that needs no
//! network of its own.
//!
//! Each test runs itself again by unshare(1), in a network namespace that plays this machine: with a default route, and servers at an
//! address that only it has. It needs pasta, unshare, nsenter, ip, /dev/net/tun and user namespaces; what is missing is a failure.

mod isolation;
mod laboratory;
mod life;
mod names;
