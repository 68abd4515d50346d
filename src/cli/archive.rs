//! `enter save`, `enter load` and `enter import`: images as archives.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use enter::image::Platform;

use super::shell::platform;
use crate::settings::Overrides;

/// Write images to an archive or a folder.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Names, or IDs or beginnings of them
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,

    /// What is written: an archive, or a folder
    #[arg(long, value_name = "FORM", default_value = "docker-archive")]
    pub format: ArchiveForm,

    /// The file or folder to write; without it the standard output, which takes no folder
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Take each word for an image, as is done anyway: for scripts that ask
    #[arg(short, long)]
    pub multi_image_archive: bool,

    /// Compress layers by gzip that are not kept compressed; not with docker-archive, whose layers are plain tars
    #[arg(long, conflicts_with = "uncompressed")]
    pub compress: bool,

    /// Write layers as plain tars, although they are kept compressed, as they came
    #[arg(long)]
    pub uncompressed: bool,

    /// Tell nothing of how it goes, as is done anyway: for scripts that ask
    #[arg(short, long)]
    pub quiet: bool,
}

/// The form in which images are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveForm {
    /// As `docker save` writes it
    DockerArchive,
    /// By the Open Container Initiative: a layout in a tar
    OciArchive,
    /// The same in a folder, which may have other images already
    OciDir,
    /// One image in a folder, as skopeo writes it (dir:)
    DockerDir,
}

/// Take images in from an archive or a folder.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The archive, which may be compressed, or a folder; without it an archive from the standard input
    #[arg(short, long, value_name = "PATH")]
    pub input: Option<PathBuf>,

    /// Which of an image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// The policy that says which images are trusted, in the place of the user's and the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub signature_policy: Option<PathBuf>,

    /// Print nothing
    #[arg(short, long)]
    pub quiet: bool,
}

impl LoadArgs {
    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            platform: self.platform.clone().map(Some),
            signature_policy: self.signature_policy.clone().map(Some),
            ..Overrides::default()
        }
    }
}

/// Make an image of an archive of files.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A file, an address that begins with http:// or https://, or `-` for the standard input
    #[arg(value_name = "FILE|URL|-")]
    pub source: String,

    /// The name of the image; without one it is known by its ID alone
    #[arg(value_name = "NAME[:TAG]")]
    pub image: Option<String>,

    /// Change how the image is run, by an instruction as in a Dockerfile
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,

    /// Say why the image was made
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,

    /// What the image runs on, such as linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,

    /// Tell nothing of how it goes, as is done anyway: for scripts that ask
    #[arg(short, long)]
    pub quiet: bool,
}
