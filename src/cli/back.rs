//! `enter restore` and `enter keep`: ways back from a throwaway shell.

use std::ffi::OsString;

use clap::Args;

use super::boxes;

/// Bring back a throwaway shell that was left.
#[derive(Debug, Args)]
#[command(override_usage = "enter restore [OPTIONS] [WHICH] [-- COMMAND...]")]
pub struct RestoreArgs {
    /// Which one: its number on the list, the beginning of its ID, or its image; the last one without it
    #[arg(value_name = "WHICH")]
    pub which: Option<String>,

    /// The command to run in it instead of a shell, with its arguments
    #[arg(value_name = "COMMAND", last = true, conflicts_with_all = ["name", "list", "forget"])]
    pub command: Vec<OsString>,

    /// Make it a box of this name, which is kept; from then on `enter BOX` goes into it
    #[arg(short, long, value_name = "BOX", value_parser = boxes::name)]
    pub name: Option<String>,

    /// List those that can be brought back, the last first
    #[arg(short, long, conflicts_with_all = ["which", "name"])]
    pub list: bool,

    /// With --list: print each one by a template: `table`, `json`, or Go's syntax such as '{{.ID}} {{.Files}}'
    ///
    /// The fields are .Number .Left .LeftAt .Image .Command .Files .Size .Until .ID.
    #[arg(long, value_name = "TEMPLATE", requires = "list")]
    pub format: Option<String>,

    /// Remove it now, for good, instead of bringing it back; `all` removes every one
    #[arg(long, conflicts_with_all = ["name", "list"], requires = "which")]
    pub forget: bool,
}

/// Turn a running throwaway shell into a box.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// The name of the box; without it the shell keeps the name that `enter ps` shows
    #[arg(value_name = "BOX", value_parser = boxes::name)]
    pub name: Option<String>,

    /// Which shell, where several run: its name or the beginning of its ID, as `enter ps` shows them
    #[arg(short, long, value_name = "SHELL")]
    pub shell: Option<String>,
}
