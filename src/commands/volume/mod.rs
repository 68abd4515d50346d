//! `enter volume …`: making, listing, looking at and removing volumes.

mod files;
mod inspect;
pub mod ls;
mod rm;
pub mod row;

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::volumes;
use enter::volume::{Asked, Error, Volume, Volumes};

use super::state::State;
use crate::cli::{VolumeCommand, VolumeCreateArgs, VolumeMountArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

pub use inspect::value;
pub use rm::prune_unused;

/// Does what a verb says.
pub fn run(ui: &Ui, verb: &VolumeCommand) -> Result<ExitCode, Failure> {
    let done = match verb {
        VolumeCommand::Create(args) => create(ui, args),
        VolumeCommand::Exists(args) => {
            let found = of_user()?.named(&args.volume).is_some();
            return Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) });
        }
        VolumeCommand::Export(args) => files::export(args),
        VolumeCommand::Import(args) => files::import(ui, args),
        VolumeCommand::Inspect(args) => inspect::run(ui, args),
        VolumeCommand::Ls(args) => ls::run(ui, args),
        VolumeCommand::Mount(args) => each(ui, args, |volume| volume.data().display().to_string()),
        VolumeCommand::Prune(args) => rm::prune(ui, args),
        VolumeCommand::Rm(args) => rm::run(ui, args),
        VolumeCommand::Unmount(args) => each(ui, args, |volume| volume.record.name.clone()),
    };
    done.map_err(|failure| failure.with_code(VERB_FAILED))
}

/// The volumes of this user.
pub fn of_user() -> Result<Volumes, Failure> {
    Ok(Volumes::below(State::of_user()?.root()))
}

fn create(ui: &Ui, args: &VolumeCreateArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let volumes = Volumes::below(state.root());
    clear(ui, &state, &volumes)?;
    let name = args.name.clone().or_else(|| args.old_name.clone());
    let asked = Asked {
        anonymous: name.is_none(),
        name: name.clone(),
        labels: args.label.iter().cloned().collect(),
        options: args.opt.iter().cloned().collect(),
    };
    let lock = volumes.lock()?;
    let name = match volumes.create(&lock, asked) {
        Ok(made) => {
            Journal::at(state.root()).add(&Event::of_volume(&made.record.name, "create"));
            made.record.name
        }
        Err(Error::Exists(name)) if args.ignore => name,
        Err(error) => return Err(error.into()),
    };
    let mut output = ui.output();
    output.line(name);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Clears away what killed commands have left.
fn clear(ui: &Ui, state: &State, volumes: &Volumes) -> Result<(), Failure> {
    let outer = || state.outer();
    for (path, error) in volumes::sweep(volumes, &outer)? {
        ui.warning(&format!("cannot clear what is left of a volume in {}: {error}", path.display()));
    }
    Ok(())
}

/// Prints a line for each of the volumes that were named; what is not there is told at the end.
fn each(ui: &Ui, args: &VolumeMountArgs, line: impl Fn(&Volume) -> String) -> Result<ExitCode, Failure> {
    let volumes = of_user()?;
    let (mut output, mut failures) = (ui.output(), Vec::new());
    for typed in &args.volumes {
        match volumes.find(typed) {
            Ok(volume) => output.line(line(&volume)),
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    output.finish()?;
    failures.iter().for_each(|failure| ui.failure(failure));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}
