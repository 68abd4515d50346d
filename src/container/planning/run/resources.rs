//! The control group of a container that has limits.

use cgroup::Hierarchy;
use plan::Cgroup;

use crate::container::Error;
use crate::container::record::{Resources, Spec};

/// Where it is made, and what it limits; `None` where nothing is to be limited.
///
/// # Errors
/// Where this machine gives the user no such group.
pub fn cgroup(spec: &Spec) -> Result<Option<Cgroup>, Error> {
    let resources = &spec.resources;
    if resources.is_empty() {
        return Ok(None);
    }
    let limits = resources.limits().map_err(|(path, reason)| Error::Plan {
        doing: format!("limit what {} is used for", path.display()),
        reason,
        hint: Some("name the file of a whole disk, such as /dev/sda: lsblk lists them".into()),
    })?;
    let slice = Some(resources.cgroup_parent.as_str()).filter(|slice| !slice.is_empty());
    let parent = Hierarchy::find().and_then(|hierarchy| hierarchy.place(&limits.controllers(), slice));
    let parent = parent.map_err(|error| refused(&error))?;
    Ok(Some(Cgroup { parent, limits, delegated: false }))
}

/// Sees that limits can be had, before anything is done for them.
///
/// # Errors
/// Where this machine gives the user none that has them.
pub fn check(resources: &Resources) -> Result<(), Error> {
    cgroup(&Spec { resources: resources.clone(), ..Spec::default() }).map(drop)
}

fn refused(error: &cgroup::Error) -> Error {
    Error::Plan { doing: "limit what the container uses".into(), reason: error.to_string(), hint: error.hint() }
}
