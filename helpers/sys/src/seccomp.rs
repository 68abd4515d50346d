//! System call filters (seccomp(2)).

use crate::{Errno, Result};

/// Installs a filter for this process and its children, made of `sock_filter` instructions of eight bytes each,
/// in this machine's byte order.
///
/// Needs no_new_privs or CAP_SYS_ADMIN in the process's user namespace (`EACCES`). `EINVAL`: not a valid filter.
pub fn install(filter: &[u64]) -> Result<()> {
    let length = u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr() as *mut libc::sock_filter };
    const SET_MODE_FILTER: libc::c_uint = 1;
    // SAFETY: `program` names `length` instructions of eight bytes, suitably aligned, alive for the call; the
    // kernel copies and verifies them, and does not write to them.
    let status = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) };
    Errno::result(status).map(drop)
}

/// How one system call ended under filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did what it does, and returned this.
    Returned(i64),
    /// It failed.
    Failed(Errno),
    /// The process that made it was killed.
    Killed,
}

/// Makes one system call under `filter` in a process made for it alone, and tells how it ended. To try a filter out: nothing
/// that the call does to memory or descriptors is seen by the caller.
///
/// The filter must let through `write` and `exit_group`.
pub fn try_out(filter: &[u64], number: i64, arguments: [u64; 6]) -> Result<Answer> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // SAFETY: the child makes system calls only, on memory prepared before the fork, and ends in _exit.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(Errno::last()),
        // SAFETY: this is that child. Whatever the call does, it does to a copy of our memory that ends with the child.
        0 => unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let mut report = [0u8; 12];
            let (value, errno) = match install(filter) {
                Err(errno) => (i64::MIN, errno as i32),
                Ok(()) => {
                    let [a, b, c, d, e, f] = arguments;
                    match libc::syscall(number, a, b, c, d, e, f) {
                        -1 => (-1, Errno::last() as i32),
                        value => (value, 0),
                    }
                }
            };
            report[..8].copy_from_slice(&value.to_ne_bytes());
            report[8..].copy_from_slice(&errno.to_ne_bytes());
            libc::write(std::os::fd::AsRawFd::as_raw_fd(&writer), report.as_ptr().cast(), report.len());
            libc::_exit(0)
        },
        pid => nix::unistd::Pid::from_raw(pid),
    };
    drop(writer);
    let mut report = [0u8; 12];
    let length = loop {
        match nix::unistd::read(&reader, &mut report) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    nix::sys::wait::waitpid(pid, None)?;
    if length != report.len() {
        return Ok(Answer::Killed);
    }
    let [value @ .., a, b, c, d] = report;
    let errno = Errno::from_raw(i32::from_ne_bytes([a, b, c, d]));
    match i64::from_ne_bytes(value) {
        i64::MIN => Err(errno),
        -1 => Ok(Answer::Failed(errno)),
        value => Ok(Answer::Returned(value)),
    }
}
