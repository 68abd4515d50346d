//! `enter completion SHELL` prints the script that a shell reads; `enter __complete` is what that script calls.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueEnum as _;
use enter::container::record::Status;

use crate::cli::{self, CompletionArgs, CompletionShell};
use crate::completion::{self, Names, Wanted, shells};
use crate::failure::Failure;
use crate::ui::Ui;

/// Prints the script for `args.shell`.
pub fn run(ui: &Ui, args: &CompletionArgs) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    output.text(shells::script(args.shell));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers a script's question: `arguments` are the shell's name and what it knows of the line. Whatever goes wrong here
/// must not disturb the line that is being typed, so that it ends in no answer.
pub fn answer(ui: &Ui, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some((shell, arguments)) = arguments.split_first() else { return Ok(ExitCode::SUCCESS) };
    let Ok(shell) = CompletionShell::from_str(shell, false) else { return Ok(ExitCode::SUCCESS) };
    let mut definition = cli::definition();
    definition.build();
    let answer = completion::answer(&definition, &shells::words(shell, arguments), &Store);
    let mut output = ui.output();
    output.text(shells::show(shell, arguments, &answer));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What the store has.
struct Store;

impl Names for Store {
    fn images(&self) -> Vec<String> {
        let names = super::state::store().ok().and_then(|store| store.all_names().ok()).unwrap_or_default();
        names.iter().map(|name| name.familiar()).collect()
    }

    fn boxes(&self) -> Vec<String> {
        super::containers::of_user().map(|all| super::boxes::names(&all)).unwrap_or_default()
    }

    fn volumes(&self) -> Vec<String> {
        let all = super::volume::of_user().ok().and_then(|volumes| volumes.all().ok()).unwrap_or_default();
        all.into_iter().map(|volume| volume.record.name).collect()
    }

    fn containers(&self, wanted: Wanted) -> Vec<String> {
        let mut all = super::containers::of_user().ok().and_then(|all| all.all().ok()).unwrap_or_default();
        all.retain(|container| match wanted {
            Wanted::Any => true,
            Wanted::Alive => container.is_alive(),
            Wanted::Ended => !container.is_alive(),
            Wanted::Paused => container.state.status == Status::Paused,
        });
        all.into_iter().map(|container| container.record.name).collect()
    }

    fn networks(&self) -> Vec<String> {
        let place = super::network::Place::of_user().ok();
        let all = place.and_then(|place| place.networks.all().ok()).unwrap_or_default();
        all.into_iter().filter(|network| !network.hidden).map(|network| network.name).collect()
    }
}
