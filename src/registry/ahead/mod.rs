//! Images that containers start from while they are still being fetched.
//!
//! Who wants such a start has a [`Job`] made by the pull, and gives it to a process of its own that calls [`fill()`]: it must outlive the
//! command, and the container if need be. That process fetches the tables of contents, lets containers begin ([`crate::store::Landing`]), fetches
//! everything from front to back as any pull does, and in between what a container waits for. In the end the image is in the store as if it
//! had been pulled; the rest of a download goes on when its container has ended, and what a killed one has left is used by the next pull.
//!
//! What cannot be had so (a layer without a table, a registry without ranges, another pull of the same layers) is pulled as ever.

mod doors;
mod fill;
mod job;
mod ranges;
mod tables;

pub(super) use fill::{Mender, fill_showing};
pub use fill::{Told, fill};
pub(super) use job::Found;
pub use job::Job;

/// Given a job, starts the process that does it; returns the image as soon as containers can begin. `None`: it is to be pulled as ever.
pub type Start<'a> = dyn Fn(&Job) -> Option<crate::store::Image> + Sync + 'a;

/// Images of which less is missing are here sooner than their tables would be, in bytes.
const WORTH_IT: u64 = 4 << 20;
