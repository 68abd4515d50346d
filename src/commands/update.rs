//! `enter update CONTAINER…`: changes what a container was made as, as far as that can be changed.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::record::{Resources, Restart};
use enter::container::{Container, Containers, Error};

use super::chosen::{self, Others};
use super::{containers, limits};
use crate::cli::UpdateArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Changes each, running or not. A monitor reads the policy when its container ends, and so follows the new one.
pub fn run(ui: &Ui, args: &UpdateArgs) -> Result<ExitCode, Failure> {
    if let Some((flag, _)) = args.refused.0.iter().find(|(flag, value)| !flag.asks_nothing(value.as_deref())) {
        return Err(Failure::new(format!("--{} cannot be had: {}", flag.long, flag.reason)).with_hint(flag.mend));
    }
    let resources = args.resources.resources(None);
    let change = Change { restart: args.restart, resources };
    if change.restart.is_none() && change.resources.is_empty() {
        return Err(Failure::new("nothing is to be changed")
            .with_hint("say what: --restart POLICY, --memory BYTES, --cpus NUMBER, …")
            .with_code(VERB_FAILED));
    }
    let containers = containers::of_user()?;
    let found = chosen::find(&containers, &args.chosen, Others::default(), |_| true)?;
    chosen::each(ui, found, |container| update(&containers, &container, &change))
}

/// What is to be changed.
struct Change {
    restart: Option<Restart>,
    resources: Resources,
}

fn update(containers: &Containers, container: &Container, change: &Change) -> Result<(), Failure> {
    let verb_failed = |error: Error| Failure::from(error).with_code(VERB_FAILED);
    let name = &container.record.name;
    if (container.record.spec.remove || container.record.spec.shell)
        && change.restart.is_some_and(|restart| restart != Restart::No)
    {
        let message = format!("cannot restart {name}: it is removed when it ends");
        return Err(Failure::new(message).with_hint("it was made with --rm").with_code(VERB_FAILED));
    }
    limits::change(container, &change.resources).map_err(|failure| failure.with_code(VERB_FAILED))?;
    let changed = containers.change(container, |record| {
        record.spec.restart = change.restart.unwrap_or(record.spec.restart);
        record.spec.resources.change(&change.resources);
        Ok(())
    });
    let record = changed.map_err(verb_failed)?;
    Journal::beside(&container.folder).add(&Event::of_container(&record, "update"));
    Ok(())
}
