//! `enter run` and `enter create`: docker's flags, in groups. What they stand for is `enter::container::record::Spec`.

mod confinement;
mod files;
mod health;
mod life;
mod network;
mod process;
mod refused;
mod resources;
pub mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use enter::image::Platform;

pub use confinement::ConfinementArgs;
pub use files::{FileArgs, ImageVolume};
pub use health::HealthArgs;
pub use life::LifeArgs;
pub use network::NetworkArgs;
pub use process::ProcessArgs;
pub use refused::RefusedArgs;
pub use resources::ResourceArgs;

use super::shell::platform;
use crate::settings::Overrides;
use crate::settings::values::PullPolicy;

/// Run a command in a new container.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    /// Run in the background, and print the container's ID
    #[arg(short, long)]
    pub detach: bool,

    /// Connect to this stream of the container, and to no other that is not named too: stdin, stdout or stderr
    #[arg(short, long, value_name = "STREAM", value_parser = values::stream)]
    pub attach: Vec<usize>,

    /// Pass signals on to the container
    ///
    /// With `--sig-proxy=false` a signal ends `enter run` alone, and the container goes on.
    #[arg(long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, hide_default_value = true, hide_possible_values = true, action = clap::ArgAction::Set)]
    pub sig_proxy: bool,

    /// Pass so many open files on, from number 3 on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub preserve_fds: u32,

    /// What is made and run
    #[command(flatten)]
    pub create: CreateArgs,
}

/// Make a container.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CreateArgs {
    /// The image, and the command to run instead of the image's own, with its arguments
    ///
    /// No flag of `enter` is read after IMAGE: all that follows is the command's.
    #[arg(value_names = ["IMAGE", "COMMAND"], trailing_var_arg = true, required = true, num_args = 1..)]
    words: Vec<OsString>,

    /// What runs.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// How it lives and ends.
    #[command(flatten)]
    pub life: LifeArgs,

    /// How to see whether it is well.
    #[command(flatten)]
    pub health: HealthArgs,

    /// Its files.
    #[command(flatten)]
    pub files: FileArgs,

    /// Its network.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// What confines it.
    #[command(flatten)]
    pub confinement: ConfinementArgs,

    /// What it uses at most.
    #[command(flatten)]
    pub resources: ResourceArgs,

    /// Make its control group in this slice of your systemd, such as work.slice
    #[arg(long, value_name = "SLICE", value_parser = values::slice)]
    pub cgroup_parent: Option<String>,

    /// The keys that leave the container while it goes on, such as `ctrl-a,x`; ctrl-p,ctrl-q without it
    #[arg(long, value_name = "KEYS", value_parser = values::keys)]
    pub detach_keys: Option<String>,

    /// When to fetch the image
    #[arg(long, value_enum, value_name = "WHEN")]
    pub pull: Option<PullPolicy>,

    /// The policy that says which images are trusted, in the place of the user's and the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub signature_policy: Option<PathBuf>,

    /// Which of the image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// Say nothing while the image is fetched
    #[arg(short, long)]
    pub quiet: bool,

    /// Write the container's ID to a new file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cidfile: Option<PathBuf>,

    /// Write the process ID of the container's command, as this machine numbers it, to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pidfile: Option<PathBuf>,

    /// Flags of docker that cannot be had.
    #[command(flatten)]
    pub refused: RefusedArgs,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

impl CreateArgs {
    /// The image.
    pub fn image(&self) -> &std::ffi::OsStr {
        self.words.first().map(OsString::as_os_str).unwrap_or_default()
    }

    /// What was typed after it.
    pub fn command(&self) -> &[OsString] {
        self.words.get(1..).unwrap_or_default()
    }

    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            storage: self.files.storage,
            pull: self.pull,
            platform: self.platform.clone().map(Some),
            signature_policy: self.signature_policy.clone().map(Some),
            ..Overrides::default()
        }
    }
}
