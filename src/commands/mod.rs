//! One file for each thing that a user can ask for, each read as a story: resolve, plan, execute, show.
//!
//! This file takes a command line, or a question of the program's own parts, to its story, and turns what comes back into
//! an exit code.

mod ahead;
mod alone;
mod attach;
mod back;
mod boxes;
mod called;
mod chosen;
mod commit;
mod completion;
mod containers;
mod cowfs;
mod cp;
mod create;
mod diff;
mod doctor;
mod ending;
mod events;
mod exec;
mod exists;
mod explain;
mod export;
mod files;
mod filter;
mod format;
mod generate;
mod healthcheck;
mod history;
mod home;
mod image_mount;
mod image_tree;
mod images;
mod import;
mod inspect;
mod kill;
mod limits;
mod load;
mod login;
mod logs;
mod manifest;
mod manual;
mod moment;
mod network;
mod outward;
mod pause;
mod pin;
mod places;
mod podman;
mod port;
mod ports;
mod processes;
mod project;
mod prune;
mod ps;
mod pull;
mod push;
mod reach;
mod rename;
pub mod resolve;
mod restart;
mod rm;
mod rmi;
mod roles;
mod room;
mod run;
mod save;
mod search;
mod shell;
mod ssh;
mod start;
mod state;
mod stats;
mod stop;
mod system;
mod tag;
mod told;
mod top;
mod trust;
mod update;
mod variables;
mod verify;
mod volume;
mod wait;
mod written;

use std::ffi::OsString;
use std::process::ExitCode;

use called::Called;

use crate::cli::{
    self, Cli, Command, ContainerCommand, GenerateCommand, HealthcheckCommand, ImageCommand, ManifestCommand, Said,
    SystemCommand, TrustCommand,
};
use crate::failure::Failure;
use crate::settings::{self, Overrides, Settings};
use crate::ui::Ui;

/// Runs one command line; `args` begins with the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args = called::whole(args);
    let mut ui = Ui::default();
    // A limit on the size of files is an error to be told, and not a death without a word.
    let _ = sys::process::ignore_signal(nix::sys::signal::Signal::SIGXFSZ);
    let result = match (roles::of(&args), Called::by(&args).answer(&args)) {
        (Some(role), _) => role.play(&ui, &args[2..]),
        (None, Some(version)) => say(&ui, &version),
        (None, None) if args.len() < 2 && Called::by(&args) == Called::Enter => alone::run(&mut ui, &args),
        (None, None) => match cli::parse(&args) {
            Ok(cli) => dispatch(cli, &mut ui),
            Err(said) => answer(&ui, said),
        },
    };
    result.unwrap_or_else(|failure| {
        ui.failure(&failure);
        ExitCode::from(failure.code())
    })
}

fn dispatch(cli: Cli, ui: &mut Ui) -> Result<ExitCode, Failure> {
    match cli.command {
        None => {
            Called::now().refuse(cli.shell.name().as_ref())?;
            enter(cli.shell, ui)
        }
        Some(Command::Shell(args)) => enter(*args, ui),
        Some(Command::Pull(args)) => configured(ui, args.overrides(), |ui, settings| pull::run(ui, settings, &args)),
        Some(Command::Search(args)) => {
            configured(ui, Overrides::default(), |ui, settings| search::run(ui, settings, &args))
        }
        Some(Command::Push(args)) => configured(ui, args.overrides(), |ui, settings| push::run(ui, settings, &args)),
        Some(Command::Login(args)) => {
            configured(ui, Overrides::default(), |ui, settings| login::login(ui, settings, &args))
        }
        Some(Command::Logout(args)) => {
            configured(ui, Overrides::default(), |ui, settings| login::logout(ui, settings, &args))
        }
        Some(Command::Images(args)) => {
            configured(ui, Overrides::default(), |ui, settings| images::run(ui, settings, &args))
        }
        Some(Command::Rmi(args)) => configured(ui, Overrides::default(), |ui, settings| rmi::run(ui, settings, &args)),
        Some(Command::Ps(args)) => configured(ui, Overrides::default(), |ui, settings| ps::run(ui, settings, &args)),
        Some(Command::Ls(args)) => configured(ui, Overrides::default(), |ui, settings| boxes::ls(ui, settings, &args)),
        Some(Command::Set(args)) => {
            configured(ui, Overrides::default(), |ui, settings| boxes::set(ui, settings, &args))
        }
        Some(Command::Rebase(args)) => {
            configured(ui, Overrides::default(), |ui, settings| boxes::rebase(ui, settings, &args))
        }
        Some(Command::SshConfig(args)) => configured(ui, Overrides::default(), |ui, _| ssh::config(ui, &args)),
        Some(Command::SshProxy(args)) => configured(ui, Overrides::default(), |ui, _| ssh::proxy(ui, &args)),
        Some(Command::Restore(args)) => {
            configured(ui, Overrides::default(), |ui, settings| back::restore(ui, settings, &args))
        }
        Some(Command::Keep(args)) => configured(ui, Overrides::default(), |ui, _| back::keep(ui, &args)),
        Some(Command::Explain(args)) => {
            configured(ui, args.shell.overrides(), |ui, settings| explain::run(ui, settings, &args))
        }
        Some(Command::Clone(args)) => configured(ui, Overrides::default(), |ui, _| boxes::clone(ui, &args)),
        Some(Command::Inspect(args)) => {
            configured(ui, Overrides::default(), |ui, settings| inspect::run(ui, settings, &args))
        }
        Some(Command::Rename(args)) => configured(ui, Overrides::default(), |_, _| rename::run(&args)),
        Some(Command::Port(args)) => {
            configured(ui, Overrides::default(), |ui, settings| port::run(ui, settings, &args))
        }
        Some(Command::Top(args)) => configured(ui, Overrides::default(), |ui, _| top::run(ui, &args)),
        Some(Command::Stats(args)) => configured(ui, Overrides::default(), |ui, _| stats::run(ui, &args)),
        Some(Command::Logs(args)) => configured(ui, Overrides::default(), |ui, _| logs::run(ui, &args)),
        Some(Command::Events(args)) => configured(ui, Overrides::default(), |ui, _| events::run(ui, &args)),
        Some(Command::Commit(args)) => {
            configured(ui, Overrides::default(), |ui, settings| commit::run(ui, settings, &args))
        }
        Some(Command::Diff(args)) => {
            configured(ui, Overrides::default(), |ui, settings| diff::run(ui, settings, &args))
        }
        Some(Command::Apply(args)) => home::apply(ui, &args),
        Some(Command::Discard(args)) => home::discard(ui, &args),
        Some(Command::Cp(args)) => configured(ui, Overrides::default(), |ui, settings| cp::run(ui, settings, &args)),
        Some(Command::Export(args)) => {
            configured(ui, Overrides::default(), |ui, settings| export::run(ui, settings, &args))
        }
        Some(Command::Unexport(args)) => configured(ui, Overrides::default(), |ui, _| export::unexport(ui, &args)),
        Some(Command::Import(args)) => {
            configured(ui, Overrides::default(), |ui, settings| import::run(ui, settings, &args))
        }
        Some(Command::Save(args)) => {
            configured(ui, Overrides::default(), |ui, settings| save::save(ui, settings, &args))
        }
        Some(Command::Load(args)) => configured(ui, args.overrides(), |ui, settings| load::run(ui, settings, &args)),
        Some(Command::Tag(args)) => configured(ui, Overrides::default(), |ui, settings| tag::tag(ui, settings, &args)),
        Some(Command::Untag(args)) => {
            configured(ui, Overrides::default(), |ui, settings| tag::untag(ui, settings, &args))
        }
        Some(Command::History(args)) => {
            configured(ui, Overrides::default(), |ui, settings| history::run(ui, settings, &args))
        }
        Some(Command::Run(args)) => {
            configured(ui, args.create.overrides(), |ui, settings| run::run(ui, settings, &args))
        }
        Some(Command::Create(args)) => {
            configured(ui, args.overrides(), |ui, settings| create::run(ui, settings, &args))
        }
        Some(Command::Start(args)) => {
            configured(ui, Overrides::default(), |ui, settings| start::run(ui, settings, &args))
        }
        Some(Command::Stop(args)) => configured(ui, Overrides::default(), |ui, _| stop::run(ui, &args)),
        Some(Command::Restart(args)) => configured(ui, Overrides::default(), |ui, _| restart::run(ui, &args)),
        Some(Command::Kill(args)) => configured(ui, Overrides::default(), |ui, _| kill::run(ui, &args)),
        Some(Command::Pause(args)) => configured(ui, Overrides::default(), |ui, _| pause::pause(ui, &args)),
        Some(Command::Unpause(args)) => configured(ui, Overrides::default(), |ui, _| pause::unpause(ui, &args)),
        Some(Command::Rm(args)) => configured(ui, Overrides::default(), |ui, _| rm::run(ui, &args)),
        Some(Command::Wait(args)) => configured(ui, Overrides::default(), |ui, _| wait::run(ui, &args)),
        Some(Command::Exec(args)) => configured(ui, Overrides::default(), |ui, _| exec::run(ui, &args)),
        Some(Command::Attach(args)) => configured(ui, Overrides::default(), |ui, _| attach::run(ui, &args)),
        Some(Command::Update(args)) => configured(ui, Overrides::default(), |ui, _| update::run(ui, &args)),
        Some(Command::Info(args)) => {
            configured(ui, Overrides::default(), |ui, settings| system::info::run(ui, settings, &args))
        }
        Some(Command::Version(args)) => configured(ui, Overrides::default(), |ui, _| system::version::run(ui, &args)),
        Some(Command::Df(args)) => configured(ui, Overrides::default(), |ui, _| system::df::run(ui, &args)),
        Some(Command::Verify(args)) => {
            configured(ui, Overrides::default(), |ui, settings| verify::run(ui, settings, &args))
        }
        Some(Command::Container(ContainerCommand::Prune(args))) => {
            configured(ui, Overrides::default(), |ui, _| prune::containers(ui, &args))
        }
        Some(Command::Container(ContainerCommand::Exists(args))) => {
            configured(ui, Overrides::default(), |_, _| exists::container(&args))
        }
        Some(Command::Image(ImageCommand::Exists(args))) => {
            configured(ui, Overrides::default(), |_, settings| exists::image(settings, &args))
        }
        Some(Command::Image(ImageCommand::Pin(args))) => {
            configured(ui, Overrides::default(), |ui, settings| pin::pin(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Unpin(args))) => {
            configured(ui, Overrides::default(), |ui, settings| pin::unpin(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Diff(args))) => {
            configured(ui, Overrides::default(), |ui, settings| diff::images(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Tree(args))) => {
            configured(ui, Overrides::default(), |ui, settings| image_tree::run(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Trust(verb))) => {
            configured(ui, Overrides::default(), |ui, settings| match &verb {
                TrustCommand::Show(args) => trust::show(ui, settings, args),
                TrustCommand::Set(args) => trust::set(ui, settings, args),
            })
        }
        Some(Command::Image(ImageCommand::Mount(args))) => {
            configured(ui, Overrides::default(), |ui, settings| image_mount::mount(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Unmount(args))) => {
            configured(ui, Overrides::default(), |ui, settings| image_mount::unmount(ui, settings, &args))
        }
        Some(Command::Image(ImageCommand::Prune(args))) => {
            configured(ui, Overrides::default(), |ui, _| prune::images(ui, &args))
        }
        Some(Command::System(SystemCommand::Prune(args))) => {
            configured(ui, Overrides::default(), |ui, _| prune::system(ui, &args))
        }
        // The other verbs of the groups are those that stand alone.
        Some(Command::Container(verb)) => dispatch(Cli { command: Some(verb.into()), ..cli }, ui),
        Some(Command::Image(verb)) => dispatch(Cli { command: Some(verb.into()), ..cli }, ui),
        Some(Command::System(verb)) => dispatch(Cli { command: Some(verb.into()), ..cli }, ui),
        Some(Command::Generate(GenerateCommand::Systemd(args))) => {
            configured(ui, Overrides::default(), |ui, _| generate::systemd(ui, &args))
        }
        Some(Command::Manifest(verb)) => configured(ui, Overrides::default(), |ui, settings| match &verb {
            ManifestCommand::Create(args) => manifest::create(ui, settings, args),
            ManifestCommand::Add(args) => manifest::add(ui, settings, args),
            ManifestCommand::Annotate(args) => manifest::annotate(ui, settings, args),
            ManifestCommand::Remove(args) => manifest::remove(ui, settings, args),
            ManifestCommand::Inspect(args) => manifest::inspect(ui, settings, args),
            ManifestCommand::Push(args) => manifest::push::run(ui, settings, args),
            ManifestCommand::Rm(args) => manifest::rm(ui, args),
            ManifestCommand::Exists(args) => manifest::exists(args),
        }),
        Some(Command::Network(verb)) => configured(ui, Overrides::default(), |ui, _| network::run(ui, &verb)),
        Some(Command::Volume(verb)) => configured(ui, Overrides::default(), |ui, _| volume::run(ui, &verb)),
        Some(Command::Healthcheck(HealthcheckCommand::Run(args))) => {
            configured(ui, Overrides::default(), |ui, _| healthcheck::run(ui, &args))
        }
        Some(Command::Doctor(args)) => configured(ui, Overrides::default(), |ui, _| doctor::run(ui, &args)),
        Some(Command::Cowfs(args)) => cowfs::run(&args),
        Some(Command::Allow(args)) => configured(ui, Overrides::default(), |ui, _| project::allow(ui, &args)),
        Some(Command::Deny(args)) => configured(ui, Overrides::default(), |ui, _| project::deny(ui, &args)),
        Some(Command::Init(args)) => configured(ui, Overrides::default(), |ui, _| project::init(ui, &args)),
        Some(Command::Completion(args)) => completion::run(ui, &args),
    }
}

/// `enter NAME`: a shell, or the project here.
fn enter(args: cli::ShellArgs, ui: &mut Ui) -> Result<ExitCode, Failure> {
    configured(ui, args.overrides(), |ui, settings| match args.name() {
        project::HERE => project::enter(ui, settings, args),
        _ => shell::run(ui, settings, &args),
    })
}

/// Resolves the settings, and speaks by them from here on.
fn configured(
    ui: &mut Ui,
    flags: Overrides,
    command: impl FnOnce(&Ui, &Settings) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let settings = settings::load(flags)?;
    *ui = Ui::new(settings.color, settings.progress);
    command(ui, &settings)
}

fn say(ui: &Ui, text: &str) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    output.text(text);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn answer(ui: &Ui, said: Said) -> Result<ExitCode, Failure> {
    match said {
        Said::Asked(text) => {
            let mut output = ui.output();
            output.styled(&if ui.colors_output() { text.ansi().to_string() } else { text.to_string() });
            output.finish()?;
        }
        Said::Help(text) => ui.note(&text.to_string()),
        Said::Wrong(failure) => return Err(failure),
    }
    Ok(ExitCode::SUCCESS)
}
