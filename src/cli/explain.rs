//! `enter explain`: what a shell or a box sees and may do.

use clap::Args;

use super::ShellArgs;

/// What `enter NAME` would do, in words.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Print as a table, or as JSON
    #[arg(long, value_name = "FORMAT", value_parser = ["table", "json"], default_value = "table", hide_default_value = true)]
    pub format: String,

    /// As `enter NAME` takes them.
    #[command(flatten)]
    pub shell: ShellArgs,
}
