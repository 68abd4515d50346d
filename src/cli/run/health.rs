//! How to see whether a container is well.

use std::time::Duration;

use clap::Args;
use enter::container::record::HealthAction;

use super::values;

/// Health checks.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// See whether the container is well by this command: a line for its shell, or a JSON list; `none`: do not
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,

    /// Wait so long between two checks; 30s without it
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub health_interval: Option<Duration>,

    /// How many failures in a row make it unhealthy; 3 without it
    #[arg(long, value_name = "N")]
    pub health_retries: Option<u32>,

    /// For so long a failure does not count
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub health_start_period: Option<Duration>,

    /// Wait so long between two checks while that lasts; 5s without it
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub health_start_interval: Option<Duration>,

    /// How long a check may take; 30s without it
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub health_timeout: Option<Duration>,

    /// What happens to an unhealthy container: none, kill, restart or stop
    #[arg(long, value_name = "ACTION", value_parser = values::health_action)]
    pub health_on_failure: Option<HealthAction>,

    /// Do not check, whatever the image says
    #[arg(long)]
    pub no_healthcheck: bool,
}
