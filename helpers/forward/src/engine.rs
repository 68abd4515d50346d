//! One loop that waits for orders, for clients, and for what is on its way.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};

use crate::inside::Inside;
use crate::order::{LENGTH, Order, Protocol};
use crate::pipe::Pool;
use crate::source::Sources;
use crate::tcp::{Attempt, Connection};
use crate::udp::{self, Flows};

/// How many clients of one port are let in, or datagrams taken, before others have their turn.
const TURNS: usize = 64;

/// The most flows of datagrams at once.
const MOST_FLOWS: usize = 4096;

/// How long nobody is let in where there are no more descriptors to be had.
const FULL: Duration = Duration::from_millis(100);

/// How often flows are looked at that may be over.
const SWEEP: Duration = Duration::from_secs(5);

/// What an event is about, with its number: in one word for the kernel to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Control,
    Port(u32),
    Client(u32),
    Server(u32),
    Flow(u32),
}

impl Source {
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Control => (0, 0),
            Self::Port(number) => (1, number),
            Self::Client(number) => (2, number),
            Self::Server(number) => (3, number),
            Self::Flow(number) => (4, number),
        };
        kind << 32 | u64::from(number)
    }

    fn decode(word: u64) -> Self {
        let number = (word & u64::from(u32::MAX)) as u32;
        match word >> 32 {
            1 => Self::Port(number),
            2 => Self::Client(number),
            3 => Self::Server(number),
            4 => Self::Flow(number),
            _ => Self::Control,
        }
    }
}

/// A socket outside, and where what arrives there is to go.
#[derive(Debug)]
struct Port {
    socket: Socket,
    port: u16,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Udp(OwnedFd),
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }
}

/// Everything that goes on.
pub struct Engine {
    epoll: Epoll,
    control: OwnedFd,
    ports: HashMap<u32, Port>,
    connections: HashMap<u32, Connection>,
    flows: Flows,
    inside: Inside,
    pool: Pool,
    buffer: Vec<u8>,
    /// The number of the next connection or flow: none is used again while an event may still speak of it.
    next: u32,
    /// Connections with more to move than their turn allowed.
    waiting: Vec<u32>,
    /// When clients are let in again.
    full_until: Option<Instant>,
    /// When flows are looked at.
    sweep_at: Instant,
}

impl Engine {
    /// One that waits for its first order.
    pub fn new(control: OwnedFd, keep_sources: bool) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&control, EpollEvent::new(EpollFlags::EPOLLIN, Source::Control.encode()))?;
        let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let flows = MOST_FLOWS.min(usize::try_from(descriptors / 4).unwrap_or(MOST_FLOWS));
        let sources = if keep_sources { Sources::prepare() } else { Sources::default() };
        Ok(Self {
            epoll,
            control,
            ports: HashMap::new(),
            connections: HashMap::new(),
            flows: Flows::new(sources, flows),
            inside: Inside::default(),
            pool: Pool::default(),
            buffer: Vec::new(),
            next: 0,
            waiting: Vec::new(),
            full_until: None,
            sweep_at: Instant::now(),
        })
    }

    /// Works until nobody gives orders any more.
    pub fn run(mut self) -> Result<(), Errno> {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(errno),
            };
            for event in &events[..count] {
                match Source::decode(event.data()) {
                    Source::Control => {
                        if !self.obey() {
                            return Ok(());
                        }
                    }
                    Source::Port(number) => self.let_in(number),
                    Source::Client(number) | Source::Server(number) => self.pass_on(number),
                    Source::Flow(number) => self.hear(number),
                }
            }
            for number in std::mem::take(&mut self.waiting) {
                self.pass_on(number);
            }
            self.look_at_the_time();
        }
    }

    fn timeout(&self) -> EpollTimeout {
        if !self.waiting.is_empty() {
            return EpollTimeout::ZERO;
        }
        let sweep = Some(self.sweep_at).filter(|_| !self.flows.is_empty());
        match self.full_until.into_iter().chain(sweep).min() {
            Some(time) => {
                let left = time.saturating_duration_since(Instant::now()).as_millis();
                EpollTimeout::try_from(left + 1).unwrap_or(EpollTimeout::MAX)
            }
            None => EpollTimeout::NONE,
        }
    }

    fn look_at_the_time(&mut self) {
        let now = Instant::now();
        if self.full_until.take_if(|until| *until <= now).is_some() {
            let numbers: Vec<u32> = self.ports.keys().copied().collect();
            numbers.into_iter().for_each(|number| self.watch(number));
        }
        if self.sweep_at <= now {
            self.flows.sweep(now);
            self.sweep_at = now + SWEEP;
        }
    }

    /// Takes one order; false once there will be no more.
    fn obey(&mut self) -> bool {
        let mut message = [0; LENGTH];
        let (length, socket) = match sys::socket::receive(&self.control, &mut message) {
            Ok((0, _)) | Err(_) => return false,
            Ok(received) => received,
        };
        match (Order::decode(&message[..length]), socket) {
            (Ok(Order::Add { id, protocol, port }), Some(socket)) => {
                let socket = match protocol {
                    Protocol::Tcp => Socket::Tcp(socket.into()),
                    Protocol::Udp => Socket::Udp(socket),
                };
                match &socket {
                    Socket::Tcp(listener) => _ = listener.set_nonblocking(true),
                    Socket::Udp(socket) => udp::prepare(socket),
                }
                self.ports.insert(id, Port { socket, port });
                self.watch(id);
            }
            (Ok(Order::Remove { id }), _) => {
                if let Some(port) = self.ports.remove(&id) {
                    let _ = self.epoll.delete(&port);
                }
                self.flows.close(id);
            }
            _ => {}
        }
        true
    }

    /// Waits for clients of a port.
    fn watch(&self, number: u32) {
        if let Some(port) = self.ports.get(&number) {
            let _ = self.epoll.add(port, EpollEvent::new(EpollFlags::EPOLLIN, Source::Port(number).encode()));
        }
    }

    fn let_in(&mut self, number: u32) {
        for _ in 0..TURNS {
            let Some(port) = self.ports.get(&number) else { return };
            let more = match port.socket {
                Socket::Tcp(_) => self.accept(number),
                Socket::Udp(_) => self.take(number),
            };
            if !more {
                return;
            }
        }
    }

    /// Lets one client in; false where there is none, or no room.
    fn accept(&mut self, number: u32) -> bool {
        let Some(Port { socket: Socket::Tcp(listener), port }) = self.ports.get(&number) else { return false };
        let (client, peer) = match listener.accept() {
            Ok((client, peer)) if client.set_nonblocking(true).is_ok() => (OwnedFd::from(client), peer),
            Ok(_) => return true,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                // The client is gone already: accept(2) names these.
                Some(Errno::ECONNABORTED | Errno::EINTR | Errno::EPROTO) => return true,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    // They wait in the kernel, and this loop must not turn for nothing.
                    for port in self.ports.values() {
                        let _ = self.epoll.delete(port);
                    }
                    self.full_until = Some(Instant::now() + FULL);
                    return false;
                }
                _ => return false,
            },
        };
        let port = *port;
        let targets = self.targets(peer, port);
        // Who finds nobody is told by a reset, as at any port where nobody listens.
        if let Ok(connection) = Connection::begin(client, peer, targets, self.flows.sources.of_connections) {
            let number = self.number();
            if self.add(connection.server(), Source::Server(number)).is_ok() {
                self.connections.insert(number, connection);
            }
        }
        true
    }

    /// A connection can go on, or has failed.
    fn pass_on(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if !connection.established {
            let outcome = connection.look(self.flows.sources.of_connections);
            let connection = &self.connections[&number];
            let watched = match outcome {
                Ok(Attempt::Another) => self.add(connection.server(), Source::Server(number)).map(|()| false),
                Ok(Attempt::Made) => self.add(connection.client(), Source::Client(number)).map(|()| true),
                Err(errno) => Err(errno),
            };
            match watched {
                Ok(false) => return,
                Ok(true) => {}
                Err(_) => return self.abort(number),
            }
        }
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match connection.pass_on(&mut self.pool) {
            Ok(true) => self.waiting.push(number),
            Ok(false) if connection.is_over() => drop(self.connections.remove(&number)),
            Ok(false) => {}
            Err(_) => self.abort(number),
        }
    }

    fn abort(&mut self, number: u32) {
        if let Some(connection) = self.connections.remove(&number) {
            connection.abort();
        }
    }

    /// Takes one datagram; false where there is none.
    fn take(&mut self, number: u32) -> bool {
        let Some(Port { socket, port }) = self.ports.get(&number) else { return false };
        let Socket::Udp(socket) = socket else { return false };
        let port = *port;
        self.buffer.resize(udp::LARGEST, 0);
        let (length, client, via) = match udp::receive(socket.as_fd(), &mut self.buffer) {
            Ok(received) => received,
            // What the kernel has to say of an answer that did not arrive.
            Err(Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => return true,
            Err(_) => return false,
        };
        let flow = match self.flows.of(number, client) {
            Some(flow) => flow,
            None => {
                let (targets, new) = (self.targets(client, port), self.number());
                if self.flows.begin(new, number, client, targets).is_err() {
                    return true;
                }
                self.go_on(new, Ok(true));
                new
            }
        };
        let asked = self.flows.ask(flow, &self.buffer[..length], via);
        self.go_on(flow, asked);
        true
    }

    /// There are answers for a client.
    fn hear(&mut self, number: u32) {
        self.buffer.resize(udp::LARGEST, 0);
        // The kernel tells of answers once: all of them are taken.
        loop {
            let Some(port) = self.flows.port(number).and_then(|port| self.ports.get(&port)) else { return };
            match self.flows.hear(number, port.as_fd(), &mut self.buffer) {
                Ok(None) => return,
                Ok(Some(again)) => self.go_on(number, Ok(again)),
                Err(errno) => self.go_on(number, Err(errno)),
            }
        }
    }

    /// Waits for the new socket of a flow, or forgets a flow that leads nowhere.
    fn go_on(&mut self, number: u32, outcome: Result<bool, Errno>) {
        let watched = match (outcome, self.flows.socket(number)) {
            (Ok(true), Some(socket)) => self.add(socket, Source::Flow(number)),
            (outcome, _) => outcome.map(drop),
        };
        if watched.is_err() {
            self.flows.remove(number);
        }
    }

    fn targets(&mut self, client: SocketAddr, port: u16) -> Vec<SocketAddr> {
        let addresses = self.inside.targets(client.ip());
        addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    fn add(&self, socket: BorrowedFd, source: Source) -> Result<(), Errno> {
        self.epoll.add(socket, EpollEvent::new(EVENTS, source.encode()))
    }
}

/// Told once, whenever something has changed: what can be done then is done at once, or waits for its turn.
const EVENTS: EpollFlags =
    EpollFlags::EPOLLIN.union(EpollFlags::EPOLLOUT).union(EpollFlags::EPOLLRDHUP).union(EpollFlags::EPOLLET);

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_source_survives_the_kernel() {
        for source in [Source::Control, Source::Port(7), Source::Client(u32::MAX), Source::Server(0), Source::Flow(9)] {
            assert_eq!(Source::decode(source.encode()), source);
        }
    }
}
