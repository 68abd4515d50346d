//! Datagrams: a flow for each client, which ends when nothing was heard of it for a while.

use std::collections::{HashMap, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect,
    recv, recvmsg, send, sendmsg, setsockopt, socket, sockopt,
};

use crate::source::{Sources, canonical};
use crate::tcp::address;

/// The largest datagram.
pub const LARGEST: usize = 65_536;

/// How long a flow lasts that was a question, answered or not, and one that went on for longer than a question does: as conntrack has it.
const BRIEF: Duration = Duration::from_secs(30);
const TALK: Duration = Duration::from_secs(180);
const QUESTION: Duration = Duration::from_secs(2);

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
struct Flow {
    /// The port's own number.
    port: u32,
    client: SocketAddr,
    via: Option<Via>,
    socket: OwnedFd,
    /// Whom it speaks to as the client itself; the answers are named.
    shown_to: Option<SocketAddr>,
    left: VecDeque<SocketAddr>,
    /// What was said first, until there is an answer.
    first: Option<Vec<u8>>,
    begun: Instant,
    last: Instant,
    answered: bool,
}

impl Flow {
    /// When it is over, if nothing is heard before.
    fn ends_at(&self) -> Instant {
        let is_talk = self.answered && self.last.duration_since(self.begun) > QUESTION;
        self.last + if is_talk { TALK } else { BRIEF }
    }

    fn ask(&mut self, bytes: &[u8], via: Option<Via>, sources: &mut Sources) -> Result<bool, Errno> {
        self.last = Instant::now();
        self.via = via;
        if !self.answered && self.first.is_none() && bytes.len() <= KEPT {
            self.first = Some(bytes.to_vec());
        }
        match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            // An earlier one was refused; or there is no room, and datagrams may be lost.
            Err(Errno::ECONNREFUSED) => self.was_refused(sources),
            _ => Ok(false),
        }
    }

    fn hear(&mut self, outside: BorrowedFd, buffer: &mut [u8], sources: &mut Sources) -> Result<Option<bool>, Errno> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                (self.last, self.answered, self.first) = (Instant::now(), true, None);
                // A client that cannot be reached is as one that is gone.
                let _ = answer(outside, &buffer[..length], self.client, self.via.as_ref());
                Ok(Some(false))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(Errno::ECONNREFUSED) => self.was_refused(sources).map(Some),
            Err(errno) => Err(errno),
        }
    }

    /// Nothing listens there: where nothing was ever heard, the next target may be the right one.
    fn was_refused(&mut self, sources: &mut Sources) -> Result<bool, Errno> {
        let first = self.first.take().filter(|_| !self.answered).ok_or(Errno::ECONNREFUSED)?;
        self.hide(sources);
        (self.socket, self.shown_to) = next(self.client, &mut self.left, sources).map_err(|_| Errno::ECONNREFUSED)?;
        let _ = send(self.socket.as_raw_fd(), &first, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        self.first = Some(first);
        Ok(true)
    }

    /// Answers to the client are nobody's any more.
    fn hide(&mut self, sources: &mut Sources) {
        if let Some(target) = self.shown_to.take() {
            sources.forget(canonical(self.client), target);
        }
    }
}

/// A socket to one of the targets that are left, and that target where it is spoken to as the client.
fn next(
    client: SocketAddr,
    left: &mut VecDeque<SocketAddr>,
    sources: &mut Sources,
) -> Result<(OwnedFd, Option<SocketAddr>), Errno> {
    let mut last = Errno::EHOSTUNREACH;
    while let Some(target) = left.pop_front() {
        let client = canonical(client);
        if sources.name(client, target) {
            match begin(target, Some(client)) {
                Ok(socket) => return Ok((socket, Some(target))),
                Err(_) => sources.forget(client, target),
            }
        }
        match begin(target, None) {
            Ok(socket) => return Ok((socket, None)),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn begin(target: SocketAddr, source: Option<SocketAddr>) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(source) = source {
        setsockopt(&socket, sockopt::IpTransparent, &true)?;
        setsockopt(&socket, sockopt::Mark, &crate::source::MARK)?;
        // The same client may speak to another port too: what is answered goes to the socket that is connected to who answers.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(source))?;
    }
    connect(socket.as_raw_fd(), &SockaddrStorage::from(target))?;
    Ok(socket)
}

/// The flows of all ports, by their own numbers and by who is at their other end.
#[derive(Debug)]
pub struct Flows {
    all: HashMap<u32, Flow>,
    by_client: HashMap<(u32, SocketAddr), u32>,
    /// What can be shown of clients.
    pub sources: Sources,
    most: usize,
}

impl Flows {
    /// None yet. At most `most` at once: each holds a socket. Those that were silent longest give way.
    pub fn new(sources: Sources, most: usize) -> Self {
        Self { all: HashMap::new(), by_client: HashMap::new(), sources, most: most.max(1) }
    }

    /// The number of a client's flow.
    pub fn of(&self, port: u32, client: SocketAddr) -> Option<u32> {
        self.by_client.get(&(port, client)).copied()
    }

    /// Takes up a new one, to the first of `targets` that can be tried.
    ///
    /// # Errors
    /// Where none can.
    pub fn begin(&mut self, number: u32, port: u32, client: SocketAddr, targets: Vec<SocketAddr>) -> Result<(), Errno> {
        if self.all.len() >= self.most {
            self.make_room();
        }
        let mut left = VecDeque::from(targets);
        let (socket, shown_to) = next(client, &mut left, &mut self.sources)?;
        let now = Instant::now();
        let flow = Flow {
            port,
            client,
            via: None,
            socket,
            shown_to,
            left,
            first: None,
            begun: now,
            last: now,
            answered: false,
        };
        self.by_client.insert((port, client), number);
        self.all.insert(number, flow);
        Ok(())
    }

    /// What of one is connected to the port inside.
    pub fn socket(&self, number: u32) -> Option<BorrowedFd<'_>> {
        self.all.get(&number).map(|flow| flow.socket.as_fd())
    }

    /// The port that one is a flow of.
    pub fn port(&self, number: u32) -> Option<u32> {
        self.all.get(&number).map(|flow| flow.port)
    }

    /// Passes a client's datagram on; true where another socket is to be waited for now.
    ///
    /// # Errors
    /// Where nobody is there to take it.
    pub fn ask(&mut self, number: u32, bytes: &[u8], via: Option<Via>) -> Result<bool, Errno> {
        let flow = self.all.get_mut(&number).ok_or(Errno::ECONNREFUSED)?;
        flow.ask(bytes, via, &mut self.sources)
    }

    /// Passes one answer on to the client; `None` where there was none, and true where another socket is to be waited for now.
    ///
    /// # Errors
    /// Where nobody is there to answer.
    pub fn hear(&mut self, number: u32, outside: BorrowedFd, buffer: &mut [u8]) -> Result<Option<bool>, Errno> {
        let flow = self.all.get_mut(&number).ok_or(Errno::ECONNREFUSED)?;
        flow.hear(outside, buffer, &mut self.sources)
    }

    /// Ends one.
    pub fn remove(&mut self, number: u32) {
        if let Some(mut flow) = self.all.remove(&number) {
            flow.hide(&mut self.sources);
            self.by_client.remove(&(flow.port, flow.client));
        }
    }

    /// Ends those that are over by now.
    pub fn sweep(&mut self, now: Instant) {
        self.end(|flow| flow.ends_at() <= now);
    }

    /// Ends those of a port that is gone.
    pub fn close(&mut self, port: u32) {
        self.end(|flow| flow.port == port);
    }

    fn end(&mut self, mut is_over: impl FnMut(&Flow) -> bool) {
        let over: Vec<u32> = self.all.iter().filter(|(_, flow)| is_over(flow)).map(|(number, _)| *number).collect();
        over.into_iter().for_each(|number| self.remove(number));
    }

    /// Ends some at once, so that not all are looked at for each new one.
    fn make_room(&mut self) {
        let mut all: Vec<(Instant, u32)> = self.all.iter().map(|(number, flow)| (flow.ends_at(), *number)).collect();
        all.sort_unstable();
        let some = all.len().div_ceil(16);
        all.into_iter().take(some).for_each(|(_, number)| self.remove(number));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn those_that_were_silent_longest_give_way() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut flows = Flows::new(Sources::default(), 32);
        let client = |number: u32| SocketAddr::from(([192, 0, 2, 1], 1000 + number as u16));
        for number in 0..1000 {
            flows.begin(number, 7, client(number), vec![server]).unwrap();
            assert!(flows.all.len() <= 32 && flows.all.len() == flows.by_client.len());
        }
        assert_eq!((flows.of(7, client(0)), flows.of(7, client(999))), (None, Some(999)));
        flows.close(7);
        assert!(flows.is_empty());
    }
}
