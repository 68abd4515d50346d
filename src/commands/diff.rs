//! `enter diff`: what a container has changed, or what the last layer of an image changes.

use std::process::ExitCode;

use enter::container::files::{self, Base, Change, Hidden};
use enter::container::{self};
use enter::store::{self, Store};
use serde_json::json;

use super::{containers, home};
use crate::cli::{DiffArgs, ImageDiffArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Prints one change a line, as docker does.
pub fn run(ui: &Ui, settings: &Settings, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let containers = containers::of_user()?;
    if args.home || args.patch {
        let latest = args.latest.then(|| containers::latest(&containers)).transpose()?.map(|latest| latest.record.id);
        return home(ui, args, args.container.as_deref().or(latest.as_deref()));
    }
    let found = match &args.container {
        Some(typed) => containers.find(typed),
        None => Ok(containers::latest(&containers)?),
    };
    let changes = match found {
        Ok(container) => {
            let mut changes = of_container(&store, &container)?;
            if home::has_aside(&container.folder) {
                let chosen = home::find(Some(&container.record.id), &[])?;
                let of_home = chosen.aside.changes()?;
                home::tell_conflicts(ui, &chosen.aside, &of_home);
                changes.extend(home::lines(&chosen.aside, &of_home));
                changes.sort_by(|(_, one), (_, other)| one.split('/').cmp(other.split('/')));
            }
            changes
        }
        Err(container::Error::NoSuchContainer(typed)) => of_image(settings, &store, &typed)?,
        Err(error) => return Err(Failure::from(error).with_code(VERB_FAILED)),
    };
    show(ui, args.format.is_some(), &changes)
}

/// Prints what was set aside of the home alone.
fn home(ui: &Ui, args: &DiffArgs, name: Option<&str>) -> Result<ExitCode, Failure> {
    let chosen = home::find(name, &[])?;
    let changes = chosen.aside.changes()?;
    home::tell_conflicts(ui, &chosen.aside, &changes);
    if args.patch {
        let mut output = ui.output();
        output.text(home::patch(&chosen.aside, &changes));
        output.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    show(ui, args.format.is_some(), &home::lines(&chosen.aside, &changes))
}

/// Prints what an image changes of what is below its last layer, or what it has otherwise than another.
pub fn images(ui: &Ui, settings: &Settings, args: &ImageDiffArgs) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let find = |typed: &str| super::tag::find(settings, &store, typed);
    let image = find(&args.image)?;
    let _lease = image.lease()?;
    let changes = match &args.other {
        None => store.top_changes(&image)?,
        Some(other) => {
            let other = find(other)?;
            let _lease = other.lease()?;
            store.changes_between(&other, &image)?
        }
    };
    show(ui, args.format.is_some(), &told(changes))
}

fn show(ui: &Ui, json: bool, changes: &[(Change, String)]) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    if json {
        let of = |wanted: Change| -> Vec<&str> {
            changes.iter().filter(|(change, _)| *change == wanted).map(|(_, path)| path.as_str()).collect()
        };
        let mut lists = serde_json::Map::new();
        for (name, change) in [("changed", Change::Changed), ("added", Change::Added), ("deleted", Change::Deleted)] {
            let paths = of(change);
            if !paths.is_empty() {
                lists.insert(name.into(), json!(paths));
            }
        }
        output.line(serde_json::Value::from(lists).to_string());
    } else {
        for (change, path) in changes {
            output.row(format!("{} {path}", letter(*change)));
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn letter(change: Change) -> char {
    match change {
        Change::Added => 'A',
        Change::Changed => 'C',
        Change::Deleted => 'D',
    }
}

fn of_container(store: &Store, container: &container::Container) -> Result<Vec<(Change, String)>, Failure> {
    let access = super::files::access(store, container)?;
    let base = Base::open(access.lower())?;
    let plan = files::plan_of(&container.folder)?;
    let hidden = Hidden::of(plan.as_ref(), base.image());
    let found = files::diff(&access, &base, &hidden).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    Ok(found.into_iter().map(|(change, path)| (change, format!("/{}", path.as_path().display()))).collect())
}

/// Nothing answers to the name as a container; perhaps an image does.
fn of_image(settings: &Settings, store: &Store, typed: &str) -> Result<Vec<(Change, String)>, Failure> {
    let image = super::tag::find(settings, store, typed).map_err(|_| {
        Failure::new(format!("no such container or image: {typed}"))
            .with_code(VERB_FAILED)
            .with_hint("see which there are with `enter ps -a` and `enter images`")
    })?;
    Ok(told(store.top_changes(&image)?))
}

fn told(changes: Vec<(store::LayerChange, Vec<u8>)>) -> Vec<(Change, String)> {
    let letter = |change| match change {
        store::LayerChange::Added => Change::Added,
        store::LayerChange::Changed => Change::Changed,
        store::LayerChange::Deleted => Change::Deleted,
    };
    let text = |path: &[u8]| format!("/{}", String::from_utf8_lossy(path));
    changes.into_iter().map(|(change, path)| (letter(change), text(&path))).collect()
}
