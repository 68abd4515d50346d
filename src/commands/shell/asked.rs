//! From flags and settings to what is asked of the planner.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use cowfs::tree::Image;
use enter::container::outward::BROWSER;
use enter::container::planning::request::{Reach, Request, Source, Volume};
use enter::container::record::{Home, NetworkMode, Shares, Storage};

use super::super::resolve::Target;
use super::super::run::HOST_ACCESS;
use super::super::variables;
use crate::cli::run::values::Reached;
use crate::cli::{ShareArgs, ShellArgs};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::lists;
use crate::settings::values::Network;

/// The word for this machine's own root.
const HOST: &str = "host";

/// Refuses what cannot be had, before anything is fetched for it.
pub fn refuse_what_cannot_be(args: &ShellArgs) -> Result<(), Failure> {
    if let (HOST, Some(platform)) = (args.name(), &args.platform) {
        return Err(Failure::new(format!("cannot enter this machine as the platform {platform}"))
            .with_hint("leave --platform away: `host` has the one that this machine has"));
    }
    if let Some(other) = args.network.iter().find_map(|reached| match reached {
        Reached::Mode(NetworkMode::Container(other)) => Some(other),
        _ => None,
    }) {
        return Err(Failure::new(format!("cannot enter {} in the network of the container {other}", args.name()))
            .because("a shell has a user namespace of its own, which has no power over that network")
            .with_hint(format!("let a container share it: enter run --rm -it --network container:{other} IMAGE")));
    }
    if let Some(directory) = args.workdir.as_ref().filter(|directory| !directory.is_absolute()) {
        return Err(Failure::new(format!("cannot begin in `{}`: it is not an absolute path", directory.display()))
            .with_hint("give the whole path, as it is in the container"));
    }
    Ok(())
}

/// What is asked for.
pub fn request<'a>(
    settings: &Settings,
    args: &ShellArgs,
    storage: Storage,
    target: &Target,
    files: Option<&'a Image>,
    (home, project): (Home, Option<PathBuf>),
) -> Result<Request<'a>, Failure> {
    let source = match (target, files) {
        (Target::Image(image), Some(files)) => Source::Image {
            name: args.name().to_owned(),
            files,
            tree: image.tree.clone(),
            tars: image.tars.clone(),
            environment: image.config.execution.env.clone(),
        },
        _ => Source::Host,
    };
    let volumes = settings.volumes.iter().chain(&args.volume).map(volume).collect::<Result<_, _>>()?;
    let size = sys::terminal::size(io::stdin()).ok();
    Ok(Request {
        source,
        user: args.user.clone(),
        command: args.command.clone(),
        environment: environment(settings, args)?,
        home,
        project,
        volumes,
        shares: shares(settings, &args.share),
        directory: args.workdir.clone(),
        storage,
        tools: args.tools,
        networks: None,
        ports: Vec::new(),
        reach: match settings.network {
            Network::Pasta => Reach::Outside,
            Network::None => Reach::Nothing,
            Network::Host => Reach::Host,
        },
        pasta: passt::Options::default(),
        hosts: args.add_host.iter().cloned().chain(args.host_access.then(|| HOST_ACCESS.into())).collect(),
        hostname: settings.hostname.clone(),
        terminals: [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()],
        size: size.map(|size| plan::Rows { rows: size.rows, columns: size.columns }),
    })
}

/// What is said about sharing: by settings, and by flags, which count more.
pub fn shares(settings: &Settings, args: &ShareArgs) -> Shares {
    Shares { on: settings.share.iter().copied().collect(), off: settings.unshare.iter().copied().collect() }
        .with(&args.shares())
}

/// Settings first, then files, then flags: later ones win.
fn environment(settings: &Settings, args: &ShellArgs) -> Result<Vec<(OsString, OsString)>, Failure> {
    let browser = args.outward.with(settings).open.then(|| (BROWSER.0.into(), BROWSER.1.into()));
    let mut all: Vec<(OsString, OsString)> = browser.into_iter().collect();
    all.extend(settings.environment.iter().filter_map(variables::pair));
    all.extend(variables::given(&args.env_file, &args.env)?);
    Ok(all)
}

/// A folder or a file that is to be shown.
pub fn volume(volume: &lists::Volume) -> Result<Volume, Failure> {
    let failed = |what: &str| Failure::new(format!("cannot show {} in the container: {what}", volume.source.display()));
    if volume.relabel.is_some() && Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(failed("its SELinux label would have to be changed, which enter does not do")
            .with_hint(format!("do it once yourself: chcon -Rt container_file_t {}", volume.source.display())));
    }
    let source = variables::whole_path(&volume.source).map_err(|error| failed("the path").because(error))?;
    Ok(Volume { source, target: volume.target.clone(), read_only: volume.read_only })
}
