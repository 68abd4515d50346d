//! How a container is called, lives, ends, and what is kept of its output.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use enter::container::record::{LogDriver, Restart};

use super::values;

/// Names, life and logs.
#[derive(Debug, Args)]
pub struct LifeArgs {
    /// Call the container so; a random name of two words without it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Remove a container that has this name already, also if it runs
    #[arg(long, requires = "name")]
    pub replace: bool,

    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,

    /// Describe the container by a label
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = values::label)]
    pub label: Vec<(String, String)>,

    /// Read labels from a file, one KEY=VALUE a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub label_file: Vec<PathBuf>,

    /// Describe the container by an annotation
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::annotation)]
    pub annotation: Vec<(String, String)>,

    /// What happens when the container ends: no, on-failure[:N] (at most N times), always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = values::restart)]
    pub restart: Option<Restart>,

    /// The signal that asks the container to end; the image's own, or SIGTERM, without it
    #[arg(long, value_name = "SIGNAL", value_parser = values::signal)]
    pub stop_signal: Option<String>,

    /// How many seconds it has for that before it is killed; 10 without it, and -1 for no end
    #[arg(long, value_name = "SECONDS", value_parser = values::stop_timeout, allow_hyphen_values = true)]
    pub stop_timeout: Option<Duration>,

    /// End the container after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub timeout: Option<Duration>,

    /// Where output is kept: k8s-file, json-file, journald or none
    #[arg(long, value_name = "DRIVER", value_parser = values::log_driver)]
    pub log_driver: Option<LogDriver>,

    /// How output is kept: max-size=10m, max-file=3, path=FILE, tag=TEXT, labels=KEY,…, env=NAME,…
    ///
    /// A file that has reached its size is put aside, and so many files are kept; max-size=-1 has no limit. Labels and variables that
    /// are named, and the tag, are shown by `enter logs --details`. A tag may have {{.ID}}, {{.Name}}, {{.ImageName}} and the like.
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
}
