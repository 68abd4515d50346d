//! What a container has changed: its upper side, compared with what lies below it.
//!
//! Which names changed is read from the upper side as it lies in the container's folder; what a file is, from where it can be seen
//! as the container sees it. Walked by descriptors and following no link.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cowfs::tree::{Image, Inode, Kind};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use sys::statx::Status;

use super::read::{self, Type};
use super::{Hidden, View};
use crate::container::error::Told;
use crate::container::upper::{Upper, at};

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// It was there, and is another.
    Changed,
    /// It was not there.
    Added,
    /// It is not there any more.
    Deleted,
}

/// One path that changed, relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Without a slash at the front.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
    /// How it is now, as the outer namespace sees it; of what is deleted, nothing.
    pub(super) status: Option<Status>,
    /// Of a directory: nothing of what was in it shows.
    pub(super) opaque: bool,
    /// Deleted by that, and not for itself.
    pub(super) implied: bool,
}

/// What lies below a container's upper side.
#[derive(Debug)]
pub enum Base {
    /// An image.
    Image(Image),
    /// A directory of the host.
    Host(PathBuf),
}

/// What the base has at a path.
#[derive(Clone, Debug)]
enum Below {
    Inode(Inode),
    Path(PathBuf, std::fs::Metadata),
}

impl Base {
    /// Opens what a plan says.
    pub fn open(lower: &plan::Lower) -> Result<Self, cowfs::Error> {
        match lower {
            plan::Lower::Image { tree, layers } => {
                let tars: Vec<PathBuf> = layers.iter().cloned().map(PathBuf::from).collect();
                Image::open(tree.as_path(), &tars).map(Self::Image)
            }
            plan::Lower::Host { directory, .. } => Ok(Self::Host(directory.clone().into())),
        }
    }

    /// The image, if it is one.
    pub fn image(&self) -> Option<&Image> {
        match self {
            Self::Image(image) => Some(image),
            Self::Host(_) => None,
        }
    }

    fn root(&self) -> Option<Below> {
        match self {
            Self::Image(image) => image.tree().root().map(Below::Inode),
            Self::Host(path) => path.symlink_metadata().ok().map(|found| Below::Path(path.clone(), found)),
        }
    }

    fn child(&self, of: &Below, name: &[u8]) -> Option<Below> {
        match (self, of) {
            (Self::Image(image), Below::Inode(inode)) => image.tree().child(inode, name).map(Below::Inode),
            (_, Below::Path(path, _)) => {
                let path = path.join(OsStr::from_bytes(name));
                path.symlink_metadata().ok().map(|found| Below::Path(path, found))
            }
            _ => None,
        }
    }

    fn names(&self, of: &Below) -> Vec<Vec<u8>> {
        match (self, of) {
            (Self::Image(image), Below::Inode(inode)) => {
                image.tree().entries(inode).map(|entry| entry.name.to_vec()).collect()
            }
            (_, Below::Path(path, _)) => {
                let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().as_bytes().to_vec()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Below {
    fn is_directory(&self) -> bool {
        match self {
            Self::Inode(inode) => inode.kind == Kind::Directory,
            Self::Path(_, found) => found.is_dir(),
        }
    }

    /// Whether a directory looks as it did. Its time says nothing where furniture was put in it.
    fn looks_like(&self, view: &View, status: &Status, timeless: bool) -> bool {
        let (mode, uid, gid, mtime) = match self {
            Self::Inode(inode) => (inode.mode, inode.uid, inode.gid, (inode.mtime.secs, inode.mtime.nanos)),
            Self::Path(_, found) => {
                let nanos = u32::try_from(found.mtime_nsec()).unwrap_or_default();
                // Owners of the host are known by other numbers here, and a rootless container changes none of them.
                return found.mode() & 0o7777 == status.mode & 0o7777
                    && (timeless || (found.mtime(), nanos) == status.mtime);
            }
        };
        mode == status.mode & 0o7777
            && (!view.tells_owners() || (uid, gid) == (view.uid(status.uid), view.gid(status.gid)))
            && (timeless || mtime == status.mtime)
    }
}

/// All changes, sorted by path.
pub fn find(view: &View, base: &Base, hidden: &Hidden) -> Result<Vec<Changed>, Told> {
    let upper = view.upper()?;
    let mut walk = Walk { view, upper, base, hidden, found: Vec::new() };
    walk.directory(&[], base.root().as_ref())?;
    // A file's path sorts before the paths below it, and what is in a directory behind the directory.
    walk.found.sort_by(|one, other| one.path.split(|b| *b == b'/').cmp(other.path.split(|b| *b == b'/')));
    Ok(walk.found)
}

/// Opens what is at a path below a root.
pub(super) fn open(root: &OwnedFd, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(path)) };
    sys::path::open_beneath(root, path, flags, Mode::empty())
}

struct Walk<'a> {
    view: &'a View,
    upper: &'a Upper,
    base: &'a Base,
    hidden: &'a Hidden,
    found: Vec<Changed>,
}

impl Walk<'_> {
    /// What changed in a directory of the upper side; `below` is what shows through it.
    fn directory(&mut self, path: &[u8], below: Option<&Below>) -> Result<(), Told> {
        let refused = |errno| refused(path, errno);
        let opened = |root| match open(root, path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            // Removed or replaced since it was listed: the container goes on running.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            directory => directory.map(Some).map_err(refused),
        };
        let Some(directory) = opened(self.upper.top())? else { return Ok(()) };
        let Some(shown) = opened(&self.view.root)? else { return Ok(()) };
        for name in read::names(self.view, &directory).map_err(refused)? {
            let status = match sys::statx::statx(&directory, &name) {
                Err(Errno::ENOENT) => continue,
                status => status.map_err(refused)?,
            };
            let mut child = path.to_vec();
            if !child.is_empty() {
                child.push(b'/');
            }
            child.extend_from_slice(name.as_bytes());
            if self.hidden.covers(&child) {
                continue;
            }
            let below = below.and_then(|below| self.base.child(below, name.as_bytes()));
            let mark = at(&directory, &name);
            if self.upper.is_whiteout(mark, &status) {
                if below.is_some() {
                    self.found.push(deleted(child, false));
                }
                continue;
            }
            let status = match self.view.status(&shown, &name) {
                Err(Errno::ENOENT) => continue,
                status => status.map_err(|errno| self::refused(&child, errno))?,
            };
            let opaque = Type::of(status.mode) == Type::Directory && self.upper.is_opaque(mark);
            self.child(child, status, opaque, below)?;
        }
        Ok(())
    }

    fn child(&mut self, path: Vec<u8>, status: Status, opaque: bool, below: Option<Below>) -> Result<(), Told> {
        let change = if below.is_some() { Change::Changed } else { Change::Added };
        if Type::of(status.mode) != Type::Directory {
            if !self.is_as_written(&path, &status) {
                self.found.push(Changed { path, change, status: Some(status), opaque: false, implied: false });
            }
            return Ok(());
        }
        let shown = below.filter(Below::is_directory);
        let place = self.found.len();
        self.found.push(Changed {
            path: path.clone(),
            change,
            status: Some(status),
            opaque: opaque && shown.is_some(),
            implied: false,
        });
        self.directory(&path, shown.as_ref().filter(|_| !opaque))?;
        if let Some(shown) = shown.as_ref().filter(|_| opaque) {
            self.hidden_by(&path, shown, place);
        }
        let leads = self.hidden.leads(&path);
        let alone = self.found.len() == place + 1;
        let unchanged = match &shown {
            Some(shown) => !opaque && shown.looks_like(self.view, &status, leads),
            None => leads && change == Change::Added,
        };
        if alone && unchanged {
            self.found.truncate(place);
        }
        Ok(())
    }

    /// What an opaque directory hides, but for what is there anew, which has changed.
    fn hidden_by(&mut self, path: &[u8], below: &Below, place: usize) {
        for name in self.base.names(below) {
            let child = [path, b"/", &name].concat();
            match self.found[place..].iter_mut().find(|found| found.path == child) {
                Some(found) => found.change = Change::Changed,
                None => self.found.push(deleted(child, true)),
            }
        }
    }

    /// Whether a file is what was written to it at the start.
    fn is_as_written(&self, path: &[u8], status: &Status) -> bool {
        let Some(content) = self.hidden.written(path).filter(|_| Type::of(status.mode) == Type::File) else {
            return false;
        };
        if status.size != content.len() as u64 {
            return false;
        }
        let Ok(file) = open(&self.view.root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) else { return false };
        let mut found = Vec::new();
        let read = std::fs::File::from(file).take(status.size + 1).read_to_end(&mut found);
        read.is_ok() && found == content
    }
}

fn deleted(path: Vec<u8>, implied: bool) -> Changed {
    Changed { path, change: Change::Deleted, status: None, opaque: false, implied }
}

pub(super) fn refused(path: &[u8], errno: Errno) -> Told {
    Told::refused(format!("cannot read /{} in the container", String::from_utf8_lossy(path)), errno, None)
}
