//! A volume as a list shows it, and how much it holds.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use enter::volume::Volume;
use serde_json::{Value, json};

use crate::ui::human;

/// The fields of a list. `links`: how many containers use it; `size`: where that was looked at.
pub fn fields(volume: &Volume, links: usize, size: Option<u64>) -> Value {
    let record = &volume.record;
    let labels: Vec<String> = record.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "Anonymous": record.anonymous.to_string(),
        "Availability": "N/A",
        "CreatedAt": record.created.to_string(),
        "Driver": "local",
        "Group": "N/A",
        "Labels": labels.join(","),
        "Links": links.to_string(),
        "Mountpoint": volume.data().display().to_string(),
        "Name": record.name,
        "Scope": "local",
        "Size": size.map_or_else(|| "N/A".to_owned(), human::size),
        "Status": "N/A",
    })
}

/// Bytes of all files in a volume. Those with several names count once; what the user may not look into does not count, nor what lies in a
/// folder of his own that it shows.
pub fn size(volume: &Volume) -> u64 {
    if volume.record.device().is_some() {
        return 0;
    }
    let mut linked = HashSet::new();
    below(&volume.data(), &mut linked)
}

fn below(folder: &Path, linked: &mut HashSet<u64>) -> u64 {
    let mut waiting = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(status) = entry.metadata() else { continue };
            if status.is_dir() {
                waiting.push(entry.path());
            } else if status.is_file() && (status.nlink() == 1 || linked.insert(status.ino())) {
                bytes += status.len();
            }
        }
    }
    bytes
}
