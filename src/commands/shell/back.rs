//! The way back of a throwaway shell: what is told when it was left, and how one that was left is opened again.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use enter::container::dropped;
use enter::container::folder::Folder;
use enter::container::record::{Record, Spec, Storage};
use enter::image::Digest;
use enter::store::Store;

use crate::cli::ShellArgs;
use crate::commands::resolve::Target;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// What is kept of all shells together, in bytes, where no setting says otherwise.
const MOST: u64 = 5_000_000_000;

/// A shell that was left.
pub struct Back {
    /// Its folder, which nobody else has.
    pub folder: Folder,
    /// What it was made as.
    pub record: Record,
}

impl Back {
    /// What it was made from.
    pub fn target(&self, store: &Store) -> Result<Target, Failure> {
        let used = &self.record.spec.image;
        if used.id.is_empty() {
            return Ok(Target::Host);
        }
        let found = Digest::parse(&used.id).ok().map(|id| store.by_id_or_arriving(&id)).transpose()?.flatten();
        let image = found.ok_or_else(|| {
            Failure::new(format!("cannot restore the shell of {}: its image is not in the store any more", used.name))
                .with_hint(format!("fetch it again, if the registry still has that very one: enter pull {}", used.name))
        })?;
        Ok(Target::Image(Box::new(image)))
    }

    /// How its changes were kept, which cannot be changed any more.
    pub fn storage(&self) -> Storage {
        self.record.spec.storage
    }

    /// What it is now: what it was, as far as it is still what was typed.
    pub fn record(&self, spec: Spec) -> Record {
        let before = &self.record.spec;
        let spec = Spec { created_by: before.created_by.clone(), created_in: before.created_in.clone(), ..spec };
        Record { spec, ..self.record.clone() }
    }
}

/// How much of a shell is kept at most, in bytes; 0 for nothing.
pub fn most(settings: &Settings, args: &ShellArgs) -> u64 {
    if args.rm { 0 } else { limit(settings) }
}

/// How much is kept of all shells together, in bytes.
pub fn limit(settings: &Settings) -> u64 {
    settings.restore_size.map_or(MOST, |bytes| bytes.0)
}

/// Says what was dropped with the container of this id, if that can be brought back, to who sits at a terminal. A script is told nothing.
pub fn tell(ui: &Ui, settings: &Settings, root: &Path, id: &str) {
    if !io::stderr().is_terminal() {
        return;
    }
    let Some(dropped) = dropped::of(root, id) else { return };
    let changed = dropped.changed;
    let files = if changed.files == 1 { "file" } else { "files" };
    let more = if changed.all { "" } else { "more than " };
    ui.note(&format!(
        "dropped {more}{} {files}, {}; bring them back within {} with: enter restore",
        changed.files,
        human::size(changed.bytes),
        period(settings.restore_time)
    ));
}

/// `24 hours`, `90 minutes`.
fn period(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 86_400 == 0 && seconds > 86_400 => format!("{} days", seconds / 86_400),
        seconds if seconds % 3600 == 0 && seconds > 3600 => format!("{} hours", seconds / 3600),
        seconds if seconds % 60 == 0 && seconds > 60 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_own_unit() {
        for (seconds, text) in [
            (86_400, "24 hours"),
            (172_800, "2 days"),
            (3600, "60 minutes"),
            (90 * 60, "90 minutes"),
            (45, "45 seconds"),
        ] {
            assert_eq!(period(Duration::from_secs(seconds)), text);
        }
    }
}
