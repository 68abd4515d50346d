//! The network of a container: out by default, and never to this machine's own services.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use crate::support::{ENTER, User};

/// A service on the host's loopback that answers everyone who reaches it.
fn service() -> u16 {
    service_at("127.0.0.1:0".parse().expect("an address"))
}

fn service_at(address: SocketAddr) -> u16 {
    let listener = TcpListener::bind(address).expect("a free port");
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

/// Tries to reach this machine's services in every way that there is from inside, and says what it tried and whatever it reached.
const TRY: &str = r#"
import os, socket, sys
tcp, udp, abstract = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
places = ["127.0.0.1", "127.0.0.2", "::1", "169.254.1.1", "169.254.2.2", "10.0.2.2", "0.0.0.0"] + sys.argv[4:]
for line in open("/proc/net/route").read().splitlines()[1:]:
    gateway = bytes.fromhex(line.split()[2])[::-1]
    places.append(socket.inet_ntoa(gateway))
for place in places:
    family = socket.AF_INET6 if ":" in place else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            for _ in range(3):
                s.sendto(b"reached", (place, udp))
    except OSError:
        pass
    try:
        with socket.create_connection((place, tcp), 2) as s:
            if s.recv(9):
                print("reached by tcp:", place)
    except OSError:
        pass
try:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\\0" + abstract)
        print("reached the abstract socket")
except OSError:
    pass
print("tried", len(places) > 7)
"#;

#[test]
fn nothing_of_this_machine_is_in_reach() {
    let user = User::new();
    // As open as can be: at every address of this machine, in both families.
    let tcp = service_at("0.0.0.0:0".parse().unwrap());
    if let Ok(six) = TcpListener::bind(("::1", tcp)) {
        std::thread::spawn(move || six.incoming().for_each(|stream| drop(stream.unwrap().write_all(b"reached\n"))));
    }
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = udp.try_clone().unwrap();
    let list = Arc::clone(&heard);
    std::thread::spawn(move || {
        while let Ok((_, who)) = listener.recv_from(&mut [0; 99]) {
            list.lock().unwrap().push(who);
        }
    });
    let name = format!("enter-test-{}-{tcp}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    // This machine's own address, as others see it.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|own| own.ip().to_string());
    let (tcp, port) = (tcp.to_string(), port.to_string());
    let mut arguments = vec!["run", "--rm", "debian", "python3", "-c", TRY, &tcp, &port, &name];
    arguments.extend(own.as_deref());
    assert_eq!(user.run(arguments).success(), "tried True\n");
    // What was on its way has arrived: this one has.
    probe.send_to(b"reached", ("127.0.0.1", port.parse().unwrap())).unwrap();
    let own = probe.local_addr().unwrap().port();
    crate::support::wait_until("the test's own datagram", || {
        heard.lock().unwrap().iter().any(|who| who.port() == own).then_some(())
    });
    assert_eq!(heard.lock().unwrap().len(), 1, "{:?}", heard.lock().unwrap());
}

#[test]
fn everybody_may_ping_and_listen_on_low_ports_inside_and_packets_are_large() {
    let user = User::new();
    // An echo request, whose checksum and number are the kernel's (icmp(7)).
    let script = "import socket as s\nping = s.socket(s.AF_INET, s.SOCK_DGRAM, s.IPPROTO_ICMP)\nping.settimeout(30)\n\
                  ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), ('127.0.0.1', 0))\nprint(ping.recv(99)[0])\n\
                  with s.socket() as low:\n  low.bind(('0.0.0.0', 80))\n  print('bound')\n\
                  print(open('/sys/class/net/eth0/mtu').read().strip())";
    let seen = user.run(["run", "--rm", "-u", "1234:1234", "debian", "python3", "-c", script]).success();
    assert_eq!(seen, "0\nbound\n65520\n");
}

#[test]
fn this_machines_own_services_are_reached_by_name_where_that_was_asked_for() {
    let user = User::new();
    let port = service();
    let ask = |flags: &[&str], name: &str| {
        // A client that says at once that it has no more to say is not what pasta of 2023 does best.
        let script = format!("sleep 1 | nc -w 3 {name} {port} 2>/dev/null || echo refused");
        let command = ["busybox", "sh", "-c", script.as_str()];
        user.run(["run", "--rm"].iter().chain(flags).chain(&command).copied()).success()
    };
    for name in ["host.docker.internal", "host.containers.internal"] {
        assert_eq!(ask(&["--host-access"], name), "reached\n", "{name}");
        assert_eq!(ask(&["--add-host", "gate:host-gateway"], name), "reached\n", "{name}");
        assert_eq!(ask(&[], name), "refused\n", "{name}: nobody asked for it");
    }
    // Nor is it there without a name.
    assert_eq!(ask(&[], "169.254.1.2"), "refused\n");
    assert_eq!(ask(&["--add-host", "gate:host-gateway"], "gate"), "reached\n");
    assert_eq!(ask(&["--add-host", "gate:host-gateway", "--network", "host"], "gate"), "reached\n");
    let none = user.run(["run", "--network", "none", "--host-access", "busybox", "true"]);
    none.refused(&["this machine's own servers", "it has no network"]);
}

/// Runs a script in network and mount namespaces of its own, where it may change what this machine is like.
fn on_a_machine_of_ones_own(user: &User, script: &str) -> String {
    let mut unshare = user.command("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec", script]).env("ENTER", ENTER);
    let done = unshare.output().expect("the tests need unshare(1) of util-linux");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Waits in the script until a container's resolv.conf says something.
const MACHINE: &str = "
    until_it_asks() {
        for _ in $(seq 600); do
            $ENTER exec box cat /etc/resolv.conf 2>/dev/null | grep -qx \"nameserver $1\" && return
            sleep 0.1
        done
        echo \"it does not ask $1, but:\" >&2
        $ENTER exec box cat /etc/resolv.conf >&2
        exit 1
    }
    ip link set lo up
    folder=$(mktemp -d)
    echo nameserver 192.0.2.1 > $folder/resolv.conf
    mount --bind $folder/resolv.conf $(readlink -f /etc/resolv.conf)
";

#[test]
fn a_container_that_runs_follows_the_host_to_other_name_servers_and_to_a_first_way_out() {
    for user in [User::new(), User::on("fuse")] {
        follows_the_host(&user);
    }
}

fn follows_the_host(user: &User) {
    user.run(["pull", "busybox"]).success();
    let script = format!(
        "{MACHINE}
        $ENTER run -d --name box busybox sleep 1000 2>/dev/null >&2
        $ENTER exec box ip route | grep -c ^default
        until_it_asks 192.0.2.1
        sleep 1.5
        ip link add wan type veth peer name far
        ip link set wan up; ip link set far up
        ip address add 10.9.0.2/24 dev wan; ip route add default via 10.9.0.1
        echo nameserver 192.0.2.2 > $folder/resolv.conf
        until_it_asks 192.0.2.2
        printf 'nameserver 192.0.2.3\\nnameserver 192.0.2.4\\nsearch vpn.example\\n' > $folder/resolv.conf
        until_it_asks 192.0.2.4
        $ENTER exec box grep search /etc/resolv.conf
        echo nameserver 127.0.0.1 > $folder/resolv.conf
        until_it_asks 169.254.1.1
        $ENTER exec box sh -c 'echo nameserver 192.0.2.9 > /etc/resolv.conf'
        echo nameserver 192.0.2.5 > $folder/resolv.conf
        sleep 1
        until_it_asks 192.0.2.9
        $ENTER rm -f box >/dev/null
        $ENTER run -d --name box --read-only --dns-search mine.example busybox sleep 1000 >/dev/null 2>&1
        sleep 1.5
        echo nameserver 192.0.2.6 > $folder/resolv.conf
        until_it_asks 192.0.2.6
        $ENTER exec box grep search /etc/resolv.conf
        $ENTER exec box sh -c 'echo >> /etc/resolv.conf' 2>/dev/null || echo read-only
        $ENTER rm -f box >/dev/null"
    );
    assert_eq!(on_a_machine_of_ones_own(user, &script), "1\nsearch vpn.example\nsearch mine.example\nread-only\n");
}
