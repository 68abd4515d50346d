//! `enter pull`.

use clap::Args;
use enter::image::Platform;

use super::shell::platform;
use crate::settings::Overrides;

/// Fetch an image.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The image, for instance `debian`, `quay.io/fedora/fedora:42` or NAME@sha256:DIGEST
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Which of the image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// Say nothing but the complete name at the end
    #[arg(short, long)]
    pub quiet: bool,
}

impl PullArgs {
    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides { platform: self.platform.clone().map(Some), ..Overrides::default() }
    }
}
