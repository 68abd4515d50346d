//! `enter tag`, `enter untag` and `enter history`.

use clap::Args;

/// Give an image another name.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// The new names
    #[arg(value_name = "NAME[:TAG]", required = true)]
    pub names: Vec<String>,
}

/// Take names off an image.
#[derive(Debug, Args)]
pub struct UntagArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// The names to take off; all that it has where none are given
    #[arg(value_name = "NAME[:TAG]")]
    pub names: Vec<String>,
}

/// Show how an image came to be.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Print each step by a template: `table`, `json`, or Go's syntax such as '{{.CreatedBy}}'
    ///
    /// The fields are .ID .CreatedSince .CreatedAt .CreatedBy .Size .Comment. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Whether sizes and times are printed for people
    #[arg(
        short = 'H', long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = clap::ArgAction::Set
    )]
    pub human: bool,

    /// Print everything in full
    #[arg(long)]
    pub no_trunc: bool,

    /// Print only IDs
    #[arg(short, long)]
    pub quiet: bool,
}
