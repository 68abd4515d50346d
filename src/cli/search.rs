//! `enter search`.

use clap::Args;

use super::ReachArgs;

/// Look for images in registries.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for, in the registry that stands before it (quay.io/fedora), or in all that short names are looked for in
    ///
    /// With --list-tags, the image whose tags are listed.
    #[arg(value_name = "TERM")]
    pub term: String,

    /// Only images that fit every filter
    ///
    /// The filters are `is-official=true` or `false`, `is-automated=true` or `false`, and `stars=N`, for at least so many.
    #[arg(short, long, value_name = "KEY=VALUE", conflicts_with = "list_tags")]
    pub filter: Vec<String>,

    /// Print each image by a template: `table`, `json`, or Go's syntax such as '{{.Name}}'
    ///
    /// The fields are .Name .Description .StarCount .IsOfficial .IsAutomated, .Index, and .Stars .Official .Automated .Tag as podman has them. A
    /// template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// How many results of each registry, or how many tags, are shown at most
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,

    /// List the tags of an image
    #[arg(long)]
    pub list_tags: bool,

    /// Print descriptions in full
    #[arg(long)]
    pub no_trunc: bool,

    /// How the registries are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}
