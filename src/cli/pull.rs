//! `enter pull`.

use std::path::PathBuf;

use clap::Args;
use enter::image::Platform;

use super::ReachArgs;
use super::shell::platform;
use crate::settings::Overrides;

/// Fetch an image.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The image, for instance `debian`, `quay.io/fedora/fedora:42` or NAME@sha256:DIGEST; or TRANSPORT:PLACE
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Which of the image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// The policy that says which images are trusted, in the place of the user's and the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub signature_policy: Option<PathBuf>,

    /// Say nothing but the complete name at the end
    #[arg(short, long)]
    pub quiet: bool,

    /// How the registry is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

impl PullArgs {
    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            platform: self.platform.clone().map(Some),
            signature_policy: self.signature_policy.clone().map(Some),
            ..Overrides::default()
        }
    }
}
