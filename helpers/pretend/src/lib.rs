//! Answers the system calls that a user namespace with a single id must refuse: chown(2), setuid(2) and their kin, and those by
//! which a program sees what became of them.
//!
//! Where there is one user id there is one user; a package manager wants many. Here files have the owners that a program gave
//! them, as far as stat(2) and chown(2) go, and processes have the ids that they set, as far as they are told. None of it is a
//! border: whoever is pretended may do what the one user may do.
//!
//! A process of its own serves a container ([`serve`]): outside of the container's filter ([`wanted`]), its pid namespace and its mount
//! namespace, in the user namespace that owns the container's, so that it may look into the container's processes. Each process
//! that enters the container from outside installs the filter and sends its listener here ([`Start`]). When this process ends, the
//! calls fail with ENOSYS.
//!
//! It does nothing for a process that the container's root could not do itself: files are found in the caller's root, by
//! descriptor, and what it keeps of its capabilities over files are the container's. Where it has nothing to add it lets the
//! kernel carry a call out.

mod answer;
mod call;
mod carried;
mod credentials;
mod make;
mod owners;
mod server;
mod target;

pub use call::{Test, wanted};
pub use owners::{ATTRIBUTE, KEPT, Mounted};
pub use server::{LONGEST_NAME, Setting, Start, serve};
