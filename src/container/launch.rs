//! Starts a container: hands the plan and the folder's lock to a monitor of its own, and stays with it if asked.

use std::fs;
use std::io::{IsTerminal, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use plan::{CgroupParent, Plan, Stream};

use super::client::Attach;
use super::error::Told;
use super::folder::{Folder, name};
use super::protocol::{Ask, End, LIMIT, Reply, Request, Word};
use super::users::Users;
use super::{Error, Left, Remote, client, monitor};

/// What is started.
pub struct Start<'a> {
    /// What the container is made of, this time.
    pub plan: &'a Plan,
    /// Its folder, with its record in it, locked.
    pub folder: Folder,
    /// The outer user namespace that the plan speaks of.
    pub users: Users,
    /// The sockets of the plan's ports, in their order.
    pub ports: Vec<OwnedFd>,
    /// Open files whose locks last as long as the container.
    pub held: &'a [&'a fs::File],
    /// How to be with it; `None` leaves it alone as soon as its payload runs.
    pub attach: Option<Attach>,
}

/// Starts a container, and returns how it ended or was left.
///
/// Without [`Start::attach`] that is as soon as its payload runs, or as it is clear that it does not. `warn` is told what the user
/// should know.
///
/// # Errors
/// Where the monitor cannot be started, or is killed. A throwaway container of which nothing has run is then gone; any other is as
/// it was.
pub fn start(start: Start<'_>, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
    let (terminal, attach) = (start.plan.process.terminal.is_some(), start.attach.clone());
    let socket = go(start, None)?;
    match attach {
        Some(attach) => client::serve(socket, terminal, &attach, warn),
        None => until_started(&socket, warn),
    }
}

/// Starts a box by the name of `name`, which runs from then on at least as long as the connection that is returned is there; or returns how
/// it ended at once.
///
/// # Errors
/// As [`start`].
pub fn start_held(start: Start<'_>, name: &str, warn: &mut dyn FnMut(Told)) -> Result<Result<Remote, End>, Error> {
    let socket = go(start, Some(Ask::Hold))?;
    Ok(match until_started(&socket, warn)? {
        Left::Ended(end) => Err(end),
        _ => Ok(Remote::by(socket, name.to_owned())),
    })
}

/// Starts the monitor, and lets it begin; `then` is asked for right after that. Returns the socket to it.
fn go(start: Start<'_>, then: Option<Ask>) -> Result<OwnedFd, Error> {
    let Start { plan, folder, users, ports, held, attach } = start;
    // While no monitor has seen the folder, it is ours to clear.
    let discard = || {
        if plan.container.throwaway && plan.container.restorable == 0 {
            folder.discard()
        }
    };
    let namespace = users.namespace().inspect_err(|_| discard())?;
    let socket = spawn(plan, &folder, &namespace, &ports, held).inspect_err(|_| discard())?;
    // From here on the monitor alone holds the lock; where it is not told to go on, it clears the folder too.
    drop((folder, ports));
    users.finish()?;
    let go = Ask::Go(attach.as_ref().map(Attach::attachment));
    for ask in std::iter::once(go).chain(then) {
        // A monitor that is not there to hear it has said why, or is found gone.
        let _ = sys::socket::send(&socket, &Request::Ask(ask).encode(), None);
    }
    Ok(socket)
}

/// Waits until the payload runs, or is known not to.
fn until_started(socket: &OwnedFd, warn: &mut dyn FnMut(Told)) -> Result<Left, Error> {
    let mut buffer = [0; LIMIT];
    loop {
        let length = sys::socket::receive(socket, &mut buffer).map_or(0, |(length, _)| length);
        match Reply::decode(&buffer[..length]) {
            Ok(Reply::Word(Word::Started)) => return Ok(Left::Detached),
            Ok(Reply::End(end)) => return Ok(Left::Ended(end)),
            Ok(Reply::Warning(told)) => warn(told),
            Ok(_) => {}
            Err(_) => return Err(Error::MonitorGone),
        }
    }
}

/// Refuses to hand a directory on as a standard stream: by `..` from there the container would see everything of this machine.
pub(super) fn refuse_directories(direct: [bool; 3]) -> Result<(), Error> {
    const NAMES: [&str; 3] = ["input", "output", "error"];
    for (number, (direct, name)) in (0..).zip(direct.into_iter().zip(NAMES)) {
        let status = sys::descriptor::borrow(number).and_then(nix::sys::stat::fstat);
        let is_directory = status.is_ok_and(|status| status.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR);
        if direct && is_directory {
            return Err(Error::Plan {
                doing: format!("use standard {name}"),
                reason: "it is a directory, by which the container would see all files of this machine".into(),
                hint: Some("redirect it to a file or to /dev/null, or show the directory with -v".into()),
            });
        }
    }
    Ok(())
}

/// Starts the monitor; returns the socket to it.
fn spawn(
    plan: &Plan,
    folder: &Folder,
    users: &OwnedFd,
    ports: &[OwnedFd],
    held: &[&fs::File],
) -> Result<OwnedFd, Error> {
    refuse_directories(plan.process.streams.map(|stream| stream == Stream::Direct))?;
    let json = plan.to_json().map_err(|error| Error::Monitor(error.into()))?;
    if let plan::Writable::Overlay { .. } = plan.root.writable {
        super::dropped::renew_work(folder.path()).map_err(Error::file("clear", folder.path()))?;
    }
    write_plan(folder.path(), &json)?;
    if plan.container.throwaway {
        folder.mark_throwaway()?;
    }
    let (ours, theirs) = sys::socket::pair().map_err(|errno| Error::Monitor(errno.into()))?;
    let plan_file = memory(&json).map_err(Error::Monitor)?;
    let mut command = match plan.cgroup.as_ref().map(|group| &group.parent) {
        // systemd puts the monitor into a scope of its own, which is then the container's.
        Some(CgroupParent::Scope { slice }) => {
            let words = cgroup::scope(plan.container.id.get(..12).unwrap_or_default(), slice.as_deref());
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg(format!("/proc/{}/exe", std::process::id()));
            command
        }
        _ => Command::new("/proc/self/exe"),
    };
    command.arg(monitor::ROLE);
    let mut given = vec![theirs.as_fd(), plan_file.as_fd(), users.as_fd()];
    for number in (3..).take(plan.process.passed as usize) {
        given.push(sys::descriptor::borrow(number).map_err(|errno| Error::Plan {
            doing: format!("pass the descriptor {number} on"),
            reason: errno.desc().to_lowercase(),
            hint: Some("open it in the shell first, as in 3</a/file".into()),
        })?);
    }
    given.extend(ports.iter().map(AsFd::as_fd));
    given.push(folder.lock().as_fd());
    given.extend(held.iter().map(|file| file.as_fd()));
    for descriptor in &given {
        sys::descriptor::keep_on_exec(*descriptor).map_err(|errno| Error::Monitor(errno.into()))?;
        command.arg(descriptor.as_raw_fd().to_string());
    }
    // The monitor passes the payload's own streams on, and never writes to them. A terminal stays here.
    for (stream, give) in [
        (std::io::stdin().is_terminal(), Command::stdin as fn(&mut Command, Stdio) -> &mut Command),
        (std::io::stdout().is_terminal(), Command::stdout),
        (std::io::stderr().is_terminal(), Command::stderr),
    ] {
        give(&mut command, if stream { Stdio::null() } else { Stdio::inherit() });
    }
    let spawned = command.spawn();
    for descriptor in &given {
        // Back to what they were, in case this process starts anything else.
        let _ = nix::fcntl::fcntl(*descriptor, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC));
    }
    spawned.map_err(Error::Monitor)?;
    Ok(ours)
}

/// The plan beside the container, for people and for later commands.
/// Writes the plan that a container's files are seen by until its next start.
///
/// # Errors
/// What the filesystem says.
pub fn write_plan(folder: &Path, json: &str) -> Result<(), Error> {
    let path = folder.join(name::PLAN);
    fs::write(&path, json).map_err(Error::file("write", &path))
}

fn memory(json: &str) -> std::io::Result<fs::File> {
    let fd = nix::sys::memfd::memfd_create("enter-plan", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = fs::File::from(fd);
    file.write_all(json.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
