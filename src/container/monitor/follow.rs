//! The host that changes while a container of the default network runs: its /etc/resolv.conf names whom the host asks for names now.
//!
//! The default route needs nobody's care: pasta leaves every way to the host's routes. Nor does a name server on the host itself, such as
//! systemd-resolved, whose own changes are its own: pasta passes questions on to it. All others are named to the container, and are
//! named anew here, in place, unless somebody in the container has changed the file meanwhile.
//!
//! Nothing of this is done before the container has run for a moment: it takes no time of its start, and most end before.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use passt::dns::HostResolver;
use passt::{HostNetwork, Interface};
use plan::{Network, Plan, Step};
use sys::process::Fork;

use crate::container::planning::run::resolv_conf;
use crate::container::record::Spec;
use crate::container::users;

/// The file, on the host as in the container.
const FILE: &str = "/etc/resolv.conf";

/// How long a container runs before the host is watched for it.
const AT_FIRST: Duration = Duration::from_secs(1);

/// How often it is looked at where it cannot be watched: a user has a limited number of such watches (fs.inotify.max_user_instances).
const EVERY: Duration = Duration::from_secs(5);

/// A longer file is nobody's that was written here.
const LONGEST: u64 = 64 * 1024;

/// What there is to be known of a container that is to follow the host.
#[derive(Debug)]
pub struct Follower {
    interface: Interface,
    /// What its file says, as far as that was written here.
    told: Vec<u8>,
    watch: Option<Inotify>,
    /// When the host is looked at, whatever happens.
    next: Option<Instant>,
    /// Whom pasta passes questions on to.
    forwarded: Option<IpAddr>,
}

impl Follower {
    /// One for a container that has just started; `None` where there is nothing to follow.
    pub fn new(plan: &Plan) -> Option<Self> {
        let Network::Pasta(interface) = &plan.network else { return None };
        if interface.lasting_resolver {
            return None;
        }
        let told = plan.steps.iter().find_map(|step| match step {
            Step::Write { target, content, .. } if target.as_path() == Path::new(FILE) => Some(content.as_bytes()),
            _ => None,
        })?;
        Some(Self {
            interface: interface.clone(),
            told: told.to_vec(),
            watch: None,
            next: Some(Instant::now() + AT_FIRST),
            forwarded: None,
        })
    }

    /// What to wait on.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// When the host is to be looked at, whatever happens.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Follows the host where it has changed. Returns the interface that pasta is to be started anew with, where it passes questions on to
    /// somebody whom the host does not ask any more.
    pub fn follow(&mut self, spec: &Spec, users: &OwnedFd, init: Pid) -> Option<Interface> {
        let is_due = self.next.is_some_and(|next| next <= Instant::now());
        let is_told = self.watch.as_ref().is_some_and(|watch| watch.read_events().is_ok());
        if !is_due && !is_told {
            return None;
        }
        // Before it is looked at: what changes from now on is told.
        let is_first = self.forwarded.is_none() && self.watch.is_none();
        self.watch();
        let resolver = HostResolver::read().ok()?;
        let host = HostNetwork::read().ok().flatten();
        let mut inside =
            host.map_or_else(|| Interface::waiting(&resolver), |host| Interface::like(&host, &resolver)).resolver;
        // What the container had no address for when it started it has none for now.
        inside.servers.retain(|server| match server {
            IpAddr::V4(_) => self.interface.ipv4.is_some(),
            IpAddr::V6(_) => self.interface.ipv6.is_some(),
        });
        let first = resolver.configured.servers.iter().find(|server| server.is_ipv4()).copied();
        let was_forwarding = self.interface.resolver.forwards();
        if is_first && was_forwarding {
            self.forwarded = first;
        }
        let anew = inside.forwards() && (!was_forwarding || self.forwarded != first);
        let text = resolv_conf(spec, inside.clone());
        if text != self.told {
            // In a root that cannot be written to, or where the file is somebody else's by now, all stays as it is.
            if rewrite(users, init, &self.told, &text).is_err() {
                return None;
            }
            self.told = text;
        }
        if !anew {
            return None;
        }
        self.interface.resolver = inside;
        self.forwarded = first;
        Some(self.interface.clone())
    }

    /// Has every change of the file told from now on, whichever links lead to it.
    fn watch(&mut self) {
        if self.watch.is_none() {
            self.watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        }
        let Some(watch) = &self.watch else {
            self.next = Some(Instant::now() + EVERY);
            return;
        };
        self.next = None;
        let made = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE;
        for place in places(Path::new(FILE)) {
            let _ = watch.add_watch(place.parent().unwrap_or(Path::new("/")), made);
            // Another mount's file on top of it is in another folder.
            let _ = watch.add_watch(&place, AddWatchFlags::IN_CLOSE_WRITE);
        }
    }
}

/// A path, and every other one that its links lead to.
fn places(path: &Path) -> Vec<PathBuf> {
    /// More than there are anywhere; the kernel itself follows 40.
    const MOST: usize = 8;
    let mut places = vec![path.to_owned()];
    while let Some(target) = places.last().and_then(|last| std::fs::read_link(last).ok())
        && places.len() < MOST
    {
        let parent = places.last().and_then(|last| last.parent()).unwrap_or(Path::new("/")).to_owned();
        places.push(parent.join(target));
    }
    places
}

/// Writes the container's file anew, if it says what was written there last. A child does it, which enters the container's mounts.
fn rewrite(users: &OwnedFd, init: Pid, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    match sys::process::fork()? {
        Fork::Child => {
            let done = rewrite_inside(users, init, old, new);
            sys::process::exit_now(done.err().map_or(0, |errno| errno as i32))
        }
        Fork::Parent(child) => loop {
            match waitpid(child, None) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
                Ok(WaitStatus::Exited(_, errno)) => return Err(Errno::from_raw(errno)),
                _ => return Err(Errno::ECHILD),
            }
        },
    }
}

fn rewrite_inside(users: &OwnedFd, init: Pid, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    let failed = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mounts =
        nix::fcntl::open(format!("/proc/{init}/ns/mnt").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    users::enter(users)?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    nix::sched::setns(&mounts, CloneFlags::CLONE_NEWNS)?;
    let top = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    // Without anything that is mounted on it: no file but the container's own is ever written to. Whether the payload may write to its
    // root is another matter.
    let root = sys::mount::clone_tree(top.as_fd(), false)?;
    sys::mount::make_writable(root.as_fd())?;
    let path = FILE.trim_start_matches('/');
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file = File::from(sys::path::open_beneath(&root, Path::new(path), flags, Mode::empty())?);
    let status = file.metadata().map_err(failed)?;
    if !status.is_file() || status.len() > LONGEST {
        return Err(Errno::EINVAL);
    }
    let mut present = Vec::new();
    file.read_to_end(&mut present).map_err(failed)?;
    if present != old {
        return Err(Errno::ESTALE);
    }
    file.rewind().and_then(|()| file.write_all(new)).and_then(|()| file.set_len(new.len() as u64)).map_err(failed)
}
