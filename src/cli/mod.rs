//! What can be typed: clap types, and nothing else. One definition feeds the parser, `--help`, completions and manuals.
//!
//! Callers are `commands`. Nothing here reads a file or the environment; what a flag means is decided elsewhere.

mod archive;
mod back;
mod boxes;
mod command;
mod commit;
mod control;
mod cowfs;
mod cp;
mod doctor;
mod elsewhere;
mod error;
mod events;
pub mod examples;
pub mod exec;
pub mod exists;
mod explain;
mod generate;
pub mod group;
pub mod healthcheck;
mod home;
mod images;
mod inspect;
mod login;
mod logs;
mod manifest;
mod network;
mod outward;
mod port;
mod project;
mod prune;
mod ps;
mod pull;
mod push;
mod reach;
mod rebase;
mod remake;
mod rename;
pub mod run;
mod search;
mod share;
pub mod shell;
mod ssh;
mod start;
mod stats;
mod system;
mod tag;
mod top;
mod trees;
mod trust;
mod update;
mod verify;
mod volume;

use std::ffi::OsString;

use clap::builder::{StringValueParser, TypedValueParser as _};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand as _, ValueEnum};

pub use archive::{ArchiveForm, ImportArgs, LoadArgs, SaveArgs};
pub use back::{KeepArgs, RestoreArgs};
pub use boxes::{BoxSetting, CloneArgs, LsArgs, SetArgs, Unset, name as box_name};
pub use command::Command;
pub use commit::{CommitArgs, DiffArgs, ManifestForm};
pub use control::{Chosen, Condition, KillArgs, PauseArgs, RestartArgs, RmArgs, StopArgs, WaitArgs};
pub use cowfs::CowfsArgs;
pub use cp::{CpArgs, ExportArgs, UnexportArgs};
pub use doctor::DoctorArgs;
pub use error::{FOREIGN_VERBS, Said, instead_of};
pub use events::EventsArgs;
pub use exec::{AttachArgs, ExecArgs};
pub use exists::{ContainerExistsArgs, ImageExistsArgs};
pub use explain::ExplainArgs;
pub use generate::{GenerateCommand, SystemdArgs};
pub use group::{ContainerCommand, ImageCommand, SystemCommand};
pub use healthcheck::{HealthcheckArgs, HealthcheckCommand};
pub use home::{ApplyArgs, AsideArgs};
pub use images::{ImageSortKey, ImagesArgs, PinArgs, RmiArgs};
pub use inspect::{InspectArgs, Inspected, ObjectKind};
pub use login::{LoginArgs, LogoutArgs};
pub use logs::LogsArgs;
pub use manifest::{
    ListForm, ManifestAddArgs, ManifestAnnotateArgs, ManifestCommand, ManifestCreateArgs, ManifestExistsArgs,
    ManifestInspectArgs, ManifestPushArgs, ManifestRemoveArgs, ManifestRmArgs, SaidArgs,
};
pub use network::{
    NetworkCommand, NetworkConnectArgs, NetworkCreateArgs, NetworkDisconnectArgs, NetworkExistsArgs,
    NetworkInspectArgs, NetworkLsArgs, NetworkPruneArgs, NetworkReloadArgs, NetworkRmArgs, NetworkUpdateArgs,
};
pub use port::{PortArgs, PortChangeArgs, PortCommand};
pub use project::{AllowArgs, DenyArgs, InitArgs, PROJECT_KEYS};
pub use prune::{ContainerPruneArgs, ImagePruneArgs, PruneArgs, SystemPruneArgs};
pub use ps::{PsArgs, SortKey};
pub use pull::PullArgs;
pub use push::{CompressionForm, PushArgs, PushForm};
pub use reach::ReachArgs;
pub use rebase::RebaseArgs;
pub use remake::RemakeArgs;
pub use rename::RenameArgs;
pub use run::{CreateArgs, RunArgs};
pub use search::SearchArgs;
pub use share::ShareArgs;
pub use shell::ShellArgs;
pub use ssh::{SshConfigArgs, SshProxyArgs};
pub use start::StartArgs;
pub use stats::StatsArgs;
pub use system::{DescribeArgs, DfArgs, InfoArgs};
pub use tag::{HistoryArgs, TagArgs, UntagArgs};
pub use top::TopArgs;
pub use trees::{ImageDiffArgs, ImageMountArgs, ImageTreeArgs, ImageUnmountArgs};
pub use trust::{TrustCommand, TrustKind, TrustSetArgs, TrustShowArgs};
pub use update::UpdateArgs;
pub use verify::{VerifyArgs, VerifyForm};
pub use volume::{
    VolumeCommand, VolumeCreateArgs, VolumeExportArgs, VolumeImportArgs, VolumeInspectArgs, VolumeLsArgs,
    VolumeMountArgs, VolumePruneArgs, VolumeRmArgs,
};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "enter",
    version,
    about = "A shell in a container image within a blink: no daemon, no root",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    args_override_self = true,
    max_term_width = 100,
    override_usage = "enter [OPTIONS] NAME [COMMAND]...\n       enter SUBCOMMAND ...\n       enter"
)]
pub struct Cli {
    /// What to do; None: open a shell by [`Cli::shell`].
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags and the name of `enter NAME`.
    #[command(flatten)]
    pub shell: ShellArgs,
}

/// `enter completion`.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell to complete for
    pub shell: CompletionShell,
}

/// A shell that completions exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Fish,
    Zsh,
}

/// `enter NAME` alone.
#[derive(Debug, Parser)]
#[command(name = "enter", args_override_self = true, disable_version_flag = true)]
struct ShellCli {
    #[command(flatten)]
    shell: ShellArgs,
}

/// A command line without any word that could be a subcommand, read by the definition of `enter NAME` alone, in half of the time.
/// Where it is not understood, the whole definition says why.
fn shell_alone(args: &[OsString]) -> Option<Cli> {
    let is_subcommand =
        |word: &OsString| word.to_str().is_some_and(|word| word == "help" || Command::has_subcommand(word));
    // What stands behind `--` is a name or a command in any case.
    if args.iter().skip(1).take_while(|word| *word != "--").any(is_subcommand) {
        return None;
    }
    let mut shell = ShellCli::try_parse_from(args).ok()?.shell;
    shell.complete(args);
    Some(Cli { command: None, shell })
}

/// Reads a command line; `args` begins with the program's name.
pub fn parse(args: &[OsString]) -> Result<Cli, Said> {
    if let Some(cli) = shell_alone(args) {
        return Ok(cli);
    }
    // Examples, and what groups say of their verbs, are for help only: to put them in takes longer than all the rest.
    let matches = Cli::command().try_get_matches_from(args).or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            definition().try_get_matches_from(args)
        }
        _ => with_truth_values(args, error),
    });
    let matches = matches.map_err(|error| error::said(&error, args))?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error::said(&error, args))?;
    let shell = match &mut cli.command {
        None => &mut cli.shell,
        Some(Command::Shell(shell)) => {
            shell.literal = true;
            shell
        }
        Some(_) => return Ok(cli),
    };
    shell.complete(args);
    Ok(cli)
}

/// Reads a command line that was refused once more, with `--flag=true` and `--flag=false` allowed for flags without a value, as docker and
/// podman do. Where it is refused again, it is for the first reason.
fn with_truth_values(args: &[OsString], refused: clap::Error) -> Result<clap::ArgMatches, clap::Error> {
    if !refused.use_stderr() {
        // Not refused, but answered: help, or the version.
        return Err(refused);
    }
    let truth = |arg: clap::Arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(StringValueParser::new().try_map(|text| match text.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err("expected true or false"),
            })),
        _ => arg,
    };
    let names = |command: &clap::Command| -> Vec<String> {
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect()
    };
    let lenient = names(&definition()).iter().fold(definition(), |command, name| {
        command.mut_subcommand(name, |sub| {
            let verbs = names(&sub);
            verbs.iter().fold(sub.mut_args(truth), |sub, verb| sub.mut_subcommand(verb, |verb| verb.mut_args(truth)))
        })
    });
    match lenient.try_get_matches_from(args) {
        Err(error) if error.kind() == ErrorKind::ValueValidation => Err(error),
        Err(_) => Err(refused),
        matches => matches,
    }
}

/// The whole definition: parser, help, completions and manuals are made of it.
pub fn definition() -> clap::Command {
    let command = group::describe(Cli::command());
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.iter().fold(group::with_examples(command, "enter"), |command, name| {
        command.mut_subcommand(name, |sub| group::with_examples(sub, name))
    })
}

/// The words that are subcommands.
pub fn subcommands() -> Vec<String> {
    definition().get_subcommands().map(|sub| sub.get_name().to_owned()).chain(["help".into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> ShellArgs {
        let args: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        match parse(&args).unwrap_or_else(|error| panic!("{line}: {error:?}")) {
            Cli { command: None, shell } => shell,
            Cli { command: Some(Command::Shell(shell)), .. } => *shell,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn words(shell: &ShellArgs) -> String {
        let command: Vec<_> = shell.command.iter().map(|word| word.to_string_lossy()).collect();
        format!("{} <- {}{}", shell.name(), command.join(" "), if shell.literal { " (literal)" } else { "" })
    }

    #[test]
    fn the_definition_is_sound() {
        let command = Cli::command();
        command.debug_assert();
    }

    fn created(line: &str) -> CreateArgs {
        let args: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        match parse(&args).unwrap_or_else(|error| panic!("{line}: {error:?}")).command {
            Some(Command::Run(run)) => run.create,
            Some(Command::Create(create)) => *create,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn no_flag_is_read_after_an_image() {
        let words = |line: &str| {
            let args = created(line);
            let command: Vec<_> = args.command().iter().map(|word| word.to_string_lossy()).collect();
            format!("{} <- {}", args.image().to_string_lossy(), command.join(" "))
        };
        assert_eq!(words("enter run -it busybox -l --rm"), "busybox <- -l --rm");
        assert_eq!(words("enter run -dit -e A=b -e C busybox sh -c true"), "busybox <- sh -c true");
        assert_eq!(words("enter create -h web busybox -- ls"), "busybox <- -- ls");
        assert!(parse(&["enter", "run", "--no-such-flag", "busybox"].map(OsString::from)).is_err());
    }

    #[test]
    fn truth_values_are_docker_s() {
        let flags = |line: &str| {
            let args = created(line);
            (args.life.rm, args.process.interactive, args.process.tty)
        };
        assert_eq!(flags("enter run --rm=true -i=false -t busybox --rm=false"), (true, false, true));
        assert_eq!(flags("enter create --rm=false -it busybox"), (false, true, true));
        let Err(Said::Wrong(failure)) = parse(&["enter", "run", "--rm=maybe", "busybox"].map(OsString::from)) else {
            panic!("taken")
        };
        assert_eq!(failure.chain()[0], "--rm cannot be `maybe`: expected true or false");
    }

    #[test]
    fn name_and_command_are_told_apart() {
        for (line, expected) in [
            ("enter debian", "debian <- "),
            ("enter debian ls -l", "debian <- ls -l"),
            ("enter debian -- ls -l", "debian <- ls -l"),
            ("enter debian -- -x", "debian <- -x"),
            ("enter debian sh -c x -- --help", "debian <- sh -c x -- --help"),
            ("enter debian ls -u root", "debian <- ls -u root"),
            ("enter -- pull", "pull <-  (literal)"),
            ("enter -- pull ls", "pull <- ls (literal)"),
            ("enter -- pull -- ls", "pull <- ls (literal)"),
            ("enter --rm -- pull", "pull <-  (literal)"),
            ("enter shell pull", "pull <-  (literal)"),
            ("enter shell pull -- ls", "pull <- ls (literal)"),
            ("enter shell -- pull ls", "pull <- ls (literal)"),
            ("enter -u root pull", "pull <- "),
            ("enter debian -- --", "debian <- --"),
        ] {
            assert_eq!(words(&shell(line)), expected, "{line}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_flag_counts() {
        assert_eq!(shell("enter -u a -u b debian").user.unwrap(), "b");
        assert_eq!(shell("enter shell -u a -u b debian").user.unwrap(), "b");
    }

    #[test]
    fn flags_may_stand_between_name_and_command_but_no_later() {
        let shell = shell("enter debian -u root id -u");
        assert_eq!((shell.user.as_deref(), words(&shell).as_str()), (Some("root"), "debian <- id -u"));
    }
}
