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

/// Write all files of a container as an archive, or put a program of a box where this machine finds it.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A name, an id, or the beginning of one; before NAME: `bin` for a program, `app` for an application
    #[arg(value_name = "CONTAINER", required_unless_present = "list")]
    pub container: Option<String>,

    /// The program, by its name or absolute path inside; or the application, by the name of its desktop file
    #[arg(value_name = "NAME", conflicts_with = "output")]
    pub name: Option<String>,

    /// The box that NAME is in; it can be left away where there is one box only
    #[arg(long, value_name = "BOX")]
    pub from: Option<String>,

    /// Where the wrapper or desktop file goes, instead of ~/.local/bin and ~/.local/share/applications
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,

    /// What the program is called here
    #[arg(long = "as", value_name = "NEW-NAME")]
    pub called: Option<String>,

    /// List what is exported of boxes, where it is, and whether it still is there
    #[arg(long, conflicts_with_all = ["container", "name", "output", "to", "called"])]
    pub list: bool,

    /// The file to write; without it the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Take a program or application back that was exported.
#[derive(Debug, Args)]
pub struct UnexportArgs {
    /// What it is called here
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The box that it is of; without it, of every one
    #[arg(long, value_name = "BOX")]
    pub from: Option<String>,
}
