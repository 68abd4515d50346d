//! Which container, and which paths, `enter diff --home`, `enter apply` and `enter discard` mean.

use std::path::{Path, PathBuf};

use enter::container::dropped::{self, Dropped};
use enter::container::home::Aside;
use enter::container::{Containers, Error};

use super::super::back;
use super::super::state::State;
use crate::failure::{Failure, VERB_FAILED};

/// What was set aside by a container.
pub struct Chosen {
    /// What it is called.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    pub aside: Aside,
    /// Paths, as they were typed.
    pub paths: Vec<PathBuf>,
}

/// Finds it: by name or ID; or what was used last. What has a slash in it is a path.
pub fn find(name: Option<&str>, paths: &[PathBuf]) -> Result<Chosen, Failure> {
    let state = State::of_user()?;
    let containers = Containers::below(state.root());
    let (name, mut first) = match name {
        Some(path) if path.contains('/') || path.starts_with('.') => (None, vec![PathBuf::from(path)]),
        name => (name, Vec::new()),
    };
    first.extend_from_slice(paths);
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let (name, folder) = match name {
        Some(name) => named(&containers, state.root(), name).map_err(failed)?,
        None => last(&containers, state.root())?.ok_or_else(|| {
            failed(Failure::new("nothing was set aside of your home").with_hint("enter something by --home cow first"))
        })?,
    };
    let aside = Aside::open(&folder, state.root())?;
    let none =
        || {
            failed(Failure::new(format!("{name} has set nothing of your home aside")).with_hint(
                "only what was entered with --home cow does; a box can be changed: enter set BOX --home cow",
            ))
        };
    let aside = aside.ok_or_else(none)?;
    Ok(Chosen { name, folder, aside, paths: first })
}

/// A container, or a shell that was left, with its folder.
fn named(containers: &Containers, root: &Path, name: &str) -> Result<(String, PathBuf), Failure> {
    match containers.find(name) {
        Ok(container) => Ok((container.record.name, container.folder)),
        Err(error @ Error::NoSuchContainer(_)) => match back::find(root, Some(name)) {
            Ok(dropped) => Ok((short(&dropped), dropped.path)),
            Err(_) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// What has set something aside, and was used last.
fn last(containers: &Containers, root: &Path) -> Result<Option<(String, PathBuf)>, Failure> {
    let all = containers.all()?.into_iter().filter(|container| has_aside(&container.folder));
    let kept = all.map(|container| {
        let state = &container.state;
        let used = state.finished.max(state.started).unwrap_or(container.record.created);
        (container.is_alive(), used.as_millisecond(), (container.record.name, container.folder))
    });
    let left = dropped::all(root).into_iter().filter(|one| has_aside(&one.path));
    let left = left.map(|one| (false, i64::try_from(one.left).unwrap_or(i64::MAX), (short(&one), one.path)));
    Ok(kept.chain(left).max_by_key(|(alive, used, _)| (*alive, *used)).map(|(.., found)| found))
}

/// How one types a shell that was left.
fn short(dropped: &Dropped) -> String {
    dropped.id.get(..12).unwrap_or(&dropped.id).to_owned()
}

/// Whether something may have been set aside in a container's folder.
pub fn has_aside(folder: &Path) -> bool {
    folder.join(enter::container::folder::name::HOME).join(enter::container::home::BELOW).exists()
}
