//! A container's folder: its name, what lies in it, and its lock.
//!
//! *Lock held = container alive.* The monitor holds it from the first moment to the last; the kernel lets it go when the
//! monitor dies, however it dies.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::Error;

/// Names in a container's folder.
pub mod name {
    /// Locked for as long as the container lives.
    pub const LOCK: &str = "lock";
    /// The plan that the container was made by.
    pub const PLAN: &str = "plan.json";
    /// Where the filesystem server mounts what is only read.
    pub const LOWER: &str = "lower";
    /// What the container has written.
    pub const UPPER: &str = "upper";
    /// overlayfs's own scratch space.
    pub const WORK: &str = "work";
    /// Where the container's root is mounted.
    pub const ROOT: &str = "root";
}

/// What the name of a folder begins with that is still being made.
const UNFINISHED: &str = ".new-";

/// The length of a container's id in hex digits.
const ID_LENGTH: usize = 64;

/// The folder of a container that this process holds the lock of.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder of a new container, locked. Under its own name it is whole from the first moment.
    pub fn create(containers: &Path, id: &str) -> Result<Self, Error> {
        private_directory(containers)?;
        let path = containers.join(id);
        // Shared by all who are making one: what is unfinished while nobody holds it has lost its maker.
        let making = File::open(containers).and_then(|directory| directory.lock_shared().map(|()| directory));
        let _making = making.map_err(Error::file("lock", containers))?;
        let unfinished = containers.join(format!("{UNFINISHED}{id}"));
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(Error::file("make the directory", &unfinished))?;
        let made = Self::furnish(&unfinished)
            .and_then(|lock| fs::rename(&unfinished, &path).map(|()| lock).map_err(Error::file("name", &path)));
        if made.is_err() {
            // Half a folder is of no use; what it could not hold may well have been for want of space.
            let _ = fs::remove_dir_all(&unfinished);
        }
        made.map(|lock| Self { path, lock })
    }

    fn furnish(path: &Path) -> Result<File, Error> {
        let lock = path.join(name::LOCK);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock);
        let file = file.map_err(Error::file("make", &lock))?;
        file.try_lock().map_err(|error| Error::file("lock", &lock)(error.into()))?;
        for name in [name::LOWER, name::UPPER, name::WORK, name::ROOT] {
            let part = path.join(name);
            DirBuilder::new().mode(0o755).create(&part).map_err(Error::file("make the directory", &part))?;
        }
        Ok(file)
    }

    /// The open and locked file, to be handed to the monitor.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it again, before anything has lived in it. What cannot be removed is found by the next command.
    pub fn discard(&self) {
        let _ = super::sweep::remove_folder(&self.path);
    }
}

/// A new container's id: 64 random hex digits.
pub fn new_id() -> Result<String, Error> {
    let mut random = [0; ID_LENGTH / 2];
    let read = File::open("/dev/urandom").and_then(|mut file| io::Read::read_exact(&mut file, &mut random));
    read.map_err(Error::file("read random bytes from", "/dev/urandom"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Removes the folders whose makers were killed, unless somebody is making one at this moment.
pub fn remove_unfinished(containers: &Path) -> io::Result<()> {
    let directory = File::open(containers)?;
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in fs::read_dir(containers)?.flatten() {
        if entry.file_name().to_str().is_some_and(is_unfinished) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file's name is that of a folder that is being made, or that was when its maker was killed.
fn is_unfinished(name: &str) -> bool {
    name.strip_prefix(UNFINISHED).is_some_and(is_id)
}

/// Whether a file's name is a container's id.
pub fn is_id(name: &str) -> bool {
    name.len() == ID_LENGTH && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tries to lock the folder of a container that may be dead; `None` while it lives.
pub fn try_lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    let file = match OpenOptions::new().write(true).open(path.join(name::LOCK)) {
        Ok(file) => file,
        // The folder is being cleared by somebody else at this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Makes a directory that only its owner can enter, with those above it.
pub fn private_directory(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("make the directory", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_tells_the_living_from_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let id = new_id().unwrap();
        assert!(is_id(&id));
        let folder = Folder::create(dir.path(), &id).unwrap();
        let path = folder.path().to_owned();
        assert!(try_lock(&path).unwrap().is_none());
        drop(folder);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn what_a_killed_maker_left_is_removed_unless_another_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!("{UNFINISHED}{}", "a".repeat(ID_LENGTH)));
        fs::create_dir_all(left.join(name::UPPER)).unwrap();
        let maker = File::open(dir.path()).unwrap();
        maker.lock_shared().unwrap();
        remove_unfinished(dir.path()).unwrap();
        assert!(left.exists());
        drop(maker);
        remove_unfinished(dir.path()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn what_is_no_id_is_no_container() {
        assert!(!is_id("lost+found"));
        assert!(!is_id(&"G".repeat(64)));
        assert!(!is_id(&"a".repeat(63)));
    }
}
