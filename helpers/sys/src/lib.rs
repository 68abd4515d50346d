//! Every `unsafe` line and raw system call of `enter`, behind typed and safe functions.
//!
//! A module covers one subject of the kernel's. It holds no policy: what to mount, map or refuse is the
//! callers' business. Errors are the kernel's own [`Errno`]; the caller, which knows what it was doing
//! and to what, wraps them.

pub mod arguments;
pub mod broken_pipe;
pub mod cached_read;
pub mod capability;
pub mod copy_range;
pub mod descriptor;
pub mod door;
pub mod flow;
pub mod fuse;
pub mod memory;
pub mod mmap;
pub mod mount;
pub mod namespace;
pub mod notify;
pub mod path;
pub mod process;
pub mod program;
pub mod seccomp;
pub mod socket;
pub mod spawn;
pub mod standard;
pub mod statx;
pub mod terminal;
pub mod tun;
pub mod writeback;
pub mod xattr;

pub use nix::errno::Errno;

/// What every function here returns.
pub type Result<T> = std::result::Result<T, Errno>;
