//! The server: every socket of it, none of which it ever waits for.
//!
//! It is one descriptor to whoever has it in his own loop: readable when there is something to be done, which [`Server::turn`] does.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::time::TimeSpec;
use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};

use super::client::Client;
use super::decide::{Decision, Knowledge};
use super::flight::{Flight, Origin, Outcome};
use super::resolvers::Resolvers;
use super::zones::Zones;

/// The timer's token; all others count up from 0.
const TIMER: u64 = u64::MAX;

/// How many datagrams of one socket are read before the others have their turn.
const BATCH: usize = 64;

/// How many questions of one client are on their way at the same time; more are dropped, as a full queue drops them, and asked again.
const MOST_OF_ONE: usize = 512;

/// How many altogether, where descriptors allow it.
const MOST: usize = 4096;

/// How many connections one client may have.
const CONNECTIONS_OF_ONE: usize = 32;

/// Descriptors that are not for questions.
const OTHERS: usize = 256;

/// The largest message there is.
const LARGEST: usize = u16::MAX as usize;

#[derive(Debug)]
enum Socket {
    Datagrams(UdpSocket),
    Listener(TcpListener),
}

/// A server for any number of networks.
#[derive(Debug)]
pub struct Server {
    epoll: Epoll,
    timer: TimerFd,
    /// When the timer goes off.
    armed: Option<Instant>,
    next: u64,
    most: usize,
    ids: RandomState,
    knowledge: Knowledge,
    sockets: HashMap<u64, (Socket, String)>,
    clients: HashMap<u64, Client>,
    flights: HashMap<u64, Flight>,
    /// What is to be looked at, and when, whether anything was heard of it or not.
    deadlines: BTreeSet<(Instant, u64)>,
    /// How many questions of each client are on their way.
    asking: HashMap<IpAddr, usize>,
    buffer: Vec<u8>,
}

impl Server {
    /// A server without sockets, which asks whom `resolv_conf` names, that file being `/etc/resolv.conf`.
    ///
    /// # Errors
    /// Those of epoll_create(2) and timerfd_create(2).
    pub fn new(resolv_conf: &str) -> io::Result<Server> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        Ok(Server {
            epoll,
            timer,
            armed: None,
            next: 0,
            most: descriptors.saturating_sub(OTHERS).clamp(16, MOST),
            ids: RandomState::new(),
            knowledge: Knowledge::new(Resolvers::new(resolv_conf)),
            sockets: HashMap::new(),
            clients: HashMap::new(),
            flights: HashMap::new(),
            deadlines: BTreeSet::new(),
            asking: HashMap::new(),
            buffer: vec![0; LARGEST],
        })
    }

    /// From now on these are the names.
    pub fn set_zones(&mut self, zones: Zones) {
        self.knowledge.zones = zones;
    }

    /// Answers on these sockets, as the server of `network`: one for datagrams, and one that listens.
    ///
    /// # Errors
    /// Those of epoll_ctl(2) and fcntl(2).
    pub fn listen(&mut self, network: &str, datagrams: OwnedFd, listener: OwnedFd) -> io::Result<()> {
        let (datagrams, listener) = (UdpSocket::from(datagrams), TcpListener::from(listener));
        datagrams.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        for socket in [Socket::Datagrams(datagrams), Socket::Listener(listener)] {
            let token = self.token();
            self.epoll.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, token))?;
            self.sockets.insert(token, (socket, network.to_owned()));
        }
        Ok(())
    }

    /// Whether it answers on sockets of this network.
    pub fn listens(&self, network: &str) -> bool {
        self.sockets.values().any(|(_, of)| of == network)
    }

    /// Lets go of a network's sockets, of who is connected to them, and of what was asked there.
    pub fn forget(&mut self, network: &str) {
        let sockets: Vec<u64> =
            self.sockets.iter().filter(|(_, (_, of))| of == network).map(|(token, _)| *token).collect();
        for token in &sockets {
            if let Some((socket, _)) = self.sockets.remove(token) {
                // Somebody else may have the same socket open, whose events would come for ever.
                let _ = self.epoll.delete(socket.as_fd());
            }
        }
        let clients: Vec<u64> =
            self.clients.iter().filter(|(_, client)| client.network == network).map(|(token, _)| *token).collect();
        clients.iter().for_each(|token| self.drop_client(*token));
        let is_theirs = |flight: &Flight| match flight.origin {
            Origin::Datagram(socket, _) => sockets.contains(&socket),
            Origin::Stream(client, _) => clients.contains(&client),
        };
        let flights: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| is_theirs(flight)).map(|(token, _)| *token).collect();
        for token in flights {
            if let Some(flight) = self.flights.remove(&token) {
                self.is_over(&flight.origin);
            }
        }
    }

    /// Does all that there is to be done now, and waits for nothing.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn turn(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            let token = event.data();
            if token == TIMER {
                let _ = self.timer.wait();
                self.armed = None;
            } else if self.flights.contains_key(&token) {
                self.hear_flight(token, false);
            } else if self.clients.contains_key(&token) {
                self.hear_client(token);
            } else {
                self.hear_socket(token);
            }
        }
        self.look_at_the_time()
    }

    fn token(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn look_at_the_time(&mut self) -> io::Result<()> {
        let now = Instant::now();
        while let Some((time, token)) = self.deadlines.first().copied().filter(|(time, _)| *time <= now) {
            self.deadlines.remove(&(time, token));
            if self.flights.contains_key(&token) {
                self.hear_flight(token, true);
            } else if let Some(client) = self.clients.get(&token) {
                // One that waits for an answer is not idle.
                if client.deadline <= now && client.pending == 0 {
                    self.drop_client(token);
                } else {
                    let again = client.deadline.max(now + std::time::Duration::from_secs(1));
                    self.deadlines.insert((again, token));
                }
            }
        }
        // Most deadlines are met: the timer is set again only when it has gone off, or for one that comes before.
        if let Some((time, _)) = self.deadlines.first().copied()
            && self.armed.is_none_or(|armed| time < armed)
        {
            let left = time.saturating_duration_since(now).max(std::time::Duration::from_millis(1));
            self.timer.set(Expiration::OneShot(TimeSpec::from_duration(left)), TimerSetTimeFlags::empty())?;
            self.armed = Some(time);
        }
        Ok(())
    }

    fn hear_socket(&mut self, token: u64) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..BATCH {
            let Some((socket, network)) = self.sockets.get(&token) else { break };
            match socket {
                Socket::Datagrams(socket) => {
                    // Errors too: the kernel tells of clients that are gone. It is taken from the queue when it is answered: who is killed
                    // in between has somebody answer it twice, and not nobody.
                    let Ok((length, peer)) = socket.peek_from(&mut buffer) else { break };
                    self.hear_datagram(token, &buffer[..length], peer);
                    if let Some((Socket::Datagrams(socket), _)) = self.sockets.get(&token) {
                        let _ = socket.recv_from(&mut [0]);
                    }
                }
                Socket::Listener(listener) => {
                    let Ok((stream, peer)) = listener.accept() else { break };
                    let network = network.clone();
                    let connections = self.clients.values().filter(|client| client.address == peer.ip()).count();
                    if connections < CONNECTIONS_OF_ONE
                        && self.clients.len() < self.most / 2
                        && stream.set_nonblocking(true).is_ok()
                    {
                        self.add_client(Client::new(stream, network, peer.ip()));
                    }
                }
            }
        }
        self.buffer = buffer;
    }

    /// Answers what has arrived at a socket of a server that is gone, from the one that is bound to the same address now: who asked sees
    /// no difference. Waits for nothing.
    pub fn answer_for(&mut self, socket: &UdpSocket) {
        let place = socket.local_addr().ok();
        let is_same = |own: &Socket| matches!(own, Socket::Datagrams(own) if own.local_addr().ok() == place);
        let token = self.sockets.iter().find_map(|(token, (own, _))| is_same(own).then_some(*token));
        let (Some(_), Some(token)) = (place, token) else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        // No queue of the kernel's holds more of them.
        for _ in 0..MOST {
            // Taken from the queue first: what ended the one before would end all who come after.
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else { break };
            self.hear_datagram(token, &buffer[..length], peer);
        }
        self.buffer = buffer;
    }

    fn hear_datagram(&mut self, token: u64, message: &[u8], peer: SocketAddr) {
        let Some((Socket::Datagrams(socket), network)) = self.sockets.get(&token) else { return };
        match self.knowledge.decide(network, peer.ip(), message, true) {
            Decision::Nothing => {}
            Decision::Answer(answer) => _ = socket.send_to(&answer, peer),
            Decision::Ask(question, servers) => {
                let origin = Origin::Datagram(token, peer);
                if self.has_room_for(peer.ip()) {
                    let id = self.id();
                    self.begin(Flight::new(origin, question, message, id, servers));
                }
            }
        }
    }

    fn has_room_for(&self, client: IpAddr) -> bool {
        self.flights.len() < self.most && self.asking.get(&client).is_none_or(|count| *count < MOST_OF_ONE)
    }

    /// An id that nobody can guess who is not told.
    fn id(&self) -> u16 {
        (self.ids.hash_one(self.next) & 0xffff) as u16
    }

    fn begin(&mut self, mut flight: Flight) {
        let token = self.token();
        *self.asking.entry(flight.origin.address()).or_default() += 1;
        if let Origin::Stream(client, _) = flight.origin
            && let Some(client) = self.clients.get_mut(&client)
        {
            client.pending += 1;
        }
        let outcome = flight.next(&mut watch(&self.epoll, token));
        self.after(token, flight, outcome);
    }

    fn hear_flight(&mut self, token: u64, is_late: bool) {
        let Some(mut flight) = self.flights.remove(&token) else { return };
        self.deadlines.remove(&(flight.deadline, token));
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut watch = watch(&self.epoll, token);
        let mut outcome = flight.hear(&mut buffer, &mut watch);
        if is_late && matches!(outcome, Outcome::Waiting) {
            outcome = flight.is_late(&mut watch);
        }
        drop(watch);
        self.buffer = buffer;
        self.after(token, flight, outcome);
    }

    /// Goes on with a question, or answers it.
    fn after(&mut self, token: u64, mut flight: Flight, outcome: Outcome) {
        for server in flight.silent.drain(..) {
            self.knowledge.resolvers.is_silent(server);
        }
        let answer = match outcome {
            Outcome::Waiting => {
                for (descriptor, flags) in flight.settled() {
                    let _ = self.epoll.modify(descriptor, &mut EpollEvent::new(flags, token));
                }
                self.deadlines.insert((flight.deadline, token));
                self.flights.insert(token, flight);
                return;
            }
            Outcome::Answered(answer) => answer,
            Outcome::Unanswered => flight.failure(),
        };
        if let Some(server) = flight.answered_by {
            self.knowledge.resolvers.answers(server);
        }
        self.is_over(&flight.origin);
        match flight.origin {
            Origin::Datagram(socket, peer) => {
                if let Some((Socket::Datagrams(socket), _)) = self.sockets.get(&socket) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
            Origin::Stream(token, _) => {
                if let Some(client) = self.clients.get_mut(&token) {
                    client.pending -= 1;
                    client.say(&answer);
                }
                self.serve_client(token, Vec::new());
            }
        }
    }

    fn is_over(&mut self, origin: &Origin) {
        let address = origin.address();
        if let Some(count) = self.asking.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.asking.remove(&address);
            }
        }
    }

    fn add_client(&mut self, client: Client) {
        let token = self.token();
        if self.epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, token)).is_ok() {
            self.deadlines.insert((client.deadline, token));
            self.clients.insert(token, client);
        }
    }

    fn hear_client(&mut self, token: u64) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        let heard = client.hear(&mut buffer);
        self.buffer = buffer;
        match heard {
            Ok(questions) => self.serve_client(token, questions),
            Err(_) => self.drop_client(token),
        }
    }

    /// Answers what a client has asked, and sends what it takes.
    fn serve_client(&mut self, token: u64, mut questions: Vec<Vec<u8>>) {
        loop {
            for message in questions {
                let Some(client) = self.clients.get_mut(&token) else { return };
                match self.knowledge.decide(&client.network, client.address, &message, false) {
                    Decision::Nothing => {}
                    Decision::Answer(answer) => client.say(&answer),
                    Decision::Ask(question, servers) => {
                        let origin = Origin::Stream(token, client.address);
                        let id = self.id();
                        let flight = Flight::new(origin, question, &message, id, servers);
                        if self.has_room_for(origin.address()) {
                            self.begin(flight);
                        } else if let Some(client) = self.clients.get_mut(&token) {
                            client.say(&flight.failure());
                        }
                    }
                }
            }
            let Some(client) = self.clients.get_mut(&token) else { return };
            let interest = client.flush().ok().and_then(|()| client.interest());
            let Some(interest) = interest else { return self.drop_client(token) };
            let _ = self.epoll.modify(&*client, &mut EpollEvent::new(interest, token));
            if !client.has_more() {
                return;
            }
            // What it had sent when there was no room: no event tells of that again.
            questions = client.take();
        }
    }

    fn drop_client(&mut self, token: u64) {
        if let Some(client) = self.clients.remove(&token) {
            self.deadlines.remove(&(client.deadline, token));
        }
    }
}

/// Has the events of new descriptors come with a token.
fn watch(epoll: &Epoll, token: u64) -> impl FnMut(BorrowedFd, EpollFlags) -> bool + '_ {
    move |descriptor, flags| epoll.add(descriptor, EpollEvent::new(flags, token)).is_ok()
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Datagrams(socket) => socket.as_fd(),
            Socket::Listener(listener) => listener.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests;
