//! One connection: a client outside, and what it is connected to inside.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, setsockopt, socket, sockopt,
};

use crate::pipe::{Pool, Stream};
use crate::source::{canonical, is_shown};

/// What may be on its way inside, in each direction (the kernel takes twice as much): there it is a moment to the other end, and what waits in
/// the processor's cache is passed on a third quicker than megabytes that do not fit there. To the client, who may be far, the kernel
/// chooses.
const INSIDE: usize = 96 * 1024;

/// A connection that is being made or goes on.
#[derive(Debug)]
pub struct Connection {
    client: OwnedFd,
    server: OwnedFd,
    peer: SocketAddr,
    /// Where else to try.
    left: VecDeque<SocketAddr>,
    /// The server has answered.
    pub established: bool,
    up: Stream,
    down: Stream,
}

/// What became of an attempt to connect.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was heard: the client's words can be passed on.
    Made,
    /// There is a new socket to wait for.
    Another,
}

impl Connection {
    /// Begins to connect a client to the first of `targets` that can be tried. `keeps`: what listens there may be
    /// shown the client's own address, by IPv4 and by IPv6.
    ///
    /// # Errors
    /// Where none of them can be reached.
    pub fn begin(client: OwnedFd, peer: SocketAddr, targets: Vec<SocketAddr>, keeps: [bool; 2]) -> Result<Self, Errno> {
        let _ = setsockopt(&client, sockopt::TcpNoDelay, &true);
        let _ = setsockopt(&client, sockopt::KeepAlive, &true);
        let mut left = VecDeque::from(targets);
        match next(peer, &mut left, keeps) {
            Ok(server) => {
                let (up, down) = Default::default();
                Ok(Self { client, server, peer, left, established: false, up, down })
            }
            Err(errno) => {
                reset(&client);
                Err(errno)
            }
        }
    }

    /// What connects to the client.
    pub fn client(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    /// What connects to the server.
    pub fn server(&self) -> BorrowedFd<'_> {
        self.server.as_fd()
    }

    /// Looks at how the attempt to connect has ended.
    ///
    /// # Errors
    /// Where no target is left.
    pub fn look(&mut self, keeps: [bool; 2]) -> Result<Attempt, Errno> {
        match getsockopt(&self.server, sockopt::SocketError)? {
            0 => {
                self.established = true;
                Ok(Attempt::Made)
            }
            error => {
                let errno = Errno::from_raw(error);
                self.server = next(self.peer, &mut self.left, keeps).map_err(|_| errno)?;
                Ok(Attempt::Another)
            }
        }
    }

    /// Moves what can be moved both ways; true where there was more.
    ///
    /// # Errors
    /// Where one side is broken: the other is to be told by [`Connection::abort`].
    pub fn pass_on(&mut self, pool: &mut Pool) -> Result<bool, Errno> {
        let up = self.up.pass_on(self.client.as_fd(), self.server.as_fd(), pool)?;
        let down = self.down.pass_on(self.server.as_fd(), self.client.as_fd(), pool)?;
        Ok(up || down)
    }

    /// Whether both have said their last.
    pub fn is_over(&self) -> bool {
        self.up.done && self.down.done
    }

    /// Ends it as a broken one: neither side takes what it has for all that there was.
    pub fn abort(self) {
        reset(&self.client);
        reset(&self.server);
    }
}

/// The next socket on its way to one of the targets that are left.
fn next(peer: SocketAddr, left: &mut VecDeque<SocketAddr>, keeps: [bool; 2]) -> Result<OwnedFd, Errno> {
    let mut last = Errno::EHOSTUNREACH;
    while let Some(target) = left.pop_front() {
        let peer = canonical(peer);
        let kept = if target.is_ipv4() { keeps[0] } else { keeps[1] };
        let as_itself = kept && is_shown(peer, target);
        // An address and port that another connection has already is no reason to refuse this one.
        let begun =
            if as_itself { begin(target, Some(peer)).or_else(|_| begin(target, None)) } else { begin(target, None) };
        match begun {
            Ok(socket) => return Ok(socket),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn begin(target: SocketAddr, source: Option<SocketAddr>) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    setsockopt(&socket, sockopt::SndBuf, &INSIDE)?;
    setsockopt(&socket, sockopt::RcvBuf, &INSIDE)?;
    if let Some(source) = source {
        setsockopt(&socket, sockopt::IpTransparent, &true)?;
        setsockopt(&socket, sockopt::Mark, &crate::source::MARK)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(source))?;
    }
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(target)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Makes the end of a socket a reset.
fn reset(socket: &OwnedFd) {
    let _ = setsockopt(socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}

/// The address of a socket's other side, as the standard library writes it.
pub fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(ipv4), _) => Some(SocketAddr::new(IpAddr::V4(ipv4.ip()), ipv4.port())),
        (_, Some(ipv6)) => Some(SocketAddr::V6((*ipv6).into())),
        _ => None,
    }
}
