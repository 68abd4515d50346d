//! What init tells the monitor, and what the monitor tells init: one JSON value in each message of a socket.

use serde::{Deserialize, Serialize};

/// The largest message, in bytes.
pub const LIMIT: usize = 16 * 1024;

/// What init tells the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The network interface stands, and waits for pasta.
    Interface,
    /// The terminal's master side comes with this message.
    Terminal,
    /// The payload runs.
    Started,
    /// The payload does not run.
    Failed(Failure),
    /// The payload has ended with this code.
    Exited(i32),
    /// The payload was ended by the signal of this number.
    Killed(i32),
}

/// A step towards the payload that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub stage: Stage,
    /// What was being done, as in `mount proc`.
    pub doing: String,
    /// What it was done to, such as a path in the container.
    pub subject: String,
    /// The kernel's error number.
    pub errno: i32,
}

/// Whose fault a failure is; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Ours: 125.
    Setup,
    /// The command is there and cannot be run: 126.
    Execute,
    /// There is no such command: 127.
    Find,
}

/// What the monitor tells init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Send the payload a signal.
    Signal {
        /// Its number.
        number: i32,
        /// Send it to the payload's whole process group, as a terminal would.
        group: bool,
    },
}
