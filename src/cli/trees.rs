//! `enter image diff`, `tree`, `mount` and `unmount`: what an image has in it, and stands on.

use clap::Args;

/// Show what an image changes.
#[derive(Debug, Args)]
pub struct ImageDiffArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// What it is compared with; without it, what is below its last layer
    #[arg(value_name = "IMAGE")]
    pub other: Option<String>,

    /// Print the changes as JSON, in lists of what was changed, added and deleted
    #[arg(long, value_name = "FORM", value_parser = ["json"])]
    pub format: Option<String>,
}

/// Show the layers of an image.
#[derive(Debug, Args)]
pub struct ImageTreeArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Show the layers and images that stand on it
    #[arg(long)]
    pub whatrequires: bool,
}

/// Show images' files at a path.
#[derive(Debug, Args)]
pub struct ImageMountArgs {
    /// Names, or IDs or beginnings of them; without any, those that are mounted are listed
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,

    /// Mount all images
    #[arg(short, long, conflicts_with = "images")]
    pub all: bool,

    /// Print the list as JSON
    #[arg(long, value_name = "FORM", value_parser = ["json"])]
    pub format: Option<String>,
}

/// Take images' files away again.
#[derive(Debug, Args)]
pub struct ImageUnmountArgs {
    /// Names, or IDs or beginnings of them
    #[arg(value_name = "IMAGE", required_unless_present = "all")]
    pub images: Vec<String>,

    /// All that are mounted
    #[arg(short, long, conflicts_with = "images")]
    pub all: bool,

    /// Although they were mounted more than once, or are in use
    #[arg(short, long)]
    pub force: bool,
}
