//! The ports of a container that are reachable from outside: their sockets, and the process that passes on what arrives there.
//!
//! The sockets were bound outside before there was a container, and stay open while it is restarted: no one else gets a port
//! meanwhile, and clients wait. Who passes on is a process of its own, in the container's user and network namespaces, which
//! keeps only the powers that it takes to speak there. When it ends by itself another takes its place.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use forward::Order;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::{Port, Protocol};
use sys::capability::{self, Set};
use sys::process::Fork;

use crate::container::error::Told;
use crate::container::users;
use crate::security::capabilities::{Capabilities, Capability};

/// To speak as a client does, whose address is none of the container's (IP_TRANSPARENT and SO_MARK in ip(7) and socket(7)).
const POWERS: Capabilities = Capabilities::of(&[Capability::NET_ADMIN]);

/// A forwarder that has lived so long was well.
const WELL: Duration = Duration::from_secs(10);

/// So many in a row that were not well are enough.
const TRIES: u32 = 5;

/// Everything that is published of one container.
#[derive(Debug, Default)]
pub struct Ports {
    open: Vec<Open>,
    forwarder: Option<Forwarder>,
    /// Where it is to speak, while the container runs.
    inside: Option<OwnedFd>,
    next: u32,
    unwell: u32,
}

#[derive(Debug)]
struct Open {
    id: u32,
    port: Port,
    socket: OwnedFd,
}

#[derive(Debug)]
struct Forwarder {
    pid: Pid,
    pidfd: OwnedFd,
    control: OwnedFd,
    started: Instant,
}

impl Ports {
    /// Those that the container is started with; their sockets are in the same order.
    pub fn new(ports: &[Port], sockets: Vec<OwnedFd>) -> Self {
        let mut all = Self::default();
        for (port, socket) in ports.iter().zip(sockets) {
            all.keep(*port, socket);
        }
        all
    }

    fn keep(&mut self, port: Port, socket: OwnedFd) {
        self.open.push(Open { id: self.next, port, socket });
        self.next += 1;
    }

    /// The container runs: whatever waits is passed on to it. `users` is its outer user namespace.
    pub fn begin(&mut self, users: &OwnedFd, init: i32) -> Result<(), Told> {
        let path = format!("/proc/{init}/ns/net");
        self.unwell = 0;
        match File::open(path) {
            Ok(inside) => self.inside = Some(inside.into()),
            // It has ended already, or there is nothing that it would be missed by.
            Err(error) if error.kind() == io::ErrorKind::NotFound || self.open.is_empty() => return Ok(()),
            Err(error) => return Err(lost(&Told::by(&error, None))),
        }
        self.pass_on(users)
    }

    /// Starts who passes on, if there is anything to be passed on.
    fn pass_on(&mut self, users: &OwnedFd) -> Result<(), Told> {
        let Some(inside) = self.inside.as_ref().filter(|_| self.forwarder.is_none() && !self.open.is_empty()) else {
            return Ok(());
        };
        let forwarder = Forwarder::start(users, inside)
            .map_err(|errno| lost(&Told::refused("cannot start what passes connections on", errno, None)))?;
        for open in &self.open {
            forwarder.add(open);
        }
        self.forwarder = Some(forwarder);
        Ok(())
    }

    /// The container does not run any more. Clients wait, if it is about to be started again.
    pub fn end(&mut self) {
        self.forwarder = None;
        self.inside = None;
    }

    /// Nothing is published any more.
    pub fn close(&mut self) {
        self.end();
        self.open.clear();
    }

    /// What tells of the end of who passes on.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.forwarder.as_ref().map(|forwarder| forwarder.pidfd.as_fd())
    }

    /// It has ended, which nobody asked for: another takes its place.
    pub fn has_ended(&mut self, users: &OwnedFd) -> Result<(), Told> {
        let Some(forwarder) = self.forwarder.take() else { return Ok(()) };
        self.unwell = if forwarder.started.elapsed() < WELL { self.unwell + 1 } else { 0 };
        drop(forwarder);
        if self.unwell < TRIES {
            return self.pass_on(users);
        }
        // Nobody is to wait there for nobody.
        self.open.clear();
        Err(lost(&Told::plain("what passes connections on has ended again and again")))
    }

    /// Publishes one more.
    pub fn add(&mut self, users: &OwnedFd, port: Port, socket: OwnedFd) -> Result<(), Told> {
        self.keep(port, socket);
        match (&self.forwarder, self.open.last()) {
            (Some(forwarder), Some(open)) => forwarder.add(open),
            _ => self.pass_on(users)?,
        }
        Ok(())
    }

    /// Takes one back, if it is published.
    pub fn remove(&mut self, port: &Port) {
        let Some(at) = self.open.iter().position(|open| open.port == *port) else { return };
        let Open { id, .. } = self.open.remove(at);
        if let Some(forwarder) = &self.forwarder {
            let _ = sys::socket::send(&forwarder.control, &Order::Remove { id }.encode(), None);
        }
    }
}

impl Forwarder {
    fn start(users: &OwnedFd, inside: &OwnedFd) -> Result<Self, Errno> {
        // Whatever the monitor has open is the monitor's alone: above all the lock, which must not outlive it.
        let private = sys::descriptor::all_open().map_err(|_| Errno::EMFILE)?;
        let (ours, theirs) = sys::socket::pair()?;
        match sys::process::fork()? {
            Fork::Parent(pid) => {
                let pidfd = sys::process::pidfd_open(pid)?;
                Ok(Self { pid, pidfd, control: ours, started: Instant::now() })
            }
            Fork::Child => {
                drop(ours);
                let needed = [users.as_raw_fd(), inside.as_raw_fd()];
                for descriptor in private.into_iter().filter(|descriptor| !needed.contains(descriptor)) {
                    let _ = nix::unistd::close(descriptor);
                }
                sys::process::exit_now(i32::from(serve(users, inside, theirs).is_err()))
            }
        }
    }

    fn add(&self, open: &Open) {
        let protocol = match open.port.protocol {
            Protocol::Tcp => forward::Protocol::Tcp,
            Protocol::Udp => forward::Protocol::Udp,
        };
        let order = Order::Add { id: open.id, protocol, port: open.port.container };
        // One that is gone is noticed by its end.
        let _ = sys::socket::send(&self.control, &order.encode(), Some(open.socket.as_raw_fd()));
    }
}

/// Its connections end with the container.
impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = sys::process::pidfd_send_signal(self.pidfd.as_fd(), Signal::SIGKILL);
        while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
    }
}

/// In the forwarder's process.
fn serve(users: &OwnedFd, inside: &OwnedFd, control: OwnedFd) -> Result<(), Errno> {
    users::enter(users)?;
    // After the change of ids, by which the kernel forgets it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    nix::sys::prctl::set_name(c"enter-forward")?;
    super::let_go_of_streams()?;
    nix::unistd::chdir("/")?;
    nix::sched::setns(inside, CloneFlags::CLONE_NEWNET)?;
    // Each connection takes a few.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    nix::sys::prctl::set_no_new_privs()?;
    capability::set_permitted(Set(POWERS.bits()))?;
    forward::run(control, true)
}

fn lost(cause: &Told) -> Told {
    Told {
        message: "the container's published ports cannot be reached".into(),
        cause: Some(Box::new(cause.clone())),
        hint: Some("start it again; `enter doctor` finds out more".into()),
    }
}
