//! From one network namespace to another: what listens inside is shown the clients' own addresses.

use std::env;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use forward::{Order, Protocol};
use nix::sched::{CloneFlags, unshare};

/// Where the clients are, and where it is listened inside.
const OUTSIDE: [&str; 2] = ["203.0.113.7", "2001:db8:7::7"];
const INSIDE: [&str; 2] = ["10.9.0.2", "fd00:9::2"];
const PORT: u16 = 7000;

/// Runs `test` in namespaces of its own. Called by each test with its own name, which the second process looks for.
fn in_namespaces(name: &str, test: impl FnOnce()) {
    if env::var_os("FORWARD_TEST").is_some() {
        return test();
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--"]).arg(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env("FORWARD_TEST", "1");
    let mut child = command.spawn().expect("the tests need unshare(1) of util-linux");
    assert!(child.wait().unwrap().success(), "the test failed in its namespace; see above");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("the tests need ip(8) of iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// A forwarder in a namespace of its own, beside servers that answer with the address of whoever asks. It ends with this.
fn begin() -> OwnedFd {
    ip("link set lo up");
    ip("address add 203.0.113.7/32 dev lo");
    ip("address add 2001:db8:7::7/128 dev lo nodad");
    let (ours, theirs) = sys::socket::pair().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        ip("tuntap add eth0 mode tap");
        ip("link set eth0 up");
        ip("address add 10.9.0.2/24 dev eth0");
        ip("address add fd00:9::2/64 dev eth0 nodad");
        // By the way out an answer would be lost.
        ip("route add default via 10.9.0.1");
        ip("route add default via fd00:9::1");
        for address in INSIDE {
            let place = SocketAddr::new(address.parse().unwrap(), PORT);
            let listener = TcpListener::bind(place).unwrap();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let peer = stream.peer_addr().unwrap();
                    stream.write_all(peer.to_string().as_bytes()).unwrap();
                }
            });
        }
        // As most servers do: at all addresses of both families at once.
        let socket = UdpSocket::bind(("::".parse::<IpAddr>().unwrap(), PORT + 1)).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 100];
            loop {
                let (_, peer) = socket.recv_from(&mut buffer).unwrap();
                let seen = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                socket.send_to(seen.to_string().as_bytes(), peer).unwrap();
            }
        });
        ready.send(()).unwrap();
        forward::run(theirs, true).unwrap();
    });
    is_ready.recv().unwrap();
    ours
}

fn add(control: &OwnedFd, id: u32, protocol: Protocol, socket: impl AsRawFd, port: u16) {
    let order = Order::Add { id, protocol, port };
    sys::socket::send(control, &order.encode(), Some(socket.as_raw_fd())).unwrap();
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 0)
}

#[test]
fn a_server_sees_who_asks() {
    in_namespaces("a_server_sees_who_asks", || {
        let control = begin();
        for (id, address) in (1..).zip(OUTSIDE) {
            let outside = TcpListener::bind(at(address)).unwrap();
            let place = outside.local_addr().unwrap();
            add(&control, id, Protocol::Tcp, outside, PORT);
            let mut stream = TcpStream::connect(place).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let mut seen = String::new();
            stream.read_to_string(&mut seen).unwrap();
            assert_eq!(seen, stream.local_addr().unwrap().to_string());

            let outside = UdpSocket::bind(at(address)).unwrap();
            let place = outside.local_addr().unwrap();
            add(&control, 10 + id, Protocol::Udp, outside, PORT + 1);
            for _ in 0..3 {
                let client = UdpSocket::bind(at(address)).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                client.connect(place).unwrap();
                for _ in 0..2 {
                    client.send(b"who?").unwrap();
                    let mut seen = [0; 100];
                    let length = client.recv(&mut seen).unwrap();
                    assert_eq!(String::from_utf8_lossy(&seen[..length]), client.local_addr().unwrap().to_string());
                }
            }
        }
    });
}

#[test]
fn who_asks_where_nobody_listens_is_told_at_once() {
    in_namespaces("who_asks_where_nobody_listens_is_told_at_once", || {
        let control = begin();
        for (id, address) in (1..).zip(OUTSIDE) {
            let outside = TcpListener::bind(at(address)).unwrap();
            let place = outside.local_addr().unwrap();
            add(&control, id, Protocol::Tcp, outside, 1);
            // Where the refusal were lost, this would be as long as the kernel tries: two minutes.
            let mut stream = TcpStream::connect(place).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn one_client_at_two_ports_that_lead_to_the_same_is_answered_at_both() {
    in_namespaces("one_client_at_two_ports_that_lead_to_the_same_is_answered_at_both", || {
        let control = begin();
        let client = UdpSocket::bind(at(OUTSIDE[0])).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let own = client.local_addr().unwrap().to_string();
        let mut shown = 0;
        for id in 1..3 {
            let outside = UdpSocket::bind(at(OUTSIDE[0])).unwrap();
            let place = outside.local_addr().unwrap();
            add(&control, id, Protocol::Udp, outside, PORT + 1);
            client.send_to(b"who?", place).unwrap();
            let mut seen = [0; 100];
            let (length, from) = client.recv_from(&mut seen).unwrap();
            assert_eq!(from, place);
            shown += usize::from(String::from_utf8_lossy(&seen[..length]) == own);
        }
        // Their answers could not be told apart.
        assert_eq!(shown, 1);
    });
}
