//! What a container has set aside of the user's home, for `enter diff`: as lines, or as a patch.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use enter::container::files::Change as How;
use enter::container::home::{Aside, Change};
use similar::TextDiff;

use crate::ui::Ui;

/// Larger files are not compared line by line, in bytes.
const LARGEST: u64 = 4 << 20;

/// So many conflicts are told of; of more, how many there are.
const MOST: usize = 20;

/// The lines that tell of changes: how, and the path as it is in the container.
pub fn lines(aside: &Aside, changes: &[Change]) -> Vec<(How, String)> {
    changes.iter().map(|change| (change.how, shown(aside, change))).collect()
}

fn shown(aside: &Aside, change: &Change) -> String {
    aside.home.join(OsStr::from_bytes(&change.path)).display().to_string()
}

/// Says which of them cannot be taken over as they are.
pub fn tell_conflicts(ui: &Ui, aside: &Aside, changes: &[Change]) {
    let conflicts: Vec<_> = changes.iter().filter_map(|change| Some((change, change.conflict?))).collect();
    for (change, why) in conflicts.iter().take(MOST) {
        ui.warning(&format!("conflict: {}: {why}", shown(aside, change)));
    }
    if conflicts.len() > MOST {
        ui.warning(&format!("and {} more conflicts", conflicts.len() - MOST));
    }
}

/// What changed in text files, in the form that patch(1) takes in the home; of others, that they differ.
pub fn patch(aside: &Aside, changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes.iter().filter(|change| change.is_file()) {
        let path = String::from_utf8_lossy(&change.path);
        let old = (change.how != How::Added).then(|| read(aside.lower_file(&change.path).ok()));
        let new = (change.how != How::Deleted).then(|| read(aside.content(&change.path).ok()));
        match (old.unwrap_or(Some(String::new())), new.unwrap_or(Some(String::new()))) {
            (Some(old), Some(new)) => {
                let name = |side: &str, there: bool| if there { format!("{side}/{path}") } else { "/dev/null".into() };
                let (from, to) = (name("a", change.how != How::Added), name("b", change.how != How::Deleted));
                let diff = TextDiff::from_lines(&old, &new);
                text.push_str(&diff.unified_diff().header(&from, &to).to_string());
            }
            _ => text.push_str(&format!("files a/{path} and b/{path} differ, and are no text\n")),
        }
    }
    text
}

/// All of a text file; `None` for what is none, or too large.
fn read(file: Option<File>) -> Option<String> {
    let file = file?;
    if file.metadata().ok()?.len() > LARGEST {
        return None;
    }
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content).ok()?;
    String::from_utf8(content).ok().filter(|text| !text.contains('\0'))
}
