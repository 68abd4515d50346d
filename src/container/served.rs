//! The FUSE filesystem of a container: where it is mounted, and what answers there.
//!
//! Under the kernel's overlay it is what is only read; where cowfs keeps the changes itself, it is the root. The monitor's servers call
//! this, and whoever looks at the files of a container that does not run.

use std::os::fd::OwnedFd;
use std::path::Path;

use cowfs::serve::{self, Access, Lower};
use cowfs::upper::Ownership;
use plan::{Users, Writable};

use super::folder::name;
use super::users;

/// The name of the mount point in the container's folder.
pub fn place(writable: &Writable) -> &'static str {
    match writable {
        Writable::Overlay { .. } => name::LOWER,
        Writable::Fuse { .. } => name::ROOT,
    }
}

/// Mounts it in the container's folder.
///
/// # Errors
/// As `cowfs::serve::mount`.
pub fn mount(folder: &Path, writable: &Writable) -> cowfs::Result<OwnedFd> {
    let access = match writable {
        Writable::Overlay { .. } => Access::ReadOnly,
        Writable::Fuse { .. } => Access::ReadWrite,
    };
    serve::mount(&folder.join(place(writable)), access)
}

/// Answers until it is unmounted.
///
/// # Errors
/// As `cowfs::serve::serve`.
pub fn serve(fuse: OwnedFd, lower: Lower, folder: &Path, writable: &Writable, users: &Users) -> cowfs::Result<()> {
    let owners = users::owners(users);
    let Writable::Fuse { durability, writeback } = writable else { return serve::serve(fuse, lower, owners) };
    let upper = serve::Upper {
        upper: folder.join(name::UPPER),
        work: folder.join(name::WORK),
        // Whoever the user is to the container, on the host all files are his.
        ownership: Ownership::Recorded,
        durability: match durability {
            plan::Durability::Durable => serve::Durability::Durable,
            plan::Durability::Volatile => serve::Durability::Volatile,
        },
        below: None,
        writeback: *writeback,
    };
    serve::serve_writable(fuse, lower, &upper, owners)
}
