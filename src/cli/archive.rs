//! `enter save`, `enter load` and `enter import`: images as archives.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write images to an archive.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Names, or IDs or beginnings of them
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,

    /// The form of the archive
    #[arg(long, value_name = "FORM", default_value = "docker-archive")]
    pub format: ArchiveForm,

    /// The file to write; without it the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Tell nothing of how it goes, as is done anyway: for scripts that ask
    #[arg(short, long)]
    pub quiet: bool,
}

/// The form of an archive of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveForm {
    /// As `docker save` writes it
    DockerArchive,
    /// By the Open Container Initiative: a layout in a tar
    OciArchive,
}

/// Take images in from an archive.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The archive; without it the standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Print nothing
    #[arg(short, long)]
    pub quiet: bool,
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
