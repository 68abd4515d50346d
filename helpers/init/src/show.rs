//! Volumes, images, and folders of the host that are not to be changed, shown in the root.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown};
use plan::{Entry, Shown};
use sys::mount::{Attributes, Overlay};

use crate::failure::{Doing, Result};
use crate::place::Places;

/// Where images are mounted, in the container's folder, which is the working directory; each by its number.
const IMAGES: &str = "images";
/// Where what is written in views goes, in the container's folder.
const VIEWS: &str = "views";

/// Whose files, and which of them: a path below the top, or all.
type Part<'a> = (&'a Shown, &'a Path);

/// Mounts what is shown at `target`.
pub fn show(places: &Places<'_>, part: Part<'_>, target: &Path, attributes: Attributes) -> Result<()> {
    let origin = find(part)?;
    let mount = sys::mount::clone_tree(origin.as_fd(), false).doing("show at", target.display())?;
    attach(places, &mount, target, attributes)
}

/// Mounts an overlay above it, whose upper side is in the container's folder.
pub fn view(places: &Places<'_>, part: Part<'_>, number: u32, target: &Path, attributes: Attributes) -> Result<()> {
    let doing = "mount an overlay at";
    let lower = find(part)?;
    let folder = format!("{VIEWS}/{number}");
    let (upper, work) = (format!("{folder}/upper"), format!("{folder}/work"));
    for made in [VIEWS, &folder, &upper, &work] {
        match mkdirat(nix::fcntl::AT_FDCWD, made, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).doing("make the directory", made),
        }
    }
    look_like(&lower, &upper).doing(doing, target.display())?;
    // A path with a comma or a colon in it cannot be said to every kernel; this one has none.
    let lower_path = text(&format!("/proc/self/fd/{}", lower.as_raw_fd()));
    let (upper, work) = (text(&upper), text(&work));
    let folders = Overlay { lower: &lower_path, upper: &upper, work: &work, volatile: true };
    let overlay = sys::mount::new_overlay(folders).doing(doing, target.display())?;
    attach(places, &overlay, target, attributes)
}

/// A file of the container's own.
pub struct Covering<'a> {
    pub content: &'a [u8],
    pub mode: u32,
    /// Names it among those of the container.
    pub number: u32,
}

/// Mounts such a file at `target`.
pub fn cover(places: &Places<'_>, file: &Covering<'_>, target: &Path) -> Result<()> {
    let doing = "show a file of the container's own at";
    match mkdirat(nix::fcntl::AT_FDCWD, VIEWS, Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno).doing("make the directory", VIEWS),
    }
    let path = format!("{VIEWS}/file-{}", file.number);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(file.mode);
    let mut made = File::from(open(path.as_str(), flags, mode).doing("make", &path)?);
    made.write_all(file.content).doing("write", &path)?;
    fchown(&made, Some(places.owner.0), Some(places.owner.1)).doing("give away", &path)?;
    fchmod(&made, mode).doing("set the permissions of", &path)?;
    let origin = open(path.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", &path)?;
    let mount = sys::mount::clone_tree(origin.as_fd(), false).doing(doing, target.display())?;
    // What can only be read, and has no such file, goes without.
    let place = match places.mount_point(target, Entry::File) {
        Err(failure) if matches!(failure.errno, Errno::EROFS | Errno::EACCES | Errno::EPERM) => return Ok(()),
        place => place?,
    };
    let attributes = Attributes { no_suid: true, no_dev: true, no_exec: true, read_only: false };
    sys::mount::set_attributes(mount.as_fd(), attributes, false).doing(doing, target.display())?;
    sys::mount::attach(mount.as_fd(), place.as_fd()).doing(doing, target.display())
}

/// Finds it; links lead to somewhere in the source.
fn find((source, subpath): Part<'_>) -> Result<OwnedFd> {
    let top = top(source)?;
    match subpath.as_os_str().is_empty() {
        true => Ok(top),
        false => sys::path::find_in_root(&top, subpath).doing("find in the volume or image:", subpath.display()),
    }
}

fn top(source: &Shown) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    match source {
        Shown::Directory(path) => open(path.as_path(), flags, Mode::empty()).doing("open", path.as_path().display()),
        Shown::Image(number) => {
            let place = format!("{IMAGES}/{number}");
            open(place.as_str(), flags, Mode::empty()).doing("open the image at", place)
        }
    }
}

fn attach(places: &Places<'_>, mount: &OwnedFd, target: &Path, attributes: Attributes) -> Result<()> {
    let status = fstat(mount).doing("examine what is to be shown at", target.display())?;
    let kind = if status.st_mode & libc::S_IFMT == libc::S_IFDIR { Entry::Directory } else { Entry::File };
    let place = places.mount_point(target, kind)?;
    if attributes != Attributes::default() {
        let done = sys::mount::set_attributes(mount.as_fd(), attributes, false);
        done.doing("restrict what is shown at", target.display())?;
    }
    sys::mount::attach(mount.as_fd(), place.as_fd()).doing("show at", target.display())
}

/// The top of an overlay has the looks of its upper side's.
fn look_like(lower: &OwnedFd, upper: &str) -> std::result::Result<(), Errno> {
    let status = fstat(lower)?;
    let upper = open(upper, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    match fchown(&upper, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid))) {
        // It belongs to somebody who has no number here: then it is the user's.
        Ok(()) | Err(Errno::EINVAL | Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    fchmod(&upper, Mode::from_bits_truncate(status.st_mode & 0o7777))
}

fn text(path: &str) -> CString {
    CString::new(path).unwrap_or_else(|_| CStr::to_owned(c""))
}
