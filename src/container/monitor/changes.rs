//! What the filesystem server tells the monitor of a shell's changes once nothing runs in it any more, and what the monitor answers.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use plan::{Plan, Writable};

use crate::container::dropped::{self, Left};
use crate::container::folder::name;

/// What the monitor tells the server of a container whose changes nobody wants back.
pub const GO: &[u8] = b"changes";

/// What the server's account of the changes begins with, which no text does.
const COUNTED: &[u8] = b"\0";

/// Counts what was changed in a container in which nothing runs any more, and tells it; returns whether it is to go.
pub fn tell(plan: &Plan, monitor: &OwnedFd) -> bool {
    if matches!(plan.root.writable, Writable::Fuse { .. })
        && let Ok(root) = nix::fcntl::open(name::ROOT, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    {
        // What the kernel has still to write has no size yet.
        let _ = nix::unistd::syncfs(&root);
    }
    let left = dropped::count(Path::new("."), plan);
    let message = [COUNTED, &serde_json::to_vec(&left).unwrap_or_default()].concat();
    let mut word = [0; GO.len()];
    sys::socket::send(monitor, &message, None).is_ok()
        && matches!(sys::socket::receive(monitor, &mut word), Ok((length, _)) if &word[..length] == GO)
}

/// The account of what was changed in a container, if a message of its server's is that.
pub fn counted(message: &[u8]) -> Option<Left> {
    message.strip_prefix(COUNTED).and_then(|json| serde_json::from_slice(json).ok())
}
