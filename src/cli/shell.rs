//! `enter NAME` and `enter shell NAME`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{ArgAction, Args, ValueHint};
use enter::container::record::NetworkMode;
use enter::image::Platform;

use super::boxes;
use super::outward::OutwardArgs;
use super::run::{NetworkArgs, values};
use super::share::ShareArgs;
use crate::settings::Overrides;
use crate::settings::lists::{Element, EnvVar, Volume};
use crate::settings::values::{Home, Network, PullPolicy, Storage};

/// A shell, or one command, in a container.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// A box that was made with --name; or an image such as `debian` or `quay.io/fedora/fedora:42`; or `host` for a throwaway view of this
    /// machine; or `.` for the box of the project here, see `enter init`
    #[arg(index = 1, value_name = "NAME", required = true)]
    name: Option<String>,

    /// The command to run instead of a shell, with its arguments
    #[arg(index = 2, value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<OsString>,

    /// Make a box of this name from the image NAME, which is kept until `enter rm`; from then on `enter BOX` comes back to it
    #[arg(id = "box", short = 'n', long = "name", value_name = "BOX", value_parser = boxes::name)]
    pub box_name: Option<String>,

    /// With --name: the box goes on when the last shell leaves it
    #[arg(long, requires = "box")]
    pub keep_running: bool,

    /// Be this user inside, by name or number, with :GROUP if you like; you yourself without it
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Set a variable, or pass yours on
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = element::<EnvVar>())]
    pub env: Vec<EnvVar>,

    /// Read variables from a file, one NAME=VALUE a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Show a folder or a file of this machine inside; options are ro, rw, z, Z
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]", value_parser = element::<Volume>())]
    pub volume: Vec<Volume>,

    /// What there is of your home: `share`, all of it, as it is; `cow`, all of it to be seen, while what is written there is set aside, for
    /// `enter diff`, `enter apply` and `enter discard`; `own`, one of the box's own; `none`, an empty one in memory
    #[arg(long, value_enum, value_name = "HOME")]
    pub home: Option<Home>,

    /// Show of your home only the project that you are in: the repository around the present folder, or that folder
    #[arg(long)]
    pub project: bool,

    #[command(flatten)]
    pub share: ShareArgs,

    /// Begin in this directory; without it the present one if it is in your home, else your home
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub workdir: Option<PathBuf>,

    /// Bring a shell and common tools along, for an image that has none: this machine's static busybox, or that of an image in the store
    ///
    /// They lie in /run/enter-tools/bin, which ends the PATH: whatever the image has of its own comes first. Nothing is fetched for it.
    #[arg(long)]
    pub tools: bool,

    /// Throw away what was changed outside the home (this is what happens anyway)
    #[arg(long)]
    pub rm: bool,

    /// What the container reaches: `pasta`, the network beyond this machine; `none`, nothing; `host`, whatever this machine reaches; or a
    /// network of one's own, of which there may be several, as `enter run --network` takes them
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = values::network)]
    pub network: Vec<values::Reached>,

    /// Make a port of the container reachable from outside, as `enter run --publish` does; see also `enter port`
    #[arg(short, long, value_name = "[[ADDRESS:][HOST]:]PORT[/PROTOCOL]", value_parser = values::published, allow_hyphen_values = true)]
    pub publish: Vec<values::Published>,

    /// Let the container reach this machine's own servers, those of 127.0.0.1 too, as host.docker.internal and host.containers.internal
    #[arg(long)]
    pub host_access: bool,

    /// Add a line to /etc/hosts; the address `host-gateway` is this machine's, and opens its own servers to the container as --host-access
    /// does
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = values::extra_host)]
    pub add_host: Vec<String>,

    /// When to fetch the image
    #[arg(long, value_enum, value_name = "WHEN")]
    pub pull: Option<PullPolicy>,

    /// Which of the image's platforms, for instance linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    pub platform: Option<Platform>,

    /// Where changes are kept
    #[arg(long, value_enum, value_name = "KIND")]
    pub storage: Option<Storage>,

    /// The host name inside
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    #[command(flatten)]
    pub outward: OutwardArgs,

    /// Print what would be done, as JSON, and do none of it
    #[arg(long, action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Whether NAME came after `--` or `shell`, and so is no slip for a subcommand.
    #[arg(skip)]
    pub literal: bool,
}

impl ShellArgs {
    /// What to enter.
    pub fn name(&self) -> &str {
        // `required` above has seen to it; only a subcommand negates that.
        self.name.as_deref().unwrap_or_default()
    }

    /// What these flags say in the place of settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            storage: self.storage,
            home: self.home,
            network: self.network.iter().find_map(|reached| match reached {
                values::Reached::Mode(NetworkMode::None) => Some(Network::None),
                values::Reached::Mode(NetworkMode::Host) => Some(Network::Host),
                values::Reached::Mode(_) | values::Reached::Pasta(_) => Some(Network::Pasta),
                values::Reached::Own(_) => None,
            }),
            pull: self.pull,
            platform: self.platform.clone().map(Some),
            hostname: self.hostname.clone().map(Some),
            ..Overrides::default()
        }
    }

    /// What is said of networks, as `enter run` has it; `default` where nothing is.
    pub fn networks(&self, default: Network) -> NetworkArgs {
        let mode = match default {
            Network::Pasta => NetworkMode::Pasta,
            Network::None => NetworkMode::None,
            Network::Host => NetworkMode::Host,
        };
        let default = self.network.is_empty().then_some(values::Reached::Mode(mode));
        NetworkArgs {
            network: self.network.iter().cloned().chain(default).collect(),
            publish: self.publish.clone(),
            ..NetworkArgs::default()
        }
    }

    /// Finds out what clap does not tell: whether NAME stood after `--`. Then a second `--` only parts it from COMMAND.
    pub(super) fn complete(&mut self, args: &[OsString]) {
        let after_dashes = args.iter().position(|arg| arg == "--").map(|at| &args[at + 1..]);
        // What follows the first `--` is NAME and COMMAND, or COMMAND alone, or the end of COMMAND.
        if after_dashes.is_some_and(|rest| rest.len() == 1 + self.command.len()) {
            self.literal = true;
            if self.command.first().is_some_and(|first| first == "--") {
                self.command.remove(0);
            }
        }
    }
}

/// Reads `--platform`.
pub(super) fn platform(text: &str) -> Result<Platform, enter::image::Error> {
    Platform::parse(text)
}

pub(super) fn element<T: Element + Clone + Send + Sync + 'static>() -> impl clap::builder::TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(|text| T::parse(&text))
}
