//! Mounting by descriptor: fsopen, open_tree, move_mount and mount_setattr (Linux 5.2 to 5.12).
//!
//! A mount is made detached, and put in place onto a descriptor that was resolved beneath the container's
//! root. So no path that an image controls is walked a second time by the kernel.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::{Errno, Result};

/// Attributes of a mount, as mount_setattr(2) names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Nothing can be written through the mount.
    pub read_only: bool,
    /// Set-user-ID bits and file capabilities are ignored.
    pub no_suid: bool,
    /// Device files cannot be opened.
    pub no_dev: bool,
    /// Programs cannot be executed.
    pub no_exec: bool,
}

impl Attributes {
    fn bits(self) -> u64 {
        let mut bits = 0;
        for (wanted, bit) in [
            (self.read_only, libc::MOUNT_ATTR_RDONLY),
            (self.no_suid, libc::MOUNT_ATTR_NOSUID),
            (self.no_dev, libc::MOUNT_ATTR_NODEV),
            (self.no_exec, libc::MOUNT_ATTR_NOEXEC),
        ] {
            if wanted {
                bits |= bit;
            }
        }
        bits
    }
}

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const OPEN_TREE_CLONE: libc::c_uint = 1;

fn owned(status: libc::c_long) -> Result<OwnedFd> {
    let raw = Errno::result(status)?;
    let raw = i32::try_from(raw).map_err(|_| Errno::EBADF)?;
    // SAFETY: only called with the result of a system call that has just opened this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A new filesystem instance, mounted nowhere yet (fsopen(2), fsconfig(2), fsmount(2)).
///
/// An option with a value is a string, one without is a flag.
pub fn new_filesystem(kind: &CStr, options: &[(&CStr, Option<&CStr>)], attributes: Attributes) -> Result<OwnedFd> {
    // SAFETY: `kind` is a C string that outlives the call.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        let (command, value) = match value {
            Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
            None => (FSCONFIG_SET_FLAG, std::ptr::null()),
        };
        // SAFETY: key and value are C strings that outlive the call; a flag takes a null value.
        let status = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key.as_ptr(), value, 0) };
        Errno::result(status)?;
    }
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: FSCONFIG_CMD_CREATE takes neither key nor value.
    let status = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) };
    Errno::result(status)?;
    // SAFETY: no memory is involved.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes.bits()) })
}

/// The folders of an overlay, relative to the working directory: a path with a colon or a comma in it cannot be said in its options.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// What is only read.
    pub lower: &'a CStr,
    /// Where changes go.
    pub upper: &'a CStr,
    /// Scratch space, on the filesystem of `upper`.
    pub work: &'a CStr,
    /// Nothing is synced (Linux 5.10).
    pub volatile: bool,
}

/// The kernel's overlay filesystem as a user namespace may have it, with its marks in `user.*` attributes (Linux 5.11); mounted nowhere yet.
pub fn new_overlay(folders: Overlay<'_>) -> Result<OwnedFd> {
    let mut options = vec![
        (c"source", Some(c"enter")),
        (c"lowerdir", Some(folders.lower)),
        (c"upperdir", Some(folders.upper)),
        (c"workdir", Some(folders.work)),
        (c"userxattr", None),
    ];
    if folders.volatile {
        options.push((c"volatile", None));
    }
    new_filesystem(c"overlay", &options, Attributes::default())
}

/// A detached copy of the mount at `source`, with everything below it where `recursive` (open_tree(2)).
pub fn clone_tree(source: BorrowedFd, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | libc::AT_EMPTY_PATH as libc::c_uint;
    if recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    // SAFETY: the path is an empty C string, the descriptor is open.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) })
}

/// Puts a detached mount onto the directory or file that `target` is (move_mount(2)).
pub fn attach(mount: BorrowedFd, target: BorrowedFd) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    let empty = c"".as_ptr();
    // SAFETY: both paths are empty C strings, both descriptors are open.
    let status =
        unsafe { libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), empty, target.as_raw_fd(), empty, flags) };
    Errno::result(status).map(drop)
}

/// Adds attributes to a mount, and to all below it where `recursive` (mount_setattr(2), Linux 5.12).
pub fn set_attributes(mount: BorrowedFd, attributes: Attributes, recursive: bool) -> Result<()> {
    change(mount, attributes.bits(), 0, 0, recursive)
}

/// Lets a mount be written to that was forbidden to be in the same mount namespace.
pub fn make_writable(mount: BorrowedFd) -> Result<()> {
    change(mount, 0, Attributes { read_only: true, ..Attributes::default() }.bits(), 0, false)
}

/// Lets mounts made elsewhere appear here, but none of ours elsewhere (MS_SLAVE in mount(2)).
pub fn make_slave(mount: BorrowedFd, recursive: bool) -> Result<()> {
    change(mount, 0, 0, libc::MS_SLAVE, recursive)
}

/// Lets no mounts made elsewhere appear here, nor any of ours elsewhere (MS_PRIVATE in mount(2)).
pub fn make_private(mount: BorrowedFd, recursive: bool) -> Result<()> {
    change(mount, 0, 0, libc::MS_PRIVATE, recursive)
}

/// Makes a mount private, and forbids to bind it elsewhere (MS_UNBINDABLE in mount(2)).
pub fn make_unbindable(mount: BorrowedFd, recursive: bool) -> Result<()> {
    change(mount, 0, 0, libc::MS_UNBINDABLE, recursive)
}

fn change(mount: BorrowedFd, set: u64, clear: u64, propagation: libc::c_ulong, recursive: bool) -> Result<()> {
    let attr = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `attr` is a valid mount_attr of the size given; the path is an empty C string.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(status).map(drop)
}

/// Unmounts lazily, never following a symbolic link (MNT_DETACH and UMOUNT_NOFOLLOW in umount2(2)).
pub fn detach(target: &Path) -> Result<()> {
    let target = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `target` is a C string that outlives the call.
    Errno::result(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) }).map(drop)
}
