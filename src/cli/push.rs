//! `enter push`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use enter::image::Platform;

use super::ReachArgs;
use super::shell::platform;
use crate::settings::Overrides;
use crate::settings::values::Count;

/// Send an image.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The image: a name, or an ID with a DESTINATION
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// The name that it is to have there, with its registry, or TRANSPORT:PLACE; the image's own name without it
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,

    /// Every tag that the image's name has here, each under the same tag; the name goes without one then
    #[arg(short, long, conflicts_with_all = ["platform", "digestfile"])]
    pub all_tags: bool,

    /// All platforms for which the name stands for an image here, and an index of them
    #[arg(long, conflicts_with = "platform")]
    pub all: bool,

    /// Which of the platforms that are here, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// How layers are to be compressed; without it they go as they came, and as gzip where they were made here
    #[arg(long, visible_alias = "compression-format", value_name = "FORM")]
    pub compression: Option<CompressionForm>,

    /// How hard: from 1 to 9 for gzip, from 1 to 22 for zstd
    #[arg(long, value_name = "LEVEL")]
    pub compression_level: Option<i32>,

    /// Compress anew also what is compressed in this way already, for instance with another level
    #[arg(long)]
    pub force_compression: bool,

    /// The form of the manifest; the one that the image has without it
    #[arg(short, long, value_name = "FORM")]
    pub format: Option<PushForm>,

    /// Write the digest of what was pushed to a file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub digestfile: Option<PathBuf>,

    /// How often something that failed is tried again, from 0 to 64
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    pub retry: Option<Count<0>>,

    /// Push no signatures
    ///
    /// `enter` never does: a signature is for a digest, and is pushed by whoever makes it.
    #[arg(long)]
    pub remove_signatures: bool,

    /// Refused: `enter` makes no signatures
    #[arg(long, value_name = "KEY", hide = true)]
    pub sign_by: Option<String>,

    /// Refused: `enter` makes no signatures
    #[arg(long, value_name = "FILE", hide = true)]
    pub sign_by_sigstore: Option<String>,

    /// Refused: `enter` makes no signatures
    #[arg(long, value_name = "FILE", hide = true)]
    pub sign_by_sigstore_private_key: Option<String>,

    /// Say nothing but the complete name at the end
    #[arg(short, long)]
    pub quiet: bool,

    /// Log in with this for once; the password is asked for where only a name is given
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub creds: Option<String>,

    /// How the registry is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// In which way layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressionForm {
    /// What everybody can read
    Gzip,
    /// Smaller and faster
    Zstd,
    /// zstd with a table of contents, so that parts can be fetched
    #[value(name = "zstd:chunked")]
    ZstdChunked,
}

/// The form of a manifest that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PushForm {
    /// By the Open Container Initiative
    Oci,
    /// Docker's own
    #[value(alias = "v2s2")]
    Docker,
}

impl PushArgs {
    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides { platform: self.platform.clone().map(Some), retries: self.retry, ..Overrides::default() }
    }
}

/// How often to try again.
pub(super) fn count(text: &str) -> Result<Count<0>, String> {
    text.parse().ok().and_then(Count::new).ok_or_else(|| "expected a number from 0 to 64".to_owned())
}
