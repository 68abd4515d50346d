//! `enter healthcheck`, as podman has it.

use clap::{Args, Subcommand};

/// What can be done about health.
#[derive(Debug, Subcommand)]
pub enum HealthcheckCommand {
    /// Check now whether a container is well
    ///
    /// Runs the check that the container was made with, without waiting for its next time. What is found counts as any other time, and
    /// is what `enter ps` and `enter inspect` tell. The exit code is 0 where the check passed, and 1 with the word `unhealthy` where it
    /// failed.
    Run(HealthcheckArgs),
}

/// Check now whether a container is well.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// A container's name, or its ID or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}
