//! What `commit`, `cp`, `diff` and `export` need of a container: a way to its files.

use enter::container::Container;
use enter::container::files::{Access, Unplanned};
use enter::container::planning::caller::Caller;
use enter::container::planning::run::inner;
use enter::image::Digest;
use enter::store::{Image, Store};
use plan::Users;

use super::state;
use crate::failure::{Failure, VERB_FAILED};

/// Makes sure of a container's files.
pub fn access(store: &Store, container: &Container) -> Result<Access, Failure> {
    if let Ok(Some(image)) = image(store, container) {
        // Where it is not all here, what needs it says so better.
        store.mend(&image)?;
    }
    Access::to(container, || unplanned(store, container)).map_err(|failure: Failure| failure.with_code(VERB_FAILED))
}

/// The image that a container was made from; `None` for one that was made from this machine.
pub fn image(store: &Store, container: &Container) -> Result<Option<Image>, Failure> {
    let used = &container.record.spec.image;
    if used.id.is_empty() {
        return Ok(None);
    }
    let gone = || {
        Failure::new(format!("the image {} of container {} is gone", used.name, container.record.name))
            .with_code(VERB_FAILED)
            .with_hint(format!("fetch it again: enter pull {}", used.name))
    };
    let id = Digest::parse(&used.id)?;
    store.by_id_or_arriving(&id)?.map(Some).ok_or_else(gone)
}

/// What there is to know of a container that was never started.
fn unplanned(store: &Store, container: &Container) -> Result<Unplanned, Failure> {
    let image = image(store, container)?.ok_or_else(|| {
        Failure::new(format!("container {} was never started, and has no files yet", container.record.name))
            .with_hint(format!("start it first: enter start {}", container.record.name))
    })?;
    let caller = Caller::find()?;
    let outer = state::outer_maps(&caller)?;
    let inner = inner(&container.record.spec.users, &caller, &outer).map_err(|error| {
        Failure::new(format!("cannot map the ids of container {}", container.record.name)).because(error)
    })?;
    let layers = image.tars.iter().map(|tar| tar.clone().into()).collect();
    Ok(Unplanned {
        users: Users { outer, inner, power: plan::Power::Nothing, owns_network: false },
        lower: plan::Lower::Image { tree: image.tree.into(), layers },
    })
}
