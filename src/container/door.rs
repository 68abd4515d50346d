//! The socket in a container's folder: the monitor listens there, every command that wants something of it connects.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;

use super::folder::name;

pub use sys::door::let_in;

/// Listens in a container's folder, in place of whoever did before. The caller holds the container's lock. Does not block.
pub fn open_in(folder: &Path) -> Result<OwnedFd, Errno> {
    sys::door::open_in(folder, name::SOCKET)
}

/// Connects to the monitor of a container; `ECONNREFUSED` and `ENOENT` where there is none.
pub fn knock(folder: &Path) -> Result<OwnedFd, Errno> {
    sys::door::knock(folder, name::SOCKET)
}
