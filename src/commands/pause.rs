//! `enter pause CONTAINER…` and `enter unpause CONTAINER…`: holds all processes of a container, and lets them go on.

use std::process::ExitCode;

use enter::container::record::Status;
use enter::container::{Error, Remote};

use super::chosen::{self, Others};
use super::containers;
use crate::cli::PauseArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Holds each.
pub fn pause(ui: &Ui, args: &PauseArgs) -> Result<ExitCode, Failure> {
    run(ui, args, "pause", Status::Running, Remote::pause)
}

/// Lets each go on.
pub fn unpause(ui: &Ui, args: &PauseArgs) -> Result<ExitCode, Failure> {
    run(ui, args, "unpause", Status::Paused, Remote::resume)
}

fn run(
    ui: &Ui,
    args: &PauseArgs,
    verb: &str,
    from: Status,
    work: impl Fn(&Remote) -> Result<(), Error>,
) -> Result<ExitCode, Failure> {
    let others = Others { all: args.all, latest: args.latest, ..Others::default() };
    let found = chosen::find(&containers::of_user()?, &args.chosen, others, |one| one.state.status == from)?;
    chosen::each(ui, found, |container| {
        let done = Remote::of(&container).and_then(|remote| work(&remote));
        let name = &container.record.name;
        done.map_err(|error| Failure::new(format!("cannot {verb} {name}")).because(error).with_code(VERB_FAILED))
    })
}
