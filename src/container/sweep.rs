//! Clears what a container left whose monitor was killed: the next command does it, on its way.
//!
//! Processes, mounts and namespaces went with the monitor, by the kernel's doing; only the folder is left. Files in it may belong
//! to subordinate ids, which only a user namespace with those ids can remove.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use sys::process::Fork;
use uidmap::Maps;

use super::folder::{is_id, is_marked_shell, name, remove_unfinished, try_lock, unmark_throwaway};
use super::record::Record;
use super::{Containers, dropped, users, volumes};

/// Removes the folders of dead throwaway containers, and names of nobody; returns what could not be removed, and why.
///
/// `outer` makes the mapping under which their files were written; it is asked only if it is needed. The caller must have a single
/// thread for that; what is left otherwise is left to the next command.
pub fn dead(containers: &Path, outer: impl Fn() -> Option<Maps>) -> Vec<(PathBuf, io::Error)> {
    let Ok(entries) = fs::read_dir(containers) else { return Vec::new() };
    let mut left: Vec<_> =
        remove_unfinished(containers).err().map(|error| (containers.to_owned(), error)).into_iter().collect();
    let mut kept = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_name().to_str() {
            Some(name) if is_id(name) => {}
            _ => continue,
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // Not made by us: what a container did that can reach this directory, as it can with the home.
            drop(fs::remove_file(&path));
            continue;
        }
        match try_lock(&path) {
            // Held until the folder is gone, so that two commands do not clear the same one.
            Ok(Some(_lock)) if is_throwaway(&path) => {
                if is_wanted(&path) {
                    kept += usize::from(path.exists());
                } else if let Err(error) = container(&path, &outer) {
                    left.push((path, error));
                }
            }
            // Alive or kept; or all but cleared, by a command that was killed at that moment.
            Ok(_) => kept += usize::from(fs::remove_dir(&path).is_err()),
            Err(error) => left.push((path, error)),
        }
    }
    if let Some(root) = containers.parent() {
        Containers::below(root).forget_nobody(kept);
    }
    left
}

/// One that is removed when it ends; or one without a record, which somebody has begun to remove.
fn is_throwaway(path: &Path) -> bool {
    path.join(name::THROWAWAY).exists() || !path.join(name::RECORD).exists()
}

/// Whether a throwaway container that has lost its monitor is not to be removed: it is a box by now, or a shell in which something was changed,
/// which is set aside here as its monitor would have done.
fn is_wanted(path: &Path) -> bool {
    if !is_marked_shell(path) {
        return false;
    }
    let Ok(Some(record)) = Record::read(path) else { return false };
    if !record.spec.shell {
        return unmark_throwaway(path).is_ok();
    }
    let Some(plan) = super::files::plan_of(path).ok().flatten().filter(|plan| plan.container.restorable > 0) else {
        return false;
    };
    let left = dropped::count(path, &plan);
    let set_aside = left.files > 0 && left.bytes <= plan.container.restorable && dropped::set_aside(path, left).is_ok();
    if let (true, Some(root)) = (set_aside, path.ancestors().nth(2)) {
        Containers::below(root).forget(&record.name, &record.id);
    }
    set_aside
}

/// Removes a container that does not live, whose lock the caller holds, and gives its name free. `outer`: as for [`dead`].
///
/// # Errors
/// What could not be removed, and why.
pub fn container(path: &Path, outer: &impl Fn() -> Option<Maps>) -> io::Result<()> {
    // From here on it is no container, whatever becomes of the rest.
    let record = Record::read(path).ok().flatten();
    match fs::remove_file(path.join(name::RECORD)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let (Some(record), Some(root)) = (record, path.ancestors().nth(2)) {
        Containers::below(root).forget(&record.name, &record.id);
        if record.spec.remove {
            let names: Vec<String> = volumes::of(&record).map(str::to_owned).collect();
            volumes::remove_anonymous(root, &names, outer);
        }
    }
    remove(path, outer)
}

fn remove(path: &Path, outer: &impl Fn() -> Option<Maps>) -> io::Result<()> {
    match remove_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let Some(maps) = outer() else { return Err(error) };
            in_user_namespace(&maps, || remove_parts(path))?;
            remove_folder(path)
        }
        done => done,
    }
}

/// Removes a container's folder, its lock last: a folder without a lock is empty.
///
/// A link in its place is removed, and not what it leads to.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    remove_parts(path)?;
    for gone in [fs::remove_file(path.join(name::LOCK)), fs::remove_dir(path)] {
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes everything in a container's folder but the lock.
fn remove_parts(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == name::LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory with everything in it, as whoever may. `outer`: as for [`dead`].
///
/// # Errors
/// What could not be removed, and why.
pub fn remove_all(path: &Path, outer: &impl Fn() -> Option<Maps>) -> io::Result<()> {
    match remove_tree(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let Some(maps) = outer() else { return Err(error) };
            in_user_namespace(&maps, || remove_tree(path))
        }
        done => done,
    }
}

/// Removes a directory with everything in it, whatever permissions its owner has left himself.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Gives every directory below `path` permissions under which it can be emptied. Follows no links.
fn open_up(path: &Path) -> io::Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Does something in a child, as root of a user namespace with these mappings.
pub(super) fn in_user_namespace(maps: &Maps, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let making = users::make(maps).map_err(io::Error::other)?;
    let namespace = making.namespace().map_err(io::Error::other)?;
    making.finish().map_err(io::Error::other)?;
    match sys::process::fork()? {
        Fork::Child => {
            let done = users::enter(&namespace).map_err(io::Error::from).and_then(|()| work());
            let failed = |error: io::Error| error.raw_os_error().unwrap_or(Errno::EIO as i32);
            sys::process::exit_now(done.err().map_or(0, failed))
        }
        Fork::Parent(child) => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, code) => Err(io::Error::from_raw_os_error(code)),
            other => Err(io::Error::other(format!("the process that was to remove it ended with {other:?}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_containers_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (containers, precious) = (dir.path().join("containers"), dir.path().join("precious"));
        fs::create_dir(&containers).unwrap();
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "kept").unwrap();
        let folder = containers.join("a".repeat(64));
        let link = || std::os::unix::fs::symlink(&precious, &folder).unwrap();
        link();
        assert!(dead(&containers, || None).is_empty());
        assert!(folder.symlink_metadata().is_err());
        link();
        remove_folder(&folder).unwrap();
        assert!(folder.symlink_metadata().is_err());
        assert_eq!(fs::read_dir(&precious).unwrap().count(), 1);
    }
}
