//! `enter ps`.

use clap::{Args, ValueEnum};

/// List containers.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// List those that have ended or were never started too
    #[arg(short, long)]
    pub all: bool,

    /// Only containers that fit every filter; of several values for one key, one is enough, but every label must be there
    ///
    /// The keys are `id`, `name` (a regular expression, or a part), `label=KEY` or `label=KEY=VALUE`, `status` (created, running, paused,
    /// restarting, exited or stopped, removing, dead), `exited=CODE`, `ancestor=IMAGE`, `before=CONTAINER`, `since=CONTAINER`, `health`
    /// (starting, healthy, unhealthy, none), `restart-policy`, `volume=NAME-OR-PATH`, `network`, `publish=PORT[-PORT][/PROTOCOL]`,
    /// `expose`, and `is-task`, which is never true here.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Print each container by a template: `table`, `json`, or Go's syntax such as '{{.ID}} {{.Names}}'
    ///
    /// The fields are .ID .Image .Command .CreatedAt .RunningFor .Ports .State .Status .Size .Names .Labels .Label "KEY" .Mounts
    /// .LocalVolumes .Networks. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// List the last N that were made, whatever their state
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub last: i64,

    /// List the one that was made last, whatever its state
    #[arg(short, long)]
    pub latest: bool,

    /// Print ids and commands in full
    #[arg(long)]
    pub no_trunc: bool,

    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,

    /// Show how much each has written, and how much that is with its image
    #[arg(short, long)]
    pub size: bool,

    /// Print no headings
    #[arg(long)]
    pub noheading: bool,

    /// Include what other programs keep in this store, which is never anything: for scripts that ask
    #[arg(long)]
    pub external: bool,

    /// The order, as podman has it; without it, those that were made last come first
    #[arg(long, value_name = "ORDER")]
    pub sort: Option<SortKey>,
}

/// What a list of containers is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    Command,
    Created,
    Id,
    Image,
    Names,
    Runningfor,
    Size,
    Status,
}
