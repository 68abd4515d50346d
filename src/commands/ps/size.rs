//! What a container has written, in bytes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use enter::container::Container;
use enter::container::folder::name;

/// The bytes of all files that are the container's own. Files with several names count once.
///
/// What a subordinate id has closed to the user cannot be looked into, and does not count.
pub fn written(container: &Container) -> u64 {
    let (mut waiting, mut bytes, mut linked) =
        (vec![container.folder.join(name::UPPER)], 0, std::collections::HashSet::new());
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else if metadata.is_file() && (metadata.nlink() == 1 || linked.insert(metadata.ino())) {
                bytes += metadata.len();
            }
        }
    }
    bytes
}
