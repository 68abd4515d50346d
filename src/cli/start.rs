//! `enter start`.

use clap::Args;

use super::run::values;

/// Start containers.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Names, ids, or the beginnings of ids
    #[arg(value_name = "CONTAINER", required_unless_present_any = ["all", "latest", "filter"])]
    pub containers: Vec<String>,

    /// Stay with the container, and end as it ends
    #[arg(short, long)]
    pub attach: bool,

    /// Pass standard input on
    #[arg(short, long)]
    pub interactive: bool,

    /// Start every container that does not run
    #[arg(long, conflicts_with = "containers")]
    pub all: bool,

    /// Start the container that was made last
    #[arg(short, long, conflicts_with_all = ["containers", "all"])]
    pub latest: bool,

    /// Start the containers that fit every filter: restart-policy=POLICY, name=PATTERN, label=KEY[=VALUE], status=STATUS
    #[arg(short, long, value_name = "KEY=VALUE", conflicts_with_all = ["containers", "latest"])]
    pub filter: Vec<String>,

    /// The keys that leave the container while it goes on, such as `ctrl-a,x`; those that it was made with without it
    #[arg(long, value_name = "KEYS", value_parser = values::keys)]
    pub detach_keys: Option<String>,

    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, hide_default_value = true, hide_possible_values = true, action = clap::ArgAction::Set)]
    pub sig_proxy: bool,
}
