//! The relay: a small process that plugs a container into a network although another user namespace owns its own, as after a start on
//! the default network.
//!
//! No cable can be laid there, since nobody has power over both ends. So there is a tap at each, and this process, which has joined
//! the container's namespaces, hands the frames of each to the other: whole ones, of up to 64 KiB, whose checksums nobody has computed yet.

use std::ffi::{CString, OsString};
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;

use netlink::{Socket, link, route};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use serde::{Deserialize, Serialize};
use sys::spawn::{Program, Spawned, spawn};

use super::Error;
use super::hands::Hands;
use super::plug::Plug;

/// The first argument that makes this program a relay: `enter __relay INTERFACE`, with a tap, a network namespace and a socket for its
/// report as standard streams.
pub const ROLE: &str = "__relay";

/// The largest frame with all that stands before it.
const FRAME: usize = 66 * 1024;

/// How long a relay may take to begin, in milliseconds.
const START: u16 = 10_000;

/// What an interface in the container is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Inside {
    name: String,
    mac: [u8; 6],
    mtu: u32,
    addresses: Vec<(IpAddr, u8)>,
}

/// A relay that there is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    inside: Inside,
    tap: String,
    bridge: u32,
}

impl Wanted {
    /// For what would be a cable.
    pub fn of(plug: &Plug<'_>) -> Self {
        let address = |address: &IpAddr| Some((*address, plug.network.subnet_of(*address)?.subnet.prefix_len()));
        let inside = Inside {
            name: plug.lease.interface.clone(),
            mac: plug.lease.mac.bytes(),
            mtu: plug.mtu,
            addresses: plug.lease.addresses.iter().filter_map(address).collect(),
        };
        Self { inside, tap: plug.cable(), bridge: plug.bridge }
    }

    /// Starts it for a container's namespaces, and waits until the interface can be used.
    pub fn start(
        &self,
        hands: &Hands,
        holder: &mut Socket,
        network: BorrowedFd<'_>,
        users: BorrowedFd<'_>,
    ) -> Result<Relay, Error> {
        let refused = |errno| Error::refused("cannot plug the container into its network", errno);
        let tap = hands.tap(&self.tap)?;
        let links = link::all(holder).map_err(refused)?;
        let index = links.iter().find(|link| link.name == self.tap).map(|link| link.index).ok_or(Errno::ENODEV);
        let index = index.map_err(refused)?;
        link::set_mtu(holder, index, self.inside.mtu).map_err(refused)?;
        link::set_bridge(holder, index, self.bridge).map_err(refused)?;
        link::up(holder, index).map_err(refused)?;
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        let text = serde_json::to_string(&self.inside).map_err(|error| Error::of(&error))?;
        let word = |text: &str| CString::new(text).map_err(|error| Error::of(&error));
        let argv = [word("enter-relay")?, word(ROLE)?, word(&text)?];
        let program = Program {
            path: c"/proc/self/exe",
            argv: &argv,
            envp: &[],
            stdio: [tap.as_fd(), network, theirs.as_fd()],
            user_namespace: Some(users),
        };
        let process = spawn(&program).map_err(|(_, errno)| refused(errno))?;
        let relay = Relay { process, wanted: self.clone() };
        drop(theirs);
        let mut report = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
        let said = poll(&mut report, START);
        let mut buffer = [0; super::protocol::LIMIT];
        let length = match said {
            Ok(1..) => sys::socket::receive(&ours, &mut buffer).map_or(0, |(length, _)| length),
            _ => 0,
        };
        match serde_json::from_slice::<Result<(), Error>>(&buffer[..length]) {
            Ok(done) => done.map(|()| relay),
            Err(_) => Err(Error::new("the process that plugs the container into its network ended without a word")),
        }
    }
}

/// A running relay. Dropped, it is ended, and the interface in the container goes with it.
#[derive(Debug)]
pub struct Relay {
    process: Spawned,
    wanted: Wanted,
}

impl Relay {
    /// Whether this is what is wanted, and runs.
    pub fn is(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted && self.is_running()
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        let mut end = [PollFd::new(self.process.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut end, 0_u8) == Ok(0)
    }

    /// Readable when it has ended.
    pub fn end(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Our child, and not waited for by anybody else.
        let _ = kill(self.process.pid, Signal::SIGKILL);
        let _ = waitpid(self.process.pid, None);
    }
}

/// A tap in the namespace of this process. One of this name may still be in the hands of a relay that is being killed at this moment.
pub fn tap(name: &str) -> Result<OwnedFd, Error> {
    const TRIES: u32 = 200;
    let mut tries = 0;
    loop {
        let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        let device = device.map_err(|error| Error::by("cannot open /dev/net/tun", &error))?;
        match sys::tun::make_offloading_tap(device.as_fd(), name) {
            Ok(()) => return Ok(device.into()),
            Err(Errno::EBUSY | Errno::EEXIST) if tries < TRIES => tries += 1,
            Err(errno) => return Err(Error::refused(format!("cannot make the interface {name}"), errno)),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Plays the relay to its end.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let Ok(report) = sys::descriptor::borrow(2) else { return ExitCode::FAILURE };
    let begun = begin(arguments);
    let said = begun.as_ref().map(|_| ()).map_err(Clone::clone);
    let _ = sys::socket::send(report, &serde_json::to_vec(&said).unwrap_or_default(), None);
    let Ok(inside) = begun else { return ExitCode::FAILURE };
    let Ok(outside) = sys::descriptor::borrow(0) else { return ExitCode::FAILURE };
    // Nothing of what it could do so far is needed any more.
    if sys::capability::set_permitted(sys::capability::Set::default()).is_err() {
        return ExitCode::FAILURE;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(outside, inside.as_fd()));
        pass_on(inside.as_fd(), outside);
        // Without the one end the other is of no use.
        sys::process::exit_now(0)
    })
}

fn begin(arguments: &[OsString]) -> Result<OwnedFd, Error> {
    let wrong = || Error::new("a relay is started by enter itself");
    let [text] = arguments else { return Err(wrong()) };
    let inside: Inside = serde_json::from_slice(text.as_bytes()).map_err(|_| wrong())?;
    let refused = |errno| Error::refused(format!("cannot set up the interface {}", inside.name), errno);
    let network = sys::descriptor::borrow(1).map_err(refused)?;
    nix::sched::setns(network, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| Error::refused("cannot enter the container's network namespace", errno))?;
    let tap = tap(&inside.name)?;
    let mut socket = Socket::open().map_err(refused)?;
    let links = link::all(&mut socket).map_err(refused)?;
    let index = links.iter().find(|link| link.name == inside.name).map(|link| link.index).ok_or(Errno::ENODEV);
    let index = index.map_err(refused)?;
    link::set(&mut socket, index, inside.mac, inside.mtu).map_err(refused)?;
    link::up(&mut socket, index).map_err(refused)?;
    for (address, prefix) in &inside.addresses {
        route::add_address(&mut socket, index, *address, *prefix).map_err(refused)?;
    }
    Ok(tap)
}

/// Hands each frame on, until there are no more. One that the other side has no room for is lost, as on any wire.
fn pass_on(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    let mut frame = vec![0; FRAME];
    loop {
        match nix::unistd::read(from, &mut frame) {
            Ok(0) | Err(Errno::EBADFD | Errno::EIO | Errno::ENODEV | Errno::EBADF) => return,
            Ok(length) => {
                // EIO: the interface is switched off, and the frame is lost.
                let written = nix::unistd::write(to, &frame[..length]);
                if matches!(written, Err(Errno::EBADFD | Errno::ENODEV | Errno::EBADF)) {
                    return;
                }
            }
            Err(_) => {}
        }
    }
}
