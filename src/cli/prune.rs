//! `enter container prune`, `enter image prune` and `enter system prune`.

use clap::Args;

/// Remove containers that do not run.
#[derive(Debug, Args)]
pub struct ContainerPruneArgs {
    /// What is asked, and of what.
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// Remove images that nothing needs.
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// Every image that no container was made from, and not only those without a name
    #[arg(short, long)]
    pub all: bool,

    /// What is asked, and of what.
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// Remove all that nothing needs.
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// Every image that no container was made from, and not only those without a name
    #[arg(short, long)]
    pub all: bool,

    /// Volumes without a name too, that no container needs
    #[arg(long)]
    pub volumes: bool,

    /// What is asked, and of what.
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// What every prune takes.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Only what fits every filter
    ///
    /// The keys are `until=TIME`, for what was made before then (a time such as 2026-11-22T04:50:59Z, or how long ago: 24h), and
    /// `label=KEY[=VALUE]` or `label!=KEY[=VALUE]`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
}
