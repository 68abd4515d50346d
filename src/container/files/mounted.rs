//! The root of a container that does not run, mounted for a moment; and that of one that runs, without what is mounted on it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use cowfs::host::HostDir;
use cowfs::serve::Lower;
use cowfs::tree::Image;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid};
use plan::{Durability, Users, Writable};
use sys::mount::{Attributes, Overlay};
use sys::process::Fork;

use crate::container::error::Told;
use crate::container::folder::name;
use crate::container::record::{Kind, Mount, Storage};
use crate::container::served;
use crate::volume::Volumes;

/// How long a filesystem server may take to end, in milliseconds.
const PATIENCE: u16 = 10_000;

/// Something of the host's that is shown in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    source: PathBuf,
    /// What of it is shown, links followed inside of it; empty for all.
    subpath: PathBuf,
    target: PathBuf,
    read_only: bool,
    recursive: bool,
}

/// What of a container's mounts can be had while it does not run, the outer ones first. What is written to a view goes with the
/// container that writes it, and so there is none.
pub fn binds(mounts: &[Mount], volumes: &Volumes) -> Vec<Bind> {
    let bind = |mount: &Mount| {
        let source = match &mount.kind {
            Kind::Bind(source) => source.clone(),
            Kind::Volume(name) => volumes.named(name)?.data(),
            _ => return None,
        };
        Some(Bind {
            source,
            subpath: PathBuf::from(&mount.subpath),
            target: PathBuf::from(&mount.target),
            read_only: mount.read_only,
            recursive: mount.recursive && matches!(mount.kind, Kind::Bind(_)),
        })
    };
    let mut binds: Vec<Bind> = mounts.iter().filter(|mount| !mount.overlay).filter_map(bind).collect();
    binds.sort_by_key(|bind| bind.target.components().count());
    binds
}

/// The filesystem server, which waits for the descriptor that it is to serve. It goes when the process goes that forked it.
#[derive(Debug)]
pub struct Server {
    socket: OwnedFd,
    pid: Pid,
    writable: Writable,
}

impl Server {
    /// Starts it, outside of the container's user namespace: there the owners of a host's files can be told apart.
    pub fn fork(folder: &Path, users: &Users, lower: &plan::Lower, writable: Writable) -> Result<Self, Told> {
        let refused = |errno| Told::refused("cannot start a filesystem server", errno, None);
        let lower = open(lower)?;
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        match sys::process::fork().map_err(refused)? {
            Fork::Parent(pid) => Ok(Self { socket: ours, pid, writable }),
            Fork::Child => {
                drop(ours);
                sys::process::exit_now(i32::from(serve(&theirs, lower, folder, &writable, users).is_err()))
            }
        }
    }
}

impl Server {
    /// Ends it. It has what its parent had open, above all the container's lock, and so must be gone before that is done.
    ///
    /// One that has written is left to end by itself, as it does when nothing is mounted any more: this process has let go of all files.
    pub fn finish(self, folder: &Path) {
        let Self { socket, pid, writable } = self;
        // Where it was given nothing to serve it ends by this.
        drop(socket);
        if let (Writable::Fuse { .. }, Ok(end)) = (writable, sys::process::pidfd_open(pid)) {
            let _ = sys::mount::detach(&folder.join(served::place(&writable)));
            let _ = poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], PATIENCE);
        }
        let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        while let Err(Errno::EINTR) = waitpid(pid, None) {}
    }
}

/// How the changes of a container that does not run are kept while it is looked at, or a file is put into it.
pub fn writable(storage: Storage) -> Writable {
    match storage {
        Storage::Overlay => Writable::Overlay { volatile: false },
        // Whoever puts files there waits for all of them anyway.
        Storage::Fuse => Writable::Fuse { durability: Durability::Durable, writeback: false },
    }
}

fn open(lower: &plan::Lower) -> Result<Lower, Told> {
    let told = |error: cowfs::Error| Told::by(&error, error.hint());
    match lower {
        plan::Lower::Image { tree, layers } => {
            let tars: Vec<PathBuf> = layers.iter().cloned().map(PathBuf::from).collect();
            Image::open(tree.as_path(), &tars).map(Lower::Image).map_err(told)
        }
        plan::Lower::Host { directory, hidden } => {
            let mut lower = HostDir::open(directory.as_path()).map_err(told)?;
            for path in hidden {
                lower = lower.exclude(path.as_path());
            }
            Ok(Lower::Host(lower))
        }
    }
}

fn serve(socket: &OwnedFd, lower: Lower, folder: &Path, writable: &Writable, users: &Users) -> Result<(), Told> {
    let refused = |errno| Told::refused("cannot serve the container's files", errno, None);
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused)?;
    nix::sys::prctl::set_name(c"cowfs").map_err(refused)?;
    let (_, fuse) = sys::socket::receive(socket, &mut [0; 16]).map_err(refused)?;
    // Closed without a descriptor: the mount failed, or nobody is there any more.
    let Some(fuse) = fuse else { return Ok(()) };
    served::serve(fuse, lower, folder, writable, users).map_err(|error| Told::by(&error, error.hint()))
}

/// Mounts the root with what is to be seen in it, in a mount namespace of this process's own, and returns its top. `fresh`: nobody has ever
/// seen it, and its top still has the looks of a new folder.
pub fn mount(folder: &Path, binds: &[Bind], server: &Server, fresh: bool) -> Result<OwnedFd, Told> {
    let refused = |message: &'static str| move |errno| Told::refused(message, errno, None);
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(refused("cannot make a mount namespace"))?;
    let find = |path: &Path| nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let host = find(Path::new("/")).map_err(refused("cannot open /"))?;
    sys::mount::make_slave(host.as_fd(), true).map_err(refused("cannot cut mounts off from those of this machine"))?;
    // Before anything is mounted: a home holds the container's own folder.
    let clones: Vec<OwnedFd> = binds.iter().map(clone_bind).collect::<Result<_, _>>()?;
    nix::unistd::chdir(folder).map_err(refused("cannot enter the container's folder"))?;
    let fuse = served::mount(Path::new("."), &server.writable).map_err(|error| Told::by(&error, error.hint()))?;
    sys::socket::send(&server.socket, b"fuse", Some(fuse.as_raw_fd())).map_err(refused("cannot hand over FUSE"))?;
    drop(fuse);
    if let Writable::Overlay { volatile } = server.writable {
        overlay(volatile).map_err(refused("cannot mount the container's root"))?;
    }
    let root = nix::fcntl::open(name::ROOT, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(refused("cannot open the container's root"))?;
    if let (true, Writable::Overlay { .. }) = (fresh, server.writable) {
        look_like_lower(&root).map_err(refused("cannot set the owner and permissions of the container's root"))?;
    }
    for (bind, clone) in binds.iter().zip(clones) {
        attach(&root, bind, &clone)?;
    }
    Ok(root)
}

/// Mounts the kernel's overlay in the folder that is the working directory.
fn overlay(volatile: bool) -> Result<(), Errno> {
    let overlay = sys::mount::new_overlay(Overlay { lower: c"lower", upper: c"upper", work: c"work", volatile })?;
    let target = nix::fcntl::open(name::ROOT, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    sys::mount::attach(overlay.as_fd(), target.as_fd())
}

/// As init does at each start: the top of an overlay has the looks of its upper side's, which is a new folder.
fn look_like_lower(root: &OwnedFd) -> Result<(), Errno> {
    let lower = nix::sys::stat::stat(name::LOWER)?;
    nix::unistd::fchown(root, Some(Uid::from_raw(lower.st_uid)), Some(Gid::from_raw(lower.st_gid)))?;
    nix::sys::stat::fchmod(root, Mode::from_bits_truncate(lower.st_mode))
}

fn clone_bind(bind: &Bind) -> Result<OwnedFd, Told> {
    let top = nix::fcntl::open(&bind.source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let origin = match bind.subpath.as_os_str().is_empty() {
        true => top,
        false => top.and_then(|top| sys::path::find_in_root(&top, &bind.subpath)),
    };
    origin.and_then(|origin| sys::mount::clone_tree(origin.as_fd(), bind.recursive)).map_err(|errno| {
        Told::refused(format!("cannot show {} at {}", bind.source.display(), bind.target.display()), errno, None)
    })
}

/// Puts a mount where init puts it. Where there is no place for it yet, one is made.
fn attach(root: &OwnedFd, bind: &Bind, clone: &OwnedFd) -> Result<(), Told> {
    let refused = |errno| Told::refused(format!("cannot mount {}", bind.target.display()), errno, None);
    let target = match sys::path::find_in_root(root, &bind.target) {
        Err(Errno::ENOENT) => {
            let status = nix::sys::stat::fstat(clone).map_err(refused)?;
            make_place(root, &bind.target, status.st_mode).map_err(refused)?;
            sys::path::find_in_root(root, &bind.target)
        }
        found => found,
    };
    let target = target.map_err(refused)?;
    if bind.read_only {
        let read_only = Attributes { read_only: true, ..Attributes::default() };
        sys::mount::set_attributes(clone.as_fd(), read_only, bind.recursive).map_err(refused)?;
    }
    sys::mount::attach(clone.as_fd(), target.as_fd()).map_err(refused)
}

/// Directories down to `path`, and there one more or an empty file.
fn make_place(root: &OwnedFd, path: &Path, kind: u32) -> Result<(), Errno> {
    let Some(file) = path.file_name() else { return Err(Errno::EINVAL) };
    let parent = path.parent().unwrap_or(Path::new("/"));
    let directory = match sys::path::find_in_root(root, parent) {
        Err(Errno::ENOENT) => {
            make_place(root, parent, nix::libc::S_IFDIR)?;
            sys::path::find_in_root(root, parent)?
        }
        found => found?,
    };
    let mode = Mode::from_bits_truncate(0o755);
    if kind & nix::libc::S_IFMT == nix::libc::S_IFDIR {
        return nix::sys::stat::mkdirat(&directory, file, mode);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    nix::fcntl::openat(&directory, file, flags, mode & Mode::from_bits_truncate(0o644)).map(drop)
}

/// The root of a container that runs, without anything that is mounted on it: a copy of its topmost mount alone.
///
/// It is made by a child, which enters the container's mount namespace for that: this process stays where it is, and goes by the
/// descriptor.
pub fn bare_root(init: i32) -> Result<OwnedFd, Told> {
    let refused = |errno| Told::refused("cannot look at the container's root", errno, None);
    let (ours, theirs) = sys::socket::pair().map_err(refused)?;
    match sys::process::fork().map_err(refused)? {
        Fork::Child => {
            let copied = copy_top(init).and_then(|top| sys::socket::send(&theirs, b"root", Some(top.as_raw_fd())));
            sys::process::exit_now(copied.err().map_or(0, |errno| errno as i32));
        }
        Fork::Parent(child) => {
            drop(theirs);
            let heard = sys::socket::receive(&ours, &mut [0; 16]);
            let ended = waitpid(child, None).map_err(refused)?;
            let alone = match (heard, ended) {
                (Ok((_, Some(alone))), _) => alone,
                (_, WaitStatus::Exited(_, errno)) if errno != 0 => return Err(refused(Errno::from_raw(errno))),
                _ => return Err(refused(Errno::ESRCH)),
            };
            sys::path::find_in_root(&alone, Path::new("/")).map_err(refused)
        }
    }
}

fn copy_top(init: i32) -> Result<OwnedFd, Errno> {
    let path = PathBuf::from(format!("/proc/{init}/ns/mnt"));
    let namespace = nix::fcntl::open(&path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNS)?;
    let top = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    sys::mount::clone_tree(top.as_fd(), false)
}
