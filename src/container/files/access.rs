//! A child process that sees a container's files: the only one that ever does, outside of the container itself.
//!
//! Of a container that runs it joins the outer user namespace and opens init's root; of any other one it holds the lock, has a
//! user namespace of the same mapping made, and mounts the root as the filesystem server and init do. The child has one thread,
//! goes when its parent goes, speaks by pipes that the parent has made before, and stays where this machine's own /proc is.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid};
use plan::Users;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sys::process::Fork;
use sys::statx::{Status, statx};
use uidmap::{Kind, Maps};

use super::{mounted, read, told};
use crate::container::error::Told;
use crate::container::folder::{Folder, name};
use crate::container::record::Storage;
use crate::container::upper::Upper;
use crate::container::{Container, Error, users};
use crate::volume::Volumes;

/// What the child is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the container has written.
    Changes,
    /// Its root with everything that is mounted there.
    Root,
    /// Its root alone.
    Bare,
}

/// A container whose files can be seen.
#[derive(Debug)]
pub struct Access {
    folder: PathBuf,
    users: Users,
    lower: plan::Lower,
    storage: Storage,
    binds: Vec<mounted::Bind>,
    /// It was never started.
    fresh: bool,
    /// init as the host numbers it, where it runs.
    init: Option<i32>,
    /// Held where it does not run, so that it is neither started nor removed meanwhile.
    _held: Option<Folder>,
}

/// What there is to know of a container that was never started, and so has no plan yet.
#[derive(Debug)]
pub struct Unplanned {
    /// Its mappings.
    pub users: Users,
    /// What its root is made from.
    pub lower: plan::Lower,
}

/// What the child sees.
#[derive(Debug)]
pub struct View {
    /// The directory that was asked for. Where changes were asked for, every file that has changed is to be found below it.
    pub root: OwnedFd,
    /// The upper side as it lies in the container's folder, where changes were asked for.
    upper: Option<Upper>,
    /// The container's mappings; ids seen here are those of the outer namespace. None where the files are this machine's own.
    users: Option<Users>,
    /// All files seem to belong to one user, and say to whom they belong when they are asked.
    told: bool,
    /// These are a volume's, which remembers to whom they belong.
    remembers: bool,
    /// This process's own descriptors, by which one can be opened in another way.
    own: OwnedFd,
}

#[derive(Serialize, Deserialize)]
enum Word<T> {
    Done(T),
    Failed(Told),
}

/// A child at work.
#[derive(Debug)]
#[must_use = "whether it succeeded is told by `finish`"]
pub struct Worker<T> {
    pid: Option<Pid>,
    answer: File,
    result: std::marker::PhantomData<T>,
}

impl Access {
    /// Makes sure of a container. `unplanned` is asked for one that was never started.
    ///
    /// # Errors
    /// [`Error::Busy`] where another command is at work on it; damaged files.
    pub fn to<E: From<Error>>(
        container: &Container,
        unplanned: impl FnOnce() -> Result<Unplanned, E>,
    ) -> Result<Self, E> {
        let folder = container.folder.clone();
        let (held, init) = match Folder::take(&folder)? {
            Some(held) => (Some(held), None),
            // What was read may be older than this.
            None => match Container::read(folder.clone())? {
                Some(now) if now.state.init > 0 && now.is_alive() => (None, Some(now.state.init)),
                Some(_) => return Err(Error::Busy(container.record.name.clone()).into()),
                None => return Err(Error::NoSuchContainer(container.record.name.clone()).into()),
            },
        };
        let plan = super::plan_of(&folder)?;
        let fresh = plan.is_none();
        let (users, lower) = match plan {
            Some(plan) => (plan.users, plan.root.lower),
            None => unplanned().map(|unplanned| (unplanned.users, unplanned.lower))?,
        };
        let volumes = Volumes::below(folder.ancestors().nth(2).unwrap_or(&folder));
        let binds = mounted::binds(&container.record.spec.mounts, &volumes);
        let storage = container.record.spec.storage;
        Ok(Self { folder, users, lower, storage, binds, fresh, init, _held: held })
    }

    /// What its root is made from.
    pub fn lower(&self) -> &plan::Lower {
        &self.lower
    }

    /// Starts a child that does `work` with a part of the container's files. The caller has a single thread. `foreign` are descriptors that the
    /// child must not have, such as the other ends of pipes that it uses.
    ///
    /// # Errors
    /// Where the child cannot be started. Its own errors are told by [`Worker::finish`].
    pub fn start<T: Serialize + DeserializeOwned>(
        &self,
        part: Part,
        foreign: &[BorrowedFd<'_>],
        work: impl FnOnce(&View) -> Result<T, Told>,
    ) -> Result<Worker<T>, Error> {
        let refused =
            |errno| Error::Told(Told::refused("cannot start a process for the container's files", errno, None));
        // Mapped by programs that this process starts, and the child could not.
        let namespace = match self.init {
            Some(init) => File::open(format!("/proc/{init}/ns/user"))
                .map(OwnedFd::from)
                .map_err(Error::file("open the user namespace of", &self.folder))?,
            None => {
                let making = users::make(&self.users.outer)?;
                let namespace = making.namespace()?;
                making.finish()?;
                namespace
            }
        };
        child(foreign, || {
            let mut server = None;
            let done = self.enter(part, &namespace, &mut server).and_then(|view| work(&view));
            server.into_iter().for_each(|server| server.finish(&self.folder));
            done
        })
        .map_err(refused)
    }

    /// In the child: to where the files can be seen.
    fn enter(&self, part: Part, namespace: &OwnedFd, server: &mut Option<mounted::Server>) -> Result<View, Told> {
        let refused = |message: &'static str| move |errno| Told::refused(message, errno, None);
        // The kernel's overlay keeps files as they are; what cowfs keeps, it alone shows as it is.
        let is_raw = part == Part::Changes && self.storage == Storage::Overlay;
        if !is_raw && self.init.is_none() {
            *server =
                Some(mounted::Server::fork(&self.folder, &self.users, &self.lower, mounted::writable(self.storage))?);
        }
        users::enter(namespace).map_err(refused("cannot enter the container's user namespace"))?;
        // A change of ids makes the kernel forget it (PR_SET_PDEATHSIG in prctl(2)).
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused("cannot follow the command"))?;
        let directory = |path: &Path| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            nix::fcntl::open(path, flags, Mode::empty())
                .map_err(|errno| Told::refused(format!("cannot open {}", path.display()), errno, None))
        };
        // Before anything of the container's is entered: its own /proc is not to be believed.
        let own = directory(Path::new("/proc/self/fd"))?;
        let upper = match part {
            Part::Changes => Some(
                Upper::open(&self.folder, self.storage)
                    .map_err(refused("cannot open what the container has written"))?,
            ),
            Part::Root | Part::Bare => None,
        };
        let root = match (part, self.init) {
            _ if is_raw => directory(&self.folder.join(name::UPPER))?,
            (Part::Root, Some(init)) => directory(&PathBuf::from(format!("/proc/{init}/root")))?,
            (_, Some(init)) => mounted::bare_root(init)?,
            (part, None) => {
                let binds = if part == Part::Root { &self.binds[..] } else { &[] };
                let server =
                    server.as_ref().ok_or_else(|| refused("cannot find the filesystem server")(Errno::ENOENT))?;
                mounted::mount(&self.folder, binds, server, self.fresh)?
            }
        };
        nix::sys::stat::umask(Mode::empty());
        let told = self.storage == Storage::Fuse && self.users.inner.kind == Kind::Single;
        Ok(View { root, upper, users: Some(self.users.clone()), told, remembers: false, own })
    }
}

/// Starts a child that does `work` with the files below a folder of the host's, such as a volume's, as root of a user namespace with these
/// mappings: owners are told as the ids of that. As for [`Access::start`].
///
/// # Errors
/// Where the child cannot be started. Its own errors are told by [`Worker::finish`].
pub fn in_folder<T: Serialize + DeserializeOwned>(
    folder: &Path,
    outer: &Maps,
    foreign: &[BorrowedFd<'_>],
    work: impl FnOnce(&View) -> Result<T, Told>,
) -> Result<Worker<T>, Error> {
    let refused = |message: &'static str| move |errno| Told::refused(message, errno, None);
    let inner = if outer.kind == Kind::Single { Maps::single(0, 0, 0, 0) } else { Maps::identity(outer) };
    let inner = inner.map_err(|error| Error::Told(Told::by(&error, None)))?;
    let making = users::make(outer)?;
    let namespace = making.namespace()?;
    making.finish()?;
    let enter = || {
        users::enter(&namespace).map_err(refused("cannot enter a user namespace for the files"))?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused("cannot follow the command"))?;
        nix::sys::stat::umask(Mode::empty());
        let directory = |path: &Path| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            nix::fcntl::open(path, flags, Mode::empty())
                .map_err(|errno| Told::refused(format!("cannot open {}", path.display()), errno, None))
        };
        let (root, own) = (directory(folder)?, directory(Path::new("/proc/self/fd"))?);
        let single = outer.kind == Kind::Single;
        let users = Users { outer: outer.clone(), inner, power: plan::Power::Nothing, owns_network: false };
        Ok(View { root, upper: None, users: Some(users), told: single, remembers: single, own })
    };
    let started = child(foreign, || enter().and_then(|view| work(&view)));
    started.map_err(|errno| Error::Told(refused("cannot start a process for the files")(errno)))
}

/// Starts a child that works, and tells what came of it.
fn child<T: Serialize + DeserializeOwned>(
    foreign: &[BorrowedFd<'_>],
    work: impl FnOnce() -> Result<T, Told>,
) -> Result<Worker<T>, Errno> {
    let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    match sys::process::fork()? {
        Fork::Parent(pid) => Ok(Worker { pid: Some(pid), answer: ours.into(), result: std::marker::PhantomData }),
        Fork::Child => {
            drop(ours);
            for descriptor in foreign {
                let _ = nix::unistd::close(descriptor.as_raw_fd());
            }
            let word = match work() {
                Ok(done) => Word::Done(done),
                Err(told) => Word::Failed(told),
            };
            let text = serde_json::to_vec(&word).unwrap_or_default();
            let told = File::from(theirs).write_all(&text);
            sys::process::exit_now(i32::from(told.is_err()))
        }
    }
}

impl View {
    /// Opens what a descriptor stands for anew, such as one that was found by O_PATH.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn reopen(&self, file: impl AsFd, flags: OFlag) -> Result<OwnedFd, Errno> {
        let name = file.as_fd().as_raw_fd().to_string();
        nix::fcntl::openat(&self.own, name.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// This machine's own files, as the user sees them.
    pub(super) fn of_host() -> Result<Self, Told> {
        let directory = |path: &str| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            nix::fcntl::open(path, flags, Mode::empty())
                .map_err(|errno| Told::refused(format!("cannot open {path}"), errno, None))
        };
        Ok(Self {
            root: directory("/")?,
            upper: None,
            users: None,
            told: false,
            remembers: false,
            own: directory("/proc/self/fd")?,
        })
    }

    /// What is at a path that the user has typed, links followed: in the container never out of its root, on this machine as always.
    pub(super) fn find(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.users {
            Some(_) => sys::path::find_in_root(&self.root, path),
            None => nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()),
        }
    }

    /// Whether these are this machine's own files.
    pub(super) fn is_host(&self) -> bool {
        self.users.is_none()
    }

    /// The upper side as it lies in the container's folder.
    pub(super) fn upper(&self) -> Result<&Upper, Told> {
        self.upper
            .as_ref()
            .ok_or_else(|| Told::plain("cannot tell what the container has changed: nobody asked for that"))
    }

    /// The status of `name` in a directory, or of `dir` itself for an empty name. Its owners are for [`View::uid`] and [`View::gid`].
    pub(super) fn status(&self, dir: impl AsFd, name: &CStr) -> Result<Status, Errno> {
        let mut status = statx(&dir, name)?;
        if self.told
            && let Ok((uid, gid)) = told::owner(&dir, name)
        {
            (status.uid, status.gid) = (uid, gid);
        }
        Ok(status)
    }

    /// Whether one id stands for all.
    fn is_single(&self) -> bool {
        self.users.as_ref().is_some_and(|users| users.inner.kind == Kind::Single)
    }

    /// Whether files can be told apart by whom they belong to.
    pub(super) fn tells_owners(&self) -> bool {
        self.told || !self.is_single()
    }

    /// The container's id for a user id seen here. Where only one id is mapped and no file says more, everything is root's.
    pub(super) fn uid(&self, seen: u32) -> u32 {
        self.container_id(seen, |users| &users.inner.uids)
    }

    /// The container's id for a group id seen here.
    pub(super) fn gid(&self, seen: u32) -> u32 {
        self.container_id(seen, |users| &users.inner.gids)
    }

    fn container_id(&self, seen: u32, map: impl Fn(&Users) -> &uidmap::IdMap) -> u32 {
        match &self.users {
            Some(_) if self.told => seen,
            Some(_) if self.is_single() => 0,
            Some(users) => map(users).to_inside(seen).unwrap_or(NOBODY),
            None => seen,
        }
    }

    /// Whom to give a file to that belongs to these ids of the container; nobody where the caller cannot give files away. `None` where they
    /// are not mapped.
    pub(super) fn owner_to_set(&self, uid: u32, gid: u32) -> Option<Option<(Uid, Gid)>> {
        let (uid, gid) = match &self.users {
            None if !Uid::effective().is_root() => return Some(None),
            None => (uid, gid),
            Some(_) if self.told => (uid, gid),
            Some(_) if self.is_single() => (0, 0),
            Some(users) => (users.inner.uids.to_outside(uid)?, users.inner.gids.to_outside(gid)?),
        };
        Some(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
    }

    /// Gives `name` in a directory, or `file` itself for an empty name, to whom [`View::owner_to_set`] has said.
    pub(super) fn give(&self, file: impl AsFd, name: &CStr, (uid, gid): (Uid, Gid)) -> Result<(), Errno> {
        if self.remembers {
            return told::remember(file, name, uid.as_raw(), gid.as_raw());
        }
        if self.told {
            return told::give(file, name, uid.as_raw(), gid.as_raw());
        }
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH;
        nix::unistd::fchownat(file, name, Some(uid), Some(gid), flags)
    }

    /// The value by which a file gets an attribute that it has in the container.
    pub(super) fn attribute_to_set(&self, name: &[u8], value: &[u8]) -> Vec<u8> {
        match &self.users {
            Some(users) if name == read::CAPABILITY => users::owners(users).capability(value),
            _ => value.to_vec(),
        }
    }
}

/// The kernel's overflow id, for whoever is not there.
const NOBODY: u32 = 65534;

impl<T: DeserializeOwned> Worker<T> {
    /// Waits until the child is done.
    ///
    /// # Errors
    /// What the child says.
    pub fn finish(mut self) -> Result<T, Error> {
        let mut text = Vec::new();
        let read = self.answer.read_to_end(&mut text);
        self.wait();
        let gone =
            || Told { message: "the process at the container's files was killed".into(), cause: None, hint: None };
        match read.ok().and_then(|_| serde_json::from_slice(&text).ok()) {
            Some(Word::Done(done)) => Ok(done),
            Some(Word::Failed(told)) => Err(told.into()),
            None => Err(gone().into()),
        }
    }
}

impl<T> Worker<T> {
    fn wait(&mut self) {
        if let Some(pid) = self.pid.take() {
            while let Err(Errno::EINTR) = waitpid(pid, None) {}
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // Nobody wants its answer any more.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
        self.wait();
    }
}
