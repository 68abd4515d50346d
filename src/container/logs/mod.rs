//! What a container's main process writes, kept until the container is removed.
//!
//! The monitor writes by a [`Writer`]; `enter logs` reads files that the writer need not know of, so that no reader can hold up
//! a container. Rotation renames: who reads a file goes on reading it. Called by `monitor` and `commands`.
//!
//! ```text
//! logs/k8s.log       TIME stdout|stderr F|P TEXT       the newest; k8s.log.1 is older, and so on
//! logs/json.log      {"log":"TEXT\n","stream":"stdout","time":"TIME"}
//! ```

mod config;
mod entry;
mod error;
mod files;
mod following;
mod form;
pub mod journalctl;
mod journald;
mod lines;
mod reader;
mod rotated;
mod tail;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use error::Error;
pub use files::Files;
pub(super) use following::Following;
pub use reader::{Query, Reader};
pub use writer::Writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::folder::name;
use super::record::{LogConfig, LogDriver, Record};

/// The longest piece of a line that is one record; longer lines are several, all but the last of them marked as partial.
pub const LONGEST: usize = 16 << 10;

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl Stream {
    /// The word for it in a log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "stdout",
            Self::Error => "stderr",
        }
    }
}

/// Whose log it is: what journald is told, and what `{{.Name}}` and the like in a tag stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image's name as it was typed.
    pub image: String,
    /// The image's ID.
    pub image_id: String,
    /// Labels and variables that `--log-opt labels=` and `env=` name, with their values, and the tag.
    pub details: BTreeMap<String, String>,
}

impl About {
    /// What a record says.
    pub fn of(record: &Record) -> Self {
        let spec = &record.spec;
        let mut about = Self {
            id: record.id.clone(),
            name: record.name.clone(),
            image: spec.image.name.clone(),
            image_id: spec.image.id.clone(),
            details: BTreeMap::new(),
        };
        for label in &spec.log.labels {
            about.details.extend(spec.labels.get(label).map(|value| (label.clone(), value.clone())));
        }
        for variable in &spec.log.variables {
            let texts = spec.environment.iter().map(|text| text.as_os_str().to_string_lossy());
            let values = texts.filter_map(|text| Some(text.strip_prefix(variable)?.strip_prefix('=')?.to_owned()));
            about.details.extend(values.map(|value| (variable.clone(), value)));
        }
        if !spec.log.tag.is_empty() {
            about.details.insert("tag".into(), config::expand_tag(&spec.log.tag, &about));
        }
        about
    }

    /// The first twelve digits of the id.
    fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// The newest file of a log; `None` where the log is not in files. Older ones have `.1`, `.2`, … after this name.
pub fn file(config: &LogConfig, folder: &Path) -> Option<PathBuf> {
    let own = |file: &str| Some(config.path.clone().unwrap_or_else(|| folder.join(name::LOGS).join(file)));
    match config.driver {
        LogDriver::K8sFile => own("k8s.log"),
        LogDriver::JsonFile => own("json.log"),
        LogDriver::Journald | LogDriver::None => None,
    }
}

/// What can be read of a log by its files; `None` where it is not in files.
pub fn files(config: &LogConfig, folder: &Path) -> Option<Files> {
    let json = config.driver == LogDriver::JsonFile;
    file(config, folder).map(|path| Files { path, json, max_files: config.max_files })
}

/// The name of the file that was rotated away `age` times.
fn older(path: &Path, age: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}
