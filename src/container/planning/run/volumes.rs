//! Volumes and images that are shown in a container, and what is done to them before.

use std::path::Path;

use plan::{Copied, Filesystem, Restrictions, Shown, Step, Text, Users};

use super::files::{restrictions, sorted};
use crate::container::Containers;
use crate::container::Error;
use crate::container::planning::account::Identity;
use crate::container::planning::{check_bind, furniture};
use crate::container::record::{Kind, Mount, Spec, UserNamespace};
use crate::volume::{Looks, Volume, Volumes};

/// What is done before anything is mounted: new volumes get what the image has in their places, and what is to be the user's is given to
/// him.
pub fn prepared(spec: &Spec, volumes: &Volumes, users: &Users, identity: &Identity) -> Result<Vec<Step>, Error> {
    let single = users.inner.kind == uidmap::Kind::Single;
    let mut steps = Vec::new();
    for mount in sorted(&spec.mounts) {
        if let Kind::Volume(name) = &mount.kind {
            let volume = find(volumes, name)?;
            if volume.record.memory().is_some() {
                continue;
            }
            if volume.is_fresh() && mount.subpath.is_empty() {
                // Docker gives it to root. Who keeps his id does so for the sake of what he writes.
                let keeps = matches!(spec.users, UserNamespace::KeepId { .. });
                let asked = volume.record.owner();
                steps.push(Step::Fill {
                    volume: text(&volume.folder),
                    data: text(&volume.data()),
                    from: mount.target.as_str().into(),
                    copy: !mount.no_copy,
                    owner: asked.unwrap_or(if keeps { (identity.uid, identity.gid) } else { (0, 0) }),
                    owned: asked.is_some(),
                    given: false,
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

/// Refuses an owner of files in memory, or of terminals, whom the container has not.
///
/// # Errors
/// Who that is.
pub fn check_owners(spec: &Spec, volumes: &Volumes, users: &Users) -> Result<(), Error> {
    for mount in &spec.mounts {
        let (uid, gid) = match &mount.kind {
            Kind::Tmpfs { .. } | Kind::Devpts => (mount.looks.uid, mount.looks.gid),
            Kind::Volume(name) => match find(volumes, name)?.record.memory() {
                Some(looks) => (looks.uid, looks.gid),
                None => continue,
            },
            _ => continue,
        };
        for (kind, map, id) in [("user", &users.inner.uids, uid), ("group", &users.inner.gids, gid)] {
            if let Some(id) = id.filter(|id| map.to_outside(*id).is_none()) {
                return Err(Error::Plan {
                    doing: format!("give what is mounted as {} to the {kind} {id}", mount.target),
                    reason: match users.inner.kind {
                        uidmap::Kind::Single => "the container has one id, as you have no subordinate ones".into(),
                        _ => "the container has no such id".into(),
                    },
                    hint: Some(format!(
                        "leave {kind:.1}id={id} away, or give yourself more subordinate ids: see `enter doctor`"
                    )),
                });
            }
        }
    }
    Ok(())
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
pub fn shown(
    spec: &Spec,
    mount: &Mount,
    volumes: &Volumes,
    identity: &Identity,
    image: Option<u32>,
) -> Result<Step, Error> {
    let mut restrictions = restrictions(spec, mount);
    let target: Text = mount.target.as_str().into();
    if let Kind::Volume(name) = &mount.kind {
        let volume = find(volumes, name)?;
        let (read_only, recursive) = volume.record.bind();
        restrictions.read_only |= read_only;
        if let Some(looks) = volume.record.memory() {
            restrictions.no_exec |= looks.no_exec;
            return memory(mount, looks, restrictions, identity);
        }
        if let Some(device) = volume.record.device().filter(|_| recursive && mount.subpath.is_empty()) {
            check_bind(&device, Path::new(&mount.target))?;
            return Ok(Step::Bind { source: text(&device), target, recursive, restrictions });
        }
    }
    let source = source(mount, volumes, image)?;
    Ok(Step::Show { source, subpath: mount.subpath.as_str().into(), target, restrictions })
}

/// A volume in memory: new for each start.
fn memory(mount: &Mount, looks: Looks, restrictions: Restrictions, identity: &Identity) -> Result<Step, Error> {
    if !mount.subpath.is_empty() || mount.overlay {
        return Err(Error::Plan {
            doing: format!("mount a part or a view of the volume as {}", mount.target),
            reason: "its files are in memory, and there are none before the container starts".into(),
            hint: Some("mount all of it".into()),
        });
    }
    let given = if mount.give { (identity.uid, identity.gid) } else { (0, 0) };
    let owner = (looks.uid.unwrap_or(given.0), looks.gid.unwrap_or(given.1));
    let copy = match (mount.no_copy, looks.mode.is_some() || owner != (0, 0)) {
        (true, _) => Copied::Nothing,
        (false, true) => Copied::Files,
        (false, false) => Copied::All,
    };
    let mode = looks.mode.unwrap_or(0o1777);
    let filesystem = Filesystem::Tmpfs { mode, size: looks.size, inodes: looks.inodes, owner, copy };
    Ok(furniture::mount(&mount.target, filesystem, restrictions))
}

/// Whether it is a volume in memory.
pub fn is_memory(mount: &Mount, volumes: &Volumes) -> bool {
    matches!(&mount.kind, Kind::Volume(name) if volumes.named(name).is_some_and(|volume| volume.record.memory().is_some()))
}

/// Refuses a volume in memory that a running container has: there it is, and nowhere else. `id`: the container's own.
///
/// # Errors
/// Which container it is.
pub fn check_memory(spec: &Spec, volumes: &Volumes, id: &str) -> Result<(), Error> {
    let Some(root) = volumes.folder().parent().map(Path::to_owned) else { return Ok(()) };
    for mount in &spec.mounts {
        let Kind::Volume(name) = &mount.kind else { continue };
        if find(volumes, name)?.record.memory().is_none() {
            continue;
        }
        let users = crate::container::volumes::users(&Containers::below(&root), name)?;
        if let Some(user) = users.iter().find(|user| user.is_alive() && user.record.id != id) {
            return Err(Error::Plan {
                doing: format!("mount the volume {name}"),
                reason: format!("its files are in the memory of {}, which runs", user.record.name),
                hint: Some(format!(
                    "end that first, with `enter stop {}`, or share a volume that is no tmpfs",
                    user.record.name
                )),
            });
        }
    }
    Ok(())
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
