//! Locks on directories, by flock(2): they end with the process that holds them, whatever ends it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::Error;

/// How a directory is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With others who do the same.
    Shared,
    /// Alone.
    Exclusive,
}

/// A locked directory. Unlocked when dropped.
#[derive(Debug)]
pub struct Lock {
    _directory: Flock<File>,
}

/// A hold on an image: while it lives, the image is not removed.
#[derive(Debug)]
pub struct Lease {
    directory: Flock<File>,
}

impl Lease {
    /// The descriptor that carries the hold. It may be inherited: the hold ends when the last copy is closed.
    pub fn file(&self) -> &File {
        &self.directory
    }
}

impl From<Lock> for Lease {
    fn from(lock: Lock) -> Self {
        Self { directory: lock._directory }
    }
}

/// Locks a directory and calls `waiting` first if that takes waiting; `None` where it does not exist.
pub fn wait(path: &Path, kind: Kind, waiting: &dyn Fn()) -> Result<Option<Lock>, Error> {
    loop {
        match attempt(path, kind, false)? {
            Attempt::Locked(lock) => return Ok(Some(lock)),
            Attempt::Absent => return Ok(None),
            Attempt::Moved => {}
            Attempt::Busy => {
                waiting();
                match attempt(path, kind, true)? {
                    Attempt::Locked(lock) => return Ok(Some(lock)),
                    Attempt::Absent => return Ok(None),
                    Attempt::Moved | Attempt::Busy => {}
                }
            }
        }
    }
}

/// Locks a directory if nobody else has it locked; `None` where somebody has, or where it does not exist.
pub fn at_once(path: &Path, kind: Kind) -> Result<Option<Lock>, Error> {
    loop {
        match attempt(path, kind, false)? {
            Attempt::Locked(lock) => return Ok(Some(lock)),
            Attempt::Absent | Attempt::Busy => return Ok(None),
            Attempt::Moved => {}
        }
    }
}

enum Attempt {
    Locked(Lock),
    Busy,
    Absent,
    /// Another directory has taken its place since it was opened.
    Moved,
}

fn attempt(path: &Path, kind: Kind, block: bool) -> Result<Attempt, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Absent),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let how = match (kind, block) {
        (Kind::Shared, true) => FlockArg::LockShared,
        (Kind::Shared, false) => FlockArg::LockSharedNonblock,
        (Kind::Exclusive, true) => FlockArg::LockExclusive,
        (Kind::Exclusive, false) => FlockArg::LockExclusiveNonblock,
    };
    let directory = loop {
        match Flock::lock(file, how) {
            Ok(directory) => break directory,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(Attempt::Busy),
            Err((same, Errno::EINTR)) => file = same,
            Err((_, errno)) => return Err(Error::io("lock", path)(errno.into())),
        }
    };
    let locked = directory.metadata().map_err(Error::io("lock", path))?;
    match fs::metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => {
            Ok(Attempt::Locked(Lock { _directory: directory }))
        }
        Ok(_) => Ok(Attempt::Moved),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attempt::Absent),
        Err(error) => Err(Error::io("lock", path)(error)),
    }
}
