//! `enter stop`, `restart`, `kill`, `pause`, `unpause`, `rm` and `wait`: what is done to containers that are there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use enter::container::signals;

/// Which containers are meant.
#[derive(Debug, Default, Args)]
pub struct Chosen {
    /// Names, ids, or the beginnings of ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,

    /// The container whose ID is in this file, which --cidfile has written
    #[arg(long, value_name = "FILE")]
    pub cidfile: Vec<PathBuf>,
}

/// Stop containers.
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Stop all that run
    #[arg(short, long, conflicts_with_all = ["containers", "latest"])]
    pub all: bool,

    /// Stop the container that was made last
    #[arg(short, long, conflicts_with = "containers")]
    pub latest: bool,

    /// Say nothing of containers that are not there
    #[arg(short, long)]
    pub ignore: bool,

    /// The signal to ask with, such as HUP or 1, in place of the container's own, which is TERM unless it says otherwise
    #[arg(short, long, value_name = "SIGNAL", value_parser = signals::parse)]
    pub signal: Option<i32>,

    /// Seconds until it is ended by force, in place of the container's own time, which is 10 unless it says otherwise; -1: never
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    pub time: Option<i64>,
}

/// Stop containers and start them again.
#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Restart all that run
    #[arg(short, long, visible_alias = "running", conflicts_with_all = ["containers", "latest"])]
    pub all: bool,

    /// Restart the container that was made last
    #[arg(short, long, conflicts_with = "containers")]
    pub latest: bool,

    /// The signal to ask with, in place of the container's own
    #[arg(short, long, value_name = "SIGNAL", value_parser = signals::parse)]
    pub signal: Option<i32>,

    /// Seconds until it is ended by force, in place of the container's own time; -1: never
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    pub time: Option<i64>,
}

/// Send containers a signal.
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Send it to all that run
    #[arg(short, long, conflicts_with_all = ["containers", "latest"])]
    pub all: bool,

    /// Send it to the container that was made last
    #[arg(short, long, conflicts_with = "containers")]
    pub latest: bool,

    /// The signal: a name such as HUP or SIGHUP, a number, RTMIN+3
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = signals::parse)]
    pub signal: i32,
}

/// Hold containers, or let them go on.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// All that run; for `unpause`, all that are paused
    #[arg(short, long, conflicts_with_all = ["containers", "latest"])]
    pub all: bool,

    /// The container that was made last
    #[arg(short, long, conflicts_with = "containers")]
    pub latest: bool,
}

/// Remove containers.
#[derive(Debug, Args)]
pub struct RmArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Remove all; those that run only with --force
    #[arg(short, long, conflicts_with_all = ["containers", "latest"])]
    pub all: bool,

    /// Remove the container that was made last
    #[arg(long, conflicts_with = "containers")]
    pub latest: bool,

    /// End those that run, and take what is not there for removed
    #[arg(short, long)]
    pub force: bool,

    /// Say nothing of containers that are not there
    #[arg(short, long)]
    pub ignore: bool,

    /// With --force: seconds that a container has to end by itself, after it was asked to; without, it is ended at once
    #[arg(short, long, value_name = "SECONDS", requires = "force", allow_negative_numbers = true, value_parser = seconds)]
    pub time: Option<i64>,

    /// Remove its volumes that have no name, too, where no other container uses them
    #[arg(short, long)]
    pub volumes: bool,

    /// Docker's links between containers: there are none here
    #[arg(short, long, hide = true)]
    pub link: bool,
}

/// Wait for the end of containers.
#[derive(Debug, Args)]
pub struct WaitArgs {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Wait for the container that was made last
    #[arg(short, long, conflicts_with = "containers")]
    pub latest: bool,

    /// What to wait for
    #[arg(long, value_name = "CONDITION", value_enum, default_value = "not-running")]
    pub condition: Condition,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Condition {
    /// That it does not run, be it that it never has
    #[value(aliases = ["exited", "stopped"])]
    NotRunning,
    /// The next time that it ends, even if it is yet to be started
    NextExit,
    /// That it is gone
    Removed,
}

/// Whole seconds; -1 stands for as long as it takes.
pub fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || "write whole seconds, or -1 for as long as it takes".to_owned();
    text.parse().ok().filter(|seconds| (-1..=i64::from(u32::MAX)).contains(seconds)).ok_or_else(wrong)
}
