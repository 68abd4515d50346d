//! The holder's first moments: it is alone, it listens, and nobody waits for it any longer.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use sys::process::Fork;
use uidmap::Maps;

use super::server::Holder;
use super::site::Site;
use super::{Error, name};

/// Plays the holder from its first moment to its last. The caller has a single thread.
///
/// Returns to who started it as soon as it, or one that was there already, listens: with success and nothing on standard output, or
/// with an [`Error`] there.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match begin(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = serde_json::to_vec(&error).unwrap_or_default();
            // One who does not read it sees the failure all the same.
            let _ = std::io::stdout().write_all(&text);
            ExitCode::FAILURE
        }
    }
}

fn begin(arguments: &[OsString]) -> Result<(), Error> {
    let wrong = || Error::new("the process that holds networks is started by enter itself");
    let [root, maps] = arguments else { return Err(wrong()) };
    let maps: Maps = maps.to_str().and_then(|text| serde_json::from_str(text).ok()).ok_or_else(wrong)?;
    let root = PathBuf::from(root);
    let folder = root.join(name::FOLDER);
    close_others();
    let Some(lock) = lock(&folder)? else { return Ok(()) };
    let site = Site::open(folder, lock)?;
    match sys::process::fork().map_err(|errno| Error::refused("cannot go into the background", errno))? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => {
            let mut site = site;
            let done = settle().and_then(|()| {
                site.settle()?;
                Holder::new(root, maps, site)?.hold()
            });
            sys::process::exit_now(i32::from(done.is_err()))
        }
    }
}

/// The lock; `None` where somebody else has it.
fn lock(folder: &Path) -> Result<Option<File>, Error> {
    let path = folder.join(name::LOCK);
    let failed = |error: std::io::Error| Error::by(format!("cannot lock {}", path.display()), &error);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whatever the caller's shell had open is not ours to keep open.
fn close_others() {
    for descriptor in sys::descriptor::all_open().unwrap_or_default() {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Becomes independent of who started it.
fn settle() -> Result<(), Error> {
    let step = |message: &str, done: nix::Result<()>| done.map_err(|errno| Error::refused(message, errno));
    step("cannot start a session", nix::unistd::setsid().map(drop))?;
    // Instead of `exe`, which ps(1) would show.
    step("cannot take a name", nix::sys::prctl::set_name(c"enter-network"))?;
    for signal in [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGINT] {
        step("cannot ignore signals", sys::process::ignore_signal(signal))?;
    }
    // Each question that is passed on has one for as long as it takes. What the hard limit forbids is not to be had.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    step("cannot let go of the standard streams", silence())
}

fn silence() -> Result<(), Errno> {
    let null: OwnedFd = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    (0..3).try_for_each(|number| sys::descriptor::replace(null.as_fd(), number))
}
