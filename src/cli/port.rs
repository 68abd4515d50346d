//! `enter port`.

use clap::{Args, Subcommand};

use super::run::values::{self, Published};

/// List the ports of a container that can be reached from outside
///
/// One line for each: the container's port and protocol, and the address and port of this machine.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct PortArgs {
    /// What is to be changed.
    #[command(subcommand)]
    pub change: Option<PortCommand>,

    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER", required_unless_present_any = ["all", "latest"])]
    pub container: Option<String>,

    /// Only where this port of the container can be reached; tcp where no protocol is given
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,

    /// Of every container that runs, each line with the beginning of its id
    #[arg(short, long, conflicts_with_all = ["container", "port", "latest"])]
    pub all: bool,

    /// Of the container that was made last
    #[arg(short, long, conflicts_with = "port")]
    pub latest: bool,
}

impl PortArgs {
    /// The container and the port that are named; none of the former with `--latest`, where the first word is the port.
    pub fn named(&self) -> (Option<&str>, Option<&str>) {
        if self.latest { (None, self.container.as_deref()) } else { (self.container.as_deref(), self.port.as_deref()) }
    }
}

/// `enter port add` and `enter port rm`.
#[derive(Debug, Subcommand)]
pub enum PortCommand {
    /// Make more ports of a container reachable, also while it runs
    ///
    /// They stay published when it is stopped and started again.
    Add(PortChangeArgs),
    /// Take ports of a container back, also while it runs
    ///
    /// Connections that are made already go on. `80` is port 80 of the container wherever it is published, `8080:80` only where that is port
    /// 8080.
    #[command(visible_alias = "remove")]
    Rm(PortChangeArgs),
}

/// Which ports of which container.
#[derive(Debug, Args)]
pub struct PortChangeArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// The ports, as `enter run --publish` takes them
    #[arg(value_name = "[[ADDRESS:][HOST]:]PORT[/PROTOCOL]", required = true, value_parser = values::published)]
    pub ports: Vec<Published>,
}
