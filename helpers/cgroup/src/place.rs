//! Where a user may make control groups.

use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{AccessFlags, Uid, access};
use plan::{CgroupParent, Text};

use crate::Error;

/// Where the tree is mounted, by convention (cgroups(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// The tree of control groups, and where in it this process is.
#[derive(Debug)]
pub struct Hierarchy {
    mount: PathBuf,
    /// From the mount on.
    own: PathBuf,
}

impl Hierarchy {
    /// Finds it.
    ///
    /// # Errors
    /// [`Error::NotUnified`].
    pub fn find() -> Result<Self, Error> {
        match statfs(MOUNT) {
            Ok(found) if found.filesystem_type() == CGROUP2_SUPER_MAGIC => {}
            _ => return Err(Error::NotUnified),
        }
        let text = std::fs::read_to_string("/proc/self/cgroup").map_err(Error::file("read", "/proc/self/cgroup"))?;
        Ok(Self { mount: MOUNT.into(), own: own(&text).ok_or(Error::NotUnified)? })
    }

    /// The group of this process.
    pub fn own(&self) -> PathBuf {
        self.mount.join(&self.own)
    }

    /// Where a group can be made that has these controllers. `slice`: of systemd's user manager, where that is there.
    ///
    /// # Errors
    /// That there is no such place, and why.
    pub fn place(&self, controllers: &[&str], slice: Option<&str>) -> Result<CgroupParent, Error> {
        if has_manager() {
            if program().is_none() {
                return Err(Error::NoTool);
            }
            let uid = Uid::current();
            let manager = self.mount.join(format!("user.slice/user-{uid}.slice/user@{uid}.service"));
            lacking(&manager, "cgroup.controllers", controllers)?;
            return Ok(CgroupParent::Scope { slice: slice.map(ToOwned::to_owned) });
        }
        self.divisible(controllers)
    }

    /// The nearest group above this process that the user may divide, and whose parts have these controllers.
    fn divisible(&self, controllers: &[&str]) -> Result<CgroupParent, Error> {
        let mut lacks: Option<Vec<String>> = None;
        for below in self.own.ancestors() {
            let group = self.mount.join(below);
            let may = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
            if !may(&group) || !may(&group.join("cgroup.procs")) {
                continue;
            }
            match lacking(&group, "cgroup.subtree_control", controllers) {
                Ok(()) => return Ok(CgroupParent::Below(Text::from(group))),
                Err(Error::NotDelegated { controllers }) => {
                    // The one that has most of it says best what lacks.
                    if lacks.as_ref().is_none_or(|before| controllers.len() < before.len()) {
                        lacks = Some(controllers);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(lacks.map_or(Error::Nobody, |controllers| Error::NotDelegated { controllers }))
    }
}

/// The group of version 2 in proc_pid_cgroup(5), from the mount on.
fn own(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // One outside of the cgroup namespace that this process is in.
    (!path.starts_with("../")).then(|| path.into())
}

/// Whether a systemd of the user's own runs (its private socket, sd_booted(3) for users).
fn has_manager() -> bool {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|runtime| !runtime.is_empty());
    runtime.is_some_and(|runtime| Path::new(&runtime).join("systemd/private").exists())
}

/// systemd-run, in the PATH.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(TOOL)).find(|file| access(file, AccessFlags::X_OK).is_ok())
}

const TOOL: &str = "systemd-run";

/// Fails where a file of a group does not name all of these controllers.
fn lacking(group: &Path, file: &str, controllers: &[&str]) -> Result<(), Error> {
    let path = group.join(file);
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", path))?;
    let there: Vec<&str> = text.split_whitespace().collect();
    let lacking: Vec<String> =
        controllers.iter().filter(|one| !there.contains(one)).map(|one| (*one).to_owned()).collect();
    if lacking.is_empty() { Ok(()) } else { Err(Error::NotDelegated { controllers: lacking }) }
}

/// The words before a command line that have systemd put it into a scope of its own: systemd-run(1). `id`: what it is called by, made of
/// letters, digits and dashes.
pub fn scope(id: &str, slice: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> =
        [TOOL, "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes"].map(ToOwned::to_owned).into();
    // Two starts in a row are not to meet: a scope ends a moment after its last process.
    words.push(format!("--unit=enter-{id}-{}", std::process::id()));
    words.push("--description=A container of enter".into());
    words.push(format!("--slice={}", slice.unwrap_or("app.slice")));
    words.push("--".into());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn tree() -> (tempfile::TempDir, Hierarchy) {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("a/b");
        fs::create_dir_all(&own).unwrap();
        for group in [dir.path(), &dir.path().join("a"), &own] {
            fs::write(group.join("cgroup.procs"), "").unwrap();
            fs::write(group.join("cgroup.subtree_control"), "").unwrap();
        }
        let found = Hierarchy { mount: dir.path().to_owned(), own: "a/b".into() };
        (dir, found)
    }

    #[test]
    fn ones_own_group_is_the_one_of_version_two() {
        assert_eq!(own("0::/user.slice/x.scope\n"), Some("user.slice/x.scope".into()));
        assert_eq!(own("5:memory:/x\n1:name=systemd:/y\n0::/\n"), Some("".into()));
        assert_eq!(own("4:memory:/x\n"), None);
        assert_eq!(own("0::/../other\n"), None);
    }

    #[test]
    fn the_nearest_group_that_has_what_is_asked_for_is_divided() {
        let (dir, hierarchy) = tree();
        let lacks = |wanted: &[&str]| match hierarchy.divisible(wanted) {
            Err(Error::NotDelegated { controllers }) => controllers.join(" "),
            other => panic!("{other:?}"),
        };
        assert_eq!(lacks(&["memory"]), "memory");
        fs::write(dir.path().join("a/cgroup.subtree_control"), "cpu memory\n").unwrap();
        let below = |path: PathBuf| CgroupParent::Below(Text::from(path));
        assert_eq!(hierarchy.divisible(&["memory"]).unwrap(), below(dir.path().join("a")));
        fs::write(dir.path().join("a/b/cgroup.subtree_control"), "memory\n").unwrap();
        assert_eq!(hierarchy.divisible(&["memory"]).unwrap(), below(dir.path().join("a/b")));
        assert_eq!(hierarchy.divisible(&["cpu", "memory"]).unwrap(), below(dir.path().join("a")));
        assert_eq!(lacks(&["memory", "io"]), "io");
    }

    #[test]
    fn a_scope_is_asked_for_in_so_many_words() {
        let words = scope("0123", Some("work.slice"));
        assert!(words.contains(&"--slice=work.slice".to_owned()) && words.ends_with(&["--".to_owned()]));
        assert!(words.iter().any(|word| word.starts_with("--unit=enter-0123-")));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".*") {
            let _ = own(&text);
        }
    }
}
