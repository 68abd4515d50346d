//! `enter apply` and `enter discard`: what was set aside of the user's home.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Whose, and what of it.
#[derive(Debug, Args)]
pub struct AsideArgs {
    /// A box or container, by name, ID, or the beginning of one; without it the one that was used last. What has a slash in it is a PATH
    #[arg(value_name = "BOX")]
    pub name: Option<String>,

    /// Files and folders of your home, with all that is in them; relative to the present folder, if that is in your home. All without any
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// Take over into the home what was set aside.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Whose, and what of it.
    #[command(flatten)]
    pub aside: AsideArgs,

    /// Also what has changed in your home since; what is there is kept beside it, as NAME.kept
    #[arg(short, long, visible_alias = "theirs")]
    pub force: bool,
}
