//! The server's threads, and how they share the work: one waits and answers what can be answered at once; before anything that may take
//! time it leaves the waiting to the next one.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::stat::Mode;
use sys::notify::{self, Notification, Reply};

use crate::carried::Carried;
use crate::credentials::Credentials;
use crate::owners::{Mounted, Owner, Owners};
use crate::target::Target;

/// How many threads there are: so many calls may take their time at once, as on a network's filesystem that does not answer.
const THREADS: usize = 4;

/// The longest name that a user is called by.
pub const LONGEST_NAME: usize = 64;

/// The largest message.
const LONGEST: usize = 1 << 20;

/// The container, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The only user id that its user namespace has.
    pub uid: u32,
    /// The only group id.
    pub gid: u32,
    /// The capabilities that its root has; bits as in `linux/capability.h`.
    pub capabilities: u64,
    /// Programs gain nothing by set-user-ID bits.
    pub no_new_privileges: bool,
    /// Directories of the container, by their paths in it, whose programs run as root whoever runs them.
    pub roots_programs: Vec<PathBuf>,
}

/// What comes with the listener of a process that enters the container: what the process and its children are told that they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups; `None`: as the kernel says.
    pub groups: Option<Vec<u32>>,
}

impl Start {
    /// As a message.
    pub fn encode(&self) -> Vec<u8> {
        let ids = [self.uid, self.gid].into_iter();
        let more = self.groups.as_ref().map(|groups| groups.iter().copied());
        let words: Vec<String> = ids.chain(more.into_iter().flatten()).map(|id| id.to_string()).collect();
        format!("{}{}", if self.groups.is_some() { "all " } else { "own " }, words.join(" ")).into_bytes()
    }

    /// From a message.
    fn decode(message: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        let all = words.next()? == "all";
        let mut ids = words.map(|word| word.parse().ok());
        let (uid, gid) = (ids.next()??, ids.next()??);
        let groups: Vec<u32> = ids.collect::<Option<_>>()?;
        Some(Self { uid, gid, groups: all.then_some(groups) })
    }
}

/// The calls of one process and of its descendants.
#[derive(Debug)]
pub(crate) struct Listener {
    pub descriptor: OwnedFd,
    /// What a process is that has not changed anything.
    pub initial: Arc<Credentials>,
    /// The user namespace that its processes began in, by its inode number.
    pub namespace: OnceLock<u64>,
}

/// What all threads share.
pub(crate) struct Server {
    pub setting: Setting,
    pub proc: OwnedFd,
    pub carried: Mutex<Carried>,
    pub owners: Owners,
    /// Somebody has been told that there is one user only.
    pub told: AtomicBool,
    pub client: OwnedFd,
    waiting: Mutex<Waiting>,
}

/// What is waited on.
struct Waiting {
    epoll: Epoll,
    listeners: HashMap<u64, Arc<Listener>>,
    next: u64,
    /// Calls that have been taken, and not answered.
    pending: VecDeque<(Arc<Listener>, Notification)>,
}

/// The socket among the events.
const CLIENT: u64 = 0;

/// The right to wait, which a thread has while it answers at once.
pub(crate) struct Baton<'a>(Option<MutexGuard<'a, Waiting>>);

impl Baton<'_> {
    /// Lets the next thread wait.
    pub fn pass(&mut self) {
        self.0 = None;
    }
}

/// Serves until `client` closes, from where listeners come, each with a [`Start`]. What is sent back, once, is what the user is called
/// whom a process was the first to pretend to be: a name from the container, of [`LONGEST_NAME`] bytes at most.
///
/// The caller is in a user namespace above the container's, has its working directory nowhere in particular and a /proc that shows
/// the container's processes, and keeps CAP_SYS_PTRACE, CAP_SYS_NICE and CAP_SYS_CHROOT beside the container's own capabilities.
///
/// # Errors
/// Where there is no /proc, or the kernel lacks what it takes.
pub fn serve(client: OwnedFd, setting: Setting, mounted: Vec<Mounted>) -> Result<(), Errno> {
    let owners = Owners::new(Owner { uid: setting.uid, gid: setting.gid }, mounted);
    nix::sys::stat::umask(Mode::empty());
    let proc = open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, CLIENT))?;
    let server = Server {
        setting,
        proc,
        carried: Mutex::default(),
        owners,
        told: AtomicBool::new(false),
        client,
        waiting: Mutex::new(Waiting { epoll, listeners: HashMap::new(), next: CLIENT + 1, pending: VecDeque::new() }),
    };
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (server, ended) = (&server, ended.clone());
            std::thread::Builder::new()
                .name("pretend".into())
                .spawn_scoped(scope, move || {
                    let _ = ended.send(server.work());
                })
                .map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
        }
        // The others may be stuck somewhere; nobody waits for them.
        let outcome = end.recv().unwrap_or(Err(Errno::EIO));
        sys::process::exit_now(i32::from(outcome.is_err()))
    })
}

impl Server {
    /// One thread's life.
    fn work(&self) -> Result<(), Errno> {
        // A root and a working directory of its own: see [`crate::target`].
        nix::sched::unshare(CloneFlags::CLONE_FS)?;
        nix::unistd::fchdir(&self.proc)?;
        let mut baton = Baton(None);
        loop {
            let waiting = match &mut baton.0 {
                Some(waiting) => waiting,
                none => none.insert(self.waiting.lock().unwrap_or_else(PoisonError::into_inner)),
            };
            match waiting.next(&self.client)? {
                Next::Call(listener, notification) => self.serve_one(&listener, &notification, &mut baton),
                Next::End => return Ok(()),
            }
        }
    }

    fn serve_one(&self, listener: &Listener, notification: &Notification, baton: &mut Baton<'_>) {
        let target = Target { proc: &self.proc, thread: notification.thread };
        let reply = crate::answer::Answering { server: self, listener, notification, target, baton }.reply();
        if let Some(reply) = reply {
            // Whoever has been killed meanwhile needs none.
            let _ = notify::answer(listener.descriptor.as_fd(), notification.id, reply);
        }
    }
}

/// What there is to do.
enum Next {
    Call(Arc<Listener>, Notification),
    End,
}

impl Waiting {
    /// Waits for the next call. Whatever has arrived beside it is taken at once: until then a signal interrupts it, which callers of
    /// stat(2) are not prepared for.
    fn next(&mut self, client: &OwnedFd) -> Result<Next, Errno> {
        let mut events = [EpollEvent::empty(); 16];
        loop {
            let patience = if self.pending.is_empty() { EpollTimeout::NONE } else { EpollTimeout::ZERO };
            let happened = match self.epoll.wait(&mut events, patience) {
                Err(Errno::EINTR) => continue,
                happened => happened?,
            };
            for event in &events[..happened] {
                if event.data() != CLIENT {
                    self.look(event.data(), event.events());
                } else if !self.hear(client)? {
                    return Ok(Next::End);
                }
            }
            if happened == 0
                && let Some((listener, notification)) = self.pending.pop_front()
            {
                return Ok(Next::Call(listener, notification));
            }
        }
    }

    fn look(&mut self, number: u64, events: EpollFlags) {
        let Some(listener) = self.listeners.get(&number) else { return };
        if events.contains(EpollFlags::EPOLLIN) {
            if let Ok(notification) = notify::receive(listener.descriptor.as_fd()) {
                self.pending.push_back((listener.clone(), notification));
            }
        } else if let Some(listener) = self.listeners.remove(&number) {
            // The last process under this filter has ended.
            let _ = self.epoll.delete(&listener.descriptor);
        }
    }

    /// Takes a listener; false where no more will come.
    fn hear(&mut self, client: &OwnedFd) -> Result<bool, Errno> {
        let mut message = vec![0; LONGEST];
        let (length, descriptor) = match sys::socket::receive(client, &mut message) {
            Ok((0, _)) | Err(_) => return Ok(false),
            Ok(received) => received,
        };
        let (Some(start), Some(descriptor)) = (Start::decode(&message[..length]), descriptor) else {
            return Ok(true);
        };
        // Kernels before 6.6 wake another CPU.
        let _ = notify::take_turns(descriptor.as_fd());
        let initial = Arc::new(Credentials::new(start.uid, start.gid, start.groups));
        self.epoll.add(&descriptor, EpollEvent::new(EpollFlags::EPOLLIN, self.next))?;
        self.listeners.insert(self.next, Arc::new(Listener { descriptor, initial, namespace: OnceLock::new() }));
        self.next += 1;
        Ok(true)
    }
}

/// The reply that leaves a call to the kernel.
pub(crate) const TO_THE_KERNEL: Option<Reply> = Some(Reply::Continue);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_survives_its_message() {
        for groups in [None, Some(vec![]), Some(vec![5, 4_294_967_294])] {
            let start = Start { uid: 107, gid: 0, groups };
            assert_eq!(Start::decode(&start.encode()), Some(start));
        }
        for wrong in ["", "all", "all 1", "own x 1", "all 1 2 x"] {
            assert_eq!(Start::decode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
