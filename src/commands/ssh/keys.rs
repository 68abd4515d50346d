//! The key that this user's boxes are known by, made when it is first wanted: `ssh/host_key` in the user's own state, and `ssh/known_hosts` beside
//! it, by which ssh knows it again.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::fcntl::{Flock, FlockArg};
use ssh::HostKey;

use crate::failure::Failure;

/// The name that all boxes have for ssh's checking of keys.
pub const ALIAS: &str = "enter-boxes";

/// The folder, which is the user's alone.
fn folder(root: &Path) -> Result<PathBuf, Failure> {
    let folder = root.join("ssh");
    match DirBuilder::new().mode(0o700).recursive(true).create(&folder) {
        Ok(()) => Ok(folder),
        Err(error) => Err(Failure::new(format!("cannot make {}", folder.display())).because(error)),
    }
}

/// The file by which ssh knows the key.
pub fn known_hosts(root: &Path) -> PathBuf {
    root.join("ssh/known_hosts")
}

/// The key, made where there is none; then the file by which ssh knows it is there too.
pub fn key(root: &Path) -> Result<HostKey, Failure> {
    let folder = folder(root)?;
    let place = folder.join("host_key");
    let failed =
        |error: io::Error| Failure::new(format!("cannot keep the key of boxes in {}", place.display())).because(error);
    // Two that come at once are to have the same.
    let lock = File::open(&folder).map_err(failed)?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
    let kept = match fs::read(&place) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = HostKey::make().map_err(|error| Failure::new("cannot make a key").because(error))?;
            write(&place, &made).map_err(failed)?;
            made
        }
        Err(error) => return Err(failed(error)),
    };
    let key = HostKey::read(&kept).map_err(|error| {
        Failure::new(format!("cannot use {} as a key", place.display()))
            .because(error)
            .with_hint("remove the file: a new key is made the next time")
    })?;
    let line = format!("{ALIAS} {} {}\n", ssh::KIND, STANDARD.encode(key.public()));
    let known = known_hosts(root);
    if fs::read_to_string(&known).ok().as_ref() != Some(&line) {
        write(&known, line.as_bytes()).map_err(failed)?;
    }
    Ok(key)
}

/// Writes a file of the user's alone, whole or not at all.
pub fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".new-");
    name.push(place.file_name().unwrap_or_default());
    let beside = place.with_file_name(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, place)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let first = key(folder.path()).unwrap().public();
        assert_eq!(key(folder.path()).unwrap().public(), first);
        fs::write(known_hosts(folder.path()), "other").unwrap();
        key(folder.path()).unwrap();
        let line = fs::read_to_string(known_hosts(folder.path())).unwrap();
        assert_eq!(line, format!("{ALIAS} ssh-ed25519 {}\n", STANDARD.encode(&first)));
        fs::write(folder.path().join("ssh/host_key"), "no key").unwrap();
        assert!(key(folder.path()).is_err());
    }
}
