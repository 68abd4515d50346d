//! Places in the new root: found, made and replaced by descriptor. Whatever an image put there is hostile.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use plan::Entry;

use crate::failure::{Doing, Failure, Result};

/// The root under construction, and who owns what is made in it.
pub struct Places<'a> {
    pub root: &'a OwnedFd,
    /// The container's uid 0 and gid 0, as ids of the outer user namespace.
    pub owner: (Uid, Gid),
}

impl Places<'_> {
    /// What is at `path`, symbolic links followed inside the root; `None` where nothing is.
    pub fn find(&self, path: &Path) -> Result<Option<OwnedFd>> {
        match sys::path::find_in_root(self.root, path) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno).doing("open", path.display()),
        }
    }

    /// The directory at `path`, made with those above it where it is missing. A link that leads nowhere is replaced.
    pub fn directory(&self, path: &Path, mode: Mode, owner: (Uid, Gid)) -> Result<OwnedFd> {
        if let Some(found) = self.find(path)? {
            return is_directory(&found, path).map(|()| found);
        }
        let (parent, name) = self.parent(path)?;
        self.new_directory(&parent, &name, path, mode, owner)
    }

    /// The directory at `path` itself, for a filesystem that every program finds by that name. Whatever else an image has
    /// there, such as a link to somewhere in itself, gives way.
    pub fn own_directory(&self, path: &Path) -> Result<OwnedFd> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&parent, &*name, flags, Mode::empty()) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
                self.new_directory(&parent, &name, path, Mode::from_bits_truncate(0o755), self.owner)
            }
            found => found.doing("open", path.display()),
        }
    }

    /// Makes the directory `name`, which is `path` in full, in place of whatever file or link has that name.
    fn new_directory(
        &self,
        parent: &OwnedFd,
        name: &Path,
        path: &Path,
        mode: Mode,
        owner: (Uid, Gid),
    ) -> Result<OwnedFd> {
        let before = Before::of(parent);
        match mkdirat(parent, name, mode) {
            Err(Errno::EEXIST) => {
                // There, and yet no directory: it goes.
                unlinkat(parent, name, UnlinkatFlags::NoRemoveDir).doing("remove", path.display())?;
                mkdirat(parent, name, mode).doing("make the directory", path.display())?;
            }
            done => done.doing("make the directory", path.display())?,
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(parent, name, flags, Mode::empty()).doing("open", path.display())?;
        fchown(&made, Some(owner.0), Some(owner.1)).doing("give away", path.display())?;
        before.restore(parent);
        Ok(made)
    }

    /// A place to mount on: a directory or an empty file, made where it is missing.
    pub fn mount_point(&self, path: &Path, kind: Entry) -> Result<OwnedFd> {
        match kind {
            Entry::Directory => self.directory(path, Mode::from_bits_truncate(0o755), self.owner),
            Entry::File => match self.find(path)? {
                Some(found) => match is_directory(&found, path) {
                    Ok(()) => Err(Errno::EISDIR).doing("show a file at", path.display()),
                    Err(_) => Ok(found),
                },
                None => self.new_file(path, Mode::from_bits_truncate(0o644)),
            },
        }
    }

    /// A new and empty file in place of whatever file or link is at `path`, open for writing.
    pub fn new_file(&self, path: &Path, mode: Mode) -> Result<OwnedFd> {
        let (parent, name, before) = self.vacated(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&parent, &*name, flags, mode).doing("make", path.display())?;
        fchown(&file, Some(self.owner.0), Some(self.owner.1)).doing("give away", path.display())?;
        before.restore(&parent);
        Ok(file)
    }

    /// A symbolic link in place of whatever file or link is at `path`.
    pub fn link(&self, path: &Path, points_to: &Path) -> Result<()> {
        let (parent, name, before) = self.vacated(path)?;
        nix::unistd::symlinkat(points_to, &parent, &*name).doing("link", path.display())?;
        let (uid, gid) = self.owner;
        nix::unistd::fchownat(&parent, &*name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .doing("give away", path.display())?;
        before.restore(&parent);
        Ok(())
    }

    /// The directory that `path` is in and the name in it, which is free; and the directory as it was.
    fn vacated(&self, path: &Path) -> Result<(OwnedFd, PathBuf, Before)> {
        let (parent, name) = self.parent(path)?;
        let before = Before::of(&parent);
        match unlinkat(&parent, &*name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok((parent, name, before)),
            Err(errno) => Err(errno).doing("replace", path.display()),
        }
    }

    /// The directory that `path` is in, made where it is missing, and the last name of the path.
    fn parent(&self, path: &Path) -> Result<(OwnedFd, PathBuf)> {
        let invalid = || Failure::setup("use as a place in the container", &path.display().to_string(), Errno::EINVAL);
        let Some(Component::Normal(name)) = path.components().next_back() else { return Err(invalid()) };
        let parent = path.parent().ok_or_else(invalid)?;
        let directory = self.directory(parent, Mode::from_bits_truncate(0o755), self.owner)?;
        Ok((directory, name.into()))
    }
}

/// A directory's times before something was made in it: what we furnish is no news to whoever compares.
struct Before(Option<FileStat>);

impl Before {
    fn of(directory: &OwnedFd) -> Self {
        Self(fstat(directory).ok())
    }

    /// A time that cannot be put back does no harm.
    fn restore(&self, directory: &OwnedFd) {
        if let Some(status) = &self.0 {
            // Found by O_PATH, which cannot be written through; reopened, it can.
            let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            if let Ok(open) = openat(directory, ".", flags, Mode::empty()) {
                let _ = crate::root::keep_times(&open, status);
            }
        }
    }
}

fn is_directory(found: &OwnedFd, path: &Path) -> Result<()> {
    let status = fstat(found).doing("examine", path.display())?;
    if status.st_mode & libc::S_IFMT == libc::S_IFDIR {
        Ok(())
    } else {
        Err(Errno::ENOTDIR).doing("use as a directory", path.display())
    }
}
