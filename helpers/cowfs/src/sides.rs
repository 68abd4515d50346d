//! How the directories of a mount must lie to each other. A mount helper asks before it mounts: what would be found out later hangs,
//! or fails in the middle of somebody's work.

use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use sys::statx::{Status, statx};

use crate::error::{Error, Result};

/// The directories of a mount, as their canonical paths.
#[derive(Debug)]
pub struct Sides<'s> {
    /// Those that are shown and not changed.
    pub lower: &'s [PathBuf],
    /// The upper directory and the work directory.
    pub upper: Option<(&'s Path, &'s Path)>,
    /// Where it is to be mounted.
    pub target: &'s Path,
}

impl Sides<'_> {
    /// Whether this can be mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] says what is in the way; [`Error::File`] where a directory is none.
    pub fn check(&self) -> Result<()> {
        let target = self.target;
        let Some((upper, work)) = self.upper else { return Ok(()) };
        for (name, dir) in [("upperdir", upper), ("workdir", work)] {
            if target.starts_with(dir) {
                return wrong(name, dir, &format!("{} lies in it, and would show itself", target.display()));
            }
            if dir.starts_with(target) {
                return wrong(name, dir, &format!("a mount at {} would hide it", target.display()));
            }
            if let Some(lower) = self.lower.iter().find(|lower| lower.starts_with(dir)) {
                let lower = lower.display();
                return wrong(name, dir, &format!("lowerdir {lower} lies in it, which nobody may change"));
            }
        }
        if work.starts_with(upper) {
            return wrong("workdir", work, "it lies in upperdir, and would be seen");
        }
        if upper.starts_with(work) {
            return wrong("workdir", work, "upperdir lies in it");
        }
        let (upper_status, work_status) = (status(upper)?, status(work)?);
        if upper_status.device != work_status.device {
            return wrong("workdir", work, "it is on another filesystem than upperdir");
        }
        if upper_status.mount != work_status.mount {
            return wrong("workdir", work, "it belongs to another mount than upperdir");
        }
        Ok(())
    }
}

fn status(dir: &Path) -> Result<Status> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let found = open(dir, flags, Mode::empty()).and_then(|dir| statx(dir, c""));
    found.map_err(|errno| Error::File { action: "use the directory", path: dir.to_owned(), source: errno.into() })
}

fn wrong(name: &str, dir: &Path, reason: &str) -> Result<()> {
    Err(Error::Option { option: format!("{name}={}", dir.display()), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(lower: &str, upper: Option<(&Path, &Path)>, target: &str) -> std::result::Result<(), String> {
        let lower = [PathBuf::from(lower)];
        Sides { lower: &lower, upper, target: target.as_ref() }.check().map_err(|error| error.to_string())
    }

    #[test]
    fn no_directory_lies_where_it_would_show_or_hide_itself() {
        let folder = tempfile::tempdir().unwrap();
        let [upper, work, inner] = ["upper", "work", "upper/inner"].map(|name| folder.path().join(name));
        [&upper, &work, &inner].into_iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
        let sides = Some((&*upper, &*work));
        assert_eq!(checked("/low", sides, "/mnt"), Ok(()));
        assert_eq!(checked("/low", None, "/low"), Ok(()), "what is below may be hidden");
        assert_eq!(checked("/low", sides, "/low/mnt"), Ok(()), "and does not show what hides it");
        assert_eq!(
            checked("/", sides, "/"),
            Err(format!("mount option `upperdir={}`: a mount at / would hide it", upper.display()))
        );
        let path = |path: &Path| path.display().to_string();
        for (lower, sides, target, reason) in [
            ("/low", sides, &*path(&inner), "and would show itself"),
            ("/low", sides, &*path(&upper), "and would show itself"),
            (&*path(&inner), sides, "/mnt", "which nobody may change"),
            (&*path(&upper), sides, "/mnt", "which nobody may change"),
            ("/low", Some((&*upper, &*inner)), "/mnt", "it lies in upperdir"),
            ("/low", Some((&*upper, &*upper)), "/mnt", "it lies in upperdir"),
            ("/low", Some((&*inner, &*upper)), "/mnt", "upperdir lies in it"),
            ("/low", Some((&*upper, Path::new("/proc"))), "/mnt", "on another filesystem"),
        ] {
            let told = checked(lower, sides, target).unwrap_err();
            assert!(told.contains(reason), "{lower} {target}: {told}");
        }
    }
}
