//! A control group that was made.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use plan::{Cgroup, CgroupParent, Limits};

use crate::{Error, Hierarchy};

/// What is counted wherever it is to be had, limited or not.
const COUNTED: &[&str] = &["memory", "pids", "cpu", "io", "cpuset"];

/// One of ours, with nobody in it at first.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes one, and says what it limits. In a scope this process must be in it by now; it moves aside there, as a group that is divided has no
    /// processes of its own. `id` tells it from others.
    ///
    /// # Errors
    /// What cannot be made, or is refused by the kernel.
    pub fn make(wanted: &Cgroup, id: &str) -> Result<Self, Error> {
        let path = match &wanted.parent {
            CgroupParent::Scope { .. } => divide(&Hierarchy::find()?.own(), &wanted.limits.controllers())?,
            CgroupParent::Below(parent) => parent.as_path().join(format!("enter-{id}")),
        };
        match fs::create_dir(&path) {
            // One that was killed has left it; it is empty, or cannot be used.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove(&path);
                fs::create_dir(&path).map_err(Error::file("make", &path))?;
            }
            made => made.map_err(Error::file("make", &path))?,
        }
        let group = Self { path };
        set(&group.path, &wanted.limits).inspect_err(|_| remove(&group.path))?;
        Ok(group)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The door: a process that writes `0` to it is inside (cgroups(7)). What counts is who has opened it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn door(&self) -> Result<OwnedFd, Error> {
        let path = self.path.join("cgroup.procs");
        fs::OpenOptions::new().write(true).open(&path).map(OwnedFd::from).map_err(Error::file("open", path))
    }

    /// Ends what is left in it, and removes it.
    pub fn remove(self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        remove(&self.path);
    }
}

/// Moves this process aside, and lets parts of its group have controllers. Returns where the container's is to be.
fn divide(scope: &Path, controllers: &[&str]) -> Result<PathBuf, Error> {
    let name = scope.file_name().unwrap_or_default().to_string_lossy();
    // Again after the payload was restarted.
    let scope = match name.as_ref() {
        "monitor" => scope.parent().unwrap_or(scope),
        _ => scope,
    };
    let name = scope.file_name().unwrap_or_default().to_string_lossy();
    if !(name.starts_with("enter-") && name.ends_with(".scope")) {
        return Err(Error::NotMoved { group: scope.to_owned() });
    }
    let aside = scope.join("monitor");
    if !aside.exists() {
        fs::create_dir(&aside).map_err(Error::file("make", &aside))?;
    }
    write(&aside.join("cgroup.procs"), "0")?;
    let control = scope.join("cgroup.subtree_control");
    for controller in COUNTED {
        let given = write(&control, &format!("+{controller}"));
        if controllers.contains(controller) {
            given?;
        }
    }
    Ok(scope.join("container"))
}

/// Says what the group at `path` limits, from now on.
///
/// # Errors
/// What the kernel does not take.
pub fn set(path: &Path, limits: &Limits) -> Result<(), Error> {
    for (file, value) in limits.files() {
        match write(&path.join(file), &value) {
            // A kernel that counts no swap.
            Err(Error::File { source, .. })
                if file == "memory.swap.max" && source.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Writes to a file of a control group, which takes a value by one write(2).
fn write(path: &Path, value: &str) -> Result<(), Error> {
    let written = fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(Error::file(format!("write {value} to"), path))
}

/// Removes a group with its parts; one that somebody is in stays.
fn remove(path: &Path) {
    let parts = fs::read_dir(path).into_iter().flatten().flatten();
    for part in parts.filter(|part| part.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&part.path());
    }
    let _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Most, Text};

    #[test]
    fn a_group_is_made_below_one_that_may_be_divided() {
        let dir = tempfile::tempdir().unwrap();
        let parent = CgroupParent::Below(Text::from(dir.path().to_owned()));
        // An ordinary folder has no such files, as a group without the controller.
        let wanted = |limits| Cgroup { parent: parent.clone(), limits, delegated: false };
        let refused = Group::make(&wanted(Limits { processes: Some(Most::Of(3)), ..Limits::default() }), "1");
        assert!(matches!(&refused, Err(Error::File { doing, .. }) if doing == "write 3 to"), "{refused:?}");
        assert!(!dir.path().join("enter-1").exists());
        let group = Group::make(&wanted(Limits::default()), "1").unwrap();
        assert_eq!(group.path(), dir.path().join("enter-1"));
        fs::create_dir(group.path().join("part")).unwrap();
        let again = Group::make(&wanted(Limits::default()), "1").unwrap();
        assert!(!again.path().join("part").exists());
        again.remove();
        // What is not one of the kernel's is not emptied: `cgroup.kill` was made by the test's own `remove`.
        assert_eq!(fs::read_dir(dir.path().join("enter-1")).map(Iterator::count).unwrap_or(0), 1);
    }

    #[test]
    fn only_a_scope_of_ours_is_divided() {
        let dir = tempfile::tempdir().unwrap();
        let error = divide(&dir.path().join("session-1.scope"), &[]).unwrap_err();
        assert!(matches!(error, Error::NotMoved { .. }), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
