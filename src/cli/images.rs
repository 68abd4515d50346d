//! `enter images` and `enter rmi`.

use clap::{Args, ValueEnum};

/// List the images in the store.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Only images of this name, with `*` and `?` as in file names
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,

    /// Include intermediate images, which this store never has: for scripts that ask
    #[arg(short, long)]
    pub all: bool,

    /// Show the digests by which registries offer the images
    #[arg(long)]
    pub digests: bool,

    /// Only images that fit every filter; of several references, one is enough
    ///
    /// The filters are `dangling=true` or `false`, `label=KEY` or `label=KEY=VALUE`, `reference=PATTERN` as in file names, and
    /// `before=IMAGE` or `since=IMAGE`, which compare the times when images were made; and `pinned=true` or `false`.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Print each image by a template: `table`, `json`, or Go's syntax such as '{{.ID}} {{.Size}}'
    ///
    /// The fields are .ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size, and .Containers .SharedSize .UniqueSize
    /// .VirtualSize as docker has them: .UniqueSize is what the removal of this image alone would free on the disk, .SharedSize what other images
    /// need too; and .Pinned. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Print IDs and digests in full
    #[arg(long)]
    pub no_trunc: bool,

    /// Print no headings
    #[arg(short = 'n', long)]
    pub noheading: bool,

    /// Print only IDs
    #[arg(short, long)]
    pub quiet: bool,

    /// The order, as podman has it; without it, those that were made last come first
    #[arg(long, value_name = "ORDER")]
    pub sort: Option<ImageSortKey>,
}

/// Keep images when space is wanted, or no more.
#[derive(Debug, Args)]
pub struct PinArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// What a list of images is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImageSortKey {
    Created,
    Id,
    Repository,
    Size,
    Tag,
}

/// Remove images.
#[derive(Debug, Args)]
pub struct RmiArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE", required_unless_present = "all")]
    pub images: Vec<String>,

    /// Remove all images; those that containers were made from only with --force, and from the list alone
    #[arg(short, long, conflicts_with = "images")]
    pub all: bool,

    /// Say nothing of images that are not there
    #[arg(short, long)]
    pub ignore: bool,

    /// Remove an image with all its names, and do not fail for images that are not there
    #[arg(short, long)]
    pub force: bool,

    /// Remove no images below it, which this store never has: for scripts that ask
    #[arg(long)]
    pub no_prune: bool,
}
