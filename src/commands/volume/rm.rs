//! `enter volume rm` and `enter volume prune`.

use std::process::ExitCode;

use enter::container::{Containers, volumes};
use enter::volume::{Error, Volume, Volumes};

use super::ls::Filters;
use super::row;
use crate::cli::{VolumePruneArgs, VolumeRmArgs};
use crate::commands::prune::agreed;
use crate::commands::rm;
use crate::commands::state::State;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, human};

/// Removes each volume, and prints its name as it was typed.
pub fn run(ui: &Ui, args: &VolumeRmArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let volumes = Volumes::below(state.root());
    super::clear(ui, &state, &volumes)?;
    let mut typed = args.volumes.clone();
    if args.all {
        typed.extend(volumes.all()?.into_iter().map(|volume| volume.record.name));
    }
    let mut failed = false;
    for typed in &typed {
        let removed =
            volumes.find(typed).map_err(Failure::from).and_then(|volume| one(&state, &volumes, &volume, args));
        match removed {
            Ok(()) => {
                let mut output = ui.output();
                output.line(typed);
                output.finish()?;
            }
            Err(_) if args.force && matches!(volumes.find(typed), Err(Error::NoSuchVolume(_))) => {}
            Err(failure) => {
                ui.failure(&failure);
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

fn one(state: &State, volumes: &Volumes, volume: &Volume, args: &VolumeRmArgs) -> Result<(), Failure> {
    let containers = Containers::below(state.root());
    let name = &volume.record.name;
    let mut lock = volumes.lock()?;
    loop {
        let mut users = volumes::users(&containers, name)?;
        if args.force {
            users.retain(|user| !user.is_damaged());
        }
        if users.is_empty() {
            break;
        }
        if !args.force {
            let containers = users.into_iter().map(|user| user.record.name).collect();
            return Err(Error::InUse { name: name.clone(), containers }.into());
        }
        // A container that goes may take volumes along.
        drop(lock);
        for user in users {
            rm::take_away(&containers, &user, true, args.time, false)?;
        }
        lock = volumes.lock()?;
    }
    // It may have gone with one of them.
    let Some(volume) = volumes.named(name) else { return Ok(()) };
    Ok(volumes::remove(volumes, lock, &volume, &|| state.outer())?)
}

/// Removes what nobody uses, after asking.
pub fn prune(ui: &Ui, args: &VolumePruneArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let volumes = Volumes::below(state.root());
    let all = args.all || args.prune.filter.iter().any(|text| matches!(text.as_str(), "all=true" | "all=1"));
    let filters = Filters::parse(&args.prune.filter, &volumes)?;
    let which = if all { "all local" } else { "anonymous local" };
    let question = format!("WARNING! This will remove {which} volumes not used by at least one container.");
    if !agreed(ui, &args.prune, &question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let gone = prune_unused(ui, &state, all, &filters)?;
    let mut output = ui.output();
    if !gone.names.is_empty() {
        output.line("Deleted Volumes:");
        gone.names.iter().for_each(|name| output.line(name));
        output.line("");
    }
    output.line(format!("Total reclaimed space: {}", human::size(gone.bytes)));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What a prune has removed.
#[derive(Debug, Default)]
pub struct Pruned {
    pub names: Vec<String>,
    pub bytes: u64,
}

/// Removes the volumes that no container uses: those without a name, or all.
pub fn prune_unused(ui: &Ui, state: &State, all: bool, filters: &Filters) -> Result<Pruned, Failure> {
    let (volumes, containers) = (Volumes::below(state.root()), Containers::below(state.root()));
    super::clear(ui, state, &volumes)?;
    let mut gone = Pruned::default();
    for volume in volumes.all()? {
        if !(all || volume.record.anonymous) || !filters.take(&volume, 0) {
            continue;
        }
        let bytes = row::size(&volume);
        let lock = volumes.lock()?;
        // It may have gone, or have come into use.
        if volumes.named(&volume.record.name).is_none() || !volumes::users(&containers, &volume.record.name)?.is_empty()
        {
            continue;
        }
        match volumes::remove(&volumes, lock, &volume, &|| state.outer()) {
            Ok(()) => {
                gone.names.push(volume.record.name);
                gone.bytes += bytes;
            }
            Err(error) => ui.failure(&error.into()),
        }
    }
    Ok(gone)
}
