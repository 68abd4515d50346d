//! `enter clone BOX NEW-NAME`: a box with all that another one has.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::folder::{Folder, unmark_throwaway};
use enter::container::planning::caller::Caller;
use enter::container::record::{Record, State as Life};
use enter::container::{Container, Containers, Error, duplicate};

use super::super::commit::held;
use super::super::rm;
use super::super::state::{self, State};
use crate::cli::CloneArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Makes it, and prints its name.
pub fn clone(ui: &Ui, args: &CloneArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let state = State::of_user()?;
    let caller = Caller::find()?;
    state.sweep(ui, &caller);
    let containers = Containers::below(state.root());
    let container = super::find(&containers, &args.name)?;
    let name = &container.record.name;
    // Nobody starts it meanwhile; where it runs, nothing in it goes on.
    let lock = Folder::take(&container.folder)?;
    let now = containers.find(&container.record.id)?;
    if lock.is_none() && !now.is_alive() {
        return Err(failed(Error::Busy(name.clone()).into()));
    }
    let mut spec = container.record.spec.clone();
    // A port of this machine has one who listens; one that the system chooses is chosen anew.
    spec.ports.retain(|port| port.chosen_from.is_some());
    let made = containers.create(Containers::new_record(spec)?, Some(&args.new));
    let (folder, record) = made.map_err(|error| failed(error.into()))?;
    // Whoever is killed half way leaves something that the next command clears away.
    let copied = folder.mark_throwaway().map_err(Failure::from).and_then(|()| {
        let maps = state::outer_maps(&caller)?;
        let hint = format!("leave it first, or stop it: enter stop {name}");
        held(&now, lock.is_none(), &hint, || {
            duplicate::upper(&container.folder, folder.path(), &maps).map_err(|error| {
                Failure::new(format!("cannot copy what was changed in {name}"))
                    .because(error)
                    .with_hint("see that there is space on the disk")
            })
        })
    });
    let kept = copied.and_then(|()| unmark_throwaway(folder.path()).map_err(Failure::from));
    if let Err(failure) = kept {
        discard(folder, record);
        return Err(failed(failure));
    }
    Journal::at(state.root()).add(&Event::of_container(&record, "create"));
    let mut output = ui.output();
    output.line(&record.name);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Removes what was begun.
fn discard(folder: Folder, record: Record) {
    let begun = Container { folder: folder.path().to_owned(), record, state: Life::default() };
    let _ = rm::clear(&begun, false);
    drop(folder);
}
