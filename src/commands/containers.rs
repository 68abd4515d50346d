//! What several commands ask about containers: who is meant, and what it runs.

use enter::container::record::{Kind, Mount};
use enter::container::{Container, Containers};
use enter::container::{dropped, files};
use enter::image::Digest;
use enter::store::{Holder, Unknown};

use super::state::State;
use crate::failure::{Failure, VERB_FAILED};

/// The containers of this user.
pub fn of_user() -> Result<Containers, Failure> {
    Ok(Containers::below(State::of_user()?.root()))
}

/// The container that was meant; none is a failure of the verb, as docker has it.
pub fn find(containers: &Containers, typed: &str) -> Result<Container, Failure> {
    containers.find(typed).map_err(|error| Failure::from(error).with_code(VERB_FAILED))
}

/// The container that was made last.
pub fn latest(containers: &Containers) -> Result<Container, Failure> {
    containers.latest()?.ok_or_else(|| {
        Failure::new("there is no container yet").with_hint("make one with `enter run`").with_code(VERB_FAILED)
    })
}

/// The plan of its last start; none before that.
pub fn plan(container: &Container) -> Option<plan::Plan> {
    files::plan_of(&container.folder).ok().flatten()
}

/// The program and its arguments. What a shell runs is known by its plan alone.
pub fn command(container: &Container) -> Vec<String> {
    let spec = &container.record.spec;
    if spec.boxed.is_some() {
        // Nothing in particular.
        return vec!["box".into()];
    }
    let lossy = |word: &plan::Text| word.as_os_str().to_string_lossy().into_owned();
    let words: Vec<String> = spec.entrypoint.iter().chain(&spec.command).map(lossy).collect();
    if !words.is_empty() || !spec.shell {
        return words;
    }
    plan(container).map(|plan| plan.process.arguments.iter().map(lossy).collect()).unwrap_or_default()
}

/// The same, for what removes images that nobody named: a throwaway shell that can be brought back needs its image too.
pub fn holder_or_dropped(containers: &Containers, image: &Digest) -> Result<Option<Holder>, Unknown> {
    if let Some(holder) = holder(containers, image)? {
        return Ok(Some(holder));
    }
    let (all, id) = (dropped::all(containers.root()), image.to_string());
    let needs = |one: &&dropped::Dropped| one.record().is_ok_and(|record| record.spec.image.id == id);
    Ok(all.iter().find(needs).map(|one| Holder { container: one.id[..12].to_owned(), running: false }))
}

/// Who needs an image, for the store, which knows no containers: one that runs before one that does not.
pub fn holder(containers: &Containers, image: &Digest) -> Result<Option<Holder>, Unknown> {
    let mut users = containers.all()?;
    let id = image.to_string();
    let shows = |mount: &Mount| matches!(&mount.kind, Kind::Image(used) if used.id == id);
    users.retain(|container| {
        let spec = &container.record.spec;
        spec.image.id == id || spec.mounts.iter().any(shows)
    });
    let user = users.iter().find(|container| container.is_alive()).or(users.first());
    Ok(user.map(|user| Holder { container: user.short_id().to_owned(), running: user.is_alive() }))
}
