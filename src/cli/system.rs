//! `enter df`, `enter info` and `enter version`.

use clap::Args;

/// See what is stored.
#[derive(Debug, Args)]
pub struct DfArgs {
    /// Print each kind of thing by a template: `table`, `json`, or Go's syntax such as '{{.Type}} {{.Size}}'
    ///
    /// The fields are .Type .TotalCount .Active .Size .Reclaimable. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "verbose")]
    pub format: Option<String>,

    /// List every image and every container
    #[arg(short, long)]
    pub verbose: bool,
}

/// What a description of the whole is printed as.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Print it by a template: `json`, or Go's syntax such as '{{.ServerVersion}}'; the fields are those of the JSON
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
}

/// `enter info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    pub describe: DescribeArgs,

    /// Tell which build of the program this is, too
    #[arg(short = 'D', long)]
    pub debug: bool,
}
