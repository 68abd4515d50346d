//! `enter cowfs`, and `enter-cowfs`: mounts directories over each other, for users and for programs like podman.
//!
//! The process that was called mounts; the one that serves is its child, which stays. The caller has its answer when the kernel has
//! had one from the child, or when the child has told why there is none.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use cowfs::dirs::Dirs;
use cowfs::mounting::{self, Mounted};
use cowfs::options::Options;
use cowfs::serve::{self, Durability, Lower, Manner, Trace, Upper};
use cowfs::sides::Sides;
use cowfs::upper::Ownership;
use cowfs::upper::marks::SIDECAR;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use sys::process::Fork;

use crate::cli::CowfsArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Mounts, and serves or leaves somebody who does.
pub fn run(args: &CowfsArgs) -> Result<ExitCode, Failure> {
    // As mount(8) expects of its helpers.
    mount(args).map_err(|failure| failure.with_code(VERB_FAILED))?;
    Ok(ExitCode::SUCCESS)
}

fn mount(args: &CowfsArgs) -> Result<(), Failure> {
    let texts: Vec<Vec<u8>> = args.options.iter().map(|text| text.as_bytes().to_vec()).collect();
    let mut options = Options::parse(&texts)?;
    let (target, source) = match &args.place[..] {
        [source, target] => (target, Some(source)),
        places => (&places[0], None),
    };
    if let Some(source) = source {
        options.mount.source = source.to_string_lossy().into_owned();
    }
    let target = target.canonicalize().map_err(|error| {
        Failure::new(format!("cannot mount at {}", target.display()))
            .because(error)
            .with_hint("make the directory first")
    })?;
    if !target.is_dir() {
        return Err(Failure::new(format!("cannot mount at {}", target.display())).because(Errno::ENOTDIR));
    }
    options.debug |= args.debug;
    let server = Server::prepare(&options, target)?;
    if args.foreground || options.debug { server.serve() } else { server.leave() }
}

/// A filesystem that is mounted, and waits to be served.
struct Server {
    fuse: OwnedFd,
    mounted: Arc<Mounted>,
    target: PathBuf,
    options: Options,
    lower: Dirs,
    upper: Option<Upper>,
    /// The work directory, as long as nobody else is to have it.
    lock: Option<Flock<File>>,
}

impl Server {
    fn prepare(options: &Options, target: PathBuf) -> Result<Self, Failure> {
        // First, so that what is not there is told as it was written.
        let mut lower = Dirs::open(&options.lower)?.mounted_at(&target)?;
        let both = |(upper, work): &(PathBuf, PathBuf)| Ok::<_, Failure>((whole(upper)?, whole(work)?));
        let upper = options.upper.as_ref().map(both).transpose()?;
        let below = options.lower.iter().map(|path| whole(path)).collect::<Result<Vec<_>, _>>()?;
        let sides = upper.as_ref().map(|(upper, work)| (&**upper, &**work));
        Sides { lower: &below, upper: sides, target: &target }.check()?;
        let (upper, lock) = upper.map(|sides| writable(options, sides)).transpose()?.unzip();
        if options.static_nlink {
            lower = lower.without_counting();
        }
        if let Some(lifetime) = options.lifetime {
            lower = lower.with_lifetime(lifetime);
        }
        let (fuse, mounted) = mounting::mount(&target, &options.mount)?;
        Ok(Self { fuse, mounted: Arc::new(mounted), target, options: options.clone(), lower, upper, lock })
    }

    /// Serves until it is unmounted.
    fn serve(self) -> Result<(), Failure> {
        let Self { fuse, mounted, options, lower, upper, lock: _lock, .. } = self;
        unmount_when_told(mounted.clone())?;
        let trace: Trace = Box::new(|line| Ui::default().note(line));
        let manner = Manner {
            no_acls: options.no_acls,
            no_xattrs: options.no_xattrs,
            trace: Some(trace).filter(|_| options.debug),
        };
        let served = serve::serve_in(manner, fuse, Lower::Dirs(lower), upper.as_ref(), options.owners());
        if served.is_err() {
            // What nobody serves must not stand in the way. The reason to fail is told, and not that this did, too.
            let _ = mounted.unmount();
        }
        Ok(served?)
    }

    /// Leaves a process that serves, and returns when it does.
    fn leave(self) -> Result<(), Failure> {
        let failed = |errno: Errno| Failure::new("cannot serve in the background").because(errno);
        let (here, there) = sys::socket::pair().map_err(failed)?;
        match sys::process::fork().map_err(failed)? {
            Fork::Child => {
                drop(here);
                let result = detach().map_err(failed).and_then(|()| self.serve());
                if let Err(failure) = &result {
                    // A caller who has gone has had its answer.
                    let _ = sys::socket::send(&there, &told(failure), None);
                }
                sys::process::exit_now(result.is_err().into())
            }
            Fork::Parent(_) => {
                drop(there);
                let Self { fuse, target, lock, .. } = self;
                // The lock is the child's as well, and to drop it here is to unlock it there.
                std::mem::forget(lock);
                // Otherwise this process would wait for itself, should the child end.
                drop(fuse);
                wait_for_answer(&target, &here)
            }
        }
    }
}

/// A path that does not depend on the working directory, and has no links in it.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        let failure = Failure::new(format!("cannot use {}", path.display())).because(error);
        if missing { failure.with_hint("make the directory first") } else { failure }
    })
}

/// The writable side.
fn writable(options: &Options, (upper, work): (PathBuf, PathBuf)) -> Result<(Upper, Flock<File>), Failure> {
    let (work, lock) = own_work(work)?;
    let upper = Upper {
        upper,
        work,
        ownership: if options.recorded { Ownership::Recorded } else { Ownership::Native },
        durability: if options.volatile { Durability::Volatile } else { Durability::Kept },
        below: None,
        writeback: options.writeback,
    };
    Ok((upper, lock))
}

/// A work directory that no other server uses: the one given, or one in it. podman mounts what it has mounted already where it has
/// lost the namespace in which it did; a second server does not see what the first one changes, but it must not take away what that
/// is about to put in its place.
fn own_work(work: PathBuf) -> Result<(PathBuf, Flock<File>), Failure> {
    const MOST: u32 = 64;
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(format!("cannot use {} as the work directory", path.display())).because(error)
    };
    let mut path = work.clone();
    for number in 2..=MOST {
        let open = File::open(&path).map_err(|error| failed(&path, error))?;
        match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok((path, lock)),
            Err((_, Errno::EWOULDBLOCK)) => {}
            Err((_, errno)) => return Err(failed(&path, errno.into())),
        }
        if work.join(SIDECAR).is_dir() {
            // Attributes that are kept there cannot be kept in two places.
            break;
        }
        path = work.join(number.to_string());
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&path, error)),
            _ => {}
        }
    }
    Err(failed(&work, Errno::EBUSY.into()))
}

/// Returns when the filesystem answers, or with what its server has told.
pub(super) fn wait_for_answer(target: &Path, socket: &OwnedFd) -> Result<(), Failure> {
    let Err(error) = target.metadata() else { return Ok(()) };
    let mut buffer = vec![0; 1 << 16];
    match sys::socket::receive(socket, &mut buffer) {
        Ok((length, _)) if length > 0 => Err(retold(&buffer[..length])),
        _ => Err(Failure::new(format!("the filesystem at {} does not answer", target.display())).because(error)),
    }
}

/// A failure as a message: the chain of causes, and the hint, each ended by a NUL.
pub(super) fn told(failure: &Failure) -> Vec<u8> {
    let lines = [failure.chain().join(": "), failure.hint().unwrap_or_default().to_owned()];
    lines.join("\0").into_bytes()
}

fn retold(message: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(message);
    match text.split_once('\0') {
        Some((chain, hint)) if !hint.is_empty() => Failure::new(chain).with_hint(hint),
        Some((chain, _)) => Failure::new(chain),
        None => Failure::new(text),
    }
}

/// Leaves the caller's session, directory and streams.
pub(super) fn detach() -> nix::Result<()> {
    nix::unistd::setsid()?;
    nix::unistd::chdir("/")?;
    let null = nix::fcntl::open("/dev/null", nix::fcntl::OFlag::O_RDWR, nix::sys::stat::Mode::empty())?;
    for stream in 0..=2 {
        sys::descriptor::replace(null.as_fd(), stream)?;
    }
    Ok(())
}

/// Unmounts at SIGTERM, SIGINT and SIGHUP, after which there is nothing more to serve.
pub(super) fn unmount_when_told(mounted: Arc<Mounted>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new("cannot wait for signals").because(error);
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    // Before there are other threads, so that these do not take them either.
    signals.thread_block().map_err(|errno| failed(errno.into()))?;
    let waiting = move || {
        while signals.wait().is_ok() {
            // Somebody else has been faster, or it is tried again at the next signal.
            let _ = mounted.unmount();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(waiting).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_tells_is_told_again() {
        let failure = Failure::new("cannot do this").because(std::io::Error::other("reason")).with_hint("do that");
        let again = retold(&told(&failure));
        assert_eq!((again.chain(), again.hint()), (vec!["cannot do this: reason".to_owned()], Some("do that")));
        assert_eq!(retold(&told(&Failure::new("x"))).hint(), None);
    }
}
