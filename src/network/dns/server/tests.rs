//! A server on sockets of this machine's loopback, with servers beyond it that the tests play themselves.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::client::take_message;
use super::super::message::tests::query;
use super::super::message::{self, A, Code, Question, Record};
use super::super::zones::{Beyond, Zone, Zones};
use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(30);

/// A server in a thread of its own, and where it is asked.
struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn start(beyond: Vec<SocketAddr>) -> Running {
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(address).expect("the same port by UDP");
    let mut server = Server::new("/nonexistent").unwrap();
    server.knowledge.resolvers.instead = beyond;
    server.set_zones(zones());
    server.listen("front", OwnedFd::from(datagrams), OwnedFd::from(listener)).unwrap();
    assert!(server.listens("front") && !server.listens("back"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let _ = poll(&mut [PollFd::new(server.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50u8));
            server.turn().unwrap();
        }
        server.forget("front");
        assert!(!server.listens("front") && server.flights.is_empty() && server.asking.is_empty());
    });
    Running { address, stop, thread: Some(thread) }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

fn zones() -> Zones {
    let mut zone = Zone::new(Vec::new(), Beyond::Host);
    zone.add("web", [10, 89, 0, 2].into());
    let mut zones = Zones::default();
    zones.add("front", zone);
    zones
}

impl Running {
    fn datagram(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.send_to(query, self.address).unwrap();
        let mut buffer = [0; 65535];
        let length = socket.recv(&mut buffer).expect("an answer");
        buffer[..length].to_vec()
    }

    /// Asks several questions at once by one connection, and says after them that there are no more.
    fn connection(&self, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        for query in queries {
            stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat()).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("answers, and then an end");
        std::iter::from_fn(|| take_message(&mut bytes)).collect()
    }
}

/// What a server beyond does with a question.
type Behaviour = fn(&[u8], &Question) -> Option<Vec<u8>>;

/// Plays a server beyond; counts what it was asked.
fn beyond(behaviour: Behaviour) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(address).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (by_datagram, by_connection) = (asked.clone(), asked.clone());
    let answer = move |query: &[u8], asked: &AtomicUsize| {
        asked.fetch_add(1, Ordering::Relaxed);
        behaviour(query, &Question::read(query).unwrap())
    };
    std::thread::spawn(move || {
        let mut buffer = [0; 65535];
        while let Ok((length, peer)) = datagrams.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length], &by_datagram) {
                datagrams.send_to(&answer, peer).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            if let Some(answer) = answer(&query, &by_connection) {
                stream.write_all(&[&(answer.len() as u16).to_be_bytes(), &answer[..]].concat()).unwrap();
            }
        }
    });
    (address, asked)
}

fn one_address(query: &[u8], question: &Question) -> Option<Vec<u8>> {
    Some(message::answer(query, question, Code::Fine, &[Record::Address([192, 0, 2, 80].into())], 65535))
}

fn many_addresses(query: &[u8], question: &Question) -> Option<Vec<u8>> {
    let records: Vec<Record> = (0..=255).map(|host| Record::Address([192, 0, 2, host].into())).collect();
    Some(message::answer(query, question, Code::Fine, &records, 65535))
}

fn failure(query: &[u8], question: &Question) -> Option<Vec<u8>> {
    Some(message::answer(query, question, Code::Failed, &[], 512))
}

/// An address of the loopback at which nobody listens.
fn nobody() -> SocketAddr {
    UdpSocket::bind((LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn is_web(answer: &[u8]) -> bool {
    answer.ends_with(&[10, 89, 0, 2])
}

fn is_outside(answer: &[u8]) -> bool {
    answer.ends_with(&[192, 0, 2, 80])
}

#[test]
fn containers_are_found_and_everybody_else_is_asked_for() {
    let (outside, asked) = beyond(one_address);
    let server = start(vec![outside]);
    let answer = server.datagram(&query(7, "web", A, None));
    assert!(is_web(&answer) && message::id(&answer) == Some(7));
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody else needs to know");
    let answer = server.datagram(&query(9, "example.com", A, None));
    assert!(is_outside(&answer) && message::id(&answer) == Some(9));
    let answers = server.connection(&[query(1, "web", A, None), query(2, "example.com", A, None)]);
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().any(|answer| is_web(answer)) && answers.iter().any(|answer| is_outside(answer)));
}

#[test]
fn more_questions_on_one_connection_than_are_answered_at_once_are_all_answered() {
    let (outside, _) = beyond(one_address);
    let server = start(vec![outside]);
    let queries: Vec<Vec<u8>> = (0..100).map(|id| query(id, "example.com", A, None)).collect();
    let mut ids: Vec<_> = server.connection(&queries).iter().map(|answer| message::id(answer).unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<u16>>());
}

#[test]
fn who_is_not_there_does_not_answer_or_cannot_tell_is_passed_over() {
    let (outside, _) = beyond(one_address);
    let ((silent, silently), (failing, _)) = (beyond(|_, _| None), beyond(failure));
    for first in [nobody(), silent, failing] {
        let server = start(vec![first, outside]);
        assert!(is_outside(&server.datagram(&query(3, "example.com", A, None))), "{first}");
        assert!(server.connection(&[query(4, "example.com", A, None)]).iter().all(|answer| is_outside(answer)));
    }
    assert_eq!(silently.load(Ordering::Relaxed), 1, "who was silent once is not waited for again");
}

#[test]
fn where_nobody_can_tell_that_is_said() {
    let (failing, _) = beyond(failure);
    for servers in [vec![nobody()], vec![failing, nobody()]] {
        let server = start(servers);
        let answer = server.datagram(&query(3, "example.com", A, None));
        assert_eq!((message::id(&answer), message::code(&answer)), (Some(3), Code::Failed as u8));
        let answers = server.connection(&[query(4, "example.com", A, None)]);
        assert_eq!(answers.iter().map(|answer| message::code(answer)).collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn an_answer_too_long_for_a_datagram_is_cut_and_comes_whole_by_a_connection() {
    let (outside, _) = beyond(many_addresses);
    let server = start(vec![outside]);
    for (extended, whole) in [(None, false), (Some(1232), false), (Some(8192), true)] {
        let answer = server.datagram(&query(3, "example.com", A, extended));
        assert_eq!(answer[2] & 2 == 0, whole, "{extended:?}");
        assert_eq!(answer.len() > 4096, whole, "{extended:?}");
    }
    assert!(server.connection(&[query(4, "example.com", A, None)])[0].len() > 4096);
}

#[test]
fn a_slow_server_holds_nobody_else_up() {
    let (silent, _) = beyond(|_, _| None);
    let server = start(vec![silent]);
    let waiting = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    for id in 0..200 {
        waiting.send_to(&query(id, "slow.example", A, None), server.address).unwrap();
    }
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(&[0]).unwrap();
    assert!(is_web(&server.datagram(&query(7, "web", A, None))));
    assert!(is_web(&server.connection(&[query(8, "web", A, None)])[0]));
}

#[test]
fn nonsense_is_refused_or_ignored_and_does_no_harm() {
    let server = start(vec![nobody()]);
    let mut two = query(5, "web", A, None);
    two[5] = 2;
    assert_eq!(message::code(&server.datagram(&two)), Code::Malformed as u8);
    let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    for nonsense in [&b""[..], b"x", &[0xff; 600]] {
        socket.send_to(nonsense, server.address).unwrap();
    }
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&[0xff; 600]).unwrap();
    drop(stream);
    assert!(is_web(&server.datagram(&query(7, "web", A, None))));
}
