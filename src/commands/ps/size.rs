//! What a container has written, in bytes.

use enter::container::Container;
use enter::container::upper::Upper;

/// The bytes of all files that are the container's own. Files with several names count once.
///
/// What a subordinate id has closed to the user cannot be looked into, and does not count.
pub fn written(container: &Container) -> u64 {
    Upper::open(&container.folder, container.record.spec.storage).map_or(0, |upper| upper.bytes())
}
