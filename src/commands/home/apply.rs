//! `enter apply` and `enter discard`: what was set aside of the user's home, taken over into it or forgotten.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use enter::container::folder::Folder;

use super::chosen::{self, Chosen};
use crate::cli::{ApplyArgs, AsideArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// So many paths are told of; of more, how many there are.
const MOST: usize = 20;

/// Takes it over. Fails where anything is left that was to be taken over.
pub fn apply(ui: &Ui, args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let (chosen, _lock) = held(&args.aside)?;
    let paths = paths(ui, &chosen)?;
    let done = chosen.aside.apply(&paths, args.force).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    let shown = |path: &[u8]| chosen.aside.home.join(OsStr::from_bytes(path)).display().to_string();
    let conflicts = done.conflicts.iter().map(|(path, why)| format!("conflict: {}: {why}", shown(path)));
    tell(ui, conflicts.collect());
    let failed = done.failed.iter().map(|(path, errno)| format!("cannot take over {}: {}", shown(path), errno.desc()));
    tell(ui, failed.collect());
    for kept in &done.kept {
        ui.note(&format!("what was there in your home is kept as {}", kept.display()));
    }
    if done.conflicts.is_empty() && done.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let left = done.conflicts.len() + done.failed.len();
    let name = &chosen.name;
    let failure = Failure::new(format!("{left} of what was set aside could not be taken over, and stays set aside"));
    let failure = failure.with_code(VERB_FAILED);
    Err(match done.conflicts.is_empty() {
        true => failure,
        false => failure.with_hint(format!(
            "see the difference: enter diff --home --patch {name}; take it over all the same, and keep yours beside it: enter apply --force {name} PATH"
        )),
    })
}

/// Forgets it.
pub fn discard(ui: &Ui, args: &AsideArgs) -> Result<ExitCode, Failure> {
    let (chosen, _lock) = held(args)?;
    let paths = paths(ui, &chosen)?;
    chosen.aside.discard(&paths).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    Ok(ExitCode::SUCCESS)
}

/// Finds what was meant, and sees to it that nobody uses it meanwhile.
fn held(args: &AsideArgs) -> Result<(Chosen, Folder), Failure> {
    let chosen = chosen::find(args.name.as_deref(), &args.paths)?;
    let name = &chosen.name;
    let lock = Folder::take(&chosen.folder)?.ok_or_else(|| {
        Failure::new(format!("cannot change what {name} has set aside of your home: it is running"))
            .with_hint(format!("leave it first, or stop it: enter stop {name}"))
            .with_code(VERB_FAILED)
    })?;
    Ok((chosen, lock))
}

/// The paths that were named, as those in the home. Where nothing was set aside, as where all was taken over by a command that was killed later, it
/// is told; that is a failure where it is so of all of them.
fn paths(ui: &Ui, chosen: &Chosen) -> Result<Vec<Vec<u8>>, Failure> {
    let Chosen { aside, paths, .. } = chosen;
    let here = std::env::current_dir().ok();
    let failed = |typed: &Path, why: &str| {
        Failure::new(format!("cannot choose {}: {why}", typed.display()))
            .with_hint(format!("see what was set aside: enter diff --home {}", chosen.name))
            .with_code(VERB_FAILED)
    };
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for typed in paths {
        let path = aside.inside(typed, here.as_deref()).ok_or_else(|| failed(typed, "it is not in your home"))?;
        if path.is_empty() || aside.hides(&path) { found.push(path) } else { missing.push(typed) }
    }
    match missing.first() {
        Some(typed) if found.is_empty() => return Err(failed(typed, "nothing was set aside there")),
        _ => tell(ui, missing.iter().map(|typed| format!("nothing was set aside at {}", typed.display())).collect()),
    }
    Ok(found)
}

fn tell(ui: &Ui, lines: Vec<String>) {
    lines.iter().take(MOST).for_each(|line| ui.warning(line));
    if let Some(more) = lines.len().checked_sub(MOST).filter(|more| *more > 0) {
        ui.warning(&format!("and {more} more of this kind"));
    }
}
