//! Processes: forking, running a program from a descriptor, and knowing how one ended.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::unistd::Pid;

use crate::{Errno, Result};

/// Whether this process has one thread only.
///
/// Asks by unshare(CLONE_THREAD), which does nothing and is refused to a process with threads: /proc may be that of another pid
/// namespace, or be missing. It is asked where a filter of system calls forbids the other.
pub fn is_single_threaded() -> bool {
    // SAFETY: no memory is involved, and nothing is unshared.
    match Errno::result(unsafe { libc::unshare(libc::CLONE_THREAD) }) {
        Ok(_) => true,
        Err(Errno::EINVAL) => false,
        Err(_) => std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1),
    }
}

/// Lets all others go first who want a processor: of this thread, and of those that it starts from now on (setpriority(2), "C library/kernel
/// differences"). It cannot be taken back.
pub fn give_way() -> Result<()> {
    const NICE: i32 = 10;
    // SAFETY: no memory is involved; 0 is the calling thread.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) }).map(drop)
}

/// Which side of a [`fork()`] this is.
#[derive(Debug, PartialEq, Eq)]
pub enum Fork {
    /// The caller, with the new process's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks a process that has a single thread, so that the child may go on like any program; otherwise `EBUSY`.
pub fn fork() -> Result<Fork> {
    if !is_single_threaded() {
        return Err(Errno::EBUSY);
    }
    // SAFETY: one thread only, so the child inherits no lock that an absent thread holds.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// Ends this process at once, without destructors or exit handlers (_exit(2)): the way out of a forked child.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Runs the program behind a descriptor in place of this one; returns only on failure (fexecve(3)).
pub fn execute_descriptor(program: BorrowedFd, argv: &[&CStr], envp: &[&CStr]) -> Errno {
    match nix::unistd::execveat(program, c"", argv, envp, nix::fcntl::AtFlags::AT_EMPTY_PATH) {
        Err(errno) => errno,
        Ok(never) => match never {},
    }
}

/// A descriptor that stands for a process (pidfd_open(2), Linux 5.3); close-on-exec.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let status = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let raw = i32::try_from(Errno::result(status)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends a signal to exactly the process that the descriptor stands for (pidfd_send_signal(2), Linux 5.1).
pub fn pidfd_send_signal(pidfd: BorrowedFd, signal: Signal) -> Result<()> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for what kill(2) would send.
    let status =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal as libc::c_int, null, 0) };
    Errno::result(status).map(drop)
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One process.
    Process(Pid),
    /// All of a process group.
    Group(Pid),
    /// Every process that the caller can see and may signal, but for itself and process 1 (kill(2)).
    Everybody,
}

/// Sends a signal by its number, which may be that of a real-time signal.
pub fn send_signal(audience: Audience, number: i32) -> Result<()> {
    let target = match audience {
        Audience::Process(pid) => pid.as_raw(),
        Audience::Group(pid) => -pid.as_raw(),
        Audience::Everybody => -1,
    };
    // SAFETY: no memory is involved.
    Errno::result(unsafe { libc::kill(target, number) }).map(drop)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By the signal of this number, which may be a real-time signal.
    Killed(i32),
}

/// Reaps one child that has ended; `None` where there is none at the moment, or none at all.
pub fn reap() -> Result<Option<(Pid, Ended)>> {
    let mut status = 0;
    let pid = loop {
        // SAFETY: the kernel writes one integer, which lives until the call returns.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }) {
            Ok(0) | Err(Errno::ECHILD) => return Ok(None),
            Ok(pid) => break Pid::from_raw(pid),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    };
    let ended = if libc::WIFSIGNALED(status) {
        Ended::Killed(libc::WTERMSIG(status))
    } else {
        Ended::Exited(libc::WEXITSTATUS(status))
    };
    Ok(Some((pid, ended)))
}

/// Puts every signal's disposition back to the default and blocks none: what a new program expects.
pub fn reset_signals() -> Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: the default disposition runs no code of ours.
            unsafe { sigaction(signal, &default) }?;
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Lets a signal pass unnoticed, such as SIGPIPE.
pub fn ignore_signal(signal: Signal) -> Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { sigaction(signal, &ignore) }.map(drop)
}

/// Whether a signal is ignored, as nohup(1) does with SIGHUP for the program that it starts, or a shell with SIGINT in the background.
pub fn is_ignored(signal: Signal) -> Result<bool> {
    // SAFETY: all zeroes are a valid sigaction.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action nothing changes; `now` is large enough for the present one.
    Errno::result(unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut now) })?;
    Ok(now.sa_sigaction == libc::SIG_IGN)
}

/// Gives a signal its default effect, such as SIGPIPE for a program that writes to a pipe.
pub fn restore_signal(signal: Signal) -> Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default disposition runs no code of ours.
    unsafe { sigaction(signal, &default) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_pidfd_reaches_the_process() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_raw(child.id() as i32)).unwrap();
        pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL), Err(Errno::ESRCH));
    }

    #[test]
    fn an_ignored_signal_is_told_from_one_that_is_not() {
        assert!(!is_ignored(Signal::SIGUSR2).unwrap());
        ignore_signal(Signal::SIGUSR2).unwrap();
        assert!(is_ignored(Signal::SIGUSR2).unwrap());
        restore_signal(Signal::SIGUSR2).unwrap();
    }

    #[test]
    fn a_process_with_threads_is_not_forked() {
        // The test harness itself runs this in a thread beside its main one.
        assert_eq!(fork().unwrap_err(), Errno::EBUSY);
    }
}
