//! `enter rename CONTAINER NEW-NAME`.

use std::process::ExitCode;

use enter::container::Container;
use enter::container::events::{Event, Journal};
use enter::network::Networks;

use super::containers;
use super::network::connect;
use super::state::State;
use crate::cli::RenameArgs;
use crate::failure::{Failure, VERB_FAILED};

/// Renames it, running or not. Like docker, it prints nothing.
pub fn run(args: &RenameArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let container = containers::find(&containers, &args.container)?;
    // docker's own tools write names with a slash before them.
    let name = args.name.strip_prefix('/').unwrap_or(&args.name);
    let old = &container.record.name;
    if name == old {
        return Err(Failure::new(format!("container {old} has this name already")).with_code(VERB_FAILED));
    }
    containers.rename(&container, name).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    let tenants = Networks::below(State::of_user()?.root());
    if tenants.leases_of(&container.record.id).is_ok_and(|leases| !leases.is_empty()) {
        tenants
            .rename_tenant(&container.record.id, name)
            .map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
        if container.is_alive() {
            connect::refresh(&container)?;
        }
    }

    let mut renamed = container.record.clone();
    renamed.name = name.to_owned();
    super::export::renamed(&Container { record: renamed.clone(), ..container.clone() })?;
    let event = Event::of_container(&renamed, "rename").with("oldName", format!("/{old}"));
    Journal::beside(&container.folder).add(&event);
    Ok(ExitCode::SUCCESS)
}
