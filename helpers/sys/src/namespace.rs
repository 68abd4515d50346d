//! Processes in namespaces of their own (clone(2), namespaces(7)).

use std::os::fd::{FromRawFd, OwnedFd};

use nix::sched::CloneFlags;
use nix::unistd::Pid;

use crate::process::is_single_threaded;
use crate::{Errno, Result};

/// Which side of a [`clone()`] this is.
#[derive(Debug)]
pub enum Clone {
    /// The caller, with the new process's id and a descriptor that stands for it.
    Parent {
        /// The id of the new process, as the caller's pid namespace counts.
        child: Pid,
        /// Readable once the process has ended (pidfd_open(2)).
        pidfd: OwnedFd,
    },
    /// The new process: a copy of the caller, the only member of the new namespaces.
    Child,
}

/// Forks into new namespaces.
///
/// The caller must have a single thread, so that the child may go on like any program; otherwise `EBUSY`.
/// Needs Linux 5.2 (CLONE_PIDFD).
pub fn clone(namespaces: CloneFlags) -> Result<Clone> {
    if !is_single_threaded() {
        return Err(Errno::EBUSY);
    }
    let mut pidfd: libc::c_int = -1;
    let flags = namespaces.bits() | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is a fork: the child runs on a copy of all memory.
    // The process has one thread, so no lock can be held by one that the child lacks. The kernel writes
    // the pidfd through the third argument, which lives until the call returns.
    let status = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags),
            std::ptr::null_mut::<libc::c_void>(),
            &raw mut pidfd,
            std::ptr::null_mut::<libc::c_void>(),
            std::ptr::null_mut::<libc::c_void>(),
        )
    };
    match Errno::result(status)? {
        0 => Ok(Clone::Child),
        pid => Ok(Clone::Parent {
            child: Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::EINVAL)?),
            // SAFETY: the kernel has just opened this descriptor for us alone.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Gives this process a session keyring of its own, so that it cannot reach the caller's keys (keyctl(2)).
///
/// `ENOSYS` and, under some seccomp filters, `EPERM` say that there are no keyrings here to be reached.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is involved.
    let status =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    Errno::result(status).map(drop)
}

/// Sets the NIS domain name of this process's UTS namespace (setdomainname(2)).
pub fn set_domain_name(name: &str) -> Result<()> {
    // SAFETY: the kernel reads exactly as many bytes as the length says.
    Errno::result(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}
