//! A machine, and containers on its networks.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use enter::network::holder::{Attached, Client, Error};
use enter::network::lease::{Standing, Tenant, Wanted};
use enter::network::{Lease, Network, Networks, pool};
use nix::sched::CloneFlags;
use uidmap::Maps;

/// Servers outside, that this machine alone has and that are reached by its default route only.
pub const OUTSIDE: [&str; 2] = ["203.0.113.7", "2001:db8:7::7"];
/// Where every server listens.
pub const PORT: u16 = 7000;
/// Where this machine's own servers listen, at all of its addresses.
pub const HOSTS_PORT: u16 = 7001;
/// Longer than any machine takes, shorter than anyone's patience.
pub const LIMIT: Duration = Duration::from_secs(60);
/// For what is not to be reached: a refusal comes at once, silence is waited for as long as this.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Runs `test` in a network namespace of its own. Called by each test with its own name, which the second process looks for.
pub fn in_laboratory(name: &str, test: impl FnOnce(Laboratory)) {
    if env::var_os("NETWORKS_TEST").is_some() {
        return test(Laboratory::new());
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--"]).arg(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env("NETWORKS_TEST", "1");
    let mut child = command.spawn().expect("the tests need unshare(1) of util-linux");
    assert!(child.wait().unwrap().success(), "the test failed in its namespace; see above");
}

/// A machine with networks.
pub struct Laboratory {
    dir: tempfile::TempDir,
    pub networks: Networks,
    pub maps: Maps,
    last: std::cell::Cell<u32>,
}

/// A container, as far as networks are concerned.
pub struct Container {
    pub id: String,
    pub attached: Option<Attached>,
    pub network: OwnedFd,
    child: Child,
    /// Held as by a monitor.
    _lock: File,
    /// Held as by who starts it, so that the holder does not end before it is plugged in.
    starting: Option<Client>,
}

impl Drop for Container {
    fn drop(&mut self) {
        self.attached = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("the tests need ip(8) of iproute2");
    assert!(status.success(), "ip {arguments}");
}

impl Laboratory {
    fn new() -> Self {
        ip("link set lo up");
        ip("tuntap add uplink mode tap");
        ip("link set uplink address 02:00:00:00:00:11 up");
        ip("address add 203.0.113.7/32 dev lo");
        ip("address add 2001:db8:7::7/128 dev lo nodad");
        ip("address add 10.9.0.2/24 dev uplink");
        ip("route add default via 10.9.0.1");
        ip("address add 2001:db8:9::2/64 dev uplink nodad");
        ip("address add fe80::11/64 dev uplink nodad");
        ip("route add default via fe80::1 dev uplink");
        for server in OUTSIDE {
            serve(SocketAddr::new(server.parse().unwrap(), PORT));
        }
        serve(SocketAddr::new("0.0.0.0".parse().unwrap(), HOSTS_PORT));
        serve(SocketAddr::new("::1".parse().unwrap(), HOSTS_PORT));
        serve(SocketAddr::new("2001:db8:9::2".parse().unwrap(), HOSTS_PORT));
        let dir = tempfile::tempdir().unwrap();
        let networks = Networks::below(dir.path());
        Self { networks, dir, maps: Maps::single(0, 0, 0, 0).unwrap(), last: std::cell::Cell::new(0) }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// A network with addresses of both families.
    pub fn network(&self, name: &str, internal: bool) -> Network {
        let make = |others: &[Network]| {
            let mut network = Network::new(name)?;
            let taken = pool::taken_by(others);
            network.subnets.push(pool::subnet(pool::free_ipv4(&taken)?, None, None, &taken)?);
            network.subnets.push(pool::subnet(pool::free_ipv6(&taken)?, None, None, &taken)?);
            network.internal = internal;
            Ok(network)
        };
        self.networks.create(name, make).unwrap()
    }

    /// Starts a holder, which a program of tests cannot start by itself: that is done by the program that one is in.
    pub fn start_holder(&self) {
        std::fs::create_dir_all(self.root().join("networks/.holder")).unwrap();
        let maps = serde_json::to_string(&self.maps).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_enter"));
        let said = command.arg("__network").arg(self.root()).arg(maps).stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }

    pub fn client(&self) -> Client {
        let begun = Instant::now();
        loop {
            self.start_holder();
            if let Some(client) = Client::existing(&self.root(), &self.maps).unwrap() {
                return client;
            }
            // One that was about to end.
            assert!(begun.elapsed() < LIMIT, "no holder answers");
        }
    }

    /// The process that holds the networks.
    pub fn holder(&self) -> i32 {
        let lock = self.root().join("networks/.holder/lock");
        let found = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
            let has = open.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock));
            (has && comm.trim() == "enter-network").then_some(pid)
        });
        found.expect("there is a holder")
    }

    /// Kills that process, and waits until another one can take its place.
    pub fn kill_holder(&self) {
        let pid = nix::unistd::Pid::from_raw(self.holder());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        let lock = File::open(self.root().join("networks/.holder/lock")).unwrap();
        while lock.try_lock().is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A container with leases on these networks, in the user namespace of the networks or, as after a start on the default network,
    /// in one of its own; not yet plugged in.
    pub fn container(&self, networks: &[&str], own_users: bool) -> Container {
        let client = self.client();
        let users = client.users().unwrap();
        self.last.set(self.last.get() + 1);
        let id = format!("{:064x}", self.last.get());
        self.lease(&id, networks);
        let mut command = Command::new(if own_users { "unshare" } else { "nsenter" });
        if own_users {
            command.args(["--user", "--map-root-user", "--net"]);
        } else {
            let path = format!("/proc/{}/fd/{}", std::process::id(), users.as_raw_fd());
            command.args([&format!("--user={path}"), "--preserve-credentials", "unshare", "--net"]);
        }
        command.args(["sh", "-c", "ip link set lo up; echo ready; exec sleep 1000"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the tests need nsenter(1) and unshare(1) of util-linux");
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let network = File::open(format!("/proc/{}/ns/net", child.id())).unwrap().into();
        let folder = self.root().join("containers").join(&id);
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.try_lock().unwrap();
        Container { id, attached: None, network, child, _lock: lock, starting: Some(client) }
    }

    pub fn lease(&self, id: &str, networks: &[&str]) -> Vec<Lease> {
        let wanted: Vec<Wanted> =
            networks.iter().map(|name| Wanted { network: (*name).to_owned(), ..Wanted::default() }).collect();
        self.networks
            .take(Tenant { container: id, name: id, runs: false, occupied: &[], reaches_host: false }, &wanted, |_| {
                Standing::Alive
            })
            .unwrap()
    }

    /// One that is plugged in.
    pub fn plugged(&self, networks: &[&str]) -> Container {
        let mut container = self.container(networks, false);
        container.plug_in(self);
        container
    }
}

impl Container {
    pub fn plug_in(&mut self, laboratory: &Laboratory) {
        assert_eq!(self.plug_in_somehow(laboratory), None);
    }

    /// Plugs it in, and says what it is warned of.
    pub fn plug_in_somehow(&mut self, laboratory: &Laboratory) -> Option<Error> {
        let users = File::open(format!("/proc/{}/ns/user", self.child.id())).unwrap();
        let attached = laboratory.client().attach(&self.id, self.network.as_fd(), users.as_fd()).unwrap();
        let warning = attached.warning().cloned();
        self.attached = Some(attached);
        self.starting = None;
        warning
    }

    /// Its addresses on a network, of both families.
    pub fn addresses(&self, laboratory: &Laboratory, network: &str) -> Vec<IpAddr> {
        let leases = laboratory.networks.leases_of(&self.id).unwrap();
        leases.into_iter().find(|lease| lease.network == network).unwrap().addresses
    }

    /// Does something in its network namespace.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                nix::sched::setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            entered.join().unwrap()
        })
    }

    /// Whose link-layer addresses it was told for good, sorted.
    pub fn told_neighbours(&self) -> Vec<IpAddr> {
        let show = || Command::new("ip").args(["neighbour", "show", "nud", "permanent"]).output().unwrap().stdout;
        let text = String::from_utf8(self.inside(show)).unwrap();
        let mut told: Vec<IpAddr> = text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
        told.sort();
        told
    }

    /// Runs a command of ip(8) in its namespaces.
    pub fn run(&self, command: &str) {
        let (target, words) = (self.child.id().to_string(), command.split(' '));
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--preserve-credentials", "--user", "--net", "--target", &target]).args(words);
        assert!(nsenter.status().unwrap().success(), "{command}");
    }

    /// Has servers at all of its addresses.
    pub fn serve(&self) {
        self.inside(|| serve(SocketAddr::new("::".parse().unwrap(), PORT)));
    }

    /// Sees that a server answers it by TCP and by UDP.
    #[track_caller]
    pub fn reaches(&self, address: IpAddr, port: u16) {
        let server = SocketAddr::new(address, port);
        let tcp = self.inside(|| ask_tcp(server, LIMIT));
        assert!(tcp, "{server} does not answer by TCP");
        assert!(self.inside(|| ask_udp(server, LIMIT)), "{server} does not answer by UDP");
    }

    /// Sends a datagram from this address.
    pub fn sends_from(&self, address: IpAddr, server: SocketAddr) {
        // One that is refused at once is not sent either.
        let _ = self.inside(|| UdpSocket::bind((address, 0)).unwrap().send_to(b"hello", server));
    }

    /// Sees that no server answers it, neither by TCP nor by UDP.
    #[track_caller]
    pub fn does_not_reach(&self, address: IpAddr, port: u16) {
        let server = SocketAddr::new(address, port);
        assert!(!self.inside(|| ask_tcp(server, SILENCE)), "{server} answers by TCP");
        assert!(!self.inside(|| ask_udp(server, SILENCE)), "{server} answers by UDP");
    }
}

/// From now on this is a kernel without nf_tables, for this process and what it starts.
pub fn take_nf_tables_away() {
    // struct sock_filter, as the kernel has it (linux/filter.h), of what struct seccomp_data says.
    let word = |code: u64, jump: [u64; 2], value: u64| code | jump[0] << 16 | jump[1] << 24 | value << 32;
    let load = |offset| word(0x20, [0, 0], offset);
    let is = |value: i32, yes: u64, no: u64| word(0x15, [yes, no], u64::from(value.unsigned_abs()));
    let end = |value| word(0x06, [0, 0], value);
    let (allowed, refused) = (0x7fff_0000, 0x0005_0000 | u64::from(nix::libc::EPROTONOSUPPORT.unsigned_abs()));
    let (number, family, protocol) = (0, 16, 32);
    let socket = i32::try_from(nix::libc::SYS_socket).unwrap();
    let filter = [
        load(number),
        is(socket, 0, 4),
        load(family),
        is(nix::libc::AF_NETLINK, 0, 2),
        load(protocol),
        is(nix::libc::NETLINK_NETFILTER, 1, 0),
        end(allowed),
        end(refused),
    ];
    sys::seccomp::install(&filter).unwrap();
}

/// Answers with what it is told, by TCP and UDP.
pub fn serve(address: SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], peer);
        }
    });
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
}

/// Asks over one connection.
pub fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"hello")?;
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer)?;
    assert_eq!(&buffer, b"hello");
    Ok(())
}

fn ask_tcp(server: SocketAddr, limit: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&server, limit) else { return false };
    stream.set_read_timeout(Some(limit)).unwrap();
    echo(&mut stream).is_ok()
}

fn ask_udp(server: SocketAddr, limit: Duration) -> bool {
    let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let begun = Instant::now();
    loop {
        // A datagram may be lost.
        let _ = socket.send_to(b"hello", server);
        let mut buffer = [0; 100];
        if socket.recv_from(&mut buffer).is_ok_and(|(length, peer)| &buffer[..length] == b"hello" && peer == server) {
            return true;
        }
        if begun.elapsed() >= limit {
            return false;
        }
    }
}
