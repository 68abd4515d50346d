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
    /// The plan that the container was last started by.
    pub const PLAN: &str = "plan.json";
    /// What the container was made as: [`super::super::record::Record`].
    pub const RECORD: &str = "container.json";
    /// How the container is: [`super::super::record::State`].
    pub const STATE: &str = "state.json";
    /// There from the first start of a container on that is removed when it ends: without a monitor, it is to be cleared away.
    pub const THROWAWAY: &str = "throwaway";
    /// Where the monitor listens; reached through the folder's descriptor, as a path may be too long for a socket's address.
    pub const SOCKET: &str = "socket";
    /// Where the monitor listens for those in the container.
    pub const OUTWARD: &str = "outward";
    /// The client that is shown to those in the container, where that is none that is shown to others.
    pub const CLIENT: &str = "client";
    /// Which programs of a box were put where this machine finds them.
    pub const EXPORTS: &str = "exports.json";
    /// The logs of the container: `k8s.log`, `k8s.log.1`, … or `json.log`, …
    pub const LOGS: &str = "logs";
    /// Where the filesystem server mounts what is only read.
    pub const LOWER: &str = "lower";
    /// What the container has written.
    pub const UPPER: &str = "upper";
    /// overlayfs's own scratch space.
    pub const WORK: &str = "work";
    /// Where other images are mounted that it shows, each by its number; there while it runs.
    pub const IMAGES: &str = "images";
    /// What is written to folders of the host that are shown unchanged, by number; thrown away when it ends.
    pub const VIEWS: &str = "views";
    /// A home that is not the host's as it is: see [`super::super::home`].
    pub const HOME: &str = "home";
    /// What of this machine a box is shown while it runs: [`super::super::late::Shown`].
    pub const SHOWN: &str = "shown.json";
    /// Where the container's root is mounted.
    pub const ROOT: &str = "root";
}

/// What the name of a folder begins with that is still being made.
const UNFINISHED: &str = ".new-";

/// What the mark of a shell says.
const SHELL: &[u8] = b"shell";

/// The length of a container's id in hex digits.
const ID_LENGTH: usize = 64;

/// The folder of a container that this process holds the lock of.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder of a new container, locked. `fill` puts into it what is to be there from the first moment that it has
    /// its own name.
    pub fn create(containers: &Path, id: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<Self, Error> {
        private_directory(containers)?;
        let path = containers.join(id);
        // Shared by all who are making one: what is unfinished while nobody holds it has lost its maker.
        let making = File::open(containers).and_then(|directory| directory.lock_shared().map(|()| directory));
        let _making = making.map_err(Error::file("lock", containers))?;
        let unfinished = containers.join(format!("{UNFINISHED}{id}"));
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(Error::file("make the directory", &unfinished))?;
        let made = Self::furnish(&unfinished)
            .and_then(|lock| fill(&unfinished).map(|()| lock))
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

    /// Locks the folder of a container that does not live, and mends its state where its monitor was killed; `None` where it does, or where another command is at work on it.
    ///
    /// Those who only look whether it lives hold the lock for a moment, which is waited for.
    pub fn take(path: &Path) -> Result<Option<Self>, Error> {
        const PATIENCE: usize = 20;
        for _ in 0..PATIENCE {
            let lock = path.join(name::LOCK);
            let file = match OpenOptions::new().write(true).open(&lock) {
                Ok(file) => file,
                // Whoever removes a container removes the record first: this one has lost its lock by hand.
                Err(error) if error.kind() == io::ErrorKind::NotFound && path.join(name::RECORD).exists() => {
                    OpenOptions::new()
                        .write(true)
                        .create(true)
                        .truncate(false)
                        .mode(0o600)
                        .open(&lock)
                        .map_err(Error::file("make", &lock))?
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::file("open", &lock)(error)),
            };
            match file.try_lock() {
                // The folder may have been removed, lock and all, between the two.
                Ok(()) if lock.exists() => {
                    // Who reads a state that cannot be mended, as on a full disk, corrects it for himself.
                    let _ = super::collection::mend(path);
                    return Ok(Some(Self { path: path.to_owned(), lock: file }));
                }
                Ok(()) => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Err(TryLockError::Error(error)) => return Err(Error::file("lock", &lock)(error)),
            }
        }
        Ok(None)
    }

    /// The open and locked file, to be handed to the monitor.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that nobody wants it back once it has no monitor.
    pub fn mark_throwaway(&self) -> Result<(), Error> {
        mark_throwaway(&self.path)
    }

    /// Gives it another place on the same filesystem.
    ///
    /// # Errors
    /// What the filesystem says; then it is where it was, and its lock is given free.
    pub fn renamed(self, to: PathBuf) -> Result<Self, Error> {
        fs::rename(&self.path, &to).map_err(Error::file("name", &to))?;
        Ok(Self { path: to, lock: self.lock })
    }

    /// Removes it again, before anything has lived in it. What cannot be removed is found by the next command.
    pub fn discard(&self) {
        let _ = super::sweep::remove_folder(&self.path);
    }
}

/// Says of a folder that nobody wants it back once it has no monitor.
pub fn mark_throwaway(folder: &Path) -> Result<(), Error> {
    let mark = folder.join(name::THROWAWAY);
    // What it says already stays: see `mark_shell`.
    let made = OpenOptions::new().write(true).create(true).truncate(false).open(&mark);
    made.map(drop).map_err(Error::file("make", mark))
}

/// Says the same of the folder of a shell, which may become a box.
pub fn mark_shell(folder: &Path) -> Result<(), Error> {
    let mark = folder.join(name::THROWAWAY);
    fs::write(&mark, SHELL).map_err(Error::file("make", mark))
}

/// Whether a folder is marked as a shell's.
pub fn is_marked_shell(folder: &Path) -> bool {
    fs::read(folder.join(name::THROWAWAY)).is_ok_and(|mark| mark == SHELL)
}

/// Takes that back, once all of it is on the disk.
pub fn unmark_throwaway(folder: &Path) -> Result<(), Error> {
    let mark = folder.join(name::THROWAWAY);
    fs::remove_file(&mark).map_err(Error::file("remove", &mark))?;
    File::open(folder).and_then(|directory| directory.sync_all()).map_err(Error::file("sync", folder))
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

/// Whether somebody holds the lock of a container's folder: its monitor, while it lives.
pub fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path.join(name::LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
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
        let folder = Folder::create(dir.path(), &id, |_| Ok(())).unwrap();
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
