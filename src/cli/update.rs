//! `enter update`.

use clap::Args;
use enter::container::record::Restart;

use super::control::Chosen;
use super::run::{RefusedArgs, ResourceArgs, values};

/// Change what containers were made as.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which.
    #[command(flatten)]
    pub chosen: Chosen,

    /// What is done when they end: no, on-failure, on-failure:N, always or unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = values::restart)]
    pub restart: Option<Restart>,

    /// What they use at most.
    #[command(flatten)]
    pub resources: ResourceArgs,

    /// What cannot be changed, or not limited at all.
    #[command(flatten)]
    pub refused: RefusedArgs,
}
