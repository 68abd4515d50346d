//! `enter stats`.

use clap::Args;

/// Show what containers use, again and again.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Only these; without any, all that run
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,

    /// Show those that do not run too
    #[arg(short, long)]
    pub all: bool,

    /// Print each container by a template: `table`, `json`, or Go's syntax such as '{{.Name}} {{.CPUPerc}}'
    ///
    /// The fields are .Container .Name .ID .CPUPerc .MemUsage .MemPerc .NetIO .BlockIO .PIDs. A template that begins with "table "
    /// gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Look once, and end
    #[arg(long)]
    pub no_stream: bool,

    /// Print ids in full
    #[arg(long)]
    pub no_trunc: bool,
}
