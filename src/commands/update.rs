//! `enter update CONTAINER…`: changes what a container was made as, as far as that can be changed.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::record::Restart;
use enter::container::{Container, Containers, Error};

use super::chosen::{self, Others};
use super::containers;
use crate::cli::UpdateArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Changes each, running or not. A monitor reads the policy when its container ends, and so follows the new one.
pub fn run(ui: &Ui, args: &UpdateArgs) -> Result<ExitCode, Failure> {
    if let Some((flag, _)) = args.refused.0.iter().find(|(flag, value)| !flag.asks_nothing(value.as_deref())) {
        return Err(Failure::new(format!("--{} cannot be had: {}", flag.long, flag.reason)).with_hint(flag.mend));
    }
    let Some(restart) = args.restart else {
        return Err(Failure::new("nothing is to be changed")
            .with_hint("say what: --restart POLICY")
            .with_code(VERB_FAILED));
    };
    let containers = containers::of_user()?;
    let found = chosen::find(&containers, &args.chosen, Others::default(), |_| true)?;
    chosen::each(ui, found, |container| update(&containers, &container, restart))
}

fn update(containers: &Containers, container: &Container, restart: Restart) -> Result<(), Failure> {
    let verb_failed = |error: Error| Failure::from(error).with_code(VERB_FAILED);
    if (container.record.spec.remove || container.record.spec.shell) && restart != Restart::No {
        let message = format!("cannot restart {}: it is removed when it ends", container.record.name);
        return Err(Failure::new(message).with_hint("it was made with --rm").with_code(VERB_FAILED));
    }
    let changed = containers.change(container, |record| {
        record.spec.restart = restart;
        Ok(())
    });
    let record = changed.map_err(verb_failed)?;
    Journal::beside(&container.folder).add(&Event::of_container(&record, "update"));
    Ok(())
}
