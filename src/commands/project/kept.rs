//! What is kept about a project, apart from it: whether its file is allowed, and which box is its.
//!
//! ```text
//! projects/HASH/allowed    JSON: the file's path, and the hash of the content that was allowed
//! projects/HASH/box        JSON: the project's box, and what of the file it has already
//! ```
//!
//! HASH is that of the file's path. The folder itself is locked by whoever makes the box or changes it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use enter::container::folder::private_directory;
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::project::Project;
use crate::ui::Ui;

/// What is kept about one project.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Allowed {
    /// For whoever looks at what was allowed.
    path: PathBuf,
    sha256: String,
}

/// The box of a project.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Boxed {
    /// Its container's id; empty while it is being made.
    pub id: String,
    /// The name that it was to be made with, and when that was begun: so the box of one who was killed is found again.
    pub name: String,
    /// See above.
    pub begun: Option<Timestamp>,
    /// What the file said when it was followed last.
    pub applied: Project,
    /// The packages that are installed.
    pub packages: Vec<String>,
    /// Whether `hooks.once` has been run.
    pub once: bool,
    /// The start after which `hooks.start` was run.
    pub started: Option<Timestamp>,
}

impl Kept {
    /// About the project of this file; `root` is `…/enter/v1`.
    pub fn about(root: &Path, file: &Path) -> Self {
        let hash = hex(file.as_os_str().as_bytes());
        Self { folder: root.join("projects").join(&hash[..32]) }
    }

    /// Whether a file with this content is allowed.
    pub fn allows(&self, text: &str) -> Result<bool, Failure> {
        let allowed: Option<Allowed> = self.read("allowed")?;
        Ok(allowed.is_some_and(|allowed| allowed.sha256 == hex(text.as_bytes())))
    }

    /// Whether another content of the file was allowed.
    pub fn has_allowed(&self) -> bool {
        self.folder.join("allowed").exists()
    }

    /// Allows this content.
    pub fn allow(&self, file: &Path, text: &str) -> Result<(), Failure> {
        self.write("allowed", &Allowed { path: file.into(), sha256: hex(text.as_bytes()) })
    }

    /// Allows nothing any more; false where nothing was allowed.
    pub fn deny(&self) -> Result<bool, Failure> {
        let path = self.folder.join("allowed");
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::new(format!("cannot remove {}", path.display())).because(error)),
        }
    }

    /// The project's box, if it ever had one.
    pub fn boxed(&self) -> Result<Option<Boxed>, Failure> {
        self.read("box")
    }

    /// Keeps what is true of the box from now on.
    pub fn keep(&self, boxed: &Boxed) -> Result<(), Failure> {
        self.write("box", boxed)
    }

    /// Waits until nobody else makes or changes the project's box, and keeps others from it.
    pub fn lock(&self, ui: &Ui) -> Result<Flock<File>, Failure> {
        let failed =
            |error: std::io::Error| Failure::new(format!("cannot lock {}", self.folder.display())).because(error);
        private_directory(&self.folder)?;
        let open = || File::open(&self.folder).map_err(failed);
        match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {}
            Err((_, errno)) => return Err(failed(errno.into())),
        }
        ui.note("another `enter` is making this project's box; waiting for it");
        Flock::lock(open()?, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let path = self.folder.join(name);
        let failed = || {
            Failure::new(format!("cannot read {}", path.display()))
                .with_hint("if it is damaged, remove it; nothing else is lost")
        };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed().because(error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed().because(error)),
        }
    }

    /// Whole, or as it was before.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Failure> {
        private_directory(&self.folder)?;
        let path = self.folder.join(name);
        let temporary = self.folder.join(format!("{name}.{}.tmp", std::process::id()));
        let failed = |error: std::io::Error| {
            let _ = fs::remove_file(&temporary);
            Failure::new(format!("cannot write {}", path.display()))
                .because(error)
                .with_hint("see that there is space on the disk, and that you may write there")
        };
        let bytes = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
        let written =
            File::create(&temporary).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_data()));
        written.and_then(|()| fs::rename(&temporary, &path)).map_err(failed)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // A string takes everything.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_content_at_the_very_place_is_allowed() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (Path::new("/w/one/.enter.toml"), Path::new("/w/other/.enter.toml"));
        let kept = Kept::about(root.path(), one);
        assert!(!kept.allows("image = 'a'").unwrap());
        kept.allow(one, "image = 'a'").unwrap();
        assert!(kept.allows("image = 'a'").unwrap());
        assert!(!kept.allows("image = 'a' ").unwrap());
        assert!(!Kept::about(root.path(), other).allows("image = 'a'").unwrap());
        assert!(kept.deny().unwrap() && !kept.deny().unwrap());
        assert!(!kept.allows("image = 'a'").unwrap());
    }
}
