//! The root: the kernel's overlayfs above the filesystem server's mount, or that mount itself; and the step into it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fchmod, futimens, stat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown};
use plan::{Plan, Writable};
use sys::mount::{Attributes, Overlay};

use crate::failure::{Doing, Result};

/// Names in the container's folder.
mod name {
    pub const LOWER: &std::ffi::CStr = c"lower";
    pub const UPPER: &std::ffi::CStr = c"upper";
    pub const WORK: &std::ffi::CStr = c"work";
    pub const ROOT: &str = "root";
}

/// Mounts the root onto the container's folder, and returns its top.
pub fn mount(plan: &Plan) -> Result<OwnedFd> {
    // What is mounted on the host from now on may show here; nothing of ours may show there.
    let host = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/")?;
    sys::mount::make_slave(host.as_fd(), true).doing("cut mounts off from", "/")?;
    let folder = plan.container.folder.as_path();
    nix::unistd::chdir(folder).doing("enter", folder.display())?;
    match plan.root.writable {
        Writable::Overlay { volatile } => overlay(folder, volatile),
        // The filesystem server has mounted it before it started us.
        Writable::Fuse { .. } => top(),
    }
}

fn top() -> Result<OwnedFd> {
    open(name::ROOT, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "the root")
}

fn overlay(folder: &Path, volatile: bool) -> Result<OwnedFd> {
    let fresh = is_fresh().doing("look into", folder.join("upper").display())?;
    let folders = Overlay { lower: name::LOWER, upper: name::UPPER, work: name::WORK, volatile };
    let overlay = sys::mount::new_overlay(folders).doing("mount an overlay in", folder.display())?;
    let target = open(name::ROOT, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .doing("open", folder.join(name::ROOT).display())?;
    sys::mount::attach(overlay.as_fd(), target.as_fd()).doing("mount", folder.join(name::ROOT).display())?;
    let root = top()?;
    if fresh {
        look_like_lower(&root).doing("set the owner, permissions and time of", "the root")?;
    }
    Ok(root)
}

/// Whether the container has never been started: nothing has been written to its upper side yet.
fn is_fresh() -> std::result::Result<bool, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut upper = Dir::open(name::UPPER, flags, Mode::empty())?;
    let own = |name: &CStr| name == c"." || name == c"..";
    Ok(upper.iter().all(|entry| entry.is_ok_and(|entry| own(entry.file_name()))))
}

/// Forbids writing to the root, where the plan says so: what is mounted on it stays as it is.
pub fn seal(plan: &Plan, root: &OwnedFd) -> Result<()> {
    if !plan.root.read_only {
        return Ok(());
    }
    let attributes = Attributes { read_only: true, ..Attributes::default() };
    sys::mount::set_attributes(root.as_fd(), attributes, false).doing("forbid writing to", "the root")
}

/// The root directory of an overlay has the looks of its upper side's, which is a new folder of the user's.
fn look_like_lower(root: &OwnedFd) -> std::result::Result<(), Errno> {
    let lower = stat(name::LOWER)?;
    fchown(root, Some(Uid::from_raw(lower.st_uid)), Some(Gid::from_raw(lower.st_gid)))?;
    fchmod(root, Mode::from_bits_truncate(lower.st_mode))?;
    keep_times(root, &lower)
}

/// Gives a directory the times that it had, when something was made in it that is no news.
pub fn keep_times(directory: &OwnedFd, before: &FileStat) -> std::result::Result<(), Errno> {
    let access = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    let change = TimeSpec::new(before.st_mtime, before.st_mtime_nsec);
    futimens(directory, &access, &change)
}

/// Makes `root` the root directory of this process, and lets go of the host's.
pub fn enter(root: &OwnedFd) -> Result<()> {
    nix::unistd::fchdir(root).doing("enter", "the root")?;
    // Both names the same: the old root ends up on top of the new one, and is then taken off (pivot_root(2)).
    nix::unistd::pivot_root(".", ".").doing("pivot to", "the root")?;
    sys::mount::detach(Path::new(".")).doing("let go of", "the host's root")?;
    nix::unistd::chdir("/").doing("enter", "/")
}

/// A path as the kernel takes it.
pub fn c_string(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL).doing("use the path", path.display())
}
