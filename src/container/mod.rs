//! Containers: their folders, the monitor that keeps each of them alive, and the plan that they are made by.
//!
//! Called by `commands`. Prints nothing. What is on disk: [`folder`] names what lies in a container's folder, [`record`] is what it was
//! made as and how it is, [`Containers`] finds, makes and renames them, [`logs`] keeps their output and [`events`] what happens to them.
//!
//! The order of things at a start: [`users`] makes the outer user namespace; [`planning`] makes a plan; [`launch`] starts the monitor on
//! it. [`monitor`] is the process that stays beside the container, and alone writes its state while it lives; [`Remote`] is how a later
//! command speaks to it, by the words of `protocol`. [`files`] reads and writes a container's files for `cp`, `diff`, `commit` and
//! `export`, whether it runs or not. [`sweep`] clears what a killed one left.

pub mod changes;
pub mod collection;
pub mod dropped;
pub mod duplicate;
pub mod events;
pub mod exports;
pub mod files;
pub mod folder;
pub mod home;
pub mod late;
pub mod launch;
pub mod logs;
pub mod monitor;
pub mod outward;
pub mod planning;
pub mod preflight;
pub mod rebase;
pub mod record;
pub mod signals;
pub mod storage;
pub mod sweep;
pub mod tools;
pub mod upper;
pub mod users;
pub mod volumes;

mod client;
mod door;
mod embedded;
mod error;
mod execute;
mod keys;
mod names;
mod protocol;
mod remote;
mod served;

pub use client::Attach;
pub use collection::{Container, Containers};
pub use error::{Error, Told};
pub use execute::Execute;
pub use keys::{DetachKeys, NoKey};
pub use protocol::{End, Until};
pub use remote::Remote;

/// How somebody stopped being with a process of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It has ended.
    Ended(End),
    /// It runs on: it was started in the background, or the keys were typed.
    Detached,
    /// It runs on, or not; this process got a signal of this number that was its own to deal with.
    Interrupted(i32),
}
