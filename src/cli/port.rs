//! `enter port`.

use clap::Args;

/// List the ports of a container that can be reached from outside.
#[derive(Debug, Args)]
pub struct PortArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// Only where this port of the container can be reached; tcp where no protocol is given
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}
