//! What an image has in the place of a new volume is taken over into it, as docker does: once, before anybody sees the volume.
//!
//! A volume is new as long as its folder has the file `fresh`, and nobody else takes anything over while that folder is locked. What a
//! container has begun that was killed says so by the file `filling`, and is begun anew: nobody has seen it yet.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, open, openat};
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};
use sys::statx::{Status, statx};

use crate::failure::{Doing, Result};
use crate::give::{Whose, give};

/// Nothing was taken over yet.
const FRESH: &CStr = c"fresh";
/// Something is being taken over.
const FILLING: &CStr = c"filling";

/// By what cowfs tells whose a file is where there is one id for all.
const TOLD: &CStr = c"system.cowfs.owner";

/// By what a volume remembers whose a file was there: `UID GID`. See `pretend`.
pub const REMEMBERED: &CStr = c"user.enter.owner";

type Done<T> = std::result::Result<T, Errno>;

/// A volume that may be new.
pub struct New<'a> {
    /// Its folder.
    pub volume: &'a Path,
    /// Where its files are.
    pub data: &'a Path,
    /// What is taken over of the root.
    pub from: Option<&'a Path>,
    /// Whose it is where that is not there.
    pub owner: (Uid, Gid),
    /// Whose it is whatever is there, in the container's ids; `owner` says the same.
    pub owned: Option<(u32, u32)>,
    /// Whose all is that is taken over, where that is not whose it is in the root.
    pub given: Option<Whose>,
    /// There is one id for all, and the volume is to remember whose each file was.
    pub remembers: bool,
}

/// Takes over what `root` has.
pub fn fill(root: &OwnedFd, new: &New<'_>) -> Result<()> {
    let New { volume, data, from, owner, owned, remembers, .. } = *new;
    let doing = "take the image's files over into the volume";
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = open(volume, flags, Mode::empty()).doing(doing, volume.display())?;
    let folder = Flock::lock(File::from(folder), FlockArg::LockExclusive).map_err(|(_, errno)| errno);
    let folder = folder.doing(doing, volume.display())?;
    if !is_there(&*folder, FRESH) {
        // Another container was quicker.
        return Ok(());
    }
    let top = open(data, flags, Mode::empty()).doing(doing, data.display())?;
    if is_there(&*folder, FILLING) {
        clear(&top).doing("clear what was not finished in", data.display())?;
    }
    if names(&top).doing("look into", data.display())?.is_empty() {
        let found = from.and_then(|from| sys::path::open_in_root(root, from, flags, Mode::empty()).ok());
        let own = || match owned.filter(|_| remembers) {
            Some((uid, gid)) => sys::xattr::set_of(top.as_fd(), REMEMBERED, format!("{uid} {gid}").as_bytes()),
            None => fchown(&top, Some(owner.0), Some(owner.1)),
        };
        let Some(found) = found else {
            return own().doing("give away", data.display());
        };
        let taken = take(&folder, &found, &top, remembers);
        if taken.is_err() {
            let _ = clear(&top).map(|()| unlinkat(&*folder, FILLING, UnlinkatFlags::NoRemoveDir));
        }
        let any = taken.doing(doing, data.display())?;
        if owned.is_some() {
            own().doing("give away", data.display())?;
        }
        if let (true, Some(whose)) = (any, &new.given) {
            give(data, whose)?;
        }
        // What has nothing in it yet may be filled by another image.
        if !any {
            return Ok(());
        }
    }
    unlinkat(&*folder, FRESH, UnlinkatFlags::NoRemoveDir).doing(doing, volume.display())?;
    match unlinkat(&*folder, FILLING, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno).doing(doing, volume.display()),
    }
}

fn is_there(folder: impl AsFd, name: &CStr) -> bool {
    statx(folder, name).is_ok()
}

/// Copies all that is in a directory into another that nobody else sees yet. `like`: and gives it the first one's own looks.
pub fn copy(from: &OwnedFd, to: &OwnedFd, like: bool, remembers: bool) -> Done<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let (from, to) = (openat(from, ".", flags, Mode::empty())?, openat(to, ".", flags, Mode::empty())?);
    let status = statx(&from, c"")?;
    let mut copy = Copy { from: &from, to: &to, remembers, links: HashMap::new(), directories: Vec::new() };
    copy.below(Path::new(""))?;
    copy.finish()?;
    if like {
        looks(from.as_fd(), to.as_fd(), &status, remembers)?;
    }
    Ok(())
}

/// Copies everything; says whether there was anything.
fn take(folder: &File, from: &OwnedFd, to: &OwnedFd, remembers: bool) -> Done<bool> {
    let status = statx(from, c"")?;
    let any = !names(from)?.is_empty();
    if any {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        drop(openat(folder, FILLING, flags, Mode::from_bits_truncate(0o600))?);
        let mut copy = Copy { from, to, remembers, links: HashMap::new(), directories: Vec::new() };
        copy.below(Path::new(""))?;
        copy.finish()?;
    }
    looks(from.as_fd(), to.as_fd(), &status, remembers)?;
    times(to.as_fd(), &status)?;
    if any {
        // Once it counts as taken over it must be there, also after a power cut.
        nix::unistd::syncfs(to)?;
    }
    Ok(any)
}

/// A copy at work.
struct Copy<'a> {
    from: &'a OwnedFd,
    to: &'a OwnedFd,
    remembers: bool,
    /// The first name of each file that has several.
    links: HashMap<(u64, (u32, u32)), PathBuf>,
    /// Whose times are set when nothing more is made in them.
    directories: Vec<(PathBuf, Status)>,
}

impl Copy<'_> {
    /// Copies what is in the directory at `path`.
    fn below(&mut self, path: &Path) -> Done<()> {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let (from, to) = (directory(self.from, &path)?, directory(self.to, &path)?);
            for name in names(&from)? {
                let child = path.join(OsStr::from_bytes(name.to_bytes()));
                if self.one(&from, &to, &name, &child)? {
                    waiting.push(child);
                }
            }
        }
        Ok(())
    }

    /// Copies one name, and of a directory only that it is there; says whether it is one.
    fn one(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, path: &Path) -> Done<bool> {
        let status = statx(from, name)?;
        let kind = status.mode & libc::S_IFMT;
        if kind != libc::S_IFDIR && status.nlink > 1 {
            let number = (status.inode, status.device);
            if let Some(first) = self.links.get(&number) {
                linkat(self.to, first, to, name, LinkatFlags::empty())?;
                return Ok(false);
            }
            self.links.insert(number, path.to_owned());
        }
        let private = Mode::from_bits_truncate(0o700);
        match kind {
            libc::S_IFDIR => {
                mkdirat(to, name, private)?;
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let (from, to) = (openat(from, name, flags, Mode::empty())?, openat(to, name, flags, Mode::empty())?);
                looks(from.as_fd(), to.as_fd(), &status, self.remembers)?;
                self.directories.push((path.to_owned(), status));
                return Ok(true);
            }
            libc::S_IFREG => {
                let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let from = openat(from, name, flags | OFlag::O_RDONLY, Mode::empty())?;
                let made = flags | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
                let to = openat(to, name, made, Mode::from_bits_truncate(0o600))?;
                let (mut from, mut to) = (File::from(from), File::from(to));
                io::copy(&mut from, &mut to).map_err(errno)?;
                looks(from.as_fd(), to.as_fd(), &status, self.remembers)?;
                times(to.as_fd(), &status)?;
            }
            libc::S_IFLNK => {
                symlinkat(nix::fcntl::readlinkat(from, name)?.as_os_str(), to, name)?;
                own(to, name, &status)?;
                let [access, change] = both(&status);
                utimensat(to, name, &access, &change, UtimensatFlags::NoFollowSymlink)?;
            }
            libc::S_IFIFO => {
                nix::sys::stat::mknodat(
                    to,
                    name,
                    nix::sys::stat::SFlag::S_IFIFO,
                    Mode::from_bits_truncate(status.mode & 0o7777),
                    0,
                )?;
                own(to, name, &status)?;
            }
            // A socket without the program that listened is of no use, and devices nobody here can make.
            _ => {}
        }
        Ok(false)
    }

    /// The times of directories, the deepest first.
    fn finish(self) -> Done<()> {
        for (path, status) in self.directories.iter().rev() {
            times(directory(self.to, path)?.as_fd(), status)?;
        }
        Ok(())
    }
}

/// The directory at a path below another, no link followed.
fn directory(top: &OwnedFd, path: &Path) -> Done<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    sys::path::open_beneath(top, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
}

/// The names in a directory.
pub fn names(of: &OwnedFd) -> Done<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::from_fd(openat(of, ".", flags, Mode::empty())?)?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Owner, permissions and attributes.
fn looks(from: BorrowedFd<'_>, to: BorrowedFd<'_>, status: &Status, remembers: bool) -> Done<()> {
    fchown(to, Some(Uid::from_raw(status.uid)), Some(Gid::from_raw(status.gid)))?;
    // A filesystem without such attributes keeps no owners.
    if remembers && let Ok(told) = sys::xattr::get_of(from, TOLD) {
        let mut words = told.split(|byte| *byte == b' ');
        if let (Some(uid), Some(gid)) = (words.next(), words.next()) {
            let _ = sys::xattr::set_of(to, REMEMBERED, &[uid, b" ", gid].concat());
        }
    }
    for name in sys::xattr::names_of(from).unwrap_or_default().split(|byte| *byte == 0).filter(|name| passes(name)) {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        // What this filesystem does not have is not there.
        if let Ok(value) = sys::xattr::get_of(from, &name) {
            let _ = sys::xattr::set_of(to, &name, &value);
        }
    }
    // The last, as a change of owners takes some of them away.
    fchmod(to, Mode::from_bits_truncate(status.mode & 0o7777))
}

/// Whether an attribute is the file's own, and says nothing to an overlay or to a machine.
fn passes(name: &[u8]) -> bool {
    const OTHERS: [&[u8]; 6] =
        [b"system.cowfs.", b"user.cowfs.", b"user.overlay.", b"user.enter.", b"trusted.", b"security.selinux"];
    !name.is_empty() && !OTHERS.iter().any(|other| name.starts_with(other))
}

fn own(directory: &OwnedFd, name: &CStr, status: &Status) -> Done<()> {
    let (uid, gid) = (Uid::from_raw(status.uid), Gid::from_raw(status.gid));
    fchownat(directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn both(status: &Status) -> [TimeSpec; 2] {
    [status.atime, status.mtime].map(|(seconds, nanoseconds)| TimeSpec::new(seconds, nanoseconds.into()))
}

fn times(file: BorrowedFd<'_>, status: &Status) -> Done<()> {
    let [access, change] = both(status);
    futimens(file, &access, &change)
}

/// Removes all that is in a directory.
fn clear(top: &OwnedFd) -> Done<()> {
    let mut found = vec![PathBuf::new()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        let open = directory(top, &path)?;
        for name in names(&open)? {
            if statx(&open, &name)?.mode & libc::S_IFMT == libc::S_IFDIR {
                found.push(path.join(OsStr::from_bytes(name.to_bytes())));
            } else {
                unlinkat(&open, &*name, UnlinkatFlags::NoRemoveDir)?;
            }
        }
    }
    for path in found.iter().skip(1).rev() {
        unlinkat(top, path, UnlinkatFlags::RemoveDir)?;
    }
    Ok(())
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
