//! What happened to containers and images: an append-only file of one JSON object a line, `events.jsonl`.
//!
//! Every process of `enter` appends by itself, each record by one write to a file opened with O_APPEND, so that records do not mix. The
//! journal is told what was done already: nothing fails because it cannot be told.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::logs::{self, Files, Following};
use super::record::Record;

/// A file that is longer is put aside; one older is kept.
const FULL: u64 = 8 << 20;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// To what.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Docker's word for it: `create`, `start`, `die`, `exec_create: ls -l`, …
    pub action: String,
    /// Of the container or image.
    pub id: String,
    /// Its name; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The image of a container, as it was typed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Labels, and what the action has of its own: `exitCode`, `signal`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// What something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

impl Kind {
    /// Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

impl Event {
    /// Something that has just happened to a container.
    pub fn of_container(record: &Record, action: impl Into<String>) -> Self {
        Self {
            time: Timestamp::now(),
            kind: Kind::Container,
            action: action.into(),
            id: record.id.clone(),
            name: record.name.clone(),
            image: record.spec.image.name.clone(),
            attributes: record.spec.labels.clone(),
        }
    }

    /// Something that has just happened to an image; `id` is `sha256:HEX`.
    pub fn of_image(id: impl Into<String>, name: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            time: Timestamp::now(),
            kind: Kind::Image,
            action: action.into(),
            id: id.into(),
            name: name.into(),
            image: String::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// Something that has just happened to a volume.
    pub fn of_volume(name: impl Into<String>, action: impl Into<String>) -> Self {
        Self { kind: Kind::Volume, ..Self::of_image(name, "", action) }
    }

    /// The same event with something more to say of it.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.attributes.insert(key.to_owned(), value.to_string());
        self
    }

    /// What a line of the journal says; `None` for what a killed writer left, and for what a later version may write.
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// The journal of a user.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The one below `root`, which is `…/enter/v1`.
    pub fn at(root: &Path) -> Self {
        Self { path: root.join("events.jsonl") }
    }

    /// The one of the user whose container has this folder (`…/enter/v1/containers/ID`).
    pub fn beside(container: &Path) -> Self {
        Self::at(container.ancestors().nth(2).unwrap_or(container))
    }

    /// Where it is written, and where what was written before is.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.path.clone(), self.path.with_extension("jsonl.1")]
    }

    /// What happened from now on, or with `all` also what happened before. Without `follow`, it ends where the journal ends now.
    ///
    /// # Errors
    /// What the filesystem says. A journal that was not begun yet is empty.
    pub fn read(&self, all: bool, follow: bool) -> Result<Happened, logs::Error> {
        let files = Files { path: self.path.clone(), json: true, max_files: 2 };
        let mut opened = files.open()?;
        let mut offset = 0;
        if !all && let Some(newest) = opened.pop() {
            offset = newest.length().map_err(logs::Error::file("read", &self.path))?;
            opened = vec![newest];
        }
        Ok(Happened(Following::new(files, opened, offset, follow)?))
    }

    /// Adds an event. What happened has happened: that it cannot be told (a full disk) is no reason to fail.
    pub fn add(&self, event: &Event) {
        let _ = self.append(event);
    }

    fn append(&self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut file = self.open()?;
        let length = file.metadata()?.len();
        if length >= FULL {
            self.put_aside(&file)?;
            file = self.open()?;
        } else if length > 0 {
            // What a killed writer left of a line must not spoil this one. An empty line too many is no harm.
            let mut last = [b'\n'];
            file.read_exact_at(&mut last, length - 1)?;
            if last != [b'\n'] {
                line.insert(0, b'\n');
            }
        }
        file.write_all(&line)
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)
    }

    /// Renames a full file. Whoever has it open still writes to it, where readers find it.
    fn put_aside(&self, full: &File) -> io::Result<()> {
        // Somebody else is at it: then it is done.
        if full.try_lock().is_err() {
            return Ok(());
        }
        let [path, older] = self.files();
        if fs::metadata(&path)?.ino() == full.metadata()?.ino() {
            fs::rename(path, older)?;
        }
        Ok(())
    }
}

/// A place in the journal.
#[derive(Debug)]
pub struct Happened(Following);

impl Happened {
    /// Gives each event that is there now to `each`, and says whether there was any.
    ///
    /// # Errors
    /// What the filesystem says, and what `each` says.
    pub fn drain<E: From<logs::Error>>(&mut self, mut each: impl FnMut(Event) -> Result<(), E>) -> Result<bool, E> {
        self.0.drain(|_, line| Event::parse(line).map_or(Ok(()), &mut each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Containers;
    use crate::container::record::Spec;

    fn event(action: &str) -> Event {
        let mut record = Containers::new_record(Spec::default()).unwrap();
        record.name = "web".into();
        Event::of_container(&record, action)
    }

    fn actions(path: &Path) -> Vec<String> {
        let text = fs::read(path).unwrap_or_default();
        text.split(|byte| *byte == b'\n').filter_map(Event::parse).map(|event| event.action).collect()
    }

    #[test]
    fn a_killed_writers_line_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::at(dir.path());
        journal.add(&event("create").with("a", 1));
        OpenOptions::new().append(true).open(&journal.path).unwrap().write_all(b"{\"time\":\"20").unwrap();
        journal.add(&event("start"));
        assert_eq!(actions(&journal.path), ["create", "start"]);
    }

    #[test]
    fn writers_do_not_mix_and_a_full_file_is_put_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::at(dir.path());
        fs::write(&journal.path, vec![b'\n'; usize::try_from(FULL).unwrap() - 5000]).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let journal = &journal;
                scope.spawn(move || (0..50).for_each(|count| journal.add(&event(&format!("{writer}-{count}")))));
            }
        });
        let [new, old] = journal.files();
        assert!(fs::metadata(&old).unwrap().len() >= FULL);
        assert_eq!(actions(&old).len() + actions(&new).len(), 400);
    }

    #[test]
    fn what_happens_is_followed_from_now_or_from_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::at(dir.path());
        let drain = |happened: &mut Happened| {
            let mut actions = Vec::new();
            let each = |event: Event| -> Result<(), logs::Error> {
                actions.push(event.action);
                Ok(())
            };
            happened.drain(each).unwrap();
            actions
        };
        let mut early = journal.read(false, true).unwrap();
        journal.add(&event("create"));
        let (mut all, mut new, mut now) =
            (journal.read(true, true).unwrap(), journal.read(false, true).unwrap(), journal.read(true, false).unwrap());
        journal.add(&event("start"));
        assert_eq!(drain(&mut early), ["create", "start"]);
        assert_eq!(drain(&mut all), ["create", "start"]);
        assert_eq!(drain(&mut new), ["start"]);
        assert_eq!(drain(&mut now), ["create"]);
    }

    #[test]
    fn it_lies_beside_the_containers() {
        let journal = Journal::beside(Path::new("/data/enter/v1/containers/0123"));
        assert_eq!(journal.path, Path::new("/data/enter/v1/events.jsonl"));
    }
}
