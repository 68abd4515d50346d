//! `enter inspect`.

use clap::{Args, ValueEnum};

/// Show all that is known of containers and images.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// What, and in which form.
    #[command(flatten)]
    pub what: Inspected,

    /// Look only among things of this kind; without it, containers come first
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<ObjectKind>,
}

/// What to show, where its kind is known.
#[derive(Debug, Args)]
pub struct Inspected {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "OBJECT", required_unless_present = "latest")]
    pub names: Vec<String>,

    /// The container that was made last
    #[arg(short, long, conflicts_with = "names")]
    pub latest: bool,

    /// Print each by a template: `json`, or Go's syntax such as '{{.State.Pid}}'
    ///
    /// The fields are those of the JSON that is printed without a template. A field that there is not ends in exit code 1.
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Add how much a container has written (SizeRw), and how much that is with its image (SizeRootFs), in bytes
    #[arg(short, long)]
    pub size: bool,
}

/// A kind of thing that can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectKind {
    Container,
    Image,
    Network,
    Volume,
}
