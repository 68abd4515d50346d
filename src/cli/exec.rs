//! `enter exec CONTAINER COMMAND` and `enter attach CONTAINER`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};
use enter::container::DetachKeys;

use super::shell::element;
use crate::settings::lists::EnvVar;

/// `enter exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A name, an id, or the beginning of one; with --latest, the first word of the command
    #[arg(value_name = "CONTAINER", required = true)]
    pub container: OsString,

    /// The command to run, with its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,

    /// In the container that was made last
    #[arg(short, long)]
    pub latest: bool,

    /// Return as soon as the command runs
    #[arg(short, long)]
    pub detach: bool,

    /// Pass on what is typed
    #[arg(short, long)]
    pub interactive: bool,

    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub tty: bool,

    /// Be this user, by name or number, with :GROUP if you like; the container's user without it
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Begin in this directory; where the container began without it
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,

    /// Set a variable, or pass yours on
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = element::<EnvVar>())]
    pub env: Vec<EnvVar>,

    /// Read variables from a file, one NAME=VALUE a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Give the command every capability that a container can have, and no system call filter
    #[arg(long)]
    pub privileged: bool,

    /// Pass so many of your open files on, from descriptor 3 on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub preserve_fds: u16,

    /// The keys that leave the command while it goes on, such as `ctrl-a,x`
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
}

/// `enter attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER", required_unless_present = "latest")]
    pub container: Option<String>,

    /// To the container that was made last
    #[arg(short, long, conflicts_with = "container")]
    pub latest: bool,

    /// Pass nothing on of what is typed
    #[arg(long)]
    pub no_stdin: bool,

    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true,
        hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub sig_proxy: bool,

    /// The keys that leave the container while it goes on, such as `ctrl-a,x`
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
}
