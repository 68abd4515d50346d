//! `enter logs`.

use clap::Args;

/// Show what a container has written.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER", required_unless_present = "latest", conflicts_with = "latest")]
    pub container: Option<String>,

    /// Show the labels and variables before each line that `--log-opt labels=` and `env=` have named
    #[arg(long)]
    pub details: bool,

    /// Go on until the container has ended for good
    #[arg(short, long)]
    pub follow: bool,

    /// Take the container that was made last
    #[arg(short, long)]
    pub latest: bool,

    /// Show the container's name before each line
    #[arg(long)]
    pub names: bool,

    /// Send escape sequences to a terminal as they are
    ///
    /// Without it, a terminal gets the colours of a line, and other control characters are shown and not sent: a container could
    /// type for you otherwise. Files and pipes always get every byte as it was written.
    #[arg(long)]
    pub raw: bool,

    /// Only what was written since then
    ///
    /// A duration counts back from now (10m, 1h30m); a date is one of RFC 3339, or its beginning (2026-11-22, 2026-11-22T04:50,
    /// 2026-11-22T04:50:59.5Z), and without an offset one of the local time zone; a number is seconds since 1970.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Only so many lines at the end; what is no number means all
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value = "all",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub tail: String,

    /// Show the time before each line
    #[arg(short, long)]
    pub timestamps: bool,

    /// Only what was written until then; as with `--since`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}
