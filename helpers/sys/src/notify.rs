//! System calls that another process answers (SECCOMP_RET_USER_NOTIF, seccomp_unotify(2)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Errno, Result};

/// A system call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// What the answer is to name.
    pub id: u64,
    /// The thread that makes the call, as the receiver's pid namespace counts; 0 where that does not show it.
    pub thread: i32,
    /// The call's number.
    pub call: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The call returns this.
    Return(i64),
    /// The call fails.
    Fail(Errno),
    /// The kernel carries the call out (Linux 5.5). What it then finds in the caller's memory may be something else than was seen there:
    /// never an answer to a call that was to be forbidden.
    Continue,
}

/// Installs a filter as [`crate::seccomp::install`] does, and returns where the calls arrive that it answers by SECCOMP_RET_USER_NOTIF
/// (Linux 5.0). Close-on-exec.
///
/// From Linux 5.19 on no signal but a fatal one interrupts a call once it has arrived. `EBUSY`: this process has such a filter already.
pub fn install(filter: &[u64]) -> Result<OwnedFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match install_with(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::EINVAL) => install_with(filter, flags),
        done => done,
    }
}

fn install_with(filter: &[u64], flags: libc::c_ulong) -> Result<OwnedFd> {
    let length = u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr() as *mut libc::sock_filter };
    // SAFETY: `program` names `length` instructions of eight bytes, suitably aligned, alive for the call; the kernel copies and verifies
    // them, and does not write to them.
    let status = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let raw = i32::try_from(Errno::result(status)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Lets caller and receiver take turns on one CPU (Linux 6.6), which is three times as fast as waking another one.
pub fn take_turns(listener: BorrowedFd<'_>) -> Result<()> {
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the flags are passed by value; no memory is involved.
    let status = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
    Errno::result(status).map(drop)
}

/// Takes one call, and waits for it where there is none. `ENOENT`: its caller has been killed meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    // SAFETY: all of its fields are numbers, for which zeroes are valid; the kernel insists on them.
    let mut found: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure, as large as the ioctl's number says, which lives for the call.
    let status = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut found) };
    Errno::result(status)?;
    Ok(Notification { id: found.id, thread: found.pid as i32, call: found.data.nr.into(), arguments: found.data.args })
}

/// Whether the caller still waits: only then is what was read of its memory its own, and its number not another's by now.
pub fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one number, which lives for the call.
    let status = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
    status == 0
}

/// Answers a call. `ENOENT`: its caller has been killed meanwhile.
pub fn answer(listener: BorrowedFd<'_>, id: u64, reply: Reply) -> Result<()> {
    let (val, error, flags) = match reply {
        Reply::Return(value) => (value, 0, 0),
        Reply::Fail(errno) => (0, -(errno as i32), 0),
        Reply::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags };
    // SAFETY: the kernel reads one such structure, which lives for the call.
    let status = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    Errno::result(status).map(drop)
}

/// Answers a call by a descriptor, which becomes the caller's under the lowest free number (Linux 5.9).
///
/// Before Linux 5.14 a caller that is killed at this moment may be left with the descriptor.
pub fn answer_with(listener: BorrowedFd<'_>, id: u64, descriptor: BorrowedFd<'_>, close_on_exec: bool) -> Result<()> {
    let add = |flags: u32| {
        let added = libc::seccomp_notif_addfd {
            id,
            flags,
            srcfd: descriptor.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: the kernel reads one such structure, which lives for the call.
        let status = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const added) };
        Errno::result(status)
    };
    match add(libc::SECCOMP_ADDFD_FLAG_SEND as u32) {
        Err(Errno::EINVAL) => add(0).and_then(|number| answer(listener, id, Reply::Return(number.into()))),
        done => done.map(drop),
    }
}

/// A copy of a descriptor of another thread's process (pidfd_getfd(2), Linux 5.6), which the caller must be allowed to trace.
pub fn copy_descriptor(pidfd: impl AsFd, number: i32) -> Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let status = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), number, 0) };
    let raw = i32::try_from(Errno::result(status)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
