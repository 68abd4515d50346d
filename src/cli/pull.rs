//! `enter pull`.

use std::path::PathBuf;

use clap::Args;
use enter::image::Platform;

use super::ReachArgs;
use super::shell::platform;
use crate::settings::Overrides;
use crate::settings::values::{Count, PullPolicy};

/// Fetch an image.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The image, for instance `debian`, `quay.io/fedora/fedora:42` or NAME@sha256:DIGEST; or TRANSPORT:PLACE
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Fetch every tag that the registry has of the image
    #[arg(short, long)]
    pub all_tags: bool,

    /// Fetch the images for all platforms that there are
    #[arg(long, conflicts_with_all = ["all_tags", "platform", "os", "arch", "variant"])]
    pub all_platforms: bool,

    /// Which of the image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform, conflicts_with_all = ["os", "arch", "variant"])]
    pub platform: Option<Platform>,

    /// The operating system of the platform, with --arch and --variant as podman has them
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,

    /// The architecture of the platform
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,

    /// The variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,

    /// When to ask the registry: each time, only for what is missing, not at all, or for what is newer
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always", hide_possible_values = true)]
    pub policy: PullPolicy,

    /// How often something that failed is tried again, from 0 to 64
    #[arg(long, value_name = "NUMBER", value_parser = super::push::count)]
    pub retry: Option<Count<0>>,

    /// The policy that says which images are trusted, in the place of the user's and the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub signature_policy: Option<PathBuf>,

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

impl PullArgs {
    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        let pieces = || {
            let host = Platform::host();
            let given = self.os.is_some() || self.arch.is_some() || self.variant.is_some();
            let (os, arch) = (self.os.as_deref().unwrap_or(&host.os), self.arch.as_deref());
            given.then(|| Platform::new(os, arch.unwrap_or(&host.architecture), self.variant.as_deref()))
        };
        Overrides {
            pull: Some(self.policy),
            platform: self.platform.clone().or_else(pieces).map(Some),
            retries: self.retry,
            signature_policy: self.signature_policy.clone().map(Some),
            ..Overrides::default()
        }
    }
}
