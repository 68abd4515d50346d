//! What runs in a container: command, user, environment, terminal, limits.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueHint};

use super::values;
use crate::settings::lists::{Element as _, EnvVar};

/// What runs.
#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// Keep standard input open, and pass it on
    #[arg(short, long)]
    pub interactive: bool,

    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,

    /// Run this instead of the image's entrypoint: a program, a JSON list of a program and its arguments, or '' for none
    ///
    /// The image's own command is then not used either.
    #[arg(long, value_name = "COMMAND", value_parser = values::entrypoint)]
    pub entrypoint: Option<values::Entrypoint>,

    /// Set a variable, or pass yours on
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = OsStringValueParser::new().try_map(|text| EnvVar::parse(&text)))]
    pub env: Vec<EnvVar>,

    /// Read variables from a file, one NAME=VALUE a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Pass all your variables on
    #[arg(long)]
    pub env_host: bool,

    /// Pass your proxy variables on, also those with a password in them; `false`: none of them
    ///
    /// Without this flag those are passed on that have no password in them and that can be reached from the container.
    #[arg(long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true, hide_possible_values = true)]
    pub http_proxy: Option<bool>,

    /// Be this user inside, by name or number, with :GROUP if you like; your own number makes you yourself, as --userns keep-id does
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Be in this group too, by name or number; `keep-groups`: in those that you are in on this machine
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,

    /// Begin in this directory, which is made if it is missing
    #[arg(short, long, value_name = "DIR", value_parser = values::absolute)]
    pub workdir: Option<String>,

    /// Permission bits that new files do not get; 0022 without it
    #[arg(long, value_name = "OCTAL", value_parser = values::umask)]
    pub umask: Option<u32>,

    /// The time zone: a name such as Europe/Berlin, or `local` for this machine's; the image's own without it
    #[arg(long, visible_alias = "tz", value_name = "ZONE", value_parser = values::timezone)]
    pub timezone: Option<String>,

    /// Run a first process that reaps orphans and passes signals on
    #[arg(long)]
    pub init: bool,

    /// Limit a resource of each process, as in setrlimit(2): `nofile=1024:2048`; `host` changes nothing
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = values::ulimit)]
    pub ulimit: Vec<values::Ulimit>,
}
