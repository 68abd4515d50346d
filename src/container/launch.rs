//! Starts a container: makes its folder, hands the plan to a monitor of its own, and stays with it until the end.

use std::fs;
use std::io::{IsTerminal, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use plan::{Plan, Stream};

use super::error::Told;
use super::folder::{Folder, name};
use super::protocol::{End, GO};
use super::users::Making;
use super::{Error, client, monitor};

/// Runs a container in the foreground, and returns how it ended.
///
/// `users` is the outer user namespace that the plan speaks of; `held` are open files whose locks last as long as the
/// container; `warn` is told what the user should know while it runs.
pub fn foreground(
    plan: &Plan,
    folder: Folder,
    users: Making,
    held: &[&fs::File],
    warn: &mut dyn FnMut(Told),
) -> Result<End, Error> {
    // While no monitor has seen the folder, it is ours to clear.
    let namespace = users.namespace().inspect_err(|_| folder.discard())?;
    let socket = start(plan, &folder, &namespace, held).inspect_err(|_| folder.discard())?;
    // From here on the monitor alone holds the lock; where it is not told to go on, it clears the folder too.
    drop(folder);
    users.finish()?;
    // A monitor that is not there to hear it has said why, or is found gone.
    let _ = sys::socket::send(&socket, GO, None);
    client::serve(socket, plan.process.terminal.is_some(), relays_input(plan), warn)
}

/// Refuses to hand a directory on as a standard stream: by `..` from there the container would see everything of this machine.
fn refuse_directories(plan: &Plan) -> Result<(), Error> {
    const NAMES: [&str; 3] = ["input", "output", "error"];
    for (number, (stream, name)) in (0..).zip(plan.process.streams.iter().zip(NAMES)) {
        let status = sys::descriptor::borrow(number).and_then(nix::sys::stat::fstat);
        let is_directory = status.is_ok_and(|status| status.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR);
        if *stream == Stream::Direct && is_directory {
            return Err(Error::Plan {
                doing: format!("use standard {name}"),
                reason: "it is a directory, by which the container would see all files of this machine".into(),
                hint: Some("redirect it to a file or to /dev/null, or show the directory with -v".into()),
            });
        }
    }
    Ok(())
}

fn relays_input(plan: &Plan) -> bool {
    plan.process.streams[0] != Stream::Direct
}

/// Starts the monitor; returns the socket to it.
fn start(plan: &Plan, folder: &Folder, users: &OwnedFd, held: &[&fs::File]) -> Result<OwnedFd, Error> {
    refuse_directories(plan)?;
    let json = plan.to_json().map_err(|error| Error::Monitor(error.into()))?;
    write_plan(folder.path(), &json)?;
    let (ours, theirs) = sys::socket::pair().map_err(|errno| Error::Monitor(errno.into()))?;
    let plan_file = memory(&json).map_err(Error::Monitor)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(monitor::ROLE);
    let mut given = vec![theirs.as_fd(), plan_file.as_fd(), users.as_fd(), folder.lock().as_fd()];
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
fn write_plan(folder: &Path, json: &str) -> Result<(), Error> {
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
