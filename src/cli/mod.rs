//! What can be typed: clap types, and nothing else. One definition feeds the parser, `--help`, completions and manuals.
//!
//! Callers are `commands`. Nothing here reads a file or the environment; what a flag means is decided elsewhere.

pub mod error;
pub mod shell;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub use shell::ShellArgs;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "enter",
    version,
    about = "A shell in a container image within a blink: no daemon, no root",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100,
    override_usage = "enter [OPTIONS] NAME [COMMAND]...\n       enter SUBCOMMAND ..."
)]
pub struct Cli {
    /// What to do; None: open a shell by [`Cli::shell`].
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags and the name of `enter NAME`.
    #[command(flatten)]
    pub shell: ShellArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a shell in an image; NAME is never taken for a subcommand
    Shell(Box<ShellArgs>),
    /// Print the completions for a shell
    Completion(CompletionArgs),
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

/// Reads a command line; `args` begins with the program's name.
pub fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let shell = match &mut cli.command {
        None => &mut cli.shell,
        Some(Command::Shell(shell)) => {
            shell.literal = true;
            shell
        }
        Some(_) => return Ok(cli),
    };
    shell.complete(args)?;
    Ok(cli)
}

/// The words that are subcommands, for "did you mean".
pub fn subcommands() -> Vec<String> {
    let mut command = Cli::command();
    command.build();
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name().to_owned()).collect()
}
