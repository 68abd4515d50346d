//! Datagrams: a flow for each client, which ends when nothing was heard of it for a while.

use std::collections::{HashMap, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, recv,
    recvmsg, send, sendmsg, setsockopt, socket, sockopt,
};

use crate::tcp::address;

/// The largest datagram.
pub const LARGEST: usize = 65_536;

/// How long a flow lasts that was never answered, and one that was: as conntrack has it.
const UNANSWERED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(180);

/// The first datagram is said again where the first target refuses it; one so long is not kept for that.
const KEPT: usize = 2048;

/// Which of this machine's addresses a client has written to, and gets its answers from.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// An IPv4 address.
    Ipv4(libc::in_pktinfo),
    /// An IPv6 address.
    Ipv6(libc::in6_pktinfo),
}

/// Has the kernel say which address each datagram was for.
pub fn prepare(socket: &OwnedFd) {
    // A socket is of one family, and refuses the other's option.
    let _ = setsockopt(socket, sockopt::Ipv4PacketInfo, &true);
    let _ = setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true);
}

/// Takes one datagram: its length, who sent it, and to which address.
///
/// # Errors
/// `EAGAIN` where there is none.
pub fn receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<(usize, SocketAddr, Option<Via>), Errno> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let mut data = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut data, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut via = None;
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => via = Some(Via::Ipv4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => via = Some(Via::Ipv6(info)),
            _ => {}
        }
    }
    let client = message.address.as_ref().and_then(address).ok_or(Errno::EAFNOSUPPORT)?;
    Ok((message.bytes, client, via))
}

fn answer(socket: BorrowedFd, bytes: &[u8], client: SocketAddr, via: Option<&Via>) -> Result<(), Errno> {
    let data = [IoSlice::new(bytes)];
    let to = SockaddrStorage::from(client);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let sent = match via {
        Some(Via::Ipv4(info)) => {
            // By whatever interface leads there now; the address alone counts.
            let info = libc::in_pktinfo { ipi_ifindex: 0, ..*info };
            sendmsg(socket.as_raw_fd(), &data, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))
        }
        Some(Via::Ipv6(info)) => {
            sendmsg(socket.as_raw_fd(), &data, &[ControlMessage::Ipv6PacketInfo(info)], flags, Some(&to))
        }
        None => sendmsg(socket.as_raw_fd(), &data, &[], flags, Some(&to)),
    };
    sent.map(drop)
}

/// What goes on between a client and the port inside.
#[derive(Debug)]
pub struct Flow {
    /// The port's own number.
    pub port: u32,
    /// Who it is.
    pub client: SocketAddr,
    via: Option<Via>,
    socket: OwnedFd,
    left: VecDeque<SocketAddr>,
    /// What was said first, until there is an answer.
    first: Option<Vec<u8>>,
    last: Instant,
    answered: bool,
}

impl Flow {
    /// A flow to the first of `targets` that can be tried.
    ///
    /// # Errors
    /// Where none can.
    pub fn begin(port: u32, client: SocketAddr, via: Option<Via>, targets: Vec<SocketAddr>) -> Result<Self, Errno> {
        let mut left = VecDeque::from(targets);
        let socket = next(&mut left)?;
        Ok(Self { port, client, via, socket, left, first: None, last: Instant::now(), answered: false })
    }

    /// What is connected to the port inside.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// When it is over, if nothing is heard before.
    pub fn ends_at(&self) -> Instant {
        self.last + if self.answered { ANSWERED } else { UNANSWERED }
    }

    /// Passes a client's datagram on; true where another socket is to be waited for now.
    ///
    /// # Errors
    /// Where nobody is there to take it.
    pub fn ask(&mut self, bytes: &[u8], via: Option<Via>) -> Result<bool, Errno> {
        self.last = Instant::now();
        self.via = via;
        if !self.answered && self.first.is_none() && bytes.len() <= KEPT {
            self.first = Some(bytes.to_vec());
        }
        match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            // An earlier one was refused; or there is no room, and datagrams may be lost.
            Err(Errno::ECONNREFUSED) => self.was_refused(),
            _ => Ok(false),
        }
    }

    /// Passes one answer on to the client; `None` where there was none, and true where another socket is to be waited for now.
    ///
    /// # Errors
    /// Where nobody is there to answer.
    pub fn hear(&mut self, outside: BorrowedFd, buffer: &mut [u8]) -> Result<Option<bool>, Errno> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                (self.last, self.answered, self.first) = (Instant::now(), true, None);
                // A client that cannot be reached is as one that is gone.
                let _ = answer(outside, &buffer[..length], self.client, self.via.as_ref());
                Ok(Some(false))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(Errno::ECONNREFUSED) => self.was_refused().map(Some),
            Err(errno) => Err(errno),
        }
    }

    /// Nothing listens there: where nothing was ever heard, the next target may be the right one.
    fn was_refused(&mut self) -> Result<bool, Errno> {
        let first = self.first.take().filter(|_| !self.answered).ok_or(Errno::ECONNREFUSED)?;
        self.socket = next(&mut self.left).map_err(|_| Errno::ECONNREFUSED)?;
        let _ = send(self.socket.as_raw_fd(), &first, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        self.first = Some(first);
        Ok(true)
    }
}

fn next(left: &mut VecDeque<SocketAddr>) -> Result<OwnedFd, Errno> {
    let mut last = Errno::EHOSTUNREACH;
    while let Some(target) = left.pop_front() {
        match begin(target) {
            Ok(socket) => return Ok(socket),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn begin(target: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(target))?;
    Ok(socket)
}

/// The flows of all ports, by their own numbers and by who is at their other end.
#[derive(Debug, Default)]
pub struct Flows {
    all: HashMap<u32, Flow>,
    by_client: HashMap<(u32, SocketAddr), u32>,
}

impl Flows {
    /// The most there are at once: each holds a socket. The one that was silent longest gives way.
    const MOST: usize = 4096;

    /// The number of a client's flow.
    pub fn of(&self, port: u32, client: SocketAddr) -> Option<u32> {
        self.by_client.get(&(port, client)).copied()
    }

    /// One of them.
    pub fn get(&mut self, number: u32) -> Option<&mut Flow> {
        self.all.get_mut(&number)
    }

    /// Takes up a new one.
    pub fn add(&mut self, number: u32, flow: Flow) {
        if self.all.len() >= Self::MOST
            && let Some(oldest) = self.all.iter().min_by_key(|(_, flow)| flow.ends_at()).map(|(number, _)| *number)
        {
            self.remove(oldest);
        }
        self.by_client.insert((flow.port, flow.client), number);
        self.all.insert(number, flow);
    }

    /// Ends one.
    pub fn remove(&mut self, number: u32) {
        if let Some(flow) = self.all.remove(&number) {
            self.by_client.remove(&(flow.port, flow.client));
        }
    }

    /// Ends those of a port that is gone, or those of which nothing was heard for too long.
    pub fn end(&mut self, mut is_over: impl FnMut(&Flow) -> bool) {
        let over: Vec<u32> = self.all.iter().filter(|(_, flow)| is_over(flow)).map(|(number, _)| *number).collect();
        over.into_iter().for_each(|number| self.remove(number));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
