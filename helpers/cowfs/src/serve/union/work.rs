//! The work directory, where things are made before they get their place; and whiteouts.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};

use super::place::Place;
use crate::error::errno;
use crate::serve::view::Answer;
use crate::upper::marks::{At, Marks};
use crate::upper::{OPAQUE, WHITEOUT};

/// Its name in the directory that was given for work, which the kernel's overlay uses as well.
const NAME: &str = "cowfs";

/// The attribute with the names that a file in the work directory is to have, from the upper side's root on, with NULs between them.
const NAMES: &CStr = c"user.cowfs.names";

/// A whiteout that others are links to.
const SHARED: &CStr = c"whiteout";

/// Things on their way into the upper side.
#[derive(Debug)]
pub struct Work {
    dir: Arc<OwnedFd>,
    next: AtomicU64,
}

impl Work {
    /// An empty one in `parent`, for the upper side `top`. What a server that was killed has left is concluded or removed.
    pub fn open(parent: &Path, marks: &Marks, top: &OwnedFd) -> Answer<Work> {
        let path = parent.join(NAME);
        match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(errno(&error)),
            Ok(left) => {
                let left = left.filter_map(|entry| Some(entry.ok()?.path()));
                left.for_each(|file| finish_links(&file, marks, top));
            }
        }
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(errno(&error)),
            // Nobody else's: what is put in here gets its place by its name.
            _ => fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| errno(&error))?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(&path, flags, Mode::empty())?;
        Ok(Work { dir: Arc::new(dir), next: AtomicU64::new(0) })
    }

    /// A name that nothing has.
    pub fn fresh(&self) -> Place {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        Place::beside(&self.dir, CString::new(name).unwrap_or_default())
    }

    /// A file without a name (open(2), O_TMPFILE). `EOPNOTSUPP` where the filesystem has none.
    pub fn nameless(&self, mode: u32) -> Answer<File> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        Ok(openat(self.dir.as_fd(), c".", flags, Mode::from_bits_truncate(mode))?.into())
    }

    /// Moves something from here to its place, where nothing is.
    pub fn settle(&self, from: &Place, to: &Place) -> Answer<()> {
        renameat2(from.dir(), from.path(), to.dir(), to.path(), RenameFlags::RENAME_NOREPLACE)
    }

    /// Moves something from here to its place, over a file that is there.
    pub fn settle_over(&self, from: &Place, to: &Place) -> Answer<()> {
        renameat2(from.dir(), from.path(), to.dir(), to.path(), RenameFlags::empty())
    }

    /// Removes something here, a directory with all that is in it.
    pub fn discard(&self, what: &Place) {
        // What cannot be removed now is at the next start.
        let _ = discard(what);
    }

    /// Says of a file here that it is about to get all of these names.
    pub fn announce(&self, marks: &Marks, what: &Place, top: &Arc<OwnedFd>, places: &[Place]) {
        let paths: Option<Vec<&[u8]>> = places.iter().map(|place| Some(place.below(top)?.to_bytes())).collect();
        if let Some(paths) = paths {
            // It is for a server that is killed; what has no room for it, or is no file, does without.
            let _ = marks.set(what.at(), NAMES, &paths.join(&0));
        }
    }

    /// A file here has got all of its names.
    pub fn conclude(&self, marks: &Marks, what: &Place) {
        let _ = marks.remove(what.at(), NAMES);
        self.discard(what);
    }

    /// Puts a whiteout at a place where nothing is, in a directory that is `parent`.
    pub fn whiteout(&self, marks: &Marks, parent: At<'_>, place: &Place) -> Answer<()> {
        for _ in 0..2 {
            let marked = match is_device(self.dir.as_fd(), SHARED) {
                Err(Errno::ENOENT) => {
                    self.share_a_whiteout(marks)?;
                    !is_device(self.dir.as_fd(), SHARED)?
                }
                device => !device?,
            };
            // Before there is one: without this it would be a file.
            say_marked(marks, parent, marked)?;
            match linkat(self.dir.as_fd(), SHARED, place.dir(), place.path(), LinkatFlags::empty()) {
                // It has as many links as a file can have.
                Err(Errno::ENOENT | Errno::EMLINK) => self.share_a_whiteout(marks)?,
                Err(Errno::EPERM | Errno::EXDEV | Errno::EOPNOTSUPP) => {
                    let fresh = self.lone_whiteout(marks)?;
                    return self.settle(&fresh, place).inspect_err(|_| self.discard(&fresh));
                }
                linked => return linked,
            }
        }
        Err(Errno::EIO)
    }

    fn share_a_whiteout(&self, marks: &Marks) -> Answer<()> {
        let fresh = self.lone_whiteout(marks)?;
        let shared = renameat2(fresh.dir(), fresh.path(), self.dir.as_fd(), SHARED, RenameFlags::empty());
        shared.inspect_err(|_| self.discard(&fresh))
    }

    /// A whiteout here that has no other links.
    fn lone_whiteout(&self, marks: &Marks) -> Answer<Place> {
        let fresh = self.fresh();
        self.make_whiteout(marks, &fresh).inspect_err(|_| self.discard(&fresh))?;
        Ok(fresh)
    }

    /// It is a file with a mark where no device 0:0 can be made.
    fn make_whiteout(&self, marks: &Marks, place: &Place) -> Answer<()> {
        match mknodat(place.dir(), place.path(), SFlag::S_IFCHR, Mode::empty(), 0) {
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::EINVAL) => {}
            made => return made,
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(place.dir(), place.path(), flags, Mode::from_bits_truncate(0o600))?;
        marks.set(At::file(&file), WHITEOUT, b"")
    }
}

/// Links a file to a place where nothing is.
pub fn link(from: &Place, to: &Place) -> Answer<()> {
    linkat(from.dir(), from.path(), to.dir(), to.path(), LinkatFlags::empty())
}

/// Gives a file in the work directory the names that it was announced with and has not got.
fn finish_links(file: &Path, marks: &Marks, top: &OwnedFd) {
    let opened = nix::fcntl::open(
        file,
        OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
        Mode::empty(),
    );
    let Ok(opened) = opened else { return };
    let Ok(names) = marks.get(At::file(&opened), NAMES) else { return };
    for name in names.split(|&b| b == 0).filter_map(|name| CString::new(name).ok()) {
        // It is there already, or cannot be: then it stays what it is below.
        let _ = linkat(nix::fcntl::AT_FDCWD, file, top, &*name, LinkatFlags::empty());
    }
    let _ = marks.remove(At::file(&opened), NAMES);
}

/// A directory with whiteouts that are files has to say so.
fn say_marked(marks: &Marks, parent: At<'_>, marked: bool) -> Answer<()> {
    if !marked || marks.get(parent, OPAQUE).is_ok() {
        return Ok(());
    }
    marks.set(parent, OPAQUE, b"x")
}

fn is_device(dir: impl AsFd, name: &CStr) -> Answer<bool> {
    Ok(sys::statx::statx(dir, name)?.mode & libc::S_IFMT == libc::S_IFCHR)
}

fn discard(what: &Place) -> Answer<()> {
    match unlinkat(what.dir(), what.path(), UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR | Errno::EPERM) => {}
        removed => return removed,
    }
    for entry in what.list()? {
        discard(&Place::beside(&entry.dir, entry.name))?;
    }
    unlinkat(what.dir(), what.path(), UnlinkatFlags::RemoveDir)
}

/// Gives what is at a place the times that it had, when something was done in it that is no news. That it cannot be given them is no
/// reason to say that what was done was not.
pub fn put_times_back(place: &Place, before: &sys::statx::Status) {
    let _ = keep_times(place, before);
}

/// Gives what is at a place the times of something that it replaces.
pub fn keep_times(place: &Place, before: &sys::statx::Status) -> Answer<()> {
    let time = |(secs, nanos): (i64, u32)| nix::sys::time::TimeSpec::new(secs, nanos.into());
    set_times(place, &time(before.atime), &time(before.mtime))
}

/// Sets the times of what is at a place.
pub fn set_times(place: &Place, atime: &nix::sys::time::TimeSpec, mtime: &nix::sys::time::TimeSpec) -> Answer<()> {
    if place.name().is_empty() {
        return nix::sys::stat::futimens(place.dir(), atime, mtime);
    }
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(place.dir(), place.path(), atime, mtime, flag)
}

/// Changes owner and group on the host.
pub fn set_owner(place: &Place, uid: Option<u32>, gid: Option<u32>) -> Answer<()> {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH;
    let (uid, gid) = (uid.map(nix::unistd::Uid::from_raw), gid.map(nix::unistd::Gid::from_raw));
    nix::unistd::fchownat(place.dir(), place.name(), uid, gid, flags)
}

/// Changes the permissions on the host. Never of a symbolic link, which would be followed to wherever it leads.
pub fn set_mode(place: &Place, mode: u32) -> Answer<()> {
    let mode = Mode::from_bits_truncate(mode & 0o7777);
    if place.name().is_empty() {
        return nix::sys::stat::fchmod(place.dir(), mode);
    }
    nix::sys::stat::fchmodat(place.dir(), place.path(), mode, nix::sys::stat::FchmodatFlags::FollowSymlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn nobody_else_gets_at_what_is_on_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let top = fs::File::open(folder.path()).unwrap().into();
        Work::open(folder.path(), &Marks::find(folder.path()).unwrap(), &top).unwrap();
        assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn who_sets_no_owner_touches_a_link_and_not_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let status = |path| fs::symlink_metadata(path).unwrap();
        let before = (status(&link), status(&target));
        // The clock of change times may stand still for a few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let dir = Arc::new(fs::File::open(folder.path()).unwrap().into());
        set_owner(&Place::beside(&dir, c"link".to_owned()), None, None).unwrap();
        let changed = |metadata: fs::Metadata| (metadata.ctime(), metadata.ctime_nsec(), metadata.mode());
        assert_ne!(changed(status(&link)), changed(before.0));
        assert_eq!(changed(status(&target)), changed(before.1));
    }
}
