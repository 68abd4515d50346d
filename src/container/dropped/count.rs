//! How much a shell has changed: counted when it ends, by who may look at all its files.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;
use plan::{Plan, Writable};
use serde::{Deserialize, Serialize};

use crate::container::files::{Base, Hidden};
use crate::container::folder::name;
use crate::container::home;
use crate::container::record::Storage;
use crate::container::upper::{At, Content, Found, Upper};

/// So long is counted. Whoever leaves a shell waits for it.
const COUNTING: Duration = Duration::from_millis(400);

/// What has changed in a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Files, links and the like that are new, changed or deleted, and new directories with nothing in them.
    pub files: u64,
    /// What the files hold.
    pub bytes: u64,
    /// Whether that is all; there may have been too many to be counted.
    pub all: bool,
}

/// Counts what was changed in a container: in its root, and in a home of its own or whose changes are set aside. What was put there at
/// its start is not counted.
///
/// What cannot be looked at is left out.
pub fn count(folder: &Path, plan: &Plan) -> Left {
    let end = Instant::now() + COUNTING;
    let storage = match plan.root.writable {
        Writable::Overlay { .. } => Storage::Overlay,
        Writable::Fuse { .. } => Storage::Fuse,
    };
    let mut left = Left { all: true, ..Left::default() };
    if let Ok(upper) = Upper::open(folder, storage) {
        left = of_upper(&upper, &Hidden::of(Some(plan), None), end);
        if left.files > 0 {
            // Most often nothing was changed, and it need not be known where the image's links lead.
            let base = Base::open(&plan.root.lower).ok();
            left = of_upper(&upper, &Hidden::of(Some(plan), base.as_ref().and_then(Base::image)), end);
        }
    }
    let home = folder.join(name::HOME);
    let aside = Upper::open(&home, Storage::Fuse);
    for home in [aside, Upper::plain(&home.join(home::OWN))].into_iter().flatten() {
        let home = of_upper(&home, &Hidden::of(None, None), end);
        left = Left { files: left.files + home.files, bytes: left.bytes + home.bytes, all: left.all && home.all };
    }
    left
}

fn of_upper(upper: &Upper, hidden: &Hidden, end: Instant) -> Left {
    let (mut left, mut linked) = (Left { all: true, ..Left::default() }, HashSet::new());
    // Directories in which nothing was found so far.
    let mut empty: HashSet<Vec<u8>> = HashSet::new();
    upper.walk_while(&mut |path, at, found| {
        left.all = Instant::now() < end;
        if let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            empty.remove(&path[..slash]);
        }
        match found {
            _ if hidden.covers(path) => {}
            Ok(Found::File(status, _)) if status.mode & libc::S_IFMT == libc::S_IFDIR => {
                if !hidden.leads(path) {
                    empty.insert(path.to_vec());
                }
            }
            Ok(Found::File(status, _)) if !is_as_written(upper, at, hidden.written(path), status.size) => {
                left.files += 1;
                let is_file = status.mode & libc::S_IFMT == libc::S_IFREG;
                if is_file && (status.nlink == 1 || linked.insert(status.inode)) && upper.is_whole(at) {
                    left.bytes += status.size;
                }
            }
            Ok(Found::File(..)) => {}
            Ok(Found::Whiteout) | Err(_) => left.files += 1,
        }
        left.all
    });
    left.files += empty.len() as u64;
    left
}

/// Whether a file holds what was written to it at the start.
fn is_as_written(upper: &Upper, at: At<'_>, written: Option<&[u8]>, size: u64) -> bool {
    let Some(written) = written.filter(|written| written.len() as u64 == size) else { return false };
    let Ok(Content::Own(file)) = upper.content(at) else { return false };
    let mut found = Vec::new();
    file.take(size + 1).read_to_end(&mut found).is_ok() && found == written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_and_empty_directories_count_and_what_leads_to_them_does_not() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::create_dir_all(dir.path().join(name::UPPER).join("new/deep")).unwrap();
        fs::create_dir_all(dir.path().join(name::UPPER).join("etc/apt")).unwrap();
        fs::create_dir_all(dir.path().join(name::WORK)).unwrap();
        fs::write(dir.path().join(name::UPPER).join("etc/apt/list"), "1234").unwrap();
        fs::hard_link(dir.path().join(name::UPPER).join("etc/apt/list"), dir.path().join(name::UPPER).join("again"))
            .unwrap();
        // Furniture of every container.
        fs::write(dir.path().join(name::UPPER).join("etc/hosts"), "").unwrap();
        let upper = Upper::open(dir.path(), Storage::Overlay).unwrap();
        let left = of_upper(&upper, &Hidden::of(None, None), Instant::now() + Duration::from_secs(60));
        assert_eq!(left, Left { files: 3, bytes: 4, all: true });
        let left = of_upper(&upper, &Hidden::of(None, None), Instant::now());
        assert!(!left.all);
    }
}
