//! A program in a process of its own, inside a user namespace if asked, that ends when its parent does.
//!
//! [`std::process::Command`] can do neither without running the caller's code between fork and exec. Here all memory is
//! prepared before the fork and the child makes system calls only, so that a caller with threads may use it too.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::Pid;

use crate::process::pidfd_open;
use crate::{Errno, Result};

/// What to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The file, by absolute path.
    pub path: &'a CStr,
    /// The arguments, the program's name first.
    pub argv: &'a [CString],
    /// The environment, and nothing but it.
    pub envp: &'a [CString],
    /// What it gets as descriptors 0, 1 and 2. It gets no others.
    pub stdio: [BorrowedFd<'a>; 3],
    /// The user namespace to join first (setns(2)), where it then has every capability.
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// A process that was spawned. It is the caller's to wait for.
#[derive(Debug)]
pub struct Spawned {
    /// Its id.
    pub pid: Pid,
    /// Readable once it has ended (pidfd_open(2)).
    pub pidfd: OwnedFd,
}

/// Where on the way to the program a child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before there was a child.
    Fork,
    /// Joining the user namespace.
    Join,
    /// Tying its life to the parent's, and arranging the descriptors.
    Prepare,
    /// Running the program.
    Execute,
}

/// Runs `program`. The kernel kills it when the calling thread ends, however that ends.
pub fn spawn(program: &Program) -> std::result::Result<Spawned, (Step, Errno)> {
    let before = |errno| (Step::Fork, errno);
    let argv = pointers(program.argv);
    let envp = pointers(program.envp);
    // Copies out of the way of 0 to 2, whose order of replacement then does not matter.
    let mut stdio = Vec::with_capacity(3);
    for fd in program.stdio {
        stdio.push(above_stdio(fd).map_err(before)?);
    }
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(before)?;
    let report = above_stdio(writer.as_fd()).map_err(before)?;
    let child = Child {
        path: program.path.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        stdio: [stdio[0].as_raw_fd(), stdio[1].as_raw_fd(), stdio[2].as_raw_fd()],
        user_namespace: program.user_namespace.map_or(-1, |fd| fd.as_raw_fd()),
        parent: std::process::id() as libc::pid_t,
        report: report.as_raw_fd(),
    };
    // SAFETY: the child runs `Child::run` alone, which makes only async-signal-safe calls on memory prepared above, and
    // ends in execve or _exit.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(before(Errno::last())),
        // SAFETY: this is the child of the fork; see `run`.
        0 => unsafe { child.run() },
        pid => Pid::from_raw(pid),
    };
    // No copy may stay on this side, or the pipe would never end.
    drop((writer, report));
    let pidfd = pidfd_open(pid).map_err(before);
    match (failure(&reader), pidfd) {
        (None, Ok(pidfd)) => Ok(Spawned { pid, pidfd }),
        (Some(failure), _) | (None, Err(failure)) => {
            // A child that reported has ended; one without a pidfd is of no use.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
            Err(failure)
        }
    }
}

/// What the child reported; nothing if the pipe was closed by a successful exec.
fn failure(reader: &OwnedFd) -> Option<(Step, Errno)> {
    let mut report = [0u8; 5];
    loop {
        match nix::unistd::read(reader, &mut report) {
            Err(Errno::EINTR) => {}
            Ok(5) => break,
            _ => return None,
        }
    }
    let [step, errno @ ..] = report;
    let step = match step {
        0 => Step::Join,
        1 => Step::Prepare,
        _ => Step::Execute,
    };
    Some((step, Errno::from_raw(i32::from_ne_bytes(errno))))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn above_stdio(fd: BorrowedFd) -> Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the kernel has just opened this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// All that the child needs: numbers, and pointers into memory that its copy of the parent has too.
struct Child {
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
    stdio: [RawFd; 3],
    user_namespace: RawFd,
    parent: libc::pid_t,
    report: RawFd,
}

impl Child {
    /// # Safety
    ///
    /// Only in the child of a fork, with the pointers and descriptors that [`spawn`] prepared.
    unsafe fn run(&self) -> ! {
        // SAFETY: each call is async-signal-safe and takes numbers, or pointers that the caller vouches for.
        unsafe {
            if self.user_namespace >= 0 && libc::setns(self.user_namespace, libc::CLONE_NEWUSER) != 0 {
                self.fail(0);
            }
            // After joining, since a change of credentials may clear the signal (prctl(2)). A parent that died before this
            // call would never send it.
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                self.fail(1);
            }
            if libc::getppid() != self.parent {
                libc::_exit(1);
            }
            for (target, source) in (0..).zip(self.stdio) {
                if libc::dup2(source, target) < 0 {
                    self.fail(1);
                }
            }
            let close_on_exec = libc::CLOSE_RANGE_CLOEXEC as libc::c_uint;
            if libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, close_on_exec) != 0 {
                self.fail(1);
            }
            // What a new program expects: no signal blocked, and none ignored that Rust's runtime or the caller ignores.
            for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGCHLD] {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            libc::execve(self.path, self.argv, self.envp);
            self.fail(2)
        }
    }

    /// # Safety
    ///
    /// As for [`Child::run`].
    unsafe fn fail(&self, step: u8) -> ! {
        let [a, b, c, d] = (Errno::last() as i32).to_ne_bytes();
        let report = [step, a, b, c, d];
        // SAFETY: five bytes, from this stack, to a pipe of ours; then the end.
        unsafe {
            libc::write(self.report, report.as_ptr().cast(), report.len());
            libc::_exit(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Step, spawn};
    use crate::Errno;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::ffi::CString;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn shell(script: &str) -> (Option<WaitStatus>, String) {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let argv = ["sh", "-c", script].map(|word| CString::new(word).unwrap());
        let envp = [CString::new("ONLY=this").unwrap()];
        let stdio = [null.as_fd(), writer.as_fd(), null.as_fd()];
        let program = Program { path: c"/bin/sh", argv: &argv, envp: &envp, stdio, user_namespace: None };
        let child = spawn(&program).unwrap();
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        (waitpid(child.pid, None).ok(), said)
    }

    #[test]
    fn a_program_gets_three_descriptors_and_the_environment_given() {
        let (status, said) = shell("echo $ONLY $HOME; ls /proc/self/fd | wc -l; exit 7");
        // ls itself opens the directory: the fourth.
        assert_eq!(said, "this\n4\n");
        assert!(matches!(status, Some(WaitStatus::Exited(_, 7))), "{status:?}");
    }

    #[test]
    fn a_program_that_cannot_be_run_is_an_error_of_the_caller() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let stdio = [null.as_fd(); 3];
        let program = Program { path: c"/nonexistent", argv: &[], envp: &[], stdio, user_namespace: None };
        assert_eq!(spawn(&program).unwrap_err(), (Step::Execute, Errno::ENOENT));
        let program = Program { path: c"/bin/true", user_namespace: Some(null.as_fd()), ..program };
        assert_eq!(spawn(&program).unwrap_err(), (Step::Join, Errno::EINVAL));
    }
}
