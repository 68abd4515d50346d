//! Limits of a container that is there: seen to be possible, and said to the kernel at once where it runs.

use enter::container::Container;
use enter::container::record::Resources;

use super::run::refuse_resources;
use crate::failure::Failure;

/// Has a container keep to `change` from now on, if it runs; sees in any case that it can. The record is the caller's to change.
pub fn change(container: &Container, change: &Resources) -> Result<(), Failure> {
    if change.is_empty() {
        return Ok(());
    }
    let mut after = container.record.spec.resources.clone();
    after.change(change);
    refuse_resources(&after, !container.is_alive())?;
    if !container.is_alive() {
        return Ok(());
    }
    let name = &container.record.name;
    let group = &container.state.cgroup;
    if group.as_os_str().is_empty() {
        return Err(Failure::new(format!(
            "cannot limit what {name} uses while it runs: it was started without any limit, in no control group"
        ))
        .with_hint(format!("stop it first: enter stop {name}; then limit it, and start it again")));
    }
    let refused = |why: String| Failure::new(format!("cannot limit what {name} uses: {why}"));
    // Swap and memory go together.
    let mut said = change.clone();
    if change.memory.is_some() || change.memory_swap.is_some() {
        (said.memory, said.memory_swap) = (after.memory.or(change.memory), after.memory_swap);
    }
    let limits = said.limits().map_err(|(path, why)| refused(format!("{}: {why}", path.display())))?;
    cgroup::set(group, &limits).map_err(|error| {
        let hint = error.hint().unwrap_or_else(|| "see `enter stats`".into());
        refused(error.to_string()).with_hint(hint)
    })
}

/// The same for a box, which keeps to it from its next start on where it runs in no control group now.
pub fn plan_change(container: &Container, change: &Resources) -> Result<(), Failure> {
    if change.is_empty() || !runs_without(container) {
        return self::change(container, change);
    }
    let mut after = container.record.spec.resources.clone();
    after.change(change);
    refuse_resources(&after, true)
}

/// Whether it runs in no control group, and so with no limit.
pub fn runs_without(container: &Container) -> bool {
    container.is_alive() && container.state.cgroup.as_os_str().is_empty()
}
