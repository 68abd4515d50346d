//! A question that is on its way to other servers: by datagrams as by connections, one server after the other.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use super::message::{self, Question};

/// How long a server is waited for before the next one is asked; and how long when all have been asked once.
const PATIENCE: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(3)];

/// Who asked.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// A datagram that came to this socket, from there.
    Datagram(u64, SocketAddr),
    /// A connection.
    Stream(u64, IpAddr),
}

impl Origin {
    /// The address of who asked.
    pub fn address(&self) -> IpAddr {
        match self {
            Origin::Datagram(_, peer) => peer.ip(),
            Origin::Stream(_, peer) => *peer,
        }
    }
}

/// What has become of a question.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing yet.
    Waiting,
    /// It is answered.
    Answered(Vec<u8>),
    /// Nobody answers it.
    Unanswered,
}

/// A connection to a server.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

#[derive(Debug)]
enum Way {
    Datagrams(UdpSocket),
    Connection(Connection),
}

/// A question on its way.
#[derive(Debug)]
pub struct Flight {
    /// Who asked.
    pub origin: Origin,
    /// What.
    pub question: Question,
    /// Until when the server that was asked last is waited for.
    pub deadline: Instant,
    query: Vec<u8>,
    servers: Vec<SocketAddr>,
    /// How often anybody was asked.
    attempts: usize,
    /// Who was asked: all may still answer.
    ways: Vec<(SocketAddr, Way)>,
    /// The answer of one that could give none.
    poor: Option<Vec<u8>>,
    /// Servers that did not answer in time, or not at all, since this was last asked for.
    pub silent: Vec<SocketAddr>,
    /// The server whose answer came.
    pub answered_by: Option<SocketAddr>,
}

impl Flight {
    /// A question that is to be sent to `servers` with this id; the first is asked by [`Flight::next`].
    pub fn new(origin: Origin, question: Question, query: &[u8], id: u16, servers: Vec<SocketAddr>) -> Self {
        let mut query = query.to_vec();
        message::set_id(&mut query, id);
        Self {
            origin,
            question,
            deadline: Instant::now(),
            query,
            servers,
            attempts: 0,
            ways: Vec::new(),
            poor: None,
            silent: Vec::new(),
            answered_by: None,
        }
    }

    /// Asks the next server. Each new descriptor is handed to `watch`, with what to wait for.
    pub fn next(&mut self, watch: &mut dyn FnMut(BorrowedFd, EpollFlags) -> bool) -> Outcome {
        loop {
            if self.attempts >= PATIENCE.len() * self.servers.len() || (self.is_second_round() && self.poor.is_some()) {
                return self.poor.take().map_or(Outcome::Unanswered, |answer| self.give(answer));
            }
            let server = self.servers[self.attempts % self.servers.len()];
            let patience = PATIENCE[usize::from(self.is_second_round())];
            self.attempts += 1;
            match self.ask(server, watch) {
                Ok(()) => {
                    self.deadline = Instant::now() + patience;
                    return Outcome::Waiting;
                }
                // No way there, or nobody listens: not worth any wait.
                Err(_) => self.silent.push(server),
            }
        }
    }

    fn is_second_round(&self) -> bool {
        self.attempts >= self.servers.len()
    }

    /// The time of the server that was asked last is over.
    pub fn is_late(&mut self, watch: &mut dyn FnMut(BorrowedFd, EpollFlags) -> bool) -> Outcome {
        self.silent.extend(self.ways.last().map(|(server, _)| *server));
        self.next(watch)
    }

    fn ask(&mut self, server: SocketAddr, watch: &mut dyn FnMut(BorrowedFd, EpollFlags) -> bool) -> io::Result<()> {
        match self.origin {
            Origin::Datagram(..) => {
                if let Some((_, Way::Datagrams(socket))) = self.ways.iter().find(|(asked, _)| *asked == server) {
                    return socket.send(&self.query).map(drop);
                }
                let socket = UdpSocket::from(open(SockType::Datagram, server)?);
                socket.send(&self.query)?;
                if !watch(socket.as_fd(), EpollFlags::EPOLLIN) {
                    return Err(Errno::ENOSPC.into());
                }
                self.ways.push((server, Way::Datagrams(socket)));
            }
            Origin::Stream(..) => {
                let stream = TcpStream::from(open(SockType::Stream, server)?);
                if !watch(stream.as_fd(), EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT) {
                    return Err(Errno::ENOSPC.into());
                }
                let length = u16::try_from(self.query.len()).unwrap_or(u16::MAX);
                let outgoing = [&length.to_be_bytes(), &self.query[..]].concat();
                self.ways.push((server, Way::Connection(Connection { stream, outgoing, incoming: Vec::new() })));
            }
        }
        Ok(())
    }

    /// Looks for an answer. `buffer` is room for any.
    pub fn hear(&mut self, buffer: &mut [u8], watch: &mut dyn FnMut(BorrowedFd, EpollFlags) -> bool) -> Outcome {
        let mut at = 0;
        let mut is_refused = false;
        while let Some((server, way)) = self.ways.get_mut(at) {
            let server = *server;
            let heard = match way {
                Way::Datagrams(socket) => hear_datagram(socket, &self.question, &self.query, buffer),
                Way::Connection(connection) => connection.hear(&self.question, &self.query, buffer),
            };
            match heard {
                Ok(None) => at += 1,
                Ok(Some(answer)) if is_poor(&answer) && !self.is_second_round() => {
                    drop(self.ways.remove(at));
                    self.poor = Some(answer);
                    is_refused = true;
                }
                Ok(Some(answer)) => {
                    self.answered_by = Some(server);
                    return self.give(answer);
                }
                // Nobody listens there.
                Err(_) => {
                    drop(self.ways.remove(at));
                    self.silent.push(server);
                    is_refused = true;
                }
            }
        }
        if is_refused { self.next(watch) } else { Outcome::Waiting }
    }

    fn give(&self, mut answer: Vec<u8>) -> Outcome {
        message::set_id(&mut answer, self.question.id);
        if matches!(self.origin, Origin::Datagram(..)) && answer.len() > self.question.passed_datagram() {
            message::truncate(&mut answer, &self.question);
        }
        Outcome::Answered(answer)
    }

    /// What is said to who asked where nobody answers.
    pub fn failure(&self) -> Vec<u8> {
        let mut query = self.query.clone();
        message::set_id(&mut query, self.question.id);
        message::answer(&query, &self.question, message::Code::Failed, &[], self.question.datagram())
    }
}

/// Whether a server says no more than that it cannot tell: another one may (as glibc thinks too).
fn is_poor(answer: &[u8]) -> bool {
    matches!(message::code(answer), 2 | 4 | 5)
}

/// A socket that does not block, on its way to a server. The kernel chooses its port, anew for each.
fn open(kind: SockType, server: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Whether an error says no more than that there is nothing yet.
pub fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn hear_datagram(
    socket: &UdpSocket,
    question: &Question,
    query: &[u8],
    buffer: &mut [u8],
) -> io::Result<Option<Vec<u8>>> {
    loop {
        match socket.recv(buffer) {
            Ok(length) if question.is_answered_by(query, &buffer[..length]) => {
                return Ok(Some(buffer[..length].to_vec()));
            }
            Ok(_) => {}
            Err(error) if is_patience(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

impl Connection {
    fn hear(&mut self, question: &Question, query: &[u8], buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                // Not even connected: the deadline knows when that is too late.
                Err(error) if is_patience(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.incoming.extend(&buffer[..length]),
                Err(error) if is_patience(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
            while let Some(answer) = super::client::take_message(&mut self.incoming) {
                if question.is_answered_by(query, &answer) {
                    return Ok(Some(answer));
                }
            }
        }
    }

    /// Whether there is something to be sent.
    fn is_full(&self) -> bool {
        !self.outgoing.is_empty()
    }
}

impl Flight {
    /// What to wait for from now on, where that has changed: a connection that has taken the question has nothing more to be sent.
    pub fn settled(&self) -> impl Iterator<Item = (BorrowedFd<'_>, EpollFlags)> {
        self.ways.iter().filter_map(|(_, way)| match way {
            Way::Connection(connection) if !connection.is_full() => {
                Some((connection.stream.as_fd(), EpollFlags::EPOLLIN))
            }
            _ => None,
        })
    }
}
