//! Volumes and images that are shown in a container, and what is done to them before.

use std::path::Path;

use plan::{Shown, Step, Text, Users};

use super::files::{restrictions, sorted};
use crate::container::Error;
use crate::container::planning::account::Identity;
use crate::container::planning::check_bind;
use crate::container::record::{Kind, Mount, Spec, UserNamespace};
use crate::volume::{Volume, Volumes};

/// What is done before anything is mounted: new volumes get what the image has in their places, and what is to be the user's is given to
/// him.
pub fn prepared(spec: &Spec, volumes: &Volumes, users: &Users, identity: &Identity) -> Result<Vec<Step>, Error> {
    let single = users.inner.kind == uidmap::Kind::Single;
    let mut steps = Vec::new();
    for mount in sorted(&spec.mounts) {
        if let Kind::Volume(name) = &mount.kind {
            let volume = find(volumes, name)?;
            if volume.is_fresh() && mount.subpath.is_empty() {
                // Docker gives it to root. Who keeps his id does so for the sake of what he writes.
                let keeps = matches!(spec.users, UserNamespace::KeepId { .. });
                steps.push(Step::Fill {
                    volume: text(&volume.folder),
                    data: text(&volume.data()),
                    from: mount.target.as_str().into(),
                    copy: !mount.no_copy,
                    owner: if keeps { (identity.uid, identity.gid) } else { (0, 0) },
                });
            }
        }
        // Where there is one id, a folder of the user's is the container's user's.
        if mount.give && (!single || matches!(mount.kind, Kind::Volume(_))) {
            let Shown::Directory(source) = source(mount, volumes, None)? else { continue };
            steps.push(Step::Give { source, owner: (identity.uid, identity.gid) });
        }
    }
    Ok(steps)
}

/// Whose files a mount shows. `image`: its number among the images, if it is one.
///
/// # Errors
/// Where that is not there.
pub fn source(mount: &Mount, volumes: &Volumes, image: Option<u32>) -> Result<Shown, Error> {
    let directory = match &mount.kind {
        Kind::Volume(name) => find(volumes, name)?.data(),
        Kind::Bind(source) => source.clone(),
        _ => return Ok(Shown::Image(image.unwrap_or_default())),
    };
    check_bind(&directory, Path::new(&mount.target))?;
    if mount.overlay && !directory.is_dir() {
        return Err(Error::Plan {
            doing: format!("show {} as {} without changing it", directory.display(), mount.target),
            reason: "it is no folder".into(),
            hint: Some("leave `O` away, or show the folder that it is in".into()),
        });
    }
    Ok(Shown::Directory(text(&directory)))
}

/// A volume or an image in its place.
pub fn shown(spec: &Spec, mount: &Mount, volumes: &Volumes, image: Option<u32>) -> Result<Step, Error> {
    let mut restrictions = restrictions(spec, mount);
    let target: Text = mount.target.as_str().into();
    if let Kind::Volume(name) = &mount.kind {
        let volume = find(volumes, name)?;
        let (read_only, recursive) = volume.record.bind();
        restrictions.read_only |= read_only;
        if let Some(device) = volume.record.device().filter(|_| recursive && mount.subpath.is_empty()) {
            check_bind(&device, Path::new(&mount.target))?;
            return Ok(Step::Bind { source: text(&device), target, recursive, restrictions });
        }
    }
    let source = source(mount, volumes, image)?;
    Ok(Step::Show { source, subpath: mount.subpath.as_str().into(), target, restrictions })
}

/// Those that go with the container.
pub fn going(spec: &Spec, volumes: &Volumes) -> Vec<String> {
    let names = spec.mounts.iter().filter(|_| spec.remove).filter_map(|mount| match &mount.kind {
        Kind::Volume(name) => volumes.named(name),
        _ => None,
    });
    names.filter(|volume| volume.record.anonymous).map(|volume| volume.record.name).collect()
}

fn find(volumes: &Volumes, name: &str) -> Result<Volume, Error> {
    volumes.named(name).ok_or_else(|| Error::Plan {
        doing: format!("mount the volume {name}"),
        reason: "it is gone".into(),
        hint: Some(format!("make a new and empty one: enter volume create {name}")),
    })
}

fn text(path: &Path) -> Text {
    path.to_owned().into()
}
