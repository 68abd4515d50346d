//! Files that the kernel reads and writes without asking the server (FUSE_PASSTHROUGH, Linux 6.9).
//!
//! It is allowed to the host's root alone. An inode is either open so, by every descriptor of it, or not at all:
//! the kernel refuses to mix that with its own cache.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use fuser::{FileHandle, FopenFlags, INodeNo};

/// Marks handles of files that the kernel reads and writes itself; the view's own never have it.
const THROUGH: u64 = 1 << 63;

/// The inodes that are open.
#[derive(Debug, Default)]
pub struct Passthrough {
    open: Mutex<HashMap<INodeNo, Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// Descriptors that go through the server.
    served: u32,
    /// Descriptors that go through the kernel.
    through: u32,
    /// The number of the file behind those.
    backing: i32,
    /// There have been such, so that the kernel's cache may be out of date.
    stale: bool,
}

/// What OPEN is answered with.
#[derive(Debug)]
pub struct Opened {
    pub handle: FileHandle,
    pub flags: FopenFlags,
    pub backing: i32,
}

/// Whether this process may have it: as root of the first user namespace.
pub fn is_allowed() -> bool {
    let everybody = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    nix::unistd::geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(everybody)
}

impl Passthrough {
    /// Opens an inode: through the kernel if `backing` is a file that holds all of its content, else by `handle`.
    pub fn open(&self, device: &impl AsFd, inode: INodeNo, handle: FileHandle, backing: Option<Arc<File>>) -> Opened {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.entry(inode).or_default();
        if open.through == 0
            && open.served == 0
            && let Some(number) = backing.and_then(|file| sys::fuse::open_backing(device, &*file).ok())
        {
            open.backing = number;
            open.through = 1;
        } else if open.through > 0 {
            open.through += 1;
        } else {
            open.served += 1;
            let flags = if open.stale { FopenFlags::empty() } else { FopenFlags::FOPEN_KEEP_CACHE };
            return Opened { handle, flags, backing: 0 };
        }
        open.stale = true;
        let handle = FileHandle(handle.0 | THROUGH);
        Opened { handle, flags: FopenFlags::FOPEN_PASSTHROUGH, backing: open.backing }
    }

    /// Closes a descriptor, and returns the view's own handle.
    pub fn close(&self, device: &impl AsFd, inode: INodeNo, handle: FileHandle) -> FileHandle {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&inode) {
            if handle.0 & THROUGH == 0 {
                open.served = open.served.saturating_sub(1);
            } else {
                open.through = open.through.saturating_sub(1);
                if open.through == 0 {
                    // What is wrong with it then only costs memory in the kernel.
                    let _ = sys::fuse::close_backing(device, open.backing);
                }
            }
        }
        FileHandle(handle.0 & !THROUGH)
    }

    /// The kernel knows an inode no more, nor what it had cached of it.
    pub fn forget(&self, inode: INodeNo) {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&inode).is_some_and(|open| open.served == 0 && open.through == 0) {
            all.remove(&inode);
        }
    }
}
