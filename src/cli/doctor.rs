//! `enter doctor`.

use clap::Args;

/// Check whether a shell can be opened here.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}
