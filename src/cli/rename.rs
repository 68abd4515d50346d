//! `enter rename`.

use clap::Args;

/// Give a container another name.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// The name that it is to have; no other container may have it
    #[arg(value_name = "NEW-NAME")]
    pub name: String,
}
