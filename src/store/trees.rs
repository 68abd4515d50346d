//! Trees are made from layers, and can be made again: only those of the images that were used last are kept.
//!
//! A tree takes some 60 bytes for each file of its image, whatever its own layers add. A hundred commits, each upon the other, would
//! keep as many trees that differ in a line.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use super::lock::{self, Kind};
use super::{Store, file};

/// The name of the tree in an image's folder.
pub const TREE: &str = "tree";

/// So many are kept, beside those that containers run from.
const KEPT: usize = 16;

/// Marks a tree as used now. One that cannot be marked is only dropped sooner.
pub fn used(tree: &Path) {
    let _ = File::open(tree).and_then(|file| file.set_modified(SystemTime::now()));
}

impl Store {
    /// Drops the trees that were not used for the longest time. What cannot be dropped stays: it costs space, and nothing else.
    pub(super) fn trim_trees(&self) {
        let images = self.images_dir();
        let Ok(names) = file::list(&images) else { return };
        let used =
            |name: &String| Some((fs::metadata(images.join(name).join(TREE)).ok()?.modified().ok()?, name.clone()));
        let mut trees: Vec<(SystemTime, String)> = names.iter().filter_map(used).collect();
        trees.sort_unstable_by(|one, other| other.cmp(one));
        for (_, name) in trees.into_iter().skip(KEPT) {
            let image = images.join(name);
            // A container that runs from it has it open, and may open it again.
            if let Ok(Some(_lock)) = lock::at_once(&image, Kind::Exclusive) {
                let _ = fs::remove_file(image.join(TREE));
            }
        }
    }
}
