//! Changing a file of the user's configuration: under a lock, and as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::Error;

/// Who may read a file that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone, whoever could before.
    Owner,
    /// Whoever could before; everybody, of a new one.
    AsBefore,
}

/// Replaces a file by what `change` makes of its text, which is empty where there is no file yet. Its folder is locked meanwhile, and made where
/// it is missing. A link is followed: what it leads to is replaced, and the link stays.
///
/// # Errors
/// That of `change`; [`Error::Write`].
pub fn rewrite(path: &Path, readers: Readers, change: impl FnOnce(&str) -> Result<String, Error>) -> Result<(), Error> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |source| Error::Write { path: path.clone(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let folder = File::open(folder).map_err(failed)?;
    let folder = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
    let text = change(&super::read(&path)?.unwrap_or_default())?;
    let mode = match (readers, fs::metadata(&path)) {
        (Readers::Owner, _) => 0o600,
        (Readers::AsBefore, Ok(before)) => before.permissions().mode() & 0o777,
        (Readers::AsBefore, Err(_)) => 0o644,
    };
    replace(&path, text.as_bytes(), mode).and_then(|()| folder.sync_all()).map_err(failed)
}

/// Puts a file in the place of what is there.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".new-");
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    // What a killed one has left; the lock of the folder is ours.
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)));
    let written = written.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error that led here is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written
}
