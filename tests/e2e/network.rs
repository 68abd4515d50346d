//! The network of a container: out by default, and never to this machine's own services.

use std::io::Write as _;
use std::net::TcpListener;

use crate::support::User;

/// A service on the host's loopback that answers everyone who reaches it.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a listener has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.expect("a connection").write_all(b"reached\n"));
        }
    });
    port
}

#[test]
fn the_hosts_loopback_is_out_of_reach() {
    let user = User::new();
    let port = service();
    let script = format!(
        "for host in 127.0.0.1 localhost $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'); do \
         nc -w 3 $host {port} </dev/null 2>/dev/null || true; done; echo tried"
    );
    assert_eq!(user.sh(&[], "busybox", &script), "tried\n");
}

#[test]
fn there_is_an_interface_with_a_route_and_name_servers() {
    let user = User::new();
    let seen = user.sh(&[], "busybox", "ip route | grep -c ^default; grep -c ^nameserver /etc/resolv.conf");
    let counts: Vec<u32> = seen.lines().map(|line| line.parse().expect("a count")).collect();
    assert!(counts.len() == 2 && counts.iter().all(|count| *count > 0), "{seen}");
}

#[test]
fn none_is_no_network_at_all() {
    let user = User::new();
    let seen = user.sh(&["--network", "none"], "busybox", "ls /sys/class/net; ip route | wc -l");
    assert_eq!(seen, "lo\n0\n");
}

#[test]
fn host_is_the_hosts_own_network() {
    let user = User::new();
    let port = service();
    assert_eq!(user.sh(&["--network", "host"], "busybox", &format!("nc 127.0.0.1 {port} </dev/null")), "reached\n");
}
