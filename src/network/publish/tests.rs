use std::net::{IpAddr, TcpListener, UdpSocket};

use proptest::prelude::*;

use super::*;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn read(text: &str) -> Vec<String> {
    let shown = |port: Port| match port.chosen_from {
        None => format!("{} {} {}/{}", port.address, port.host, port.container, port.protocol),
        Some((first, last)) => format!("{} {first}..{last} {}/{}", port.address, port.container, port.protocol),
    };
    parse(text).unwrap().into_iter().map(|asked| shown(asked.port(HOME))).collect()
}

#[test]
fn ports_are_written_as_dockers() {
    assert_eq!(read("80"), ["127.0.0.1 0..0 80/tcp"]);
    assert_eq!(read(":80"), ["127.0.0.1 0..0 80/tcp"]);
    assert_eq!(read("0:80"), ["127.0.0.1 0..0 80/tcp"]);
    assert_eq!(read("8080:80/UDP"), ["127.0.0.1 8080 80/udp"]);
    assert_eq!(read("0.0.0.0:8080:80"), ["0.0.0.0 8080 80/tcp"]);
    assert_eq!(read("0.0.0.0::53/udp"), ["0.0.0.0 0..0 53/udp"]);
    assert_eq!(read("[::1]:8080:80"), ["::1 8080 80/tcp"]);
    assert_eq!(read("[::ffff:127.0.0.1]:8080:80"), ["127.0.0.1 8080 80/tcp"]);
    assert_eq!(read("8000-8001:80-81"), ["127.0.0.1 8000 80/tcp", "127.0.0.1 8001 81/tcp"]);
    assert_eq!(read("8000-8010:80"), ["127.0.0.1 8000..8010 80/tcp"]);
    assert_eq!(read("80-81"), ["127.0.0.1 0..0 80/tcp", "127.0.0.1 0..0 81/tcp"]);
}

#[test]
fn what_is_no_port_is_refused_in_words() {
    let why = |text: &str| parse(text).unwrap_err();
    for (text, word) in [
        ("", "missing"),
        ("99999:1", "65535"),
        ("1:99999", "65535"),
        ("80:0", "no port 0"),
        ("80:", "missing"),
        ("8000-8002:80-81", "3 of the host's ports, 2 of the container's"),
        ("8010-8000:80", "after its end"),
        ("1-65535:1-65535", "at most"),
        ("80:80/sctp", "sctp"),
        ("80:80/icmp", "/tcp or /udp"),
        ("localhost:80:80", "no IP address"),
        ("::1:8080:80", "brackets"),
        ("8080:80:90:1", "no IP address"),
        ("[1.2.3.4]:80:80", "no IPv6 address"),
        ("http:80", "no number"),
        ("+80:80", "no number"),
        ("-1:80", "missing"),
    ] {
        assert!(why(text).contains(word), "{text}: {}", why(text));
    }
}

#[test]
fn one_socket_is_not_two_ports() {
    let all = |texts: &[&str]| {
        let asked = texts.iter().flat_map(|text| parse(text).unwrap());
        together(asked.map(|asked| asked.port(HOME)).collect())
            .map(|ports| ports.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(all(&["80:80", "80:80"]), Ok(1));
    assert_eq!(all(&["80:80", "81:80", "80:80/udp", "80", "80"]), Ok(5));
    assert_eq!(all(&["80:80", "80:81"]), Err("cannot publish 127.0.0.1:80/tcp twice".into()));
    assert_eq!(all(&["80:80", "0.0.0.0:80:80"]), Err("cannot publish 0.0.0.0:80/tcp twice".into()));
    assert_eq!(all(&["80:80", "[::]:80:80"]), Ok(2));
}

#[test]
fn a_chosen_port_is_kept_while_it_is_free() {
    let mut port = parse("80").unwrap()[0].port(HOME);
    let socket = open_one(&mut port).unwrap();
    let first = port.host;
    assert_ne!(first, 0);
    drop(socket);
    drop(open_one(&mut port).unwrap());
    assert_eq!(port.host, first);
    let _other = TcpListener::bind((HOME, first)).unwrap();
    let _socket = open_one(&mut port).unwrap();
    assert_ne!(port.host, first);
}

#[test]
fn a_port_is_anybodys_only_once() {
    let other = UdpSocket::bind((HOME, 0)).unwrap().local_addr().unwrap().port();
    let mut port = parse(&format!("{other}:53/udp")).unwrap()[0].port(HOME);
    let _held = open_one(&mut port).unwrap();
    assert!(matches!(open_one(&mut port.clone()), Err(Error::Taken { .. })));
    let mut range = parse(&format!("{other}-{}:53/udp", other + 1)).unwrap()[0].port(HOME);
    let _next = open_one(&mut range).unwrap();
    assert_eq!(range.host, other + 1);
    assert!(matches!(open_one(&mut range), Err(Error::AllTaken { .. })));
}

#[test]
fn an_address_of_somebody_else_is_said_to_be_one() {
    let mut port = parse("192.0.2.1:8080:80").unwrap()[0].port(HOME);
    assert!(matches!(open_one(&mut port), Err(Error::Foreign { .. })));
}

proptest! {
    #[test]
    fn any_text_is_ports_or_an_error(text in "[-0-9a-z.:/\\[\\]]{0,24}") {
        if let Ok(asked) = parse(&text) {
            prop_assert!(!asked.is_empty() && asked.iter().all(|one| one.container > 0));
        }
    }
}
