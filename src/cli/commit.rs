//! `enter commit` and `enter diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Make an image of a container.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// The name of the image; without one it is known by its ID alone
    #[arg(value_name = "NAME[:TAG]")]
    pub image: Option<String>,

    /// Say who made the image
    #[arg(short, long, value_name = "NAME")]
    pub author: Option<String>,

    /// Change how the image is run, by an instruction as in a Dockerfile
    ///
    /// CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR can be given, each as often as
    /// it is needed.
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,

    /// Say why the image was made
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,

    /// Whether a running container is held meanwhile, so that its files are of one moment
    #[arg(
        short, long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = clap::ArgAction::Set
    )]
    pub pause: bool,

    /// Do not tell how large the new layer is
    #[arg(short, long)]
    pub quiet: bool,

    /// Write the ID of the image to a file too
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,

    /// The form of the manifest
    #[arg(short, long, value_name = "FORM", default_value = "oci")]
    pub format: ManifestForm,

    /// Put everything into a single layer, that of the container's image included
    #[arg(short, long)]
    pub squash: bool,
}

/// The form of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestForm {
    /// By the Open Container Initiative
    Oci,
    /// Docker's own
    Docker,
}

/// Show what a container has changed.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A container's name, id, or the beginning of one; or an image, whose last layer is then looked at
    #[arg(value_name = "OBJECT", required_unless_present_any = ["latest", "home"])]
    pub container: Option<String>,

    /// The container that was made last
    #[arg(short, long, conflicts_with = "container")]
    pub latest: bool,

    /// Print the changes as JSON, in lists of what was changed, added and deleted
    #[arg(long, value_name = "FORM", value_parser = ["json"])]
    pub format: Option<String>,

    /// Only what was set aside of your home (`--home cow`); without it, that and what was changed elsewhere
    #[arg(long)]
    pub home: bool,

    /// Print what changed in text files of your home, line by line, as diff(1) does
    #[arg(long, conflicts_with = "format")]
    pub patch: bool,
}
