//! Where the holder is found: its lock and its door, which somebody may remove while it lives.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{Backlog, listen};

use super::{Error, name};

/// How often it is looked at where it cannot be watched: a user has a limited number of such watches (fs.inotify.max_user_instances).
const EVERY: Duration = Duration::from_secs(5);

/// The holder's folder, as far as it is this holder's.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    lock: File,
    door: OwnedFd,
    /// The door's file: who knocks finds it there.
    node: Option<(u64, u64)>,
    watch: Option<Inotify>,
    /// When it is to be looked at, whatever happens.
    next: Option<Instant>,
}

impl Site {
    /// Listens in a folder whose lock one has.
    pub fn open(folder: PathBuf, lock: File) -> Result<Self, Error> {
        let refused = |errno| Error::refused(format!("cannot listen in {}", folder.display()), errno);
        let door = sys::door::open_in(&folder, name::SOCKET).map_err(refused)?;
        let node = node(&folder.join(name::SOCKET));
        Ok(Self { folder, lock, door, node, watch: None, next: None })
    }

    /// To be called by the process that stays.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.listen()?;
        let watch = || {
            let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
            watch.add_watch(&self.folder, gone | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF)?;
            Ok::<_, Errno>(watch)
        };
        self.watch = watch().ok();
        self.next = self.watch.is_none().then(|| Instant::now() + EVERY);
        Ok(())
    }

    /// Listens: from then on whoever knocks is told this process's number (SO_PEERCRED in unix(7)), and can end it if it does not answer.
    fn listen(&self) -> Result<(), Error> {
        let refused = |errno| Error::refused(format!("cannot listen in {}", self.folder.display()), errno);
        Backlog::new(sys::door::QUEUE).and_then(|queue| listen(&self.door, queue)).map_err(refused)
    }

    /// Where guests come in.
    pub fn door(&self) -> &OwnedFd {
        &self.door
    }

    /// What to wait on, to learn that somebody has changed something.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// When it is to be looked at, whatever happens.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Opens a new door where the old one was removed. `false`: the lock is another file now, and another holder may be there; this one
    /// is to end, and those who are attached find that one.
    pub fn look(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.next.take_if(|next| *next <= now).is_some();
        if is_due {
            self.next = Some(now + EVERY);
        }
        let mut is_told = false;
        while self.watch.as_ref().is_some_and(|watch| watch.read_events().is_ok()) {
            is_told = true;
        }
        if !is_due && !is_told {
            return true;
        }
        let own = self.lock.metadata().ok().map(|lock| (lock.dev(), lock.ino()));
        if own.is_none() || node(&self.folder.join(name::LOCK)) != own {
            return false;
        }
        if self.node.is_none() || node(&self.folder.join(name::SOCKET)) != self.node {
            let Ok(door) = sys::door::open_in(&self.folder, name::SOCKET) else { return false };
            self.door = door;
            self.node = node(&self.folder.join(name::SOCKET));
        }
        true
    }
}

fn node(path: &std::path::Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
