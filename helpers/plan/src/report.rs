//! What init tells the monitor, and what the monitor tells init: one JSON value in each message of a socket.

use serde::{Deserialize, Serialize};

use crate::{Content, Text};

/// The largest message, in bytes.
pub const LIMIT: usize = 16 * 1024;

/// The number of the payload among the processes that init starts; `exec` gives others.
pub const PAYLOAD: u32 = 0;

/// What init tells the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The network interface stands, and waits for pasta; or there is none yet, and [`Order::Connected`] is waited for.
    Interface,
    /// Some system calls of a process that is about to become its command, and of its children, wait to be answered; where they arrive
    /// comes with this message. It is told that it is this user, in these groups.
    Listener {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Supplementary groups; `None`: those that the kernel tells of.
        groups: Option<Vec<u32>>,
    },
    /// Something about a process that init starts or has started.
    Process {
        /// [`PAYLOAD`], or the number that [`Order::Execute`] gave.
        id: u32,
        /// What.
        event: Event,
    },
}

/// What happens to a process that init starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Its terminal's master side comes with this message.
    Terminal,
    /// It runs. A descriptor that stands for it (pidfd_open(2)) comes with this message.
    Started,
    /// It does not run. The last of its events.
    Failed(Failure),
    /// It has ended with this code. The last of its events.
    Exited(i32),
    /// It was ended by the signal of this number. The last of its events.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Send a process a signal.
    Signal {
        /// [`PAYLOAD`], or the number that [`Order::Execute`] gave.
        id: u32,
        /// The signal's number; those of real-time signals too.
        number: i32,
        /// Send it to the whole process group, as a terminal would.
        group: bool,
    },
    /// Run one more process, in the payload's namespaces. Descriptors come with this message: a file with the [`crate::Process`] as
    /// JSON, its standard input, output and error, then as many as it is to be passed beyond those.
    Execute {
        /// How it is spoken of from now on: never used before.
        id: u32,
    },
    /// The network that was waited for is there.
    Connected,
    /// Write a file that belongs to the container's root, in place of whatever file or link is there, as [`crate::Step::Write`] does.
    /// Where that cannot be, nothing is done: the container may have put something else there.
    Write {
        /// The file's path.
        target: Text,
        /// All that it holds.
        content: Content,
    },
    /// Ask all processes beside an idle payload to end, as a shell does whose terminal is gone and as SIGTERM does; and end the payload
    /// once there is none of them left.
    End,
    /// The end of the payload, which is told as ever, is not the end of the container any more: what was added goes on.
    Outlast,
    /// Stop every process of the container, as SIGSTOP does.
    Pause,
    /// Let them go on.
    Resume,
}
