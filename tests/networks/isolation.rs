//! Who reaches whom, by TCP and UDP, IPv4 and IPv6.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use super::laboratory::{Container, HOSTS_PORT, LIMIT, OUTSIDE, PORT, SILENCE, in_laboratory, take_nf_tables_away};

fn outside() -> [IpAddr; 2] {
    OUTSIDE.map(|address| address.parse().unwrap())
}

#[test]
fn containers_of_one_network_reach_each_other_and_the_outside() {
    in_laboratory("isolation::containers_of_one_network_reach_each_other_and_the_outside", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        let dog = laboratory.plugged(&["learning"]);
        cat.serve();
        for address in cat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
        }
        for address in outside() {
            dog.reaches(address, PORT);
        }
    });
}

#[test]
fn two_networks_do_not_reach_each_other_but_by_a_container_on_both() {
    in_laboratory("isolation::two_networks_do_not_reach_each_other_but_by_a_container_on_both", |laboratory| {
        let catsonly = laboratory.network("catsonly", false);
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["catsonly"]);
        let dog = laboratory.plugged(&["learning"]);
        let bobcat = laboratory.plugged(&["learning", "catsonly"]);
        cat.serve();
        bobcat.serve();
        for address in cat.addresses(&laboratory, "catsonly") {
            bobcat.reaches(address, PORT);
            dog.does_not_reach(address, PORT);
        }
        for address in bobcat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
        }
        // The bridges' own addresses are no way either: nothing answers there but to those whose bridge it is.
        for subnet in &catsonly.subnets {
            dog.does_not_reach(subnet.gateway, PORT);
            dog.does_not_reach(subnet.gateway, 53);
        }
        for address in outside() {
            bobcat.reaches(address, PORT);
        }
    });
}

#[test]
fn an_internal_network_has_no_way_out() {
    in_laboratory("isolation::an_internal_network_has_no_way_out", |laboratory| {
        laboratory.network("closed", true);
        laboratory.network("open", false);
        let one = laboratory.plugged(&["closed"]);
        let other = laboratory.plugged(&["closed"]);
        let open = laboratory.plugged(&["open"]);
        one.serve();
        open.serve();
        for address in one.addresses(&laboratory, "closed") {
            other.reaches(address, PORT);
        }
        for address in outside() {
            open.reaches(address, PORT);
            other.does_not_reach(address, PORT);
        }
        for address in open.addresses(&laboratory, "open") {
            other.does_not_reach(address, PORT);
        }
        // A route of its own making does not help: it is the holder that does not forward.
        let gateway = laboratory.networks.get("closed").unwrap().subnets[0].gateway;
        other.run(&format!("ip route add default via {gateway}"));
        other.does_not_reach(outside()[0], PORT);
        other.does_not_reach(open.addresses(&laboratory, "open")[0], PORT);
    });
}

#[test]
fn this_machines_own_servers_are_out_of_reach() {
    in_laboratory("isolation::this_machines_own_servers_are_out_of_reach", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        cat.reaches(outside()[0], PORT);
        for address in ["127.0.0.1", "::1", "10.9.0.2", "10.9.0.1", "2001:db8:9::2", "169.254.1.1"] {
            cat.does_not_reach(address.parse().unwrap(), HOSTS_PORT);
        }
        for subnet in laboratory.networks.get("learning").unwrap().subnets {
            cat.does_not_reach(subnet.gateway, HOSTS_PORT);
        }
    });
}

#[test]
fn without_a_firewall_nothing_is_passed_on() {
    in_laboratory("isolation::without_a_firewall_nothing_is_passed_on", |laboratory| {
        take_nf_tables_away();
        laboratory.network("learning", false);
        laboratory.network("other", false);
        laboratory.network("closed", true);
        let plugged = |network: &str| {
            let mut container = laboratory.container(&[network], false);
            (container.plug_in_somehow(&laboratory), container)
        };
        let ((warning, cat), (_, dog), (_, stranger)) = (plugged("learning"), plugged("learning"), plugged("other"));
        let warning = warning.expect("who has no way out is told");
        assert!(warning.to_string().contains("the kernel has no firewall"), "{warning}");
        assert!(warning.hint().is_some_and(|hint| hint.contains("nf_tables")));
        assert_eq!(plugged("closed").0, None, "one that is to have no way out misses none");
        cat.serve();
        for address in cat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
            stranger.does_not_reach(address, PORT);
        }
        let gateway = laboratory.networks.get("other").unwrap().subnets[0].gateway;
        stranger.run(&format!("ip route replace default via {gateway}"));
        for address in cat.addresses(&laboratory, "learning").into_iter().chain(outside()) {
            stranger.does_not_reach(address, PORT);
        }
    });
}

/// Prints, sorted, which of the frames below arrive within a while.
const LISTEN: &str = r#"
import re, socket, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 0)); wire.settimeout(0.1)
print("ready", flush=True); sys.stdin.readline()
seen = set(); end = time.monotonic() + 1
while time.monotonic() < end:
    try: seen.update(re.findall(rb"<([a-z0-9-]+)>", wire.recv(2048)))
    except TimeoutError: pass
print(*sorted(name.decode() for name in seen))
"#;

/// Sends a frame of each kind to everybody: own addresses, one that is nobody's, another's and the bridge's own; of IPv4 and of IPv6.
const PRETEND: &str = r#"
import socket, struct, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); wire.bind(("eth0", 0))
mac, all = wire.getsockname()[4], b"\xff" * 6
four = dict(zip(("own", "free", "other", "gate"), (socket.inet_aton(a) for a in sys.argv[1:5])))
six = dict(zip(("own", "free", "other", "gate"), (socket.inet_pton(socket.AF_INET6, a) for a in sys.argv[5:9])))
def frame(kind, body, mac=mac, tag=b""): wire.send((all + mac + tag + struct.pack(">H", kind) + body).ljust(90, b"\0"))
def sum_of(words):
    total = sum(words); total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff
def ip(source, name):
    data = b"<%s>" % name.encode()
    header = lambda check: struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 9, 17, check, source, b"\xff" * 4)
    check = sum_of(struct.unpack(">10H", header(0)))
    return header(check) + struct.pack(">HHHH", 9, 9, 8 + len(data), 0) + data
def ip6(source, following, body, hop=b""):
    return struct.pack(">IHBB16s16s", 6 << 28, len(hop + body), 0 if hop else following, 255, source, socket.inet_pton(socket.AF_INET6, "ff02::1")) + hop + body
def arp(source, name): return struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, source, all, four["own"]) + b"<%s>" % name.encode()
def icmp6(kind, name, target=b""): return struct.pack(">BBHI", kind, 0, 0, 0) + target + b"<%s>" % name.encode()
for who in four:
    frame(0x0800, ip(four[who], who + "-4"))
    frame(0x0806, arp(four[who], who + "-arp"))
    name = who + "-6"
    frame(0x86dd, ip6(six[who], 17, struct.pack(">HHHH", 9, 9, 10 + len(name), 0) + b"<%s>" % name.encode()))
    for address, form in ((six["own"], "-na"), (socket.inet_pton(socket.AF_INET6, "fe80::7"), "-na-link")):
        frame(0x86dd, ip6(address, 58, icmp6(136, who + form, six[who])))
        frame(0x86dd, ip6(address, 58, icmp6(136, who + form + "-hop", six[who]), bytes([58, 0, 1, 4, 0, 0, 0, 0])))
for kind in (134, 137): frame(0x86dd, ip6(socket.inet_pton(socket.AF_INET6, "fe80::7"), 58, icmp6(kind, "router-%d" % kind)))
frame(0x0800, ip(four["own"], "mac"), mac=b"\x02\0\0\0\0\x07")
for tag, name in ((b"\x81\0\0\0", "tag-0"), (b"\x81\0\0\x05", "tag-5"), (b"\x88\xa8\0\0", "outer-0"), (b"\x81\0\0\0\x81\0\0\0", "twice")):
    frame(0x0800, ip(four["other"], name), tag=tag)
"#;

#[test]
fn nobody_on_a_network_is_taken_for_another() {
    in_laboratory("isolation::nobody_on_a_network_is_taken_for_another", |laboratory| {
        let network = laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        let dog = laboratory.plugged(&["learning"]);
        let mouse = laboratory.plugged(&["learning"]);
        let own_and_others = |v4: bool| {
            let of = |container: &Container| {
                let addresses = container.addresses(&laboratory, "learning");
                addresses.into_iter().find(|address| address.is_ipv4() == v4).unwrap()
            };
            let subnet = network.subnets.iter().find(|subnet| subnet.gateway.is_ipv4() == v4).unwrap();
            let free = subnet.subnet.hosts().nth(99).unwrap();
            [of(&dog), free, of(&mouse), subnet.gateway].map(|address| address.to_string())
        };
        let python = |text: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        let heard = |of: &Container| {
            let mut listener = of.inside(|| python(LISTEN).spawn()).unwrap();
            let mut said = BufReader::new(listener.stdout.take().unwrap());
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            drop(listener.stdin.take());
            let mut pretend = python(PRETEND);
            pretend.args([own_and_others(true), own_and_others(false)].concat());
            assert!(dog.inside(|| pretend.status()).unwrap().success());
            line.clear();
            said.read_line(&mut line).unwrap();
            assert!(listener.wait().unwrap().success());
            line
        };
        let expected = "free-4 free-6 free-arp free-na free-na-hop free-na-link free-na-link-hop own-4 own-6 own-arp own-na own-na-hop \
                        own-na-link own-na-link-hop\n";
        assert_eq!(heard(&cat), expected);
        // Who has an address only from now on is not taken for another either, nor who takes over one that was another's.
        let bird = laboratory.plugged(&["learning"]);
        assert_eq!(heard(&bird), expected);
        cat.serve();
        for address in cat.addresses(&laboratory, "learning") {
            bird.reaches(address, PORT);
        }
        // An address of this machine's own, or of another network, is none to speak from.
        laboratory.network("other", false);
        let stranger = laboratory.plugged(&["other"]);
        for address in outside() {
            stranger.reaches(address, PORT);
        }
        for address in cat.addresses(&laboratory, "learning") {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let flags = if address.is_ipv4() { "" } else { " nodad" };
            stranger.run(&format!("ip address add {address}/{bits} dev eth0{flags}"));
            let server = UdpSocket::bind((outside()[usize::from(address.is_ipv6())], 0)).unwrap();
            let own =
                stranger.addresses(&laboratory, "other").into_iter().find(|own| own.is_ipv4() == address.is_ipv4());
            stranger.sends_from(own.unwrap(), server.local_addr().unwrap());
            server.set_read_timeout(Some(LIMIT)).unwrap();
            server.recv(&mut [0; 16]).unwrap();
            stranger.sends_from(address, server.local_addr().unwrap());
            server.set_read_timeout(Some(SILENCE)).unwrap();
            assert!(server.recv(&mut [0; 16]).is_err(), "{address} may speak");
        }
    });
}
