//! `enter restart CONTAINER…`: stops each and starts it again; one that does not run is only started.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::{Container, Error};

use super::chosen::{self, Others};
use super::start::Starter;
use super::{containers, stop};
use crate::cli::RestartArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Restarts each, one after another.
pub fn run(ui: &Ui, args: &RestartArgs) -> Result<ExitCode, Failure> {
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))?;
    let containers = containers::of_user()?;
    let others = Others { all: args.all, latest: args.latest, ..Others::default() };
    let is_restarted = |container: &Container| container.is_alive() && !container.record.spec.shell;
    let found = chosen::find(&containers, &args.chosen, others, is_restarted)?;
    let starter = Starter::new(ui)?;
    chosen::each(ui, found, |container| {
        let name = &container.record.name;
        if container.record.spec.shell {
            return Err(Failure::new(format!("cannot restart {name}: it is a shell, which ends with its terminal"))
                .with_hint("open a new one with `enter IMAGE`")
                .with_code(VERB_FAILED));
        }
        stop::finish(&container, stop::begin(&container, args.signal, args.time.map(stop::grace)))?;
        let again = containers.find(&container.record.id).map_err(|error| match error {
            Error::NoSuchContainer(_) => {
                Failure::new(format!("cannot start {name} again: it was to be removed when it ends"))
                    .with_hint("run it without --rm")
                    .with_code(VERB_FAILED)
            }
            error => Failure::from(error).with_code(VERB_FAILED),
        })?;
        starter.start(&again)?;
        Journal::beside(&again.folder).add(&Event::of_container(&again.record, "restart"));
        Ok(())
    })
}
