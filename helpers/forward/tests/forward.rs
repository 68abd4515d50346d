//! Traffic through the forwarder, within one network namespace: what listens here on the loopback alone is reached as inside.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use forward::{Order, Protocol};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A forwarder in a thread of its own; it ends with this.
struct Forwarder(OwnedFd);

impl Forwarder {
    fn new() -> Self {
        let (ours, theirs) = sys::socket::pair().unwrap();
        thread::spawn(move || forward::run(theirs, false).unwrap());
        Self(ours)
    }

    fn add(&self, id: u32, protocol: Protocol, socket: impl AsRawFd, port: u16) {
        let order = Order::Add { id, protocol, port };
        sys::socket::send(&self.0, &order.encode(), Some(socket.as_raw_fd())).unwrap();
    }

    /// A published port that leads to `port`.
    fn publish(&self, id: u32, port: u16) -> u16 {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let published = outside.local_addr().unwrap().port();
        self.add(id, Protocol::Tcp, outside, port);
        published
    }
}

fn server(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    port
}

fn echo(mut stream: TcpStream) {
    thread::spawn(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
}

#[test]
fn megabytes_arrive_whole_both_ways_and_an_end_is_passed_on_alone() {
    let forwarder = Forwarder::new();
    let port = forwarder.publish(1, server(echo));
    let clients: Vec<_> = (0..8_u8)
        .map(|seed| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let said: Vec<u8> =
                    (0..5_000_000_u32).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
                stream.write_all(&said).unwrap();
                // The server answers only once it has heard the end.
                stream.shutdown(Shutdown::Write).unwrap();
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).unwrap();
                assert!(heard == said);
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn where_nobody_listens_a_client_is_reset() {
    let forwarder = Forwarder::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut stream = TcpStream::connect(("127.0.0.1", forwarder.publish(1, nobody))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_server_that_breaks_off_is_no_server_that_has_ended() {
    let forwarder = Forwarder::new();
    // Closed with something unread: the kernel sends a reset.
    let port = forwarder.publish(1, server(|mut stream| stream.read_exact(&mut [0; 1]).unwrap()));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"more than one").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn datagrams_of_two_clients_are_kept_apart() {
    let forwarder = Forwarder::new();
    let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 1000];
        loop {
            let (length, client) = inside.recv_from(&mut buffer).unwrap();
            buffer[..length].reverse();
            inside.send_to(&buffer[..length], client).unwrap();
        }
    });
    let outside = UdpSocket::bind("0.0.0.0:0").unwrap();
    let published = outside.local_addr().unwrap().port();
    forwarder.add(7, Protocol::Udp, outside, port);
    let clients = ["abc", "xyz"].map(|word| {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // An answer from another address than was asked would not come through.
        client.connect(("127.0.0.1", published)).unwrap();
        client.send(word.as_bytes()).unwrap();
        (client, word)
    });
    for _ in 0..2 {
        for (client, word) in &clients {
            let mut buffer = [0; 10];
            let length = client.recv(&mut buffer).unwrap();
            let backwards: String = word.chars().rev().collect();
            assert_eq!(&buffer[..length], backwards.as_bytes());
            client.send(word.as_bytes()).unwrap();
        }
    }
}

#[test]
fn a_port_that_was_taken_back_is_closed_and_its_connections_go_on() {
    let forwarder = Forwarder::new();
    let port = forwarder.publish(3, server(echo));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"before").unwrap();
    // The forwarder has seen the client.
    thread::sleep(Duration::from_millis(200));
    sys::socket::send(&forwarder.0, &Order::Remove { id: 3 }.encode(), None).unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    stream.write_all(b" and after").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "before and after");
}

/// As many open files as this process may have.
fn raise_the_limit() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

#[test]
fn a_thousand_who_say_nothing_and_some_who_never_read_hold_nobody_up() {
    raise_the_limit();
    let forwarder = Forwarder::new();
    let port = forwarder.publish(1, server(echo_lines));
    let talk = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    };
    let mut silent: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    // They say so much, and do not take the answers, that nothing more goes either way.
    let deaf: Vec<TcpStream> = silent.split_off(990);
    for mut stream in &deaf {
        stream.set_nonblocking(true).unwrap();
        let mut refused = 0;
        while refused < 5 {
            if stream.write(&[7; 65_536]).is_ok_and(|length| length > 0) {
                refused = 0;
            } else {
                refused += 1;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
    talk(&mut TcpStream::connect(("127.0.0.1", port)).unwrap());
    silent.iter_mut().for_each(talk);
}

/// Says what it hears at once.
fn echo_lines(mut stream: TcpStream) {
    let serve = move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().stack_size(65_536).spawn(serve).unwrap();
}

#[test]
fn ten_thousand_senders_of_datagrams_are_no_burden() {
    raise_the_limit();
    let forwarder = Forwarder::new();
    let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        loop {
            let (length, client) = inside.recv_from(&mut buffer).unwrap();
            let _ = inside.send_to(&buffer[..length], client);
        }
    });
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = outside.local_addr().unwrap();
    forwarder.add(1, Protocol::Udp, outside, port);
    for number in 0..10_000_u32 {
        // Each from an address of its own.
        let [_, _, high, low] = number.to_be_bytes();
        let client = UdpSocket::bind((std::net::Ipv4Addr::new(127, 1, high, low), 0)).unwrap();
        client.send_to(b"hello", place).unwrap();
        if number % 64 == 0 {
            // So that they are not lost before they are even looked at.
            thread::sleep(Duration::from_millis(1));
        }
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 4096 + 3500, "{open} open files");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    client.connect(place).unwrap();
    let mut heard = [0; 10];
    let answered = (0..100).any(|_| client.send(b"still").is_ok() && client.recv(&mut heard).is_ok());
    assert!(answered && &heard[..5] == b"still");
}
