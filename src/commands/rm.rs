//! `enter rm CONTAINER…`: removes containers with everything that they have written.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use enter::container::events::{Event, Journal};
use enter::container::folder::Folder;
use enter::container::planning::caller::Caller;
use enter::container::{Container, Containers, Error, sweep, volumes};
use nix::sys::signal::Signal;

use super::chosen::{self, Others};
use super::{containers, state, stop};
use crate::cli::RmArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// So long a container that is being started, or changed, is waited for that is to go by force.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes each. With `--force`, one that is not there is told, and is no failure, as docker has it.
pub fn run(ui: &Ui, args: &RmArgs) -> Result<ExitCode, Failure> {
    if args.link {
        return Err(Failure::new("cannot remove a link between containers: there are none")
            .with_hint("--latest, in full, names the container that was made last")
            .with_code(VERB_FAILED));
    }
    let containers = containers::of_user()?;
    let others = Others { all: args.all, latest: args.latest, ignore: args.ignore };
    // A box goes only if it is named.
    let mut found = chosen::find(&containers, &args.chosen, others, |container| container.record.spec.boxed.is_none())?;
    if args.force || args.ignore {
        found.retain(|(typed, container)| {
            let is_there = !matches!(container, Err(Error::NoSuchContainer(_)));
            if !is_there && !args.ignore {
                ui.failure(&Error::NoSuchContainer(typed.clone()).into());
            }
            is_there
        });
    }
    chosen::each(ui, found, |container| remove(&containers, &container, args))
}

/// Removes one container.
pub fn remove(containers: &Containers, container: &Container, args: &RmArgs) -> Result<(), Failure> {
    take_away(containers, container, args.force, args.time, args.volumes)
}

/// Removes one container; by force also if it runs, with so many seconds to end by itself. `volumes`: those without a name go with it.
pub fn take_away(
    containers: &Containers,
    container: &Container,
    force: bool,
    time: Option<i64>,
    volumes: bool,
) -> Result<(), Failure> {
    let name = &container.record.name;
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if force {
            let ended = end(container, time);
            ended.map_err(|error| failed(Failure::new(format!("cannot end {name}")).because(error)))?;
        }
        if let Some(_folder) = Folder::take(&container.folder).map_err(|error| failed(error.into()))? {
            return clear(container, volumes);
        }
        match containers.find(&container.record.id) {
            // Its monitor has removed it, or another command.
            Err(Error::NoSuchContainer(_)) if force || container.record.spec.remove || container.record.spec.shell => {
                return Ok(());
            }
            Err(error) => return Err(failed(error.into())),
            // It was only just being started when it was to end.
            Ok(_) if force && Instant::now() < deadline => {}
            Ok(now) if now.is_alive() => {
                return Err(failed(
                    Failure::new(format!("cannot remove {name}: it is {}", now.state.status.name()))
                        .with_hint(format!("stop it first, or remove it by force: enter rm -f {name}")),
                ));
            }
            Ok(_) => return Err(failed(Error::Busy(name.clone()).into())),
        }
    }
}

/// Removes all of a container that does not live, and whose lock the caller holds. `volumes`: those without a name, too.
pub fn clear(container: &Container, volumes: bool) -> Result<(), Failure> {
    let caller = Caller::find()?;
    let outer = || state::outer_maps(&caller).ok();
    let failed = || Failure::new(format!("cannot remove all of {}", container.record.name)).with_code(VERB_FAILED);
    enter::container::exports::remove_all(&container.folder);
    sweep::container(&container.folder, &outer).map_err(|error| failed().because(error))?;
    Journal::beside(&container.folder).add(&Event::of_container(&container.record, "destroy"));
    if let Some(root) = container.folder.ancestors().nth(2).filter(|_| volumes) {
        let names: Vec<String> = volumes::of(&container.record).map(str::to_owned).collect();
        volumes::remove_anonymous(root, &names, &outer);
    }
    Ok(())
}

/// Ends a container that runs: at once, or in the time that it is given.
fn end(container: &Container, time: Option<i64>) -> Result<(), Error> {
    let (signal, grace) = match time {
        Some(seconds) => (None, stop::grace(seconds)),
        None => (Some(Signal::SIGKILL as i32), Duration::ZERO),
    };
    let asked = stop::begin(container, signal, Some(grace))?;
    asked.map_or(Ok(()), |remote| remote.until_gone())
}
