//! `.enter.toml`: what a project's box is made as. Found, read and understood here; nothing is done about it, and nothing is printed.
//!
//! Whoever can write into a folder can put such a file there, so that all of it counts as hostile until the user has allowed it: `commands`,
//! who call this, see to that.

mod file;
mod find;
pub mod guess;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use file::parse;
pub use find::{Found, NAME, from, read};

/// A file of more bytes than this is none that somebody wrote for us.
pub const LARGEST: u64 = 256 << 10;

/// What stands in a project's file. Each value is as the flag of `enter NAME` takes it, and was checked by that flag's own parser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Project {
    /// What the box is to be called; without it as the folder is.
    pub name: Option<String>,
    /// What it is made from.
    pub image: String,
    /// What the image's package manager installs.
    pub packages: Vec<String>,
    /// `SOURCE:TARGET[:OPTIONS]`; a source that is no absolute path begins at the file's folder, or with `~/`.
    pub mounts: Vec<String>,
    /// As `--publish` takes them.
    pub ports: Vec<String>,
    /// As `--network` takes them.
    pub networks: Vec<String>,
    /// `NAME=VALUE`; or `NAME` for the caller's own, at each enter.
    pub environment: Vec<String>,
    /// As `--home` takes it.
    pub home: Option<String>,
    /// As `--user` takes it.
    pub user: Option<String>,
    /// Where one begins: a path inside, or one that begins at the file's folder.
    pub workdir: Option<PathBuf>,
    /// What is run, and when.
    pub hooks: Hooks,
}

/// Lines for `sh`, which are run inside, as the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Once, after the box was made and its packages are there.
    pub once: Vec<String>,
    /// Each time that the box has started.
    pub start: Vec<String>,
    /// Each time that somebody goes in.
    pub enter: Vec<String>,
}

/// Why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is there and cannot be read.
    #[error("cannot read the project file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is a folder, a pipe, a device.
    #[error("cannot take {} for a project file: it is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// It is too large.
    #[error("cannot take {} for a project file: it is larger than {} KiB", .0.display(), LARGEST >> 10)]
    TooLarge(PathBuf),
    /// It is no text.
    #[error("cannot take {} for a project file: it is not written in UTF-8", .0.display())]
    NotText(PathBuf),
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// What is wrong.
        what: String,
        /// What the user can do.
        hint: Option<String>,
    },
}

impl Error {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("mend its permissions, or move it away".into()),
            Self::NotAFile(_) | Self::TooLarge(_) | Self::NotText(_) => {
                Some("move it away, and write a new one: enter init".into())
            }
            Self::Wrong { hint, .. } => {
                hint.clone().or_else(|| Some("see `enter init --help` for what can stand there".into()))
            }
        }
    }
}

impl Project {
    /// Whether the user's home is in the box.
    pub fn has_home(&self) -> bool {
        !matches!(self.home.as_deref(), Some("own" | "none"))
    }

    /// The mounts with sources from `/` on: those of this machine that are shown, in the words of `--volume`.
    pub fn volumes(&self, folder: &Path, home: Option<&Path>) -> Vec<String> {
        self.mounts.iter().map(|mount| whole(mount, folder, home)).collect()
    }
}

/// A mount whose source begins at `/`.
fn whole(mount: &str, folder: &Path, home: Option<&Path>) -> String {
    let (source, rest) = mount.split_once(':').unwrap_or((mount, ""));
    let path = match (source.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')), home) {
        (Some(below), Some(home)) => home.join(below.trim_start_matches('/')),
        _ => folder.join(source),
    };
    format!("{}:{rest}", tidy(&path).display())
}

/// A path without `.` and `..`, as far as its words alone tell: what is shown to the user is not to hide where it leads.
fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_begin_at_the_files_folder() {
        let project = Project {
            mounts: vec![
                "./data:/data".into(),
                "~/.cache:/c:ro".into(),
                "/srv:/srv".into(),
                "../../etc:/e".into(),
                ".:/w".into(),
            ],
            ..Project::default()
        };
        assert_eq!(
            project.volumes("/home/u/web".as_ref(), Some("/home/u".as_ref())),
            ["/home/u/web/data:/data", "/home/u/.cache:/c:ro", "/srv:/srv", "/home/etc:/e", "/home/u/web:/w"]
        );
    }
}
