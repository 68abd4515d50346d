//! `enter rebase`.

use clap::Args;

/// Put a box on another image.
#[derive(Debug, Args)]
pub struct RebaseArgs {
    /// The box, which must not run
    #[arg(value_name = "BOX")]
    pub name: String,

    /// The image that is to be below what was changed in the box
    #[arg(value_name = "IMAGE", required_unless_present = "back")]
    pub image: Option<String>,

    /// Go back to the image that the box was on before
    #[arg(long, conflicts_with = "image")]
    pub back: bool,

    /// Only say what collides, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do it also where directories of the box would hide links or files of the image that programs are found by
    #[arg(short, long)]
    pub force: bool,

    /// Print no headings
    #[arg(long)]
    pub noheading: bool,
}
