//! `enter ssh-config` and `enter ssh-proxy`: boxes as hosts of ssh.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Print what ssh is to know of boxes.
#[derive(Debug, Args)]
pub struct SshConfigArgs {
    /// The boxes; all of them, and a pattern for those to come, where none is named
    #[arg(value_name = "BOX")]
    pub names: Vec<String>,

    /// Keep it in ~/.ssh/enter.conf, a file of enter's own, which ~/.ssh/config is to include: that file is made if there is none, and never
    /// changed; what it lacks is told
    #[arg(long)]
    pub write: bool,

    /// With --write: keep it in another file
    #[arg(long, value_name = "FILE", requires = "write", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// Speak ssh on the standard streams, for a box.
#[derive(Debug, Args)]
pub struct SshProxyArgs {
    /// The box, with or without `.enter` behind its name
    #[arg(value_name = "BOX")]
    pub name: String,
}
