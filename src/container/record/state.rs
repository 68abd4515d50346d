//! How a container is, as its monitor last wrote it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a container is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`super::VERSION`].
    pub version: u32,
    /// Where in its life it is.
    pub status: Status,
    /// The main process as the host numbers it; 0 where it does not run.
    pub pid: i32,
    /// The container's init as the host numbers it: `/proc/INIT/root` is the container's root. 0 where it does not run.
    pub init: i32,
    /// The monitor; 0 where it does not run.
    pub monitor: i32,
    /// When it was started last.
    pub started: Option<Timestamp>,
    /// When it ended last.
    pub finished: Option<Timestamp>,
    /// The exit code, as `enter run` gives it: 128 and the number for a signal.
    pub exit_code: i32,
    /// Why it did not start or was ended, in words; empty where it ran to its end.
    pub error: String,
    /// It was asked to stop, and so is not restarted by its policy.
    pub stopped: bool,
    /// It was ended because `--timeout` was over.
    pub timed_out: bool,
    /// How often its policy has restarted it since it was last started by hand.
    pub restarts: u32,
    /// How well it is, where it has a health check.
    pub health: Option<Checked>,
    /// Its control group; empty where it does not run, or has none.
    #[serde(default)]
    pub cgroup: PathBuf,
    /// One of its processes was killed because its memory was out.
    #[serde(default)]
    pub out_of_memory: bool,
}

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started.
    #[default]
    Created,
    /// Runs.
    Running,
    /// Runs, and is held.
    Paused,
    /// Ended, and waits to be restarted by its policy; its monitor lives.
    Restarting,
    /// Ended.
    Exited,
}

impl Status {
    /// Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }

    /// Whether a monitor is with it.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What the health checks have found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The verdict.
    pub status: HealthStatus,
    /// How many checks have failed in a row.
    pub failing: u32,
    /// The last five, the oldest first.
    pub log: Vec<HealthLog>,
}

/// A verdict on a container's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Not known yet.
    Starting,
    /// The last check was good.
    Healthy,
    /// Too many checks in a row were not.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLog {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its exit code; -1 where it took too long.
    pub exit_code: i32,
    /// The first 4096 bytes that it wrote.
    pub output: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: super::VERSION,
            status: Status::Created,
            pid: 0,
            init: 0,
            monitor: 0,
            started: None,
            finished: None,
            exit_code: 0,
            error: String::new(),
            stopped: false,
            timed_out: false,
            restarts: 0,
            health: None,
            cgroup: PathBuf::new(),
            out_of_memory: false,
        }
    }
}
