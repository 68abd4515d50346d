//! `enter manifest`, as podman and docker have it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ReachArgs;

/// What can be done about lists of images.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Begin a list of images
    ///
    /// Makes a list of this name, with the images that are named, and prints its digest. The list is kept here until it is removed; what it
    /// is of may be in the store or in a registry.
    Create(ManifestCreateArgs),
    /// Put an image into a list
    ///
    /// The image is looked for in the store, then in its registry. One that is there for several platforms is added for this machine's,
    /// or for the one that `--os`, `--arch` and `--variant` say; with `--all`, for each.
    Add(ManifestAddArgs),
    /// Change what a list says of an image
    ///
    /// The image is named by its digest or by its name. Only what is given changes: its platform, or what it needs of the operating
    /// system.
    Annotate(ManifestAnnotateArgs),
    /// Take images out of a list
    ///
    /// They are named by their digests or by their names. The images themselves stay where they are.
    #[command(visible_alias = "del")]
    Remove(ManifestRemoveArgs),
    /// Show a list, or the manifest that a registry has
    ///
    /// A list of this name here is shown as it would be pushed. Else the registry is asked, and what it has is shown.
    Inspect(ManifestInspectArgs),
    /// Send a list, and the images that it is of
    ///
    /// Images that are in the store are sent from there, others from the registry that has them. Without `--all=false` the registry has all
    /// that the list is of.
    Push(ManifestPushArgs),
    /// Remove lists
    ///
    /// The images that they are of stay.
    Rm(ManifestRmArgs),
    /// Tell by the exit code whether there is such a list
    ///
    /// 0: it is here. 1: it is not. Nothing is printed, and no registry is asked.
    Exists(ManifestExistsArgs),
}

/// Begin a list of images.
#[derive(Debug, Args)]
pub struct ManifestCreateArgs {
    /// What the list is to be called
    #[arg(value_name = "LIST")]
    pub list: String,

    /// The images that are in it from the beginning
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,

    /// Of an image that is there for several platforms, all of them
    #[arg(long)]
    pub all: bool,

    /// Go on with the list of this name, if there is one
    #[arg(short, long)]
    pub amend: bool,

    /// Something to say of the list, which may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub annotation: Vec<(String, String)>,

    /// How registries are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// What a list says of an image.
#[derive(Debug, Default, Args)]
pub struct SaidArgs {
    /// Something to say of the image, which may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub annotation: Vec<(String, String)>,

    /// The architecture, for instance arm64
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,

    /// What of the processor the image needs, separated by commas
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub features: Vec<String>,

    /// The operating system, for instance linux
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,

    /// What of the operating system the image needs, separated by commas
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub os_features: Vec<String>,

    /// The version of the operating system
    #[arg(long, value_name = "VERSION")]
    pub os_version: Option<String>,

    /// The variant of the architecture, for instance v7
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
}

/// Put an image into a list.
#[derive(Debug, Args)]
pub struct ManifestAddArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub list: String,

    /// The images: names, IDs, or docker://NAME for what the registry has now
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,

    /// Of an image that is there for several platforms, all of them
    #[arg(long)]
    pub all: bool,

    /// What the list says of it.
    #[command(flatten)]
    pub said: SaidArgs,

    /// How registries are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Change what a list says of an image.
#[derive(Debug, Args)]
pub struct ManifestAnnotateArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub list: String,

    /// The image: the digest that the list has, or its name
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// What the list says of it.
    #[command(flatten)]
    pub said: SaidArgs,
}

/// Take images out of a list.
#[derive(Debug, Args)]
pub struct ManifestRemoveArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub list: String,

    /// The images: the digests that the list has, or names
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Show a list.
#[derive(Debug, Args)]
pub struct ManifestInspectArgs {
    /// The list, or the image in a registry
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Show what in the registry refers to the image: signatures, lists of what it consists of, …
    #[arg(long)]
    pub referrers: bool,

    /// How the registry is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Remove lists.
#[derive(Debug, Args)]
pub struct ManifestRmArgs {
    /// The lists
    #[arg(value_name = "LIST", required = true)]
    pub lists: Vec<String>,
}

/// Whether there is such a list.
#[derive(Debug, Args)]
pub struct ManifestExistsArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub list: String,
}

/// Send a list.
#[derive(Debug, Args)]
pub struct ManifestPushArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub list: String,

    /// The name that it is to have there, with its registry; the list's own name without it
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,

    /// Whether the images are sent too
    #[arg(
        long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = clap::ArgAction::Set
    )]
    pub all: bool,

    /// The form of the list; Docker's where all images have that, without it
    #[arg(short, long, value_name = "FORM")]
    pub format: Option<ListForm>,

    /// Write the digest of the list to a file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub digestfile: Option<PathBuf>,

    /// Remove the list here once it is there
    #[arg(short = 'p', long, alias = "purge")]
    pub rm: bool,

    /// Say nothing but the digest at the end
    #[arg(short, long)]
    pub quiet: bool,

    /// How registries are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// The form of a list that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListForm {
    /// An index by the Open Container Initiative
    Oci,
    /// Docker's own
    #[value(alias = "docker")]
    V2s2,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
