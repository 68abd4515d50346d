//! Containers: their folders, the monitor that keeps each of them alive, and the plan that they are made by.
//!
//! Called by `commands`. Prints nothing. The order of things:
//! [`users`] makes the outer user namespace; [`planning`] makes a plan; [`launch`] starts the monitor on it and passes terminal, signals and exit code between the two;
//! [`monitor`] is the process that stays beside the container; [`sweep`] clears what a killed one left.

pub mod collection;
pub mod events;
pub mod folder;
pub mod launch;
pub mod logs;
pub mod monitor;
pub mod planning;
pub mod preflight;
pub mod record;
pub mod sweep;
pub mod users;

mod client;
mod embedded;
mod error;
mod names;
mod protocol;

pub use collection::{Container, Containers};
pub use error::{Error, Told};
pub use protocol::End;
