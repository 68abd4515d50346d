//! Starts the payload: a child in the inner user namespace, stripped of what it is not to have.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid};
use plan::report::{self, Stage};
use plan::{Plan, Process, Stream, Text};
use sys::capability::Set;
use sys::namespace::Clone;

use crate::failure::{Doing, Failure, Result};
use crate::root::c_string;
use crate::terminal::Terminal;

/// Starts the payload, and returns its process id once it has become the command.
pub fn start(plan: &Plan, terminal: Option<Terminal>) -> Result<Pid> {
    let (ours, theirs) = sys::socket::pair().doing("make", "a socket")?;
    match sys::namespace::clone(CloneFlags::CLONE_NEWUSER).doing("make", "the container's user namespace")? {
        Clone::Child => {
            drop(ours);
            let Err(failure) = become_payload(plan, terminal, &theirs);
            let failure = report::Failure::from(failure);
            let _ = serde_json::to_vec(&failure).map(|text| sys::socket::send(&theirs, &text, None));
            sys::process::exit_now(125)
        }
        Clone::Parent { child, .. } => {
            drop((theirs, terminal));
            let null = nix::fcntl::open("/dev/null", nix::fcntl::OFlag::O_RDWR, Mode::empty());
            let null = null.doing("open", "/dev/null")?;
            uidmap::write_as_owner(child, &plan.users.inner)
                .map_err(|error| Failure::setup("map the container's users:", &error.to_string(), Errno::EPERM))?;
            // From here on nobody in the container may look into PID 1.
            nix::sys::prctl::set_dumpable(false).doing("shield", "init")?;
            sys::socket::send(&ours, b"mapped", None).doing("wake", "the command")?;
            for number in 0..3 {
                sys::descriptor::replace(null.as_fd(), number).doing("let go of", "the standard streams")?;
            }
            settled(&ours).map(|()| child)
        }
    }
}

/// Waits until the child has become the command (the socket closes) or says why it did not.
fn settled(child: &OwnedFd) -> Result<()> {
    let mut buffer = [0; report::LIMIT];
    let (length, _) = sys::socket::receive(child, &mut buffer).doing("wait for", "the command")?;
    if length == 0 {
        return Ok(());
    }
    let failure: report::Failure = serde_json::from_slice(&buffer[..length])
        .map_err(|error| Failure::setup("understand the command's failure", &error.to_string(), Errno::EBADMSG))?;
    let report::Failure { stage, doing, subject, errno } = failure;
    Err(Failure { stage, doing, subject, errno: Errno::from_raw(errno) })
}

/// In the child: takes everything that the plan gives, drops everything else, and executes the command.
fn become_payload(plan: &Plan, terminal: Option<Terminal>, parent: &OwnedFd) -> Result<std::convert::Infallible> {
    let process = &plan.process;
    sys::socket::receive(parent, &mut [0; 16]).doing("wait for", "the user mapping")?;
    match sys::namespace::new_session_keyring() {
        // No keyrings in this kernel, or none to be had: then there is none to be reached either.
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EDQUOT) => {}
        Err(errno) => Err(errno).doing("leave", "the caller's keyring")?,
    }
    nix::unistd::setsid().doing("start", "a session")?;
    if let Some(terminal) = terminal {
        sys::terminal::control(&terminal.slave).doing("take control of", "the terminal")?;
        for (number, stream) in (0..).zip(&process.streams) {
            if *stream == Stream::Terminal {
                sys::descriptor::replace(terminal.slave.as_fd(), number).doing("connect", "the terminal")?;
            }
        }
    }
    nix::sys::stat::umask(Mode::from_bits_truncate(process.umask));
    become_user(process)?;
    enter_directory(process)?;
    sys::process::reset_signals().doing("reset", "signals")?;
    nix::sys::prctl::set_pdeathsig(None).doing("stay without", "init")?;
    confine(process)?;
    Err(execute(process))
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

/// Gives up what is left to be given up. The filter comes last, as it may forbid everything before it.
fn confine(process: &Process) -> Result<()> {
    if process.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().doing("forbid", "new privileges")?;
    }
    if let Some(filter) = &process.seccomp {
        // CAP_SYS_ADMIN, which a filter needs without no_new_privs, was not lost on the way, but may be asleep.
        if !process.no_new_privileges {
            sys::capability::set_permitted(Set(process.capabilities | SYS_ADMIN)).doing("awaken", "capabilities")?;
        }
        sys::seccomp::install(&filter.0).doing("install", "the system call filter")?;
    }
    let kept = if process.uid == 0 { process.capabilities } else { 0 };
    sys::capability::set_permitted(Set(kept)).doing("drop", "capabilities")?;
    sys::capability::clear_ambient().doing("drop", "ambient capabilities")
}

/// CAP_SYS_ADMIN, 21 in `linux/capability.h`.
const SYS_ADMIN: u64 = 1 << 21;

/// Executes the command; returns why it could not.
fn execute(process: &Process) -> Failure {
    let prepared = prepare(process);
    let (candidates, argv, environment) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failure,
    };
    let argv: Vec<&CStr> = argv.iter().map(CString::as_c_str).collect();
    let environment: Vec<&CStr> = environment.iter().map(CString::as_c_str).collect();
    let mut reason = Errno::ENOENT;
    for candidate in &candidates {
        let Err(errno) = nix::unistd::execve(candidate, &argv, &environment);
        match errno {
            // Keeps looking; but what was found and refused says more than what was not found.
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => reason = Errno::EACCES,
            other => {
                reason = other;
                break;
            }
        }
    }
    let name = process.arguments.first().map(|name| name.as_path().display().to_string()).unwrap_or_default();
    let stage = if reason == Errno::ENOENT { Stage::Find } else { Stage::Execute };
    Failure { stage, doing: "run".to_owned(), subject: name, errno: reason }
}

type Prepared = (Vec<CString>, Vec<CString>, Vec<CString>);

/// The paths to try, the arguments and the environment.
fn prepare(process: &Process) -> Result<Prepared> {
    let missing = || Failure::setup("run", "an empty command", Errno::EINVAL);
    let program = process.arguments.first().ok_or_else(missing)?;
    let argv = process.arguments.iter().map(|text| c_string(text.as_path())).collect::<Result<Vec<_>>>()?;
    let pair = |(name, value): &(Text, Text)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
            .map_err(|_| Errno::EINVAL)
            .doing("set the environment variable", name.as_path().display())
    };
    let environment = process.environment.iter().map(pair).collect::<Result<Vec<_>>>()?;
    let candidates = if program.as_bytes().is_empty() {
        // Joined to a directory it would be the directory.
        Vec::new()
    } else if program.as_bytes().contains(&b'/') {
        vec![c_string(program.as_path())?]
    } else {
        search_path(process)
            .split(|byte| *byte == b':')
            .map(|directory| if directory.is_empty() { b".".as_slice() } else { directory })
            .map(|directory| {
                let path = [directory, b"/", program.as_bytes()].concat();
                c_string(std::path::Path::new(std::ffi::OsStr::from_bytes(&path)))
            })
            .collect::<Result<Vec<_>>>()?
    };
    Ok((candidates, argv, environment))
}

/// The environment's PATH, or what a system without one falls back to.
fn search_path(process: &Process) -> &[u8] {
    let path = process.environment.iter().find(|(name, _)| name.as_bytes() == b"PATH");
    path.map_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", |(_, value)| value.as_bytes())
}
