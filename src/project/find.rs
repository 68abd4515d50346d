//! Where the project's file is: in the working directory, or in the nearest folder above it.
//!
//! Nothing above the home, and nothing on another filesystem is looked at: who mounts a stick does not thereby become part of a project. A file
//! of somebody else's, as anybody can leave one in /tmp, is never used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Error, LARGEST};

/// The file's name.
pub const NAME: &str = ".enter.toml";

/// What there is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The user's own file.
    Own(PathBuf),
    /// A file of somebody else's, with that one's uid.
    Foreign(PathBuf, u32),
}

/// The nearest file of `folder` and those above it, for the user `uid` whose home is `home`.
pub fn from(folder: &Path, home: Option<&Path>, uid: u32) -> Option<Found> {
    let device = fs::metadata(folder).ok()?.dev();
    for here in folder.ancestors() {
        // What cannot be looked at belongs to nobody's project.
        if fs::metadata(here).ok()?.dev() != device {
            return None;
        }
        let file = here.join(NAME);
        // Through a link: as with `stow`, it is what it leads to that counts. One that leads nowhere is told when it is read.
        if let Ok(link) = fs::symlink_metadata(&file) {
            let owner = fs::metadata(&file).map_or(link.uid(), |info| info.uid());
            let foreign = [owner, link.uid()].into_iter().find(|owner| *owner != uid);
            return Some(foreign.map_or_else(|| Found::Own(file.clone()), |owner| Found::Foreign(file.clone(), owner)));
        }
        if Some(here) == home {
            return None;
        }
    }
    None
}

/// The text of a file that belongs to `uid`.
///
/// # Errors
/// All that is no small regular file with text in it; also, where it was put in the place of another one meanwhile, somebody else's.
pub fn read(path: &Path, uid: u32) -> Result<String, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    // A pipe is opened without waiting for who writes to it.
    let file =
        OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path).map_err(failed)?;
    let info = file.metadata().map_err(failed)?;
    if !info.is_file() {
        return Err(Error::NotAFile(path.into()));
    }
    if info.uid() != uid {
        return Err(failed(io::Error::new(ErrorKind::PermissionDenied, "it belongs to somebody else")));
    }
    if info.len() > LARGEST {
        return Err(Error::TooLarge(path.into()));
    }
    text(&file, path)
}

fn text(file: &File, path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    let count = read.map_err(|source| Error::Read { path: path.into(), source })?;
    if u64::try_from(count).is_ok_and(|count| count > LARGEST) {
        return Err(Error::TooLarge(path.into()));
    }
    String::from_utf8(bytes).map_err(|_| Error::NotText(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid() -> u32 {
        nix::unistd::getuid().as_raw()
    }

    #[test]
    fn the_nearest_file_counts_and_nothing_above_the_home() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let deep = root.join("home/web/src/deep");
        fs::create_dir_all(&deep).unwrap();
        let look = || from(&deep, Some(&root.join("home")), uid());
        fs::write(root.join(NAME), "").unwrap();
        assert_eq!(look(), None);
        fs::write(root.join("home").join(NAME), "").unwrap();
        assert_eq!(look(), Some(Found::Own(root.join("home").join(NAME))));
        fs::write(root.join("home/web").join(NAME), "").unwrap();
        assert_eq!(look(), Some(Found::Own(root.join("home/web").join(NAME))));
        assert!(matches!(from(&deep, None, uid() + 1), Some(Found::Foreign(_, owner)) if owner == uid()));
        assert_eq!(from(&root.join("gone"), None, uid()), None);
    }

    #[test]
    fn only_a_small_regular_file_of_ones_own_is_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(NAME);
        fs::write(&path, "image = 'a'").unwrap();
        assert_eq!(read(&path, uid()).unwrap(), "image = 'a'");
        assert!(read(&path, uid() + 1).is_err());
        fs::write(&path, vec![b'#'; 300 << 10]).unwrap();
        assert!(matches!(read(&path, uid()), Err(Error::TooLarge(_))));
        fs::write(&path, [0xff]).unwrap();
        assert!(matches!(read(&path, uid()), Err(Error::NotText(_))));
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&path, uid()), Err(Error::NotAFile(_))));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(read(&path, uid()).is_err());
    }
}
