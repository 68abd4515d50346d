//! PID 1, as it lies in this program.

use std::io;
use std::os::fd::OwnedFd;

/// The static program that `build.rs` made of `helpers/init`.
const INIT: &[u8] = include_bytes!(env!("ENTER_INIT"));

/// PID 1 in a sealed memory file: a container can neither find `enter` itself nor change what it finds.
pub fn init() -> io::Result<OwnedFd> {
    sys::descriptor::sealed(c"enter-init", INIT)
}

/// The static program that `build.rs` made of `helpers/inside`.
pub const INSIDE: &[u8] = include_bytes!(env!("ENTER_INSIDE"));

/// Tells this [`INSIDE`] from those of other builds.
pub const INSIDE_MARK: &str = env!("ENTER_INSIDE_MARK");
