//! Names: who is told of whom, and who is asked about everybody else.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use enter::network::lease::{Standing, Tenant, Wanted};
use enter::network::{Lease, Networks};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::laboratory::{Container, LIMIT, Laboratory, PORT, echo, in_laboratory};

const A: u16 = 1;
const AAAA: u16 = 28;

/// What is said of a name: how the answer ends, and the end of the last address.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Address(u8),
    NoSuchType,
    Code(u8),
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    query
}

fn said(answer: &[u8]) -> Said {
    match (answer[3] & 0x0f, answer[7]) {
        (0, 0) => Said::NoSuchType,
        (0, _) => Said::Address(*answer.last().unwrap()),
        (code, _) => Said::Code(code),
    }
}

fn ask(container: &Container, server: IpAddr, name: &str, kind: u16) -> Said {
    container.inside(|| {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.send_to(&query(name, kind), (server, 53)).unwrap();
        let mut buffer = [0; 600];
        let length = socket.recv(&mut buffer).expect("the name server answers");
        said(&buffer[..length])
    })
}

/// A container that is called something.
fn called(laboratory: &Laboratory, name: &str, aliases: &[&str], networks: &[&str]) -> Container {
    let mut container = laboratory.container(networks, false);
    rename(laboratory, &container, name, aliases, networks);
    container.plug_in(laboratory);
    container
}

fn rename(
    laboratory: &Laboratory,
    container: &Container,
    name: &str,
    aliases: &[&str],
    networks: &[&str],
) -> Vec<Lease> {
    let wanted: Vec<Wanted> = networks
        .iter()
        .map(|network| Wanted {
            network: (*network).to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            ..Wanted::default()
        })
        .collect();
    let tenant = Tenant { container: &container.id, name, runs: false, occupied: &[], reaches_host: false };
    let networks: &Networks = &laboratory.networks;
    networks.take(tenant, &wanted, |_| Standing::Alive).unwrap()
}

fn last_of(address: IpAddr) -> Said {
    Said::Address(match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    })
}

fn gateways(laboratory: &Laboratory, network: &str) -> Vec<IpAddr> {
    laboratory.networks.get(network).unwrap().subnets.iter().map(|subnet| subnet.gateway).collect()
}

/// Has this machine ask somebody else for names.
fn set_resolver(file: &std::path::Path, server: &str) {
    std::fs::write(file, format!("nameserver {server}\n")).unwrap();
}

/// A name server outside that gives every name the same address.
fn serve_names(address: &str, last: u8) {
    let socket = UdpSocket::bind(SocketAddr::new(address.parse().unwrap(), 53)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 600];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            answer[2] |= 0x80;
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, last]);
            socket.send_to(&answer, peer).unwrap();
        }
    });
}

/// An `/etc/resolv.conf` of this test's own, which everything sees that it starts.
fn own_resolv_conf() -> tempfile::NamedTempFile {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let target = std::fs::canonicalize("/etc/resolv.conf").expect("the tests need /etc/resolv.conf");
    let none = None::<&str>;
    nix::mount::mount(Some(file.path()), &target, none, MsFlags::MS_BIND, none).unwrap();
    file
}

#[test]
fn containers_find_each_other_by_name_on_their_networks_and_at_once() {
    in_laboratory("names::containers_find_each_other_by_name_on_their_networks_and_at_once", |laboratory| {
        laboratory.network("front", false);
        laboratory.network("back", true);
        let web = called(&laboratory, "web", &["www"], &["front"]);
        let db = called(&laboratory, "db", &[], &["front", "back"]);
        let job = called(&laboratory, "job", &[], &["back"]);
        let front = gateways(&laboratory, "front");
        let addresses = web.addresses(&laboratory, "front");
        for server in &front {
            for name in ["web", "WWW"] {
                for (address, kind) in addresses.iter().zip([A, AAAA]) {
                    assert_eq!(ask(&db, *server, name, kind), last_of(*address), "{server} {name}");
                }
            }
            assert_eq!(ask(&db, *server, "web", 16), Said::NoSuchType);
            let reversed = "1.0.89.10.in-addr.arpa";
            assert_eq!(ask(&db, *server, reversed, 12), Said::Code(3), "nobody's address");
        }
        let back = gateways(&laboratory, "back");
        assert_eq!(ask(&job, back[0], "db", A), last_of(db.addresses(&laboratory, "back")[0]));
        assert_eq!(ask(&job, back[0], "web", A), Said::Code(3), "it is on another network");
        assert_eq!(ask(&job, back[0], "example.com", A), Said::Code(3), "names are no way out");
        rename(&laboratory, &web, "shop", &[], &["front"]);
        laboratory.client().reload(&web.id).unwrap();
        assert_eq!(ask(&db, front[0], "shop", A), last_of(addresses[0]));
        let job_again = called(&laboratory, "job", &[], &["front", "back"]);
        assert_eq!(ask(&job_again, front[0], "db", A), last_of(db.addresses(&laboratory, "front")[0]));
    });
}

#[test]
fn other_names_are_asked_of_whom_this_machine_asks_at_that_moment() {
    in_laboratory("names::other_names_are_asked_of_whom_this_machine_asks_at_that_moment", |laboratory| {
        let file = own_resolv_conf();
        for (server, last) in [("203.0.113.7", 1), ("127.0.0.53", 2), ("::1", 3)] {
            serve_names(server, last);
        }
        set_resolver(file.path(), "203.0.113.7");
        laboratory.network("front", false);
        let container = called(&laboratory, "web", &[], &["front"]);
        let server = gateways(&laboratory, "front")[0];
        assert_eq!(ask(&container, server, "example.com", A), Said::Address(1));
        for (resolver, last) in [("127.0.0.53", 2), ("::1", 3), ("203.0.113.7", 1)] {
            set_resolver(file.path(), resolver);
            assert_eq!(ask(&container, server, "example.com", A), Said::Address(last), "{resolver}");
        }
    });
}

#[test]
fn what_is_asked_while_there_is_no_holder_is_answered_by_the_next_one() {
    in_laboratory("names::what_is_asked_while_there_is_no_holder_is_answered_by_the_next_one", |laboratory| {
        laboratory.network("front", false);
        let mut web = called(&laboratory, "web", &[], &["front"]);
        let job = called(&laboratory, "job", &[], &["front"]);
        let servers = gateways(&laboratory, "front");
        laboratory.kill_holder();
        let asked: Vec<UdpSocket> = servers
            .iter()
            .map(|server| {
                job.inside(|| {
                    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
                    socket.connect((*server, 53)).unwrap();
                    socket.set_read_timeout(Some(LIMIT)).unwrap();
                    socket.send(&query("job", A)).unwrap();
                    socket
                })
            })
            .collect();
        laboratory.start_holder();
        web.attached.as_mut().unwrap().renew().unwrap();
        // The other one has not come back, and is known all the same.
        let address = last_of(job.addresses(&laboratory, "front")[0]);
        for socket in asked {
            let mut buffer = [0; 600];
            let length = socket.recv(&mut buffer).expect("an answer, as if nothing had happened");
            assert_eq!(said(&buffer[..length]), address);
        }
        assert_eq!(ask(&web, servers[0], "job", A), address);
    });
}

#[test]
fn a_crowd_finds_each_other_while_holders_are_killed() {
    const COUNT: usize = 12;
    const KILLS: usize = 3;
    in_laboratory("names::a_crowd_finds_each_other_while_holders_are_killed", |laboratory| {
        laboratory.network("crowd", false);
        let name = |number: usize| format!("one-{number}");
        let mut crowd: Vec<Container> =
            (0..COUNT).map(|number| called(&laboratory, &name(number), &[], &["crowd"])).collect();
        // Those who have ended long ago have leases, too.
        for number in 0..COUNT {
            drop(called(&laboratory, &format!("visitor-{number}"), &[], &["crowd"]));
        }
        let server = gateways(&laboratory, "crowd")[0];
        let addresses: Vec<IpAddr> = crowd.iter().map(|one| one.addresses(&laboratory, "crowd")[0]).collect();
        crowd.iter().for_each(Container::serve);
        let namespaces: Vec<_> = crowd.iter().map(|one| one.network.try_clone().unwrap()).collect();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let askers: Vec<_> = namespaces
                .iter()
                .enumerate()
                .map(|(own, namespace)| {
                    let (addresses, done) = (&addresses, &done);
                    scope.spawn(move || {
                        nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                        let mut asked = 0;
                        // At least once everybody.
                        while asked < COUNT || !done.load(std::sync::atomic::Ordering::Relaxed) {
                            let other = (own + asked) % COUNT;
                            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                            socket.connect((server, 53)).unwrap();
                            socket.set_read_timeout(Some(LIMIT)).unwrap();
                            socket.send(&query(&name(other), A)).expect("somebody is there to be asked");
                            let mut buffer = [0; 600];
                            let length = socket.recv(&mut buffer).expect("an answer at the first time");
                            assert_eq!(said(&buffer[..length]), last_of(addresses[other]), "{own} asked for {other}");
                            let place = SocketAddr::new(addresses[other], PORT);
                            echo(&mut TcpStream::connect_timeout(&place, LIMIT).unwrap()).unwrap();
                            asked += 1;
                        }
                    })
                })
                .collect();
            for _ in 0..KILLS {
                std::thread::sleep(Duration::from_millis(300));
                laboratory.kill_holder();
                laboratory.start_holder();
                for one in &mut crowd {
                    one.attached.as_mut().unwrap().renew().unwrap();
                    // A start that comes in between.
                    if one.id.ends_with('3') {
                        called(&laboratory, "late", &[], &["crowd"]);
                    }
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            askers.into_iter().for_each(|asker| asker.join().expect("all found all"));
        });
        assert_eq!(ask(&crowd[0], server, "visitor-0", A), ask(&crowd[0], server, "nobody-at-all", A));
    });
}

#[test]
fn names_are_answered_after_the_holder_was_killed() {
    in_laboratory("names::names_are_answered_after_the_holder_was_killed", |laboratory| {
        laboratory.network("front", false);
        let mut web = called(&laboratory, "web", &[], &["front"]);
        let server = gateways(&laboratory, "front")[0];
        assert_eq!(ask(&web, server, "web", A), last_of(web.addresses(&laboratory, "front")[0]));
        laboratory.kill_holder();
        laboratory.start_holder();
        web.attached.as_mut().unwrap().renew().unwrap();
        assert_eq!(ask(&web, server, "web", A), last_of(web.addresses(&laboratory, "front")[0]));
    });
}
