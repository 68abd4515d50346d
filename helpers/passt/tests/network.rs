//! Real packets through a real pasta, in a laboratory that needs no network of its own: a namespace that plays the host,
//! with a default route and servers at an address that only it has, and in it one that plays the container.
//!
//! Each test runs itself again by unshare(1), once as the host and once as the container. It needs pasta, unshare, ip,
//! /dev/net/tun and user namespaces; what is missing is a failure.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::unistd::Pid;
use passt::dns::{FORWARD, HostResolver};
use passt::{HostNetwork, Interface, Pasta, Running, loopback_only};

const SERVER_4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const SERVER_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 7));
const PORT: u16 = 7000;
/// Longer than any machine takes to start pasta, shorter than anyone's patience.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `host` in namespaces of its own. Called by each test with its own name, which the second process looks for.
fn as_host(test: &str, host: impl FnOnce()) {
    if env::var_os("PASST_TEST_ROLE").is_some_and(|role| role == "host") {
        host();
        return;
    }
    let mut child = again(test, "host").spawn().expect("the tests need unshare(1) of util-linux");
    assert!(child.wait().unwrap().success(), "the test failed in its namespace; see above");
}

/// This test program again, for one test, in a new user and network namespace.
fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--"]).arg(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env("PASST_TEST_ROLE", role);
    command
}

/// A container: this program, in namespaces of its own, which says what `interface` turned out to be and then tries `probe`.
struct Container {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Container {
    fn start(test: &str, interface: &Interface, probe: &str) -> Container {
        let mut child = again(test, "container")
            .env("PASST_TEST_PROBE", probe)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", to_line(interface)).unwrap();
        let mut container = Container { stdin, stdout: BufReader::new(child.stdout.take().unwrap()), child };
        container.expect("configured");
        container
    }

    fn expect(&mut self, word: &str) {
        assert!(self.says(word), "the container ended before it said {word:?}");
    }

    fn expect_with(&mut self, word: &str, pasta: &mut Running) {
        let said = self.says(word);
        assert_eq!(pasta.ended(), None, "pasta must not end by itself");
        assert!(said, "the container ended before it said {word:?}");
    }

    fn says(&mut self, word: &str) -> bool {
        let mut line = String::new();
        // The test harness writes to stdout as well.
        while !line.trim_end().ends_with(word) {
            line.clear();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                return false;
            }
        }
        true
    }

    fn pasta(&self, interface: &Interface) -> Running {
        let member = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        Pasta::find().unwrap().start(member, interface).unwrap()
    }

    fn finish(mut self) {
        drop(self.stdin);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "the container failed: {rest}");
    }
}

/// What crosses from the host to the container: just what `configure` needs.
fn to_line(interface: &Interface) -> String {
    let address = |address: &Option<passt::Address>| {
        address.as_ref().map_or("-".into(), |one| format!("{} {} {}", one.address, one.prefix, one.gateway))
    };
    format!("{};{};{}", interface.name, address(&interface.ipv4), address(&interface.ipv6))
}

fn from_line(line: &str) -> Interface {
    let parts: Vec<&str> = line.trim_end().split(';').collect();
    let address = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        let [address, prefix, gateway] = words[..] else { return None };
        Some(passt::Address {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
            gateway: gateway.parse().unwrap(),
        })
    };
    Interface { name: parts[0].into(), ipv4: address(parts[1]), ipv6: address(parts[2]), ..Interface::default() }
}

/// The container's side of every test: configure, say so, and only then does the host start pasta.
fn container(probes: impl FnOnce(&str)) -> bool {
    if env::var_os("PASST_TEST_ROLE").is_none_or(|role| role != "container") {
        return false;
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let interface = from_line(&line);
    let outcome = interface.configure().unwrap();
    say("configured");
    if !outcome.usable_at_once() {
        assert!(outcome.wait_until_usable(LIMIT).unwrap(), "pasta never attached");
    }
    probes(&env::var("PASST_TEST_PROBE").unwrap());
    assert!(outcome.wait_until_attached(LIMIT).unwrap());
    say("probed");
    // Until the host is done with us.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    true
}

fn say(word: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{word}").and_then(|()| stdout.flush()).unwrap();
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("the tests need ip(8) of iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// A host with one interface, default routes of the families asked for, and an echo server by TCP and UDP.
fn host_network(ipv4: bool, ipv6: bool) -> HostNetwork {
    ip("link set lo up");
    ip("tuntap add uplink mode tap");
    ip("link set uplink address 02:00:00:00:00:11 up");
    ip("address add 203.0.113.7/32 dev lo");
    ip("address add 2001:db8:7::7/128 dev lo nodad");
    if ipv4 {
        ip("address add 10.9.0.2/24 dev uplink");
        ip("route add default via 10.9.0.1");
    }
    if ipv6 {
        ip("address add 2001:db8:9::2/64 dev uplink nodad");
        ip("address add fe80::11/64 dev uplink nodad");
        ip("route add default via fe80::1 dev uplink");
    }
    for server in [SERVER_4, SERVER_6] {
        let address = SocketAddr::new(server, PORT);
        serve_udp(UdpSocket::bind(address).unwrap());
        serve_tcp(TcpListener::bind(address).unwrap());
    }
    HostNetwork::read().unwrap().expect("the laboratory has a default route")
}

fn serve_udp(socket: UdpSocket) {
    std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], peer).unwrap();
        }
    });
}

fn serve_tcp(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
}

/// One datagram, never repeated: were it lost while pasta starts, no answer would come.
fn ask_udp(server: SocketAddr) {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.send_to(b"hello", server).unwrap();
    let mut buffer = [0; 100];
    let (length, peer) = socket.recv_from(&mut buffer).expect("the datagram is answered");
    assert_eq!((&buffer[..length], peer), (&b"hello"[..], server));
}

fn ask_tcp(server: SocketAddr) {
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).expect("the connection is made");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello");
}

/// Runs a whole test: the container asks before pasta is started, and pasta then brings the answers.
fn round_trip(test: &str, ipv4: bool, ipv6: bool) {
    let ask = |probe: &str| {
        for server in probe.split(' ') {
            let server = SocketAddr::new(server.parse().unwrap(), PORT);
            ask_udp(server);
            ask_tcp(server);
        }
    };
    if container(ask) {
        return;
    }
    as_host(test, || {
        let host = host_network(ipv4, ipv6);
        assert_eq!((host.ipv4.is_some(), host.ipv6.is_some()), (ipv4, ipv6));
        let interface = Interface::like(&host, &HostResolver::default());
        let servers: Vec<String> =
            [(ipv4, SERVER_4), (ipv6, SERVER_6)].iter().filter(|(on, _)| *on).map(|(_, one)| one.to_string()).collect();
        let mut container = Container::start(test, &interface, &servers.join(" "));
        let mut pasta = container.pasta(&interface);
        container.expect_with("probed", &mut pasta);
        container.finish();
        pasta.end();
    });
}

#[test]
fn what_is_sent_before_pasta_is_there_arrives_by_ipv4() {
    round_trip("what_is_sent_before_pasta_is_there_arrives_by_ipv4", true, false);
}

#[test]
fn what_is_sent_before_pasta_is_there_arrives_by_ipv6() {
    round_trip("what_is_sent_before_pasta_is_there_arrives_by_ipv6", false, true);
}

#[test]
fn what_is_sent_before_pasta_is_there_arrives_by_both() {
    round_trip("what_is_sent_before_pasta_is_there_arrives_by_both", true, true);
}

#[test]
fn neither_the_hosts_loopback_nor_its_own_address_nor_the_gateway_leads_to_the_host() {
    const NAME: &str = "neither_the_hosts_loopback_nor_its_own_address_nor_the_gateway_leads_to_the_host";
    let refused = |probe: &str| {
        // The way out works…
        ask_tcp(SocketAddr::new(SERVER_4, PORT));
        // …and none of these is the host.
        for address in probe.split(' ') {
            let server: SocketAddr = address.parse().unwrap();
            let answer = TcpStream::connect_timeout(&server, Duration::from_secs(2));
            assert!(answer.is_err(), "{address} answers");
        }
    };
    if container(refused) {
        return;
    }
    as_host(NAME, || {
        let host = host_network(true, true);
        for address in ["0.0.0.0:7001", "[::]:7002"] {
            serve_tcp(TcpListener::bind(address).unwrap());
        }
        let interface = Interface::like(&host, &HostResolver::default());
        let doors = "127.0.0.1:7001 10.9.0.2:7001 10.9.0.1:7001 [::1]:7002 [2001:db8:9::2]:7002 169.254.1.1:7001";
        let mut container = Container::start(NAME, &interface, doors);
        let mut pasta = container.pasta(&interface);
        container.expect_with("probed", &mut pasta);
        container.finish();
        pasta.end();
    });
}

#[test]
fn the_hosts_loopback_is_reached_where_that_was_asked_for_and_the_gateway_is_not_it() {
    const NAME: &str = "the_hosts_loopback_is_reached_where_that_was_asked_for_and_the_gateway_is_not_it";
    let reached = |_: &str| {
        let host = SocketAddr::new(passt::HOST.into(), 7001);
        ask_tcp(host);
        ask_udp(host);
        ask_tcp(SocketAddr::new(SERVER_4, PORT));
        for door in ["10.9.0.1:7001", "10.9.0.2:7001", "127.0.0.1:7001"] {
            let answer = TcpStream::connect_timeout(&door.parse().unwrap(), Duration::from_secs(1));
            assert!(answer.is_err(), "{door} answers");
        }
    };
    if container(reached) {
        return;
    }
    as_host(NAME, || {
        let host = host_network(true, true);
        serve_tcp(TcpListener::bind("127.0.0.1:7001").unwrap());
        serve_udp(UdpSocket::bind("127.0.0.1:7001").unwrap());
        let interface = Interface::like(&host, &HostResolver::default()).reaching_host().unwrap();
        let mut container = Container::start(NAME, &interface, "");
        let mut pasta = container.pasta(&interface);
        container.expect_with("probed", &mut pasta);
        container.finish();
        pasta.end();
    });
}

#[test]
fn the_way_out_is_the_hosts_of_that_moment_also_where_it_had_none() {
    const NAME: &str = "the_way_out_is_the_hosts_of_that_moment_also_where_it_had_none";
    let ask = |_: &str| {
        // Each time that the host has changed.
        for _ in 0..3 {
            std::io::stdin().read_line(&mut String::new()).unwrap();
            ask_tcp(SocketAddr::new(SERVER_4, PORT));
            ask_udp(SocketAddr::new(SERVER_4, PORT));
            say("asked");
        }
    };
    if container(ask) {
        return;
    }
    as_host(NAME, || {
        ip("link set lo up");
        let outside = Outside::start();
        assert_eq!(HostNetwork::read().unwrap(), None);
        let interface = Interface::waiting(&HostResolver::default());
        let mut container = Container::start(NAME, &interface, "");
        let mut pasta = container.pasta(&interface);
        for network in 1..=3 {
            ip(&format!("link add up{network} type veth peer name out{network} netns {}", outside.thread));
            outside.ip(&format!("link set out{network} up"));
            outside.ip(&format!("address add 10.9.{network}.1/24 dev out{network}"));
            ip(&format!("link set up{network} up"));
            ip(&format!("address add 10.9.{network}.2/24 dev up{network}"));
            ip(&format!("route add default via 10.9.{network}.1"));
            writeln!(container.stdin, "changed").unwrap();
            container.expect_with("asked", &mut pasta);
            ip(&format!("link delete up{network}"));
        }
        container.expect_with("probed", &mut pasta);
        container.finish();
        pasta.end();
    });
}

/// What is beyond the host: a network namespace with the servers, that the host has no way to but the one that it is given.
struct Outside {
    /// A thread that is in it.
    thread: Pid,
    commands: Sender<String>,
    done: Receiver<()>,
}

impl Outside {
    fn start() -> Outside {
        let ((commands, wanted), (tell, done), (say_who, who)) = (channel::<String>(), channel(), channel());
        std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            ip("address add 203.0.113.7/32 dev lo");
            serve_udp(UdpSocket::bind((SERVER_4, PORT)).unwrap());
            serve_tcp(TcpListener::bind((SERVER_4, PORT)).unwrap());
            say_who.send(nix::unistd::gettid()).unwrap();
            for command in wanted {
                ip(&command);
                tell.send(()).unwrap();
            }
        });
        Outside { thread: who.recv().unwrap(), commands, done }
    }

    fn ip(&self, arguments: &str) {
        self.commands.send(arguments.to_owned()).unwrap();
        self.done.recv().expect("the command succeeds");
    }
}

#[test]
fn a_name_server_on_the_hosts_loopback_is_asked_through_pasta() {
    const NAME: &str = "a_name_server_on_the_hosts_loopback_is_asked_through_pasta";
    if container(|_| ask_udp(SocketAddr::new(FORWARD.into(), 53))) {
        return;
    }
    as_host(NAME, || {
        let host = host_network(true, false);
        // pasta reads /etc/resolv.conf by itself: it gets one of its own in a mount namespace of its own.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap_or_else(|errno| {
            panic!("cannot unshare a mount namespace: {errno}");
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "nameserver 127.0.0.53\n").unwrap();
        let target = fs::canonicalize("/etc/resolv.conf").expect("the tests need /etc/resolv.conf");
        let none = None::<&str>;
        let bind = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some(file.path()), &target, none, bind, none).expect("bind a resolv.conf");
        serve_udp(UdpSocket::bind("127.0.0.53:53").unwrap());
        let interface = Interface::like(&host, &HostResolver::read().unwrap());
        assert_eq!(interface.resolver.servers, [IpAddr::from(FORWARD)]);
        let mut container = Container::start(NAME, &interface, "");
        let mut pasta = container.pasta(&interface);
        container.expect_with("probed", &mut pasta);
        container.finish();
        pasta.end();
    });
}

#[test]
fn a_host_without_a_default_route_is_no_way_out() {
    as_host("a_host_without_a_default_route_is_no_way_out", || {
        ip("link set lo up");
        assert_eq!(HostNetwork::read().unwrap(), None);
    });
}

#[test]
fn without_a_network_the_loopback_works_and_everyone_may_ping_and_bind() {
    as_host("without_a_network_the_loopback_works_and_everyone_may_ping_and_bind", || {
        loopback_only().unwrap();
        serve_tcp(TcpListener::bind("127.0.0.1:7").unwrap());
        ask_tcp("127.0.0.1:7".parse().unwrap());
        let setting = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        assert_eq!(setting("ip_unprivileged_port_start").trim(), "0");
        assert_eq!(setting("ping_group_range").split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
    });
}

#[test]
fn pasta_dies_with_the_thread_that_started_it() {
    const NAME: &str = "pasta_dies_with_the_thread_that_started_it";
    if container(|_| ()) {
        return;
    }
    as_host(NAME, || {
        let interface = Interface::like(&host_network(true, false), &HostResolver::default());
        let starter = std::thread::spawn(move || {
            let mut container = Container::start(NAME, &interface, "");
            let mut pasta = container.pasta(&interface);
            // Attached: it has done to its credentials whatever it does.
            container.expect_with("probed", &mut pasta);
            (container, pasta)
        });
        let (container, mut pasta) = starter.join().unwrap();
        wait_for(&pasta);
        assert_eq!(pasta.ended().expect("it has ended").status, "signal SIGKILL");
        container.finish();
    });
}

#[test]
fn a_pasta_that_cannot_attach_ends_and_says_why() {
    as_host("a_pasta_that_cannot_attach_ends_and_says_why", || {
        let host = host_network(true, false);
        let interface = Interface::like(&host, &HostResolver::default());
        let own = |name: &str| File::open(format!("/proc/self/ns/{name}")).unwrap();
        let pasta = Pasta::find().unwrap();
        // One cannot join the namespace that one is in.
        let error = pasta.start_in(own("user").as_fd(), own("net").as_fd(), &interface).unwrap_err();
        assert!(error.to_string().starts_with("cannot join the container's user namespace for /"), "{error}");
        let mut holder =
            Command::new("unshare").args(["--user", "--map-root-user", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        wait_for_namespace(holder.id());
        // What is no namespace cannot be attached to.
        let user = File::open(format!("/proc/{}/ns/user", holder.id())).unwrap();
        let mut running = pasta.start_in(user.as_fd(), File::open("/dev/null").unwrap().as_fd(), &interface).unwrap();
        wait_for(&running);
        let ended = running.ended().expect("it has ended");
        assert!(ended.message.contains("namespace") && !ended.message.contains("syslog"), "{ended:?}");
        holder.kill().and_then(|()| holder.wait()).unwrap();
    });
}

fn wait_for(pasta: &Running) {
    let mut poll = [nix::poll::PollFd::new(pasta.as_fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut poll, 60_000u16), Ok(1), "pasta does not end");
}

fn wait_for_namespace(pid: u32) {
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    while fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|namespace| namespace == own) {
        std::thread::sleep(Duration::from_millis(1));
    }
    // unshare maps its ids after it has unshared, and only then becomes cat.
    while !fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().starts_with("cat") {
        std::thread::sleep(Duration::from_millis(1));
    }
}
