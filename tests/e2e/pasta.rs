//! `--network pasta:OPTIONS`, as podman's users write it; access to this machine's own servers; and `ping`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::User;

/// Answers everyone who reaches it at 127.0.0.1, by TCP and by UDP at the same port, and waits for the other end to hang up.
fn service() -> u16 {
    let (listener, datagrams) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        if let Ok(datagrams) = UdpSocket::bind(("127.0.0.1", port)) {
            break (listener, datagrams);
        }
    };
    let port = listener.local_addr().expect("a listener has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.expect("a connection");
            std::thread::spawn(move || stream.write_all(b"reached\n").and_then(|()| stream.read(&mut [0; 9])));
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, who)) = datagrams.recv_from(&mut [0; 9]) {
            let _ = datagrams.send_to(b"reached\n", who);
        }
    });
    port
}

/// Asks a server by TCP and by UDP, and says what came.
const ASK: &str = r#"
import socket, sys
def tcp(place):
    with socket.create_connection(place, 5) as s:
        return s.recv(99)
def udp(place):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        for _ in range(5):
            s.sendto(b"ask", place)
            try:
                return s.recv(99)
            except TimeoutError:
                pass
        raise TimeoutError
for name in sys.argv[2:]:
    for way in tcp, udp:
        try:
            print(name, way.__name__, way((name, int(sys.argv[1]))).decode().strip())
        except OSError:
            print(name, way.__name__, "refused")
"#;

#[test]
fn options_of_pasta_stand_behind_it() {
    let user = User::new();
    let seen = user.run([
        "run", "--rm", "--network", "pasta:--ipv4-only,-I,tap0,-a,10.0.2.100,-n,24,-g,10.0.2.2,--dns-forward,10.0.2.3,-m,1500",
        "busybox", "sh", "-c", "ls /sys/class/net; cat /sys/class/net/tap0/mtu; ip route | grep -o '^default via [0-9.]*'; cat /etc/resolv.conf",
    ]);
    let seen = seen.success();
    assert!(seen.starts_with("lo\ntap0\n1500\ndefault via 10.0.2.2\nnameserver 10.0.2.3\n"), "{seen}");

    // What is kept.
    user.run([
        "create",
        "--name",
        "kept",
        "--network",
        "pasta:--mtu,1400",
        "busybox",
        "cat",
        "/sys/class/net/eth0/mtu",
    ])
    .success();
    assert_eq!(user.run(["start", "-a", "kept"]).success(), "1400\n");
    assert_eq!(user.run(["inspect", "-f", "{{.HostConfig.NetworkMode}}", "kept"]).success(), "pasta:--mtu,1400\n");

    // pasta's own words are in the file that was named for them, in the folder that it was named in.
    let log = user.home().join("pasta.log");
    let option = format!("pasta:--debug,-l,{}", log.display());
    user.run(["run", "--rm", "--network", &option, "busybox", "sleep", "1"]).success();
    assert!(std::fs::metadata(&log).is_ok_and(|file| file.len() > 0));
}

#[test]
fn what_pasta_cannot_do_is_refused_before_anything_starts() {
    let user = User::new();
    for (options, why) in [
        ("--netns,/x", "namespaces itself"),
        ("--config-net", "configures the interface itself"),
        ("--bogus", "no option --bogus"),
        ("-t,80,443", "`443`"),
        ("-m,1", "68"),
        ("-i,nosuch0", "nosuch0"),
        ("-l,/nonexistent/folder/log", "/nonexistent/folder/log"),
    ] {
        let done = user.run(["run", "--rm", "--network", &format!("pasta:{options}"), "busybox", "true"]);
        done.refused(&[why]);
    }
    user.run(["run", "--rm", "--network", "slirp4netns:mtu=1500", "busybox", "true"]).refused(&["pasta"]);
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    user.run(["run", "--rm", "--network", &format!("pasta:-t,{port}"), "busybox", "true"])
        .refused(&["0.0.0.0", &port.to_string()]);
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
}

#[test]
fn pasta_opens_ports_both_ways_and_the_gateway_where_asked() {
    let user = User::new();
    let port = service();
    let ask = |network: &str, name: &str| {
        let script = format!("sleep 1; sleep 1 | nc -w 3 {name} {port} 2>/dev/null || echo refused");
        user.run(["run", "--rm", "--network", network, "busybox", "sh", "-c", &script]).success()
    };
    assert_eq!(ask(&format!("pasta:-T,{port}"), "127.0.0.1"), "reached\n");
    assert_eq!(ask("pasta:--mtu,1500", "127.0.0.1"), "refused\n");
    assert_eq!(ask("pasta:--map-gw", "host.containers.internal"), "reached\n");
    assert_eq!(ask("pasta:--no-map-gw", "host.containers.internal"), "refused\n");

    // Into the container.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let option = format!("pasta:-t,127.0.0.1/{free}:80");
    let script = "mkdir /w; echo inside > /w/index.html; exec httpd -f -p 80 -h /w";
    user.run(["run", "-d", "--name", "web", "--network", &option, "busybox", "sh", "-c", script]).success();
    crate::support::wait_until("the server in the container", || {
        let mut stream = TcpStream::connect(("127.0.0.1", free)).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.contains("inside").then_some(())
    });
    user.run(["rm", "-f", "web"]).success();
}

#[test]
fn of_several_on_one_network_those_alone_reach_this_machine_that_asked_for_it() {
    let user = User::new();
    let port = service().to_string();
    user.run(["network", "create", "learning"]).success();
    user.run(["network", "create", "--internal", "closed"]).success();
    let names = ["host.docker.internal", "169.254.1.2"];
    let run = |flags: &[&str]| {
        let command = ["debian", "python3", "-c", ASK, &port, names[0], names[1]];
        user.run(["run", "--rm", "--network", "learning"].iter().chain(flags).chain(&command).copied()).success()
    };
    let all = |what: &str| {
        names.iter().flat_map(|name| ["tcp", "udp"].map(|way| format!("{name} {way} {what}\n"))).collect::<String>()
    };
    assert_eq!(run(&["--host-access"]), all("reached"));
    let box_ = ["run", "-d", "--name", "visitor", "--network", "learning", "--add-host", "gate:host-gateway"];
    user.run(box_.iter().chain(&["debian", "sleep", "1000"]).copied()).success();
    let exec = || {
        let command = ["exec", "visitor", "python3", "-c", ASK, &port, "gate"];
        user.run(command).success()
    };
    assert_eq!(exec(), "gate tcp reached\ngate udp reached\n");
    // While the way is open for another.
    assert_eq!(run(&[]), all("refused"));
    assert_eq!(exec(), "gate tcp reached\ngate udp reached\n");
    user.run(["rm", "-f", "visitor"]).success();

    user.run(["run", "--rm", "--network", "closed", "--host-access", "busybox", "true"]).refused(&["internal"]);
}

#[test]
fn a_shell_reaches_this_machine_where_it_or_the_settings_say_so() {
    let user = User::new();
    let port = service();
    let script = format!("sleep 1 | nc -w 3 host.docker.internal {port} 2>/dev/null || echo refused");
    assert_eq!(user.sh(&[], "busybox", &script), "refused\n");
    assert_eq!(user.sh(&["--host-access"], "busybox", &script), "reached\n");
    assert_eq!(user.sh(&["--add-host", "gate:host-gateway"], "busybox", &script), "reached\n");
    for arguments in [&["busybox", "--"][..], &["run", "--rm", "busybox"]] {
        let mut command = user.enter(arguments.iter().chain(&["sh", "-c", script.as_str()]).copied());
        let done = command.env("ENTER_HOST_ACCESS", "true").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "reached\n", "{}", String::from_utf8_lossy(&done.stderr));
        // Where there is no network it means nothing.
        let none = ["--network", "none", "busybox", "true"];
        let verb: &[&str] = if arguments.len() > 2 { &["run", "--rm"] } else { &["shell"] };
        let mut command = user.enter(verb.iter().chain(&none).copied());
        assert!(command.env("ENTER_HOST_ACCESS", "true").status().unwrap().success());
    }
}

/// Which sockets can be had that send or hear more than their own.
const SOCKETS: &str = r#"
import socket as s
def have(*kind):
    try:
        with s.socket(*kind) as made:
            made.setsockopt(s.IPPROTO_IP, s.IP_HDRINCL, 1)
        return "all"
    except OSError as error:
        return "some" if "made" in locals() else "none"
print(have(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP), have(s.AF_INET, s.SOCK_RAW, s.IPPROTO_RAW), have(s.AF_PACKET, s.SOCK_RAW, 3))
"#;

#[test]
fn root_pings_with_every_ping_and_sends_nothing_else_that_is_raw() {
    for user in [User::new(), User::on("fuse")] {
        user.run(["network", "create", "learning"]).success();
        user.run(["run", "-d", "--name", "catserver", "--network", "learning", "busybox", "sleep", "1000"]).success();
        let ping = |network: &str, whom: &str| {
            let done = ["run", "--rm", "--network", network, "busybox", "ping", "-c", "1", "-w", "9", whom];
            let text = user.run(done).success();
            assert!(text.contains(" 0% packet loss"), "{network}: {text}");
        };
        ping("learning", "catserver");
        ping("pasta", "127.0.0.1");
        ping("none", "127.0.0.1");
        let sockets = |flags: &[&str]| {
            user.run(["run", "--rm"].iter().chain(flags).chain(&["debian", "python3", "-c", SOCKETS]).copied())
                .success()
        };
        assert_eq!(sockets(&[]), "some none none\n");
        assert_eq!(sockets(&["--network", "learning"]), "some none none\n");
        assert_eq!(sockets(&["--cap-drop", "NET_RAW"]), "none none none\n");
        assert_eq!(sockets(&["-u", "1000"]), "none none none\n");
        assert_eq!(sockets(&["--security-opt", "seccomp=unconfined"]), "none none none\n");
        // A packet socket has no such option.
        assert_eq!(sockets(&["--cap-add", "NET_RAW", "--network", "learning"]), "all all some\n");
        // pasta would pass on whatever they send.
        assert_eq!(sockets(&["--cap-add", "NET_RAW"]), "none none none\n");
        let asked = ["run", "--rm", "--cap-add", "NET_ADMIN", "busybox", "ip", "link", "set", "eth0", "mtu", "1400"];
        let refused = user.run(asked);
        assert!(
            refused.code() != Some(0) && refused.stderr.contains("no power over the default network"),
            "{refused:?}"
        );
        user.run(["rm", "-f", "catserver"]).success();
    }
}

#[test]
fn a_privileged_container_on_a_network_has_power_over_its_own_interface_alone() {
    let user = User::new();
    user.run(["network", "create", "learning"]).success();
    user.run(["run", "-d", "--name", "catserver", "--network", "learning", "busybox", "sleep", "1000"]).success();
    // The holder's namespaces are out of its sight, its bridge is not to be had, and nobody there can be looked into.
    let script =
        "ip link | grep -c br-; ip link set eth0 mtu 1400 && cat /sys/class/net/eth0/mtu; hostname mine && hostname
        mount -t tmpfs none /tmp && echo mounted; ping -c 1 -w 9 catserver | grep -o ' 0% packet loss'
        ls -d /proc/[0-9]* | wc -l; readlink /proc/self/ns/user > /dev/null && echo own";
    let privileged = ["run", "--rm", "--privileged", "--network", "learning", "busybox", "sh", "-c", script];
    let seen = user.run(privileged).success();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..5], ["0", "1400", "mine", "mounted", " 0% packet loss"], "{seen}");

    let id = |flags: &[&str]| {
        let command = ["busybox", "readlink", "/proc/self/ns/user"];
        user.run(["run", "--rm"].iter().chain(flags).chain(&command).copied()).success()
    };
    // Whoever is root of the user namespace that the networks belong to could enter the holder's: that of its process B.
    let holders: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            name.starts_with("enter-network").then(|| std::fs::read_link(path.join("ns/user")).ok())?
        })
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    assert!(!holders.is_empty());
    for flags in [
        &["--privileged", "--network", "learning"][..],
        &["--privileged", "--network", "container:catserver"],
        &["--privileged", "--pid", "container:catserver"],
        &["--privileged", "--ipc", "container:catserver"],
    ] {
        assert!(!holders.contains(&id(flags).trim().to_owned()), "{flags:?}");
    }
    user.run(["rm", "-f", "catserver"]).success();
}

/// Sends to this machine's loopback interface by the container's, having done what it may to get that passed on.
const LOOPBACK: &str = r"
import os, socket, subprocess, sys
for name in ('all', 'eth0'):
    try: open(f'/proc/sys/net/ipv4/conf/{name}/route_localnet', 'w').write('1')
    except OSError: pass
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
for family in (socket.AF_INET, socket.AF_INET6):
    # RTM_DELRULE, of the rules for the local table and of those that come next.
    for preference in (0, 1):
        header = bytes([family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) + (8).to_bytes(2, 'little') + (6).to_bytes(2, 'little') + preference.to_bytes(4, 'little')
        netlink.send((16 + len(header)).to_bytes(4, 'little') + (33).to_bytes(2, 'little') + (5).to_bytes(2, 'little') + bytes(8) + header)
        netlink.recv(10000)
for kind, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET, '127.9.9.9'), (socket.AF_INET6, '::1'), (socket.AF_INET6, '::ffff:127.0.0.1')):
    for option in (25, None):
        sender = socket.socket(kind, socket.SOCK_DGRAM)
        try:
            if option: sender.setsockopt(socket.SOL_SOCKET, option, b'eth0')
            for _ in range(3): sender.sendto(f'{address} {option} {sys.argv[2]}'.encode(), (address, int(sys.argv[1])))
        except OSError: pass
";

#[test]
fn this_machines_loopback_is_out_of_reach_whatever_a_container_may() {
    let user = User::new();
    user.run(["network", "create", "learning"]).success();
    let four = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = four.local_addr().unwrap().port();
    let six = UdpSocket::bind(("::1", port)).unwrap();
    let number = port.to_string();
    let send = |who: &'static str| ["debian", "python3", "-c", LOOPBACK, &number, who];
    for flags in [
        &[][..],
        &["-u", "1000"],
        &["--cap-add", "NET_RAW,NET_ADMIN"],
        &["--cap-add", "ALL"],
        &["--privileged"],
        &["--privileged", "--network", "learning"],
        &["--cap-add", "ALL", "--network", "learning"],
    ] {
        user.run(["run", "--rm"].iter().chain(flags).chain(&send(flags.last().unwrap_or(&"plain"))).copied()).success();
    }
    user.run(["run", "-d", "--name", "box", "debian", "sleep", "1000"]).success();
    user.run(["exec", "--privileged", "box"].iter().chain(&send("exec")[1..]).copied()).success();
    user.run(["run", "--rm", "--privileged", "--network", "container:box"].iter().chain(&send("joined")).copied())
        .success();
    user.run(["-u", "root", "debian", "--"].iter().chain(&send("shell")[1..]).copied()).success();
    for socket in [four, six] {
        socket.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        let mut buffer = [0; 200];
        let arrived = socket.recv(&mut buffer).map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
        assert!(arrived.is_err(), "{arrived:?} has arrived");
    }
    user.run(["rm", "-f", "box"]).success();
}
