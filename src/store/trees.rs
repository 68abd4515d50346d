//! Trees are made from layers, and can be made again: only those of the images that were used last are kept.
//!
//! A tree takes some 60 bytes for each file of its image, whatever its own layers add. A hundred commits, each upon the other, would
//! keep as many trees that differ in a line.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::lock::{self, Kind};
use super::{Store, file};
use crate::image::Digest;

/// The name of the tree in an image's folder.
pub const TREE: &str = "tree";

/// The name of the record beside it. Its time of change says when the image was used last.
pub const RECORD: &str = "image.json";

/// So many are kept, beside those that containers run from.
const KEPT: usize = 16;

/// Marks an image as used now: a single system call, as it is made at each start. One that cannot be marked only goes sooner.
pub fn used(tree: &Path) {
    let now = TimeSpec::UTIME_NOW;
    let _ = utimensat(AT_FDCWD, &tree.with_file_name(RECORD), &now, &now, UtimensatFlags::FollowSymlink);
}

impl Store {
    /// Drops the trees that were not used for the longest time. What cannot be dropped stays: it costs space, and nothing else.
    pub(super) fn trim_trees(&self) {
        let images = self.images_dir();
        let Ok(names) = file::list(&images) else { return };
        let used = |name: &String| {
            let folder = images.join(name);
            let record = fs::metadata(folder.join(RECORD)).and_then(|metadata| metadata.modified());
            // One that is being added has a tree already, and no record.
            let used = record.unwrap_or_else(|_| SystemTime::now());
            folder.join(TREE).exists().then(|| (used, name.clone()))
        };
        let mut trees: Vec<(SystemTime, String)> = names.iter().filter_map(used).collect();
        trees.sort_unstable_by(|one, other| other.cmp(one));
        for (_, name) in trees.into_iter().skip(KEPT) {
            drop_unused(&images.join(name));
        }
    }

    /// Drops all trees that no container runs from, so that there is room for something small on a full disk. `held` is an image whose lock the
    /// caller has for itself.
    pub(super) fn drop_trees(&self, held: Option<&Digest>) {
        if let Some(held) = held {
            let _ = fs::remove_file(self.image_dir(held).join(TREE));
        }
        for id in self.ids().unwrap_or_default() {
            drop_unused(&self.image_dir(&id));
        }
    }
}

/// Drops the tree of an image, unless a container runs from it: that has it open, and may open it again.
fn drop_unused(image: &Path) {
    if let Ok(Some(_lock)) = lock::at_once(image, Kind::Exclusive) {
        let _ = fs::remove_file(image.join(TREE));
    }
}
