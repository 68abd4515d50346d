//! What is kept of throwaway shells no longer is removed by a process of its own, so that nobody waits for it.
//!
//! `enter __clear` is started by a command that finds something to do, and by a monitor that has set something aside.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use enter::container::dropped::{self, Dropped};
use enter::container::folder::Folder;
use enter::container::sweep as removal;

use super::super::shell::limit;
use super::super::state::State;
use crate::failure::Failure;
use crate::settings::{self, Overrides};

/// The role's name.
pub const ROLE: &str = dropped::CLEAR;

/// Starts the process where something is kept no longer. Costs the reading of one directory.
pub fn sweep(root: &Path) {
    let all = dropped::all(root);
    // Settings that cannot be read are told by the command itself.
    if !all.is_empty()
        && let Ok(settings) = settings::load(Overrides::default())
        && dropped::excess(&all, settings.restore_time, limit(&settings)).next().is_some()
    {
        dropped::clear_in_background();
    }
}

/// Plays the role.
pub fn play() -> Result<ExitCode, Failure> {
    let settings = settings::load(Overrides::default())?;
    let state = State::of_user()?;
    let all = dropped::all(state.root());
    for one in dropped::excess(&all, settings.restore_time, limit(&settings)) {
        // What cannot be removed now is tried again by the next.
        let _ = remove(&state, one);
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes one for good, unless somebody is at work on it.
pub fn remove(state: &State, dropped: &Dropped) -> io::Result<bool> {
    let Some(folder) = Folder::take(&dropped.path).map_err(io::Error::other)? else { return Ok(false) };
    removal::container(folder.path(), &|| state.outer()).map(|()| true)
}
