//! `enter generate`.

use clap::{Args, Subcommand, ValueEnum};

/// What can be written.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// Write a unit by which systemd keeps a container
    ///
    /// Prints a unit for `systemctl --user` that starts the container, stops it, and starts it again when it fails; its output goes to the
    /// journal. With `--new` the unit makes the container anew each time, from the command line that it was made by.
    ///
    /// To use it: write it to `~/.config/systemd/user/container-NAME.service`, then `systemctl --user daemon-reload` and `systemctl --user
    /// enable --now container-NAME.service`. `loginctl enable-linger` lets it run while nobody is logged in.
    Systemd(SystemdArgs),
}

/// A unit for a container.
#[derive(Debug, Args)]
pub struct SystemdArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// Speak of the container by its name, and not by its ID
    #[arg(short, long)]
    pub name: bool,

    /// Write the unit to a file here, and print its path
    #[arg(short, long)]
    pub files: bool,

    /// Make the container anew at each start, and remove it at each end
    #[arg(long)]
    pub new: bool,

    /// When systemd starts the container again
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = UnitRestart::OnFailure)]
    pub restart_policy: UnitRestart,

    /// How many seconds systemd waits before that
    #[arg(long, value_name = "SECONDS")]
    pub restart_sec: Option<u32>,

    /// How many seconds the container has to end when it is stopped; as it was made, or 10, without it
    #[arg(short, long, visible_alias = "stop-timeout", value_name = "SECONDS")]
    pub time: Option<u32>,

    /// What the unit's name begins with
    #[arg(long, value_name = "TEXT", default_value = "container")]
    pub container_prefix: String,

    /// What stands between that and the container
    #[arg(long, value_name = "TEXT", default_value = "-", allow_hyphen_values = true)]
    pub separator: String,

    /// Leave out who made the unit and when
    #[arg(long)]
    pub no_header: bool,

    /// Units that are to be started as well
    #[arg(long, value_name = "UNIT")]
    pub wants: Vec<String>,

    /// Units that are to be started before
    #[arg(long, value_name = "UNIT")]
    pub after: Vec<String>,

    /// Units that must run
    #[arg(long, value_name = "UNIT")]
    pub requires: Vec<String>,
}

/// systemd's `Restart=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitRestart {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnWatchdog,
    OnAbort,
    Always,
}
