//! `enter cowfs`, which is also what `enter-cowfs` runs.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

/// Mount directories over each other: see the text at the subcommand.
#[derive(Debug, Args)]
pub struct CowfsArgs {
    /// Where to mount; a word before it is the source that mount(8) tells
    #[arg(value_name = "MOUNTPOINT", required = true, num_args = 1..=2)]
    pub place: Vec<PathBuf>,

    /// Mount options, separated by commas
    #[arg(short = 'o', value_name = "OPTION[,OPTION]...", action = ArgAction::Append, long_help = options())]
    pub options: Vec<OsString>,

    /// Stay in the foreground
    #[arg(short, long)]
    pub foreground: bool,

    /// Show every request, and stay in the foreground
    #[arg(short, long)]
    pub debug: bool,
}

/// Every option, with what it does.
fn options() -> String {
    let each = cowfs::options::KNOWN.iter().map(|(names, does)| format!("`{names}`: {does}"));
    let head = "Mount options, separated by commas. Others are refused".to_owned();
    [head].into_iter().chain(each).collect::<Vec<_>>().join("\n\n")
}
