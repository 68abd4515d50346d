//! `enter cp` and `enter export`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// Copy files between a container and this machine.
#[derive(Debug, Args)]
pub struct CpArgs {
    /// What to copy: CONTAINER:PATH, a path of this machine, or `-` for an archive on the standard input
    #[arg(value_name = "SOURCE")]
    pub source: OsString,

    /// Where to: CONTAINER:PATH, a path of this machine, or `-` for an archive on the standard output
    #[arg(value_name = "DESTINATION")]
    pub destination: OsString,

    /// Keep owners and set-id bits, where the one who copies may give files away
    #[arg(short, long)]
    pub archive: bool,

    /// Copy what a link leads to, where SOURCE is one
    #[arg(short = 'L', long)]
    pub follow_link: bool,

    /// Do not tell how much was copied
    #[arg(short, long)]
    pub quiet: bool,
}

/// Write all files of a container as an archive.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// The file to write; without it the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
