//! The filesystem server of one container: a process of its own in the outer user namespace.
//!
//! It is forked from the monitor, enters the outer user namespace, makes the mount namespace that it owns, mounts
//! cowfs, clones init into the remaining namespaces while it still has a single thread, and then serves. It ends with
//! init, and removes what only ids of its namespace may remove. (A directory of the host is served by [`super::outside`].)

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use cowfs::serve::Lower;
use cowfs::tree::Image;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use plan::{Plan, Writable};
use serde::{Deserialize, Serialize};
use sys::namespace::Clone;
use sys::process::Fork;

use super::binds;
use super::streams::Given;
use super::{aside, changes, namespaces};
use crate::container::dropped::Left;
use crate::container::embedded;
use crate::container::error::Told;
use crate::container::folder::name;
use crate::container::{preflight, served, users};

/// How long the filesystem of a container that has ended may go on.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after the end of init a server that was killed is to be waited for, in milliseconds.
const AFTER_INIT: u16 = 50;

/// What a server ends with that could not go on.
const FAILED: i32 = 1;

/// The largest message between the two.
const LIMIT: usize = 16 * 1024;

/// What the monitor tells the server of a container that is off the list: until then it is itself a user of its volumes, and it may be
/// started again and find them.
const VOLUMES_GO: &[u8] = b"volumes";

/// What the server tells the monitor.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// init runs, under this process id; a descriptor that stands for it comes along.
    Running(i32),
    /// It did not come so far.
    Failed(Told),
}

/// What the server is given for the container.
pub struct Parts<'a> {
    /// The outer user namespace.
    pub users: &'a OwnedFd,
    /// Descriptors that the payload gets beyond its standard streams.
    pub passed: &'a [OwnedFd],
    /// The payload's standard streams.
    pub given: Given,
    /// init's end of its socket to the monitor.
    pub control: OwnedFd,
    /// Namespaces of other containers that are shared.
    pub shared: Vec<(OwnedFd, CloneFlags)>,
    /// By which init enters the container's control group.
    pub group: Option<OwnedFd>,
}

/// Sockets that take the FUSE descriptor of what other processes serve.
pub struct Elsewhere {
    /// The root.
    pub root: Option<OwnedFd>,
    /// The home.
    pub home: Option<OwnedFd>,
}

impl Parts<'_> {
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let streams = self.given.streams.iter().flatten();
        let shared = self.shared.iter().map(|(namespace, _)| namespace);
        let others = streams.chain(shared).chain(&self.group);
        [self.users, &self.control].into_iter().chain(others).chain(self.passed).map(AsRawFd::as_raw_fd)
    }
}

/// A server that the monitor waits for.
#[derive(Debug)]
pub struct Server {
    /// The server's own process.
    pub pidfd: OwnedFd,
    /// The container's init.
    pub init: OwnedFd,
    /// The container's init, as the host numbers it.
    pub init_pid: Pid,
    /// Readable once a part of the image cannot be read that has not come; it is told why, as text. At its end nothing more is told.
    pub losses: OwnedFd,
    pid: Pid,
}

impl Server {
    /// Forks the server, and waits until init runs.
    pub fn start(plan: &Plan, parts: Parts<'_>, elsewhere: Elsewhere) -> Result<Self, Told> {
        let refused = |message: &str| {
            let message = message.to_owned();
            move |errno: Errno| Told::refused(message, errno, None)
        };
        let init = embedded::init().map_err(|error| {
            let message = "cannot put init into memory";
            Told { message: message.into(), cause: Some(Box::new(Told::by(&error, None))), hint: None }
        })?;
        let (ours, theirs) = sys::socket::pair().map_err(refused("cannot make a socket"))?;
        let more = [&init, &theirs].into_iter().chain(&elsewhere.root).chain(&elsewhere.home);
        let kept: Vec<RawFd> = parts.descriptors().chain(more.map(AsRawFd::as_raw_fd)).collect();
        let pid = match sys::process::fork().map_err(refused("cannot start the filesystem server"))? {
            Fork::Parent(pid) => pid,
            Fork::Child => {
                // What is the monitor's alone: above all the lock, which must not outlive it.
                for descriptor in sys::descriptor::all_open().unwrap_or_default() {
                    if !kept.contains(&descriptor) {
                        let _ = nix::unistd::close(descriptor);
                    }
                }
                let word = match serve(plan, parts, init, elsewhere, &theirs) {
                    Ok(()) => sys::process::exit_now(0),
                    Err(told) => Word::Failed(told),
                };
                let _ = say(&theirs, &word, None);
                sys::process::exit_now(1)
            }
        };
        drop((theirs, parts, init, elsewhere));
        let pidfd = sys::process::pidfd_open(pid).map_err(refused("cannot watch the filesystem server"))?;
        match hear(&ours)? {
            (Word::Running(init_pid), Some(init)) => {
                Ok(Self { pidfd, init, init_pid: Pid::from_raw(init_pid), losses: ours, pid })
            }
            (Word::Running(_), None) => Err(refused("cannot watch the container's init")(Errno::EBADF)),
            (Word::Failed(told), _) => Err(told),
        }
    }

    /// Waits until everything in the container has ended, and returns what was changed in it; `None` where the server cannot tell any more. Only
    /// for a container that can be restored, and only once.
    pub fn count(&self) -> Option<Left> {
        self.kill();
        let mut buffer = [0; LIMIT];
        loop {
            match sys::socket::receive(&self.losses, &mut buffer) {
                Ok((0, _)) | Err(_) => return None,
                Ok((length, _)) => {
                    // What else comes here is the reason of a loss, which nobody is interested in any more.
                    if let Some(left) = changes::counted(&buffer[..length]) {
                        return Some(left);
                    }
                }
            }
        }
    }

    /// After [`Server::count`]: what was changed is not wanted.
    pub fn throw_away(&self) {
        let _ = sys::socket::send(&self.losses, changes::GO, None);
    }

    /// Waits until the server has cleared up after the container, and is gone. `volumes`: the container is none any more, and those that
    /// were made for it alone go too.
    pub fn finish(self, volumes: bool) {
        if volumes {
            let _ = sys::socket::send(&self.losses, VOLUMES_GO, None);
        }
        // Whatever else it waits to hear, it hears no more.
        drop(self.losses);
        while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
    }

    /// Whether the container's init has ended.
    pub fn init_has_ended(&self) -> bool {
        super::readable(self.init.as_fd()).unwrap_or(true)
    }

    /// Whether it was killed or has failed, of whatever ended init just now: a server that is killed takes init along.
    pub fn has_failed(&self) -> bool {
        let mut end = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        // The kernel ends init a moment before a dead server can be waited for.
        let _ = poll(&mut end, AFTER_INIT);
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let ended = waitid(Id::PIDFd(self.pidfd.as_fd()), flags);
        !matches!(ended, Ok(WaitStatus::StillAlive | WaitStatus::Exited(_, 0)))
    }

    /// Ends the container at once.
    pub fn kill(&self) {
        // Its init first: with it goes every process inside, by the kernel's own doing.
        let _ = sys::process::pidfd_send_signal(self.init.as_fd(), Signal::SIGKILL);
    }
}

fn say(monitor: &OwnedFd, word: &Word, descriptor: Option<&OwnedFd>) -> Result<(), Errno> {
    let message = serde_json::to_vec(word).map_err(|_| Errno::EINVAL)?;
    sys::socket::send(monitor, &message, descriptor.map(AsRawFd::as_raw_fd))
}

fn hear(server: &OwnedFd) -> Result<(Word, Option<OwnedFd>), Told> {
    let mut buffer = [0; LIMIT];
    let gone = || Told { message: "the filesystem server ended without a word".into(), cause: None, hint: None };
    match sys::socket::receive(server, &mut buffer) {
        Ok((0, _)) | Err(_) => Err(gone()),
        Ok((length, descriptor)) => {
            serde_json::from_slice(&buffer[..length]).map(|word| (word, descriptor)).map_err(|_| gone())
        }
    }
}

/// In the server's process: from the fork to its end.
fn serve(
    plan: &Plan,
    Parts { users, passed, given, control, shared, group }: Parts<'_>,
    init: OwnedFd,
    elsewhere: Elsewhere,
    monitor: &OwnedFd,
) -> Result<(), Told> {
    let refused = |message: &str| {
        let message = message.to_owned();
        move |errno: Errno| Told::refused(message, errno, None)
    };
    // The binds before anything is mounted: a home holds the container's own folder.
    enter_namespaces(users)?;
    let binds = binds::clone(plan)?;
    let lower = open(&plan.root.lower)?;
    let folder: PathBuf = plan.container.folder.clone().into();
    clear_views(&folder);
    let fuse = served::mount(&folder, &plan.root.writable).map_err(|error| Told::by(&error, error.hint()))?;
    let images = mount_images(plan, &folder)?;
    if let Some(home) = elsewhere.home {
        mount_home(&folder, &home)?;
    }
    let (processes, others): (Vec<_>, Vec<_>) =
        shared.into_iter().partition(|(_, kind)| *kind == CloneFlags::CLONE_NEWPID);
    for (namespace, kind) in &others {
        nix::sched::setns(namespace, *kind).map_err(refused("cannot share the other container's namespaces"))?;
    }
    let processes = processes.into_iter().next().map(|(namespace, _)| namespace);
    let (pid, pidfd) = start_init(plan, given, control, &init, Handed { binds, passed, processes, group })
        .map_err(refused("cannot start the container's init"))?;
    drop(init);
    say(monitor, &Word::Running(pid.as_raw()), Some(&pidfd)).map_err(refused("cannot reach the monitor"))?;

    if let Some(Lower::Image(image)) = &lower {
        image.tell(monitor.as_fd()).map_err(|error| Told::by(&error, None))?;
    }
    let serving = match (lower, elsewhere.root) {
        (Some(lower), _) => Some(serve_here(plan, lower, fuse).map_err(refused("cannot start a thread"))?),
        (None, Some(outside)) => {
            sys::socket::send(&outside, b"fuse", Some(fuse.as_raw_fd())).map_err(refused("cannot hand over FUSE"))?;
            // With its last descriptor the filesystem ends: if that process is killed, nobody here is to wait for it.
            drop(fuse);
            None
        }
        (None, None) => return Err(refused("cannot find anyone to serve the root")(Errno::ENOENT)),
    };
    for (fuse, lower) in images {
        serve_image(plan, lower, fuse).map_err(refused("cannot start a thread"))?;
    }
    while let Err(Errno::EINTR) = waitpid(pid, None) {}
    // The folder may be set aside from here on: it has no other name that lasts.
    let gone = if plan.container.restorable > 0 {
        nix::unistd::chdir(&folder).map_err(refused("cannot go to the container's folder"))?;
        changes::tell(plan, monitor)
    } else {
        plan.container.throwaway
    };
    let folder = if plan.container.restorable > 0 { PathBuf::from(".") } else { folder };
    for number in 0..plan.images.len() {
        let _ = sys::mount::detach(&image_place(&folder, number));
    }
    clear_views(&folder);
    unmount_home(plan, &folder);
    if !plan.container.volumes.is_empty() && are_to_go(monitor) {
        // Here all of their owners have numbers. Before the end of the root, which may take this process along.
        crate::container::volumes::remove_with(&folder, &plan.container.volumes);
    }
    unmount(plan, &folder, serving.as_ref(), gone);
    if gone {
        for part in [name::UPPER, name::WORK] {
            let _ = crate::container::sweep::remove_tree(&folder.join(part));
        }
        if plan.home == Some(plan::Home::Own) {
            let _ = crate::container::sweep::remove_tree(&folder.join(name::HOME));
        }
    }
    Ok(())
}

/// Mounts what is seen of a home whose changes are set aside, and hands it to the process that serves it.
fn mount_home(folder: &Path, server: &OwnedFd) -> Result<(), Told> {
    let fuse = cowfs::serve::mount(&aside::place(folder), cowfs::serve::Access::ReadWrite);
    let fuse = fuse.map_err(|error| Told::by(&error, error.hint()))?;
    sys::socket::send(server, b"fuse", Some(fuse.as_raw_fd()))
        .map_err(|errno| Told::refused("cannot hand over the home", errno, None))
}

/// Takes it away again, once the kernel has written all that it has still to write there.
fn unmount_home(plan: &Plan, folder: &Path) {
    if !matches!(plan.home, Some(plan::Home::Aside { .. })) {
        return;
    }
    let place = aside::place(folder);
    if let Ok(home) = nix::fcntl::open(&place, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        let _ = nix::unistd::syncfs(&home);
    }
    let _ = sys::mount::detach(&place);
}

/// Waits for the monitor's word about the container's volumes.
fn are_to_go(monitor: &OwnedFd) -> bool {
    let mut word = [0; VOLUMES_GO.len()];
    matches!(sys::socket::receive(monitor, &mut word), Ok((length, _)) if length > 0)
}

/// Takes the filesystem away from a container that has ended; what the kernel has still to write is written first, unless all of it is `gone`.
fn unmount(plan: &Plan, folder: &Path, serving: Option<&Receiver<()>>, gone: bool) {
    let place = folder.join(served::place(&plan.root.writable));
    let writes = matches!(plan.root.writable, Writable::Fuse { .. }) && !gone;
    if writes && let Ok(root) = nix::fcntl::open(&place, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        let _ = nix::unistd::syncfs(&root);
    }
    let _ = sys::mount::detach(&place);
    if let Some(serving) = serving.filter(|_| writes) {
        // It ends when nothing is mounted any more. Somebody outside of the container may have been given one of its files.
        let _ = serving.recv_timeout(PATIENCE);
    }
}

/// Answers the kernel from threads of this process. Returns what tells of the end of that, which comes when all is unmounted. Without its
/// root a container can only hang: then this process ends, and the container with it.
fn serve_here(plan: &Plan, lower: Lower, fuse: OwnedFd) -> Result<Receiver<()>, Errno> {
    let (folder, writable, users) = (plan.container.folder.clone(), plan.root.writable, plan.users.clone());
    let (tell, told) = mpsc::channel();
    let serve = move || {
        if served::serve(fuse, lower, folder.as_path(), &writable, &users).is_err() {
            sys::process::exit_now(FAILED);
        }
        let _ = tell.send(());
    };
    match std::thread::Builder::new().name("cowfs".into()).spawn(serve) {
        Ok(_) => Ok(told),
        Err(error) => Err(error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw)),
    }
}

/// Enters the outer user namespace, and makes the mount namespace that it owns.
fn enter_namespaces(users: &OwnedFd) -> Result<(), Told> {
    // Some kernels make the namespace, and then give it no powers.
    let refused = |message: &'static str| move |errno| Told::refused(message, errno, preflight::namespaces(errno));
    users::enter(users).map_err(refused("cannot enter the container's user namespace"))?;
    // A change of ids makes the kernel forget the one (PR_SET_PDEATHSIG in prctl(2)), and makes /proc/PID root's.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused("cannot follow the monitor"))?;
    nix::sys::prctl::set_dumpable(true).map_err(refused("cannot be looked up by the monitor"))?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(refused("cannot make a mount namespace"))
}

/// Removes what was written to views: of those before, whose server may have been killed, and of these.
fn clear_views(folder: &Path) {
    let _ = crate::container::sweep::remove_tree(&folder.join(name::VIEWS));
}

fn image_place(folder: &Path, number: usize) -> PathBuf {
    folder.join(name::IMAGES).join(number.to_string())
}

/// Mounts the other images that the container shows, where its init finds them.
fn mount_images(plan: &Plan, folder: &Path) -> Result<Vec<(OwnedFd, Lower)>, Told> {
    let mount = |(number, lower): (usize, &plan::Lower)| {
        let place = image_place(folder, number);
        let made = fs::create_dir_all(&place);
        made.map_err(|error| {
            let cause = Some(Box::new(Told::by(&error, None)));
            Told { message: format!("cannot make the directory {}", place.display()), cause, hint: None }
        })?;
        let lower = open(lower)?.ok_or_else(|| Told::plain("cannot show a folder as an image"))?;
        let told = |error: cowfs::Error| Told::by(&error, error.hint());
        Ok((cowfs::serve::mount(&place, cowfs::serve::Access::ReadOnly).map_err(told)?, lower))
    };
    plan.images.iter().enumerate().map(mount).collect()
}

/// Answers for one of those, until it is unmounted.
fn serve_image(plan: &Plan, lower: Lower, fuse: OwnedFd) -> Result<(), Errno> {
    let owners = users::owners(&plan.users);
    let serve = move || {
        if cowfs::serve::serve(fuse, lower, owners).is_err() {
            sys::process::exit_now(FAILED);
        }
    };
    let started = std::thread::Builder::new().name("cowfs".into()).spawn(serve);
    started.map(drop).map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))
}

/// Opens an image; `None` where a directory of the host is shown instead.
fn open(lower: &plan::Lower) -> Result<Option<Lower>, Told> {
    let plan::Lower::Image { tree, layers } = lower else { return Ok(None) };
    let tars: Vec<PathBuf> = layers.iter().cloned().map(PathBuf::from).collect();
    let image = Image::open(tree.as_path(), &tars).map_err(|error| Told::by(&error, error.hint()))?;
    Ok(Some(Lower::Image(image)))
}

/// What init is given beside the plan, in the order in which it expects it.
struct Handed<'a> {
    /// A detached mount for each bind of the plan.
    binds: Vec<OwnedFd>,
    /// What the payload gets beyond its standard streams.
    passed: &'a [OwnedFd],
    /// Another container's processes, among which it is to be: not handed on.
    processes: Option<OwnedFd>,
    /// The door of its control group: not handed on.
    group: Option<OwnedFd>,
}

/// Clones init into the container's namespaces, and lets go of everything that is init's.
fn start_init(
    plan: &Plan,
    given: Given,
    control: OwnedFd,
    program: &OwnedFd,
    handed: Handed<'_>,
) -> Result<(Pid, OwnedFd), Errno> {
    let namespaces = namespaces::own(plan);
    let text = plan.to_json().map_err(|_| Errno::EINVAL)?;
    let memory = sys::descriptor::sealed(c"enter-plan", text.as_bytes()).map_err(|_| Errno::ENOMEM)?;
    nix::unistd::lseek(&memory, 0, nix::unistd::Whence::SeekSet)?;
    match namespaces::clone_init(namespaces, handed.processes.as_ref())? {
        Clone::Parent { child, pidfd } => {
            drop(given);
            let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|_| Errno::ENOENT)?;
            for number in 0..3 {
                sys::descriptor::replace(null.as_fd(), number)?;
            }
            Ok((child, pidfd))
        }
        Clone::Child => {
            let entered = handed.group.as_ref().map_or(Ok(()), enter_group);
            let errno = entered
                .err()
                .or_else(|| become_init(given, &control, &memory, program, &handed).err())
                .unwrap_or(Errno::EINVAL);
            // The monitor sees the socket close without a word.
            sys::process::exit_now(errno as i32)
        }
    }
}

/// Enters the container's control group, and sees nothing above it from then on.
fn enter_group(door: &OwnedFd) -> Result<(), Errno> {
    nix::unistd::write(door, b"0")?;
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)
}

fn become_init(
    given: Given,
    control: &OwnedFd,
    plan: &OwnedFd,
    program: &OwnedFd,
    handed: &Handed<'_>,
) -> Result<std::convert::Infallible, Errno> {
    for (number, stream) in (0..).zip(&given.streams) {
        if let Some(stream) = stream {
            sys::descriptor::replace(stream.as_fd(), number)?;
        }
    }
    let mut arguments = vec![c"init".to_owned()];
    for descriptor in [control, plan].into_iter().chain(&handed.binds).chain(handed.passed) {
        sys::descriptor::keep_on_exec(descriptor.as_fd())?;
        arguments.push(CString::new(descriptor.as_raw_fd().to_string()).map_err(|_| Errno::EINVAL)?);
    }
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    Err(sys::process::execute_descriptor(program.as_fd(), &arguments, &[]))
}
