//! What of a box's programs was put where this machine finds it: which, in the box's folder; and the files themselves, each of which says whose
//! it is. A file that does not say so is somebody else's, and is never written to or removed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::folder::name;

/// One program or application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// What it is.
    pub kind: Kind,
    /// What it was called when it was asked for.
    pub name: String,
    /// Inside: the program, or the desktop file.
    pub source: PathBuf,
    /// Outside: the wrapper, or the desktop file.
    pub target: PathBuf,
    /// Outside: the icon of a desktop file.
    pub icon: Option<PathBuf>,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A program, by a script of its name.
    Bin,
    /// An application, by a desktop file and its icon.
    App,
}

impl Kind {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::App => "app",
        }
    }
}

/// What is exported of the box whose folder this is; nothing where that cannot be told.
pub fn read(folder: &Path) -> Vec<Export> {
    let text = fs::read(folder.join(name::EXPORTS)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Says what is exported.
///
/// # Errors
/// What the filesystem says.
pub fn write(folder: &Path, exports: &[Export]) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(exports).unwrap_or_default();
    put(&folder.join(name::EXPORTS), &text, 0o600)
}

/// The line by which a file says that it is the box's with this id.
pub fn mark(id: &str) -> String {
    format!("# enter-export 1 {id}")
}

/// What the name of an icon begins with that is the box's.
pub fn icon_prefix(id: &str) -> String {
    format!("enter-{}-", id.get(..12).unwrap_or(id))
}

/// Whether a file is the box's: by what it says itself, or, of an icon, by its name.
pub fn is_own(path: &Path, id: &str) -> bool {
    const LONGEST: u64 = 1 << 20;
    let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() < LONGEST);
    let mark = mark(id);
    is_file && fs::read_to_string(path).is_ok_and(|text| text.lines().take(8).any(|line| line == mark))
}

/// Writes a file whole or not at all, in place of one that is ours.
///
/// # Errors
/// What the filesystem says.
pub fn put(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let failed = |error| Error::file("write", path)(error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let new = folder.join(format!(".enter-{}.new", std::process::id()));
    let _ = fs::remove_file(&new);
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(failed)
}

/// Removes what was put outside for an export; what is not ours any more stays. Returns that.
pub fn remove(export: &Export, id: &str) -> Option<PathBuf> {
    let icon = export.icon.iter().filter(|icon| {
        let name = icon.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&icon_prefix(id))
    });
    icon.for_each(|icon| drop(fs::remove_file(icon)));
    if is_own(&export.target, id) {
        let _ = fs::remove_file(&export.target);
        return None;
    }
    Some(export.target.clone()).filter(|target| target.symlink_metadata().is_ok())
}

/// Removes all that a box has put outside, before the box itself goes.
pub fn remove_all(folder: &Path) {
    let Some(id) = folder.file_name().and_then(|name| name.to_str()) else { return };
    read(folder).iter().for_each(|export| drop(remove(export, id)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_boxs_own_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let id = "a".repeat(64);
        let folder = dir.path().join(&id);
        fs::create_dir(&folder).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("own"), format!("#!/bin/sh\n{}\n", mark(&id))).unwrap();
        fs::write(at("other"), "#!/bin/sh\n").unwrap();
        fs::write(at("another"), format!("{}\n", mark(&"b".repeat(64)))).unwrap();
        std::os::unix::fs::symlink(at("own"), at("link")).unwrap();
        let exports: Vec<Export> = ["own", "other", "another", "link", "gone"]
            .map(|name| Export {
                kind: Kind::Bin,
                name: name.into(),
                source: "/bin/x".into(),
                target: at(name),
                icon: Some(at("other")),
            })
            .to_vec();
        write(&folder, &exports).unwrap();
        assert_eq!(read(&folder), exports);
        remove_all(&folder);
        let there = ["own", "other", "another", "link"].map(|name| at(name).symlink_metadata().is_ok());
        assert_eq!(there, [false, true, true, true]);
    }
}
