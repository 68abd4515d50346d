//! Process B: root of the user namespace U, in the network namespace N. It opens what can be opened only there, and hands it out.
//!
//! It knows nothing of networks, and does nothing by itself. A socket that it has opened is used by process A: the kernel lets the owner
//! of U do in U's namespaces what U's root may do (capabilities(7)), once there is a descriptor.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netlink::Socket;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::sockopt::{RcvBuf, ReuseAddr};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid};
use serde::{Deserialize, Serialize};
use sys::process::Fork;
use uidmap::Maps;

use super::Error;
use super::protocol::LIMIT;

/// The port for questions about names.
const DNS: u16 = 53;

/// How many bytes of questions wait while nobody answers.
const WAITING: usize = 1 << 20;

/// What B is asked for.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// The descriptors of N and of U.
    Namespaces,
    /// A socket for rtnetlink in N; or in the namespace whose descriptor comes along, which belongs to U.
    Route,
    /// A socket for nf_tables in N.
    Netfilter,
    /// To make an interface that pasta can attach to.
    Uplink(Box<passt::Interface>),
    /// A tap in N of this name, that goes when its descriptor does.
    Tap(String),
    /// Sockets for questions about names at this address of N: one for datagrams, and one that listens.
    Listen(IpAddr),
    /// To set what only /proc/sys has.
    Setting(String, String),
}

#[derive(Debug, Serialize, Deserialize)]
enum Word {
    Done,
    Failed(Error),
}

/// The two namespaces.
#[derive(Debug)]
pub struct Namespaces {
    /// N.
    pub network: OwnedFd,
    /// U, which owns it.
    pub users: OwnedFd,
}

impl Namespaces {
    /// The same once more.
    pub fn again(&self) -> Result<Self, Error> {
        let again = |fd: &OwnedFd| fd.try_clone().map_err(|error| Error::by("cannot keep namespaces open", &error));
        Ok(Self { network: again(&self.network)?, users: again(&self.users)? })
    }
}

/// A running B. Dropped, it is ended.
#[derive(Debug)]
pub struct Hands {
    pid: Pid,
    socket: OwnedFd,
}

impl Hands {
    /// Starts one in namespaces that exist, or in new ones. The caller has a single thread.
    pub fn start(found: Option<Namespaces>, maps: &Maps) -> Result<Self, Error> {
        let refused = |errno| Error::refused("cannot start the process that is inside of your networks", errno);
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        let is_new = found.is_none();
        let hands = match sys::process::fork().map_err(refused)? {
            Fork::Parent(pid) => Self { pid, socket: ours },
            Fork::Child => {
                for descriptor in sys::descriptor::all_open().unwrap_or_default() {
                    let namespaces = found.iter().flat_map(|found| [&found.network, &found.users]);
                    if !namespaces.chain([&theirs]).any(|kept| kept.as_raw_fd() == descriptor) {
                        let _ = nix::unistd::close(descriptor);
                    }
                }
                serve(found, &theirs);
                sys::process::exit_now(0)
            }
        };
        drop((theirs, found));
        if is_new {
            hands.hear()?;
            let failed = |error: uidmap::Error| Error::of(&error).with_hint(error.hint());
            uidmap::start(hands.pid, maps).and_then(uidmap::Writing::finish).map_err(failed)?;
            sys::socket::send(&hands.socket, b"mapped", None).map_err(refused)?;
        }
        hands.hear()?;
        Ok(hands)
    }

    /// The namespaces it is in.
    pub fn namespaces(&self) -> Result<Namespaces, Error> {
        let [network, users] = self.descriptors(&Order::Namespaces, None)?;
        Ok(Namespaces { network, users })
    }

    /// A socket for links, addresses and routes of N, or of `namespace`, which belongs to U.
    pub fn route(&self, namespace: Option<BorrowedFd<'_>>) -> Result<Socket, Error> {
        let [socket] = self.descriptors(&Order::Route, namespace)?;
        Ok(Socket::from_fd(socket))
    }

    /// A socket for the firewall of N.
    pub fn netfilter(&self) -> Result<Socket, Error> {
        let [socket] = self.descriptors(&Order::Netfilter, None)?;
        Ok(Socket::from_fd(socket))
    }

    /// Makes the interface in N that pasta is to attach to.
    pub fn uplink(&self, interface: &passt::Interface) -> Result<(), Error> {
        self.descriptors::<0>(&Order::Uplink(Box::new(interface.clone())), None).map(drop)
    }

    /// A tap in N, that goes when its descriptor does.
    pub fn tap(&self, name: &str) -> Result<OwnedFd, Error> {
        let [tap] = self.descriptors(&Order::Tap(name.to_owned()), None)?;
        Ok(tap)
    }

    /// Sockets at an address of N, at the port for questions about names: one for datagrams, and one that listens.
    pub fn listen(&self, address: IpAddr) -> Result<[OwnedFd; 2], Error> {
        self.descriptors(&Order::Listen(address), None)
    }

    /// Sets in N what only /proc/sys has: `net/ipv6/conf/all/forwarding`.
    pub fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        self.descriptors::<0>(&Order::Setting(name.into(), value.into()), None).map(drop)
    }

    /// Whether it was killed.
    pub fn have_ended(&self) -> bool {
        let mut end = [PollFd::new(self.end(), PollFlags::POLLIN)];
        poll(&mut end, PollTimeout::ZERO) != Ok(0)
    }

    /// Readable when it has ended.
    pub fn end(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn descriptors<const N: usize>(&self, order: &Order, given: Option<BorrowedFd<'_>>) -> Result<[OwnedFd; N], Error> {
        let message = serde_json::to_vec(order).map_err(|error| Error::of(&error))?;
        sys::socket::send_with(&self.socket, &message, given.as_slice()).map_err(|_| gone())?;
        self.hear()?.try_into().map_err(|_| gone())
    }

    fn hear(&self) -> Result<Vec<OwnedFd>, Error> {
        let mut buffer = [0; LIMIT];
        let (length, descriptors) = sys::socket::receive_with(&self.socket, &mut buffer).map_err(|_| gone())?;
        match serde_json::from_slice(&buffer[..length]) {
            Ok(Word::Done) => Ok(descriptors),
            Ok(Word::Failed(error)) => Err(error),
            Err(_) => Err(gone()),
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // Our child, and not waited for by anybody else.
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

fn gone() -> Error {
    Error::new("the process that is inside of your networks was killed").with_hint("try again".to_owned())
}

/// In B: from the fork to the end of A.
fn serve(found: Option<Namespaces>, socket: &OwnedFd) {
    let _ = nix::sys::prctl::set_name(c"enter-network-b");
    let begun = match found {
        Some(found) => join(&found),
        None => make(socket),
    };
    let network = begun.and_then(|()| own("net"));
    let (Ok(network), true) = (&network, say(socket, network.as_ref().map(|_| Vec::new()).map_err(Clone::clone)))
    else {
        return;
    };
    let mut buffer = [0; LIMIT];
    while let Ok((length @ 1.., given)) = sys::socket::receive_with(socket, &mut buffer) {
        let order = serde_json::from_slice(&buffer[..length]).map_err(|error| Error::of(&error));
        let done = order.and_then(|order| carry_out(order, given.first(), network));
        if !say(socket, done) {
            return;
        }
    }
}

fn say(socket: &OwnedFd, done: Result<Vec<OwnedFd>, Error>) -> bool {
    let (word, descriptors) = match done {
        Ok(descriptors) => (Word::Done, descriptors),
        Err(error) => (Word::Failed(error), Vec::new()),
    };
    let message = serde_json::to_vec(&word).unwrap_or_default();
    sys::socket::send_with(socket, &message, &descriptors.iter().map(AsFd::as_fd).collect::<Vec<_>>()).is_ok()
}

fn make(socket: &OwnedFd) -> Result<(), Error> {
    let refused = |message: &'static str| move |errno| Error::refused(message, errno);
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(refused("cannot make a user namespace for your networks"))?;
    say(socket, Ok(Vec::new()));
    sys::socket::receive(socket, &mut [0; 8]).map_err(|_| gone())?;
    become_root()?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).map_err(refused("cannot make a network namespace for your networks"))
}

fn join(found: &Namespaces) -> Result<(), Error> {
    let refused = |errno| Error::refused("cannot enter the namespaces that your networks are in", errno);
    nix::sched::setns(&found.users, CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    become_root()?;
    nix::sched::setns(&found.network, CloneFlags::CLONE_NEWNET).map_err(refused)
}

fn become_root() -> Result<(), Error> {
    let refused = |errno| Error::refused("cannot become root of the namespace that your networks are in", errno);
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setresgid(gid, gid, gid).map_err(refused)?;
    nix::unistd::setresuid(uid, uid, uid).map_err(refused)?;
    // A change of ids makes the kernel forget the one (PR_SET_PDEATHSIG in prctl(2)), and makes /proc/PID root's.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused)?;
    nix::sys::prctl::set_dumpable(true).map_err(refused)
}

fn own(kind: &str) -> Result<OwnedFd, Error> {
    let path = format!("/proc/self/ns/{kind}");
    nix::fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| Error::refused(format!("cannot open {path}"), errno))
}

/// A socket for datagrams, which gets all that arrives from now on: also where one of a holder that is gone is still open in other hands.
/// (Of several that are bound with SO_REUSEADDR the kernel takes the last.)
fn datagrams(address: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    // For what is asked while there is no holder. What is more than the kernel allows is cut by it.
    let _ = setsockopt(&socket, RcvBuf, &WAITING);
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, DNS)))?;
    Ok(socket)
}

/// A socket that listens. The one of a holder that was killed a moment ago may not be closed yet.
fn listener(address: IpAddr) -> std::io::Result<TcpListener> {
    const TRIES: u32 = 50;
    let mut tries = 0;
    loop {
        match TcpListener::bind((address, DNS)) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            done => return done,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn carry_out(order: Order, given: Option<&OwnedFd>, network: &OwnedFd) -> Result<Vec<OwnedFd>, Error> {
    let refused = |message: &'static str| move |errno: Errno| Error::refused(message, errno);
    match order {
        Order::Namespaces => Ok(vec![own("net")?, own("user")?]),
        Order::Route => {
            let opened = refused("cannot open a netlink socket");
            let Some(other) = given else { return Ok(vec![Socket::open().map_err(opened)?.into()]) };
            nix::sched::setns(other, CloneFlags::CLONE_NEWNET)
                .map_err(refused("cannot enter the container's network namespace"))?;
            let socket = Socket::open();
            // From another namespace than N nothing here makes sense.
            if nix::sched::setns(network, CloneFlags::CLONE_NEWNET).is_err() {
                sys::process::exit_now(1);
            }
            Ok(vec![socket.map_err(opened)?.into()])
        }
        Order::Netfilter => {
            Ok(vec![Socket::open_netfilter().map_err(refused("cannot open a socket for the firewall"))?.into()])
        }
        Order::Uplink(interface) => {
            interface.configure().map_err(|error| Error::of(&error).with_hint(error.hint()))?;
            Ok(Vec::new())
        }
        Order::Tap(name) => Ok(vec![super::relay::tap(&name)?]),
        Order::Listen(address) => {
            let refused = |error: std::io::Error| Error::by(format!("cannot listen at {address}, port 53"), &error);
            let datagrams = datagrams(address).map_err(|errno| refused(errno.into()))?;
            Ok(vec![datagrams, listener(address).map_err(refused)?.into()])
        }
        Order::Setting(name, value) => {
            let path = format!("/proc/sys/{name}");
            std::fs::write(&path, value).map_err(|error| Error::by(format!("cannot write {path}"), &error))?;
            Ok(Vec::new())
        }
    }
}
