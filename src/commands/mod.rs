//! One file for each thing that a user can ask for, each read as a story: resolve, plan, execute, show.
//!
//! This file takes a command line, or a question of the program's own parts, to its story, and turns what comes back into
//! an exit code.

mod completion;
mod manual;
mod roles;
mod shell;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{self, Cli, Command, Said, ShellArgs};
use crate::failure::Failure;
use crate::settings::{self, Overrides, Settings};
use crate::ui::Ui;

/// Runs one command line; `args` begins with the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut ui = Ui::default();
    let result = match roles::of(&args) {
        Some(role) => role.play(&ui, &args[2..]),
        None => match cli::parse(&args) {
            Ok(cli) => run(cli, &mut ui),
            Err(said) => answer(&ui, said),
        },
    };
    result.unwrap_or_else(|failure| {
        ui.failure(&failure);
        ExitCode::from(failure.code())
    })
}

fn run(cli: Cli, ui: &mut Ui) -> Result<ExitCode, Failure> {
    match cli.command {
        None => open(ui, &cli.shell),
        Some(Command::Shell(args)) => open(ui, &args),
        Some(Command::Completion(args)) => completion::run(ui, &args),
    }
}

fn open(ui: &mut Ui, args: &ShellArgs) -> Result<ExitCode, Failure> {
    let settings = settings(ui, args.overrides())?;
    shell::run(ui, &settings, args)
}

/// Resolves the settings, and speaks by them from here on.
fn settings(ui: &mut Ui, flags: Overrides) -> Result<Settings, Failure> {
    let settings = settings::load(flags)?;
    *ui = Ui::new(settings.color, settings.progress);
    Ok(settings)
}

fn answer(ui: &Ui, said: Said) -> Result<ExitCode, Failure> {
    match said {
        Said::Asked(text) => {
            let mut output = ui.output();
            output.text(if ui.colors_output() { text.ansi().to_string() } else { text.to_string() });
            output.finish()?;
        }
        Said::Help(text) => ui.note(&text.to_string()),
        Said::Wrong(failure) => return Err(failure),
    }
    Ok(ExitCode::SUCCESS)
}
