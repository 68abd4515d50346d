//! What differs between a home and what was set aside of it; and what has changed in the home itself meanwhile.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cowfs::upper::below::Looks;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use sys::statx::{Status, statx};

use super::{Aside, directory_at, is_at, is_dir, joined, kind, names, split};
use crate::container::files::Change as How;
use crate::container::upper::{Content, Found, at};
use crate::container::{Error, Told};

/// One path that differs.
#[derive(Clone, Debug)]
pub struct Change {
    /// Relative to the home.
    pub path: Vec<u8>,
    /// How.
    pub how: How,
    /// Why it cannot be taken over as it is: what has happened to it in the home since.
    pub conflict: Option<&'static str>,
    /// It is a directory that is told of only for what is in it.
    pub is_frame: bool,
    /// What was set aside; `None`: it was deleted.
    pub(super) upper: Option<Status>,
    /// Its type is only recorded.
    pub(super) recorded: bool,
    /// What the home has there.
    pub(super) lower: Option<Status>,
}

const MADE: &str = "it was made in your home since";
const CHANGED: &str = "it has changed in your home since";
const DELETED: &str = "it was deleted in your home since";
const FULLER: &str = "your home has other files in it since";
pub(super) const OURS: &str = "enter's own files are in it";

impl Change {
    /// Whether it is a regular file, or was one.
    pub fn is_file(&self) -> bool {
        self.upper.as_ref().or(self.lower.as_ref()).is_some_and(|status| kind(status) == libc::S_IFREG)
    }
}

impl Aside {
    /// All changes; a directory stands before what is in it.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn changes(&self) -> Result<Vec<Change>, Error> {
        let mut found = Vec::new();
        self.compare(&[], true, false, &mut found)?;
        if let Some(ours) = &self.ours {
            let inside = found.iter_mut().filter(|change| !change.is_frame && is_at(&change.path, ours));
            inside.for_each(|change| change.conflict = Some(OURS));
        }
        Ok(found)
    }

    /// What differs in a directory of the upper side. `shown`: the home has a directory there; `opaque`: of which nothing is seen.
    fn compare(&self, path: &[u8], shown: bool, opaque: bool, found: &mut Vec<Change>) -> Result<(), Error> {
        let refused = |errno| self.refused("read", path, errno);
        let upper = self.upper_dir(path).map_err(refused)?;
        let lower = match shown.then(|| self.lower_dir(path)) {
            // Gone, or changed into something else, a moment ago.
            None | Some(Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES)) => None,
            Some(lower) => Some(lower.map_err(refused)?),
        };
        // What is not shown has nothing in it.
        let lower = lower.filter(|lower| statx(lower, c"").is_ok_and(|status| !self.is_ours(&status)));
        let below = |name: &CStr| lower.as_ref().and_then(|lower| statx(lower, name).ok());
        let mine = names(&upper).map_err(refused)?;
        for name in &mine {
            let child = joined(path, name.to_bytes());
            let looked = self.upper.look(at(&upper, name)).map_err(|errno| self.refused("read", &child, errno))?;
            match (looked, below(name)) {
                (Found::Whiteout, None) => {}
                (Found::Whiteout, Some(lower)) => found.push(self.deleted(child, lower)),
                (Found::File(status, recorded), lower) if is_dir(&status) => {
                    let merged = lower.as_ref().is_some_and(is_dir);
                    let opaque = opaque || self.upper.is_opaque(at(&upper, name));
                    let place = found.len();
                    found.push(self.directory(child.clone(), status, recorded, lower));
                    self.compare(&child, merged, opaque, found)?;
                    if found[place].is_frame && found.len() == place + 1 {
                        found.pop();
                    }
                }
                (Found::File(status, recorded), lower) => {
                    let change = self.file(child, status, recorded, lower);
                    if lower.is_none()
                        || !self.is_same(&change).map_err(|errno| self.refused("compare", &change.path, errno))?
                    {
                        found.push(change);
                    }
                }
            }
        }
        if let (true, Some(lower)) = (opaque, &lower) {
            for name in names(lower).map_err(refused)?.iter().filter(|name| mine.binary_search(name).is_err()) {
                if let Ok(status) = statx(lower, name) {
                    found.push(self.deleted(joined(path, name.to_bytes()), status));
                }
            }
        }
        Ok(())
    }

    fn deleted(&self, path: Vec<u8>, lower: Status) -> Change {
        let conflict = self.removal(&path, &lower);
        let change =
            Change { path, how: How::Deleted, conflict, is_frame: false, upper: None, recorded: false, lower: None };
        Change { lower: Some(lower), ..change }
    }

    fn directory(&self, path: Vec<u8>, status: Status, recorded: bool, lower: Option<Status>) -> Change {
        let how = if lower.is_some() { How::Changed } else { How::Added };
        let before = self.below.get(&path);
        let (mut is_frame, mut conflict) = (false, None);
        match &lower {
            Some(now) if is_dir(now) => {
                let permissions = |mode: u32| mode & 0o7777;
                // One that was something else before is new, perhaps by a command that was killed while it took it over.
                let was = before.filter(|then| then.mode & libc::S_IFMT == libc::S_IFDIR);
                let changed = |then: &Looks| permissions(then.mode) != permissions(status.mode);
                is_frame = permissions(now.mode) == permissions(goal_mode(&status)) || !was.is_none_or(changed);
                let both = was.is_some_and(|then| permissions(then.mode) != permissions(now.mode));
                conflict = (!is_frame && both).then_some(CHANGED);
            }
            lower => conflict = self.replacement(&path, lower.as_ref()).or(conflict),
        }
        Change { path, how, conflict, is_frame, upper: Some(status), recorded, lower }
    }

    fn file(&self, path: Vec<u8>, status: Status, recorded: bool, lower: Option<Status>) -> Change {
        let how = if lower.is_some() { How::Changed } else { How::Added };
        let conflict = self.replacement(&path, lower.as_ref());
        Change { path, how, conflict, is_frame: false, upper: Some(status), recorded, lower }
    }

    /// Why what is in the home now cannot be replaced.
    fn replacement(&self, path: &[u8], lower: Option<&Status>) -> Option<&'static str> {
        match lower {
            Some(lower) => self.removal(path, lower),
            None => self.below.contains_key(path).then_some(DELETED),
        }
    }

    /// Why what is in the home now cannot be removed: it is not what was seen when it was hidden.
    pub(super) fn removal(&self, path: &[u8], lower: &Status) -> Option<&'static str> {
        if self.is_ours(lower) {
            return Some(OURS);
        }
        let Some(then) = self.below.get(path) else { return Some(MADE) };
        if !is_dir(lower) {
            return (!then.is_unchanged(&Looks::of(lower))).then_some(CHANGED);
        }
        if then.mode & libc::S_IFMT != libc::S_IFDIR {
            return Some(CHANGED);
        }
        let listed = self.lower_dir(path).and_then(|dir| Ok((names(&dir)?, dir)));
        let Ok((listed, dir)) = listed else { return None };
        let conflict = |name: &std::ffi::CString| {
            let status = statx(&dir, name).ok()?;
            self.removal(&joined(path, name.to_bytes()), &status)
        };
        listed.iter().find_map(conflict).map(|why| if why == OURS { OURS } else { FULLER })
    }

    /// Whether the home has just what was set aside, as far as that can be taken over.
    pub(super) fn is_same(&self, change: &Change) -> Result<bool, Errno> {
        let (Some(upper), Some(lower)) = (&change.upper, &change.lower) else { return Ok(false) };
        if kind(upper) != kind(lower) {
            return Ok(false);
        }
        let (parent, name) = split(&change.path);
        if kind(upper) == libc::S_IFLNK {
            let dir = self.upper_dir(parent)?;
            let target = self.upper.target(at(&dir, &name), change.recorded)?;
            let now = nix::fcntl::readlinkat(self.lower_dir(parent)?, &*name)?;
            return Ok(target == now.as_bytes());
        }
        let modes = goal_mode(upper) == lower.mode & 0o7777 || upper.mode & 0o7777 == lower.mode & 0o7777;
        if !modes || (upper.gid != lower.gid && is_member(upper.gid)) {
            return Ok(false);
        }
        if kind(upper) != libc::S_IFREG {
            return Ok(upper.represents == lower.represents);
        }
        if upper.size != lower.size || upper.mtime != lower.mtime {
            return Ok(false);
        }
        let (one, other) = (self.content(&change.path)?, self.lower_file(&change.path)?);
        Ok(attributes(&one)? == attributes(&other)? && equal(one, other)?)
    }

    /// What was set aside of a regular file.
    ///
    /// # Errors
    /// Those of openat(2); `EIO` for one that says that its content is elsewhere.
    pub fn content(&self, path: &[u8]) -> Result<File, Errno> {
        let (parent, name) = split(path);
        let dir = self.upper_dir(parent)?;
        match self.upper.content(at(&dir, &name))? {
            Content::Own(file) => Ok(file),
            Content::Lower(_) => Err(Errno::EIO),
        }
    }

    /// What the home has under that name, if it is a file that can be read.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn lower_file(&self, path: &[u8]) -> Result<File, Errno> {
        let path = Path::new(OsStr::from_bytes(path));
        sys::path::open_beneath(&self.lower, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).map(File::from)
    }

    pub(super) fn refused(&self, doing: &str, path: &[u8], errno: Errno) -> Error {
        let path = self.home.join(OsStr::from_bytes(path));
        Error::Told(Told::refused(format!("cannot {doing} {}", path.display()), errno, None))
    }

    /// A directory of either side, by the way that is told.
    pub(super) fn lower_parent(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        directory_at(&self.lower, path)
    }
}

/// The permissions that a file gets in the home. Who has a set-id bit of somebody else's in the box is not to have one of the user's.
pub(super) fn goal_mode(status: &Status) -> u32 {
    let own = status.uid == nix::unistd::geteuid().as_raw();
    if own { status.mode & 0o7777 } else { status.mode & 0o1777 }
}

/// Whether the user can give files to this group.
pub(super) fn is_member(gid: u32) -> bool {
    let gid = nix::unistd::Gid::from_raw(gid);
    nix::unistd::getegid() == gid || nix::unistd::getgroups().is_ok_and(|groups| groups.contains(&gid))
}

/// Name and value of an attribute.
type Attribute = (Vec<u8>, Vec<u8>);

/// The attributes of a file that are the user's own.
pub(super) fn attributes(file: &File) -> Result<Vec<Attribute>, Errno> {
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    let all = match sys::xattr::names(Path::new(&path)) {
        Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        all => all?,
    };
    let mut own = Vec::new();
    for name in all.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        let bytes = name.to_bytes();
        if bytes.starts_with(b"user.") && !bytes.starts_with(b"user.cowfs.") && !bytes.starts_with(b"user.overlay.") {
            own.push((bytes.to_vec(), sys::xattr::get(Path::new(&path), name)?));
        }
    }
    own.sort();
    Ok(own)
}

fn equal(one: File, other: File) -> Result<bool, Errno> {
    const PIECE: u64 = 1 << 20;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    loop {
        for (file, buffer) in [(&one, &mut here), (&other, &mut there)] {
            buffer.clear();
            let read = file.take(PIECE).read_to_end(buffer);
            read.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        }
        if here != there || here.is_empty() {
            return Ok(here == there);
        }
    }
}
