//! What a process goes through from its fork to its command, the payload as well as those that `exec` adds: streams, limits,
//! user, directory, and then everything is dropped that it is not to have.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};
use plan::report::{self, Report};
use plan::{Limit, Pretend, Process, Stream};
use sys::capability::Set;

use crate::failure::{Doing, Failure, Result};
use crate::monitor::Monitor;
use crate::{command, idle};

/// CAP_SYS_ADMIN, 21 in `linux/capability.h`.
const SYS_ADMIN: u64 = 1 << 21;

/// What a process gets beside its plan.
#[derive(Debug)]
pub struct Gifts<'a> {
    /// The payload's side of a terminal, for the streams that ask for it.
    pub terminal: Option<&'a OwnedFd>,
    /// Descriptors that become 3, 4, …
    pub passed: &'a [OwnedFd],
    /// Who finds somebody to answer its system calls, where that is to be.
    pub monitor: &'a Monitor,
}

/// In the new process, which is in the payload's user namespace already: becomes the command.
///
/// Returns why it could not. `parent` is the socket by which that is told; it closes when the command begins.
pub fn become_command(process: &Process, gifts: &Gifts<'_>, parent: OwnedFd) -> ! {
    // Out of the way of what is passed on.
    let lifted = lift(parent.as_fd(), gifts.passed).doing("make room for", "descriptors");
    let (parent, failure) = match lifted {
        Ok((lifted, passed)) => match prepare(process, gifts, &passed) {
            Ok(()) if process.idle => idle::until_ended(),
            Ok(()) => (lifted, command::execute(process)),
            Err(failure) => (lifted, failure),
        },
        Err(failure) => (parent, failure),
    };
    tell(&parent, failure);
    sys::process::exit_now(125)
}

/// Tells the parent why there will be no command.
pub fn tell(parent: &OwnedFd, failure: Failure) {
    let _ = serde_json::to_vec(&report::Failure::from(failure)).map(|text| sys::socket::send(parent, &text, None));
}

fn prepare(process: &Process, gifts: &Gifts<'_>, passed: &[OwnedFd]) -> Result<()> {
    match sys::namespace::new_session_keyring() {
        // No keyrings in this kernel, or none to be had: then there is none to be reached either.
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EDQUOT) => {}
        Err(errno) => Err(errno).doing("leave", "the caller's keyring")?,
    }
    nix::unistd::setsid().doing("start", "a session")?;
    if let Some(terminal) = gifts.terminal {
        sys::terminal::control(terminal).doing("take control of", "the terminal")?;
        for (number, stream) in (0..).zip(&process.streams) {
            if *stream == Stream::Terminal {
                sys::descriptor::replace(terminal.as_fd(), number).doing("connect", "the terminal")?;
            }
        }
    }
    process.limits.iter().try_for_each(limit)?;
    nix::sys::stat::umask(Mode::from_bits_truncate(process.umask));
    become_user(process)?;
    enter_directory(process)?;
    sys::process::reset_signals().doing("reset", "signals")?;
    nix::sys::prctl::set_pdeathsig(None).doing("stay without", "init")?;
    // The last that is said to the monitor, whose socket may be at a number that something is passed on at.
    pretend(process, gifts.monitor)?;
    for (number, fd) in (3..).zip(passed) {
        sys::descriptor::replace(fd.as_fd(), number).doing("pass on", "descriptors")?;
    }
    confine(process)
}

/// The socket and the descriptors to be passed on, at numbers above those that the command is to find them at.
fn lift(parent: BorrowedFd<'_>, passed: &[OwnedFd]) -> std::result::Result<(OwnedFd, Vec<OwnedFd>), Errno> {
    let first_free = i32::try_from(passed.len()).map_err(|_| Errno::EMFILE)? + 3;
    let above = |fd: BorrowedFd| fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(first_free)).and_then(sys::descriptor::adopt);
    let lifted = passed.iter().map(|fd| above(fd.as_fd())).collect::<std::result::Result<_, _>>()?;
    Ok((above(parent)?, lifted))
}

fn limit(limit: &Limit) -> Result<()> {
    let Limit { resource, soft, hard } = limit;
    let known = resource_named(resource).ok_or(Errno::EINVAL).doing("set the limit", resource)?;
    setrlimit(known, *soft, *hard).doing("set the limit", format!("{resource} to {soft}:{hard}"))
}

/// The resource that setrlimit(2) calls `RLIMIT_…`.
fn resource_named(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::RLIMIT_AS,
        "core" => Resource::RLIMIT_CORE,
        "cpu" => Resource::RLIMIT_CPU,
        "data" => Resource::RLIMIT_DATA,
        "fsize" => Resource::RLIMIT_FSIZE,
        "locks" => Resource::RLIMIT_LOCKS,
        "memlock" => Resource::RLIMIT_MEMLOCK,
        "msgqueue" => Resource::RLIMIT_MSGQUEUE,
        "nice" => Resource::RLIMIT_NICE,
        "nofile" => Resource::RLIMIT_NOFILE,
        "nproc" => Resource::RLIMIT_NPROC,
        "rss" => Resource::RLIMIT_RSS,
        "rtprio" => Resource::RLIMIT_RTPRIO,
        "rttime" => Resource::RLIMIT_RTTIME,
        "sigpending" => Resource::RLIMIT_SIGPENDING,
        "stack" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}

/// Takes on the user and groups, without losing the capabilities that the rest still needs.
fn become_user(process: &Process) -> Result<()> {
    sys::capability::limit_bounding(Set(process.capabilities)).doing("limit", "capabilities")?;
    sys::capability::keep_over_setuid(true).doing("keep", "capabilities")?;
    if let Some(groups) = &process.groups {
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        match nix::unistd::setgroups(&groups) {
            // A single mapped id: the kernel allows no change of groups (user_namespaces(7)).
            Ok(()) | Err(Errno::EPERM) => {}
            Err(errno) => Err(errno).doing("take on", "the groups")?,
        }
    }
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    nix::unistd::setresgid(gid, gid, gid).doing("take on the group", gid)?;
    nix::unistd::setresuid(uid, uid, uid).doing("take on the user", uid)?;
    sys::capability::keep_over_setuid(false).doing("keep", "capabilities")
}

/// Enters the first directory that can be entered.
fn enter_directory(process: &Process) -> Result<()> {
    let mut outcome = Err(Errno::ENOENT);
    for directory in &process.directories {
        outcome = nix::unistd::chdir(directory.as_path());
        if outcome.is_ok() {
            break;
        }
    }
    let subject = || process.directories.first().map(|first| first.as_path().display().to_string()).unwrap_or_default();
    outcome.doing("enter the working directory", subject())?;
    // Outside of the root the kernel says "(unreachable)…" (getcwd(2)).
    let current: PathBuf = nix::unistd::getcwd().doing("name", "the working directory")?;
    if current.is_absolute() { Ok(()) } else { Err(Errno::EACCES).doing("stay inside with", current.display()) }
}

/// Has some of its system calls answered by whom the monitor finds for it, from here on.
fn pretend(process: &Process, monitor: &Monitor) -> Result<()> {
    let Some(Pretend { filter, uid, gid, groups }) = &process.pretend else { return Ok(()) };
    awaken(process)?;
    let listener = match sys::notify::install(&filter.0) {
        Ok(listener) => listener,
        // A kernel without; or a container that this one is in has somebody already who answers the calls of both.
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::EBUSY) => return Ok(()),
        Err(errno) => return Err(errno).doing("install", "the filter of calls that are answered"),
    };
    monitor.find_answers(Report::Listener { uid: *uid, gid: *gid, groups: groups.clone() }, &listener)
}

/// CAP_SYS_ADMIN, which a filter needs without no_new_privs, was not lost on the way, but may be asleep.
fn awaken(process: &Process) -> Result<()> {
    sys::capability::set_permitted(Set(process.capabilities | SYS_ADMIN)).doing("awaken", "capabilities")
}

/// Gives up what is left to be given up. The filter comes last, as it may forbid everything before it.
fn confine(process: &Process) -> Result<()> {
    if process.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().doing("forbid", "new privileges")?;
    }
    if let Some(filter) = &process.seccomp {
        if !process.no_new_privileges {
            awaken(process)?;
        }
        sys::seccomp::install(&filter.0).doing("install", "the system call filter")?;
    }
    let kept = if process.uid == 0 { process.capabilities } else { 0 };
    sys::capability::set_permitted(Set(kept)).doing("drop", "capabilities")?;
    sys::capability::clear_ambient().doing("drop", "ambient capabilities")
}
