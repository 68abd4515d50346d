//! Published ports: the echo server of a course, by chosen numbers and by datagrams, and what cannot be published.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{User, wait_for_some, wait_until};

/// Answers each connection to port 80 with what it is told, until it is told no more.
const ECHO: [&str; 8] = ["nc", "-ll", "-p", "80", "-e", "sh", "-c", "read line; echo heard $line"];

/// Runs a container in the background.
#[track_caller]
fn begin(user: &User, flags: &[&str], image: &str, command: &[&str]) {
    user.run(["run", "-d"].iter().chain(flags).chain(&[image]).chain(command)).success();
}

/// Where a container's port is reachable.
#[track_caller]
fn place(user: &User, container: &str, port: &str) -> String {
    user.run(["port", container, port]).success().trim().to_owned()
}

/// What is heard at a place after something was said there; nothing where nobody listens yet.
fn heard(place: &str, said: &str) -> Option<String> {
    let mut stream = TcpStream::connect(place).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(format!("{said}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer).filter(|answer| !answer.is_empty())
}

#[track_caller]
fn assert_echoes(place: &str) {
    let answer = wait_until("an answer", || heard(place, "hello"));
    assert_eq!(answer, "heard hello\n");
}

/// A port of 127.0.0.1 that nobody has.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_echo_server_of_the_course() {
    let user = User::new();
    let (one, other) = (free(), free());
    let flags = [format!("{one}:45678"), format!("{other}:45679")];
    let flags = ["--rm", "--name", "echo-server", "-p", &flags[0], "-p", &flags[1]];
    begin(&user, &flags, "busybox", &["sh", "-c", "nc -lp 45678 | nc -lp 45679"]);
    let list = user.run(["port", "echo-server"]).success();
    assert_eq!(list, format!("45678/tcp -> 127.0.0.1:{one}\n45679/tcp -> 127.0.0.1:{other}\n"));
    let ports = user.run(["ps", "--format", "{{.Ports}}"]).success();
    assert!(ports.contains(&format!("127.0.0.1:{one}->45678/tcp")), "{ports}");
    // Each end of the pipe listens when its program has started.
    std::thread::sleep(Duration::from_millis(500));
    let mut hears = TcpStream::connect(("127.0.0.1", other)).unwrap();
    let mut speaks = TcpStream::connect(("127.0.0.1", one)).unwrap();
    speaks.write_all(b"through two\n").unwrap();
    speaks.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    hears.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through two\n");
}

#[test]
fn a_chosen_port_is_told_and_kept_by_a_container_that_is_started_again() {
    let user = User::new();
    begin(&user, &["--name", "a", "-p", "80", "-P", "--expose", "81"], "busybox", &ECHO);
    let before = place(&user, "a", "80");
    assert!(before.starts_with("127.0.0.1:") && place(&user, "a", "81/tcp") != before, "{before}");
    assert_echoes(&before);
    let seen = user.run(["inspect", "-f", "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "a"]);
    assert!(before.ends_with(seen.success().trim()));
    user.run(["restart", "-t", "0", "a"]).success();
    assert_eq!(place(&user, "a", "80"), before);
    assert_echoes(&before);
    user.run(["stop", "-t", "0", "a"]).success();
    assert!(TcpStream::connect(&before).is_err(), "a container that does not run has no port");
    assert_eq!(user.run(["port", "a"]).success(), "");
    // Somebody else has it by now: another one will do.
    let _other = TcpListener::bind(&before).unwrap();
    user.run(["start", "a"]).success();
    let after = place(&user, "a", "80");
    assert_ne!(after, before);
    assert_echoes(&after);
}

#[test]
fn datagrams_come_and_are_answered() {
    let user = User::new();
    let script = "import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\ns.bind(('0.0.0.0', 53))\n\
                  while True:\n  text, who = s.recvfrom(99)\n  s.sendto(text[::-1], who)";
    begin(&user, &["--name", "a", "-p", "53/udp"], "debian", &["python3", "-c", script]);
    let place = place(&user, "a", "53/udp");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(&place).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let answer = wait_until("an answer", || {
        let mut buffer = [0; 99];
        client.send(b"abc").ok()?;
        client.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
    });
    assert_eq!(answer, b"cba");
}

#[test]
fn ports_of_a_container_that_runs_come_and_go() {
    let user = User::new();
    begin(&user, &["--name", "a"], "busybox", &ECHO);
    let told = user.run(["port", "add", "a", "80", "81/udp"]).success();
    let first = place(&user, "a", "80");
    assert!(told.contains(&format!("80/tcp -> {first}\n")) && told.contains("81/udp -> 127.0.0.1:"), "{told}");
    assert_echoes(&first);
    let second = free();
    user.run(["port", "add", "a", &format!("{second}:80")]).success();
    assert_echoes(&format!("127.0.0.1:{second}"));
    user.run(["port", "rm", "a", &format!("{second}:80")]).success();
    wait_until("the port's end", || TcpStream::connect(("127.0.0.1", second)).is_err().then_some(()));
    assert_echoes(&first);
    user.run(["port", "rm", "a", "90"]).unable(&["no public port '90/tcp'"]);
    // They are the container's own from then on.
    user.run(["restart", "-t", "0", "a"]).success();
    assert_echoes(&place(&user, "a", "80"));
    user.run(["port", "rm", "a", "80", "81/udp"]).success();
    assert_eq!(user.run(["port", "a"]).success(), "");
}

#[test]
fn a_forwarder_that_is_killed_is_followed_by_another() {
    let user = User::new();
    begin(&user, &["--name", "a", "-p", "80"], "busybox", &ECHO);
    let place = place(&user, "a", "80");
    assert_echoes(&place);
    let init: i32 = user.run(["inspect", "-f", "{{.State.Pid}}", "a"]).success().trim().parse().unwrap();
    let network = |process: i32| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let forwarder = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers.find(|process| {
            let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            name == "enter-forward\n" && network(*process) == network(init)
        })
    };
    let first = forwarder().expect("somebody passes connections on");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    wait_until("another forwarder", || forwarder().filter(|process| *process != first));
    assert_echoes(&place);
}

#[test]
fn what_cannot_be_published_is_told_before_anything_runs() {
    let user = User::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = taken.local_addr().unwrap().port();
    let run = |publish: &str| user.run(["run", "--rm", "-p", publish, "busybox", "touch", "/ran"]);
    run(&format!("{number}:80")).refused(&["the port is taken"]);
    run(&format!("{number}-{number}:80")).refused(&["the port is taken"]);
    run("192.0.2.1:8080:80").refused(&["no address of this machine"]);
    run("99999:1").refused(&["65535"]);
    run("8000-8002:80-81").refused(&["3 of the host's ports"]);
    user.run(["run", "-p", "8080:80", "-p", "8080:81", "busybox"]).refused(&["127.0.0.1:8080/tcp twice"]);
    user.run(["run", "--network", "container:a", "-p", "80", "busybox"]).refused(&["--publish"]);
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u16>().unwrap() > 80 {
        run("80:80").refused(&["sysctl net.ipv4.ip_unprivileged_port_start=80"]);
    }
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
}

#[test]
fn of_two_containers_one_has_the_port_and_the_other_is_told_by_whom() {
    let user = User::new();
    let port = format!("{}:80", free());
    user.run(["create", "--name", "late", "-p", &port, "busybox", "true"]).success();
    begin(&user, &["--name", "early", "-p", &port], "busybox", &ECHO);
    user.run(["start", "late"]).unable(&["the container early has that port"]);
    user.run(["rm", "-f", "-t", "0", "early"]).success();
    user.run(["start", "late"]).success();
}

#[test]
fn who_comes_early_waits() {
    let user = User::new();
    let port = free();
    let mut command = user.enter(["run", "--rm", "-p", &format!("{port}:80"), "busybox"]);
    let mut child = command.args(ECHO).spawn().unwrap();
    // From the first moment at which there is a port at all, nobody is refused there.
    let mut stream =
        wait_for_some(|| TcpStream::connect(("127.0.0.1", port)).ok()).expect("a port, before anybody listens inside");
    let _ = stream.write_all(b"early\n");
    assert_echoes(&format!("127.0.0.1:{port}"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_container_without_a_network_can_be_reached_by_this_machine() {
    let user = User::new();
    begin(&user, &["--name", "a", "--network", "none", "-p", "80"], "busybox", &ECHO);
    assert_echoes(&place(&user, "a", "80"));
}

#[test]
fn ports_of_a_container_on_a_network_of_ones_own_are_reachable_too() {
    let user = User::new();
    user.run(["network", "create", "learning"]).success();
    begin(&user, &["--name", "a", "--network", "learning", "-p", "80"], "busybox", &ECHO);
    assert_echoes(&place(&user, "a", "80"));
    user.run(["port", "add", "a", "0.0.0.0::80"]).success();
    let list = user.run(["port", "a", "80"]).success();
    assert_eq!(list.lines().count(), 2);
    list.lines().for_each(assert_echoes);
    user.run(["rm", "-f", "-t", "0", "a"]).success();
    user.run(["network", "rm", "learning"]).success();
}

#[test]
fn a_shell_publishes_ports_and_goes_on_networks_of_ones_own() {
    let user = User::new();
    user.run(["network", "create", "learning"]).success();
    begin(&user, &["--name", "web", "--network", "learning"], "busybox", &ECHO);
    let port = free();
    let flags = ["busybox", "--network", "learning", "-p", &format!("{port}:80"), "--", "sh", "-c"];
    // It answers with what another container of the network answers.
    let script = "nc -ll -p 81 -e sh -c 'read line; echo $line | nc web 80'";
    let mut command = user.enter(flags.iter().chain(&[script]));
    let mut shell = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let name = wait_until("the shell", || {
        let names = user.run(["ps", "--format", "{{.Names}}"]).success();
        names.lines().find(|name| *name != "web").map(str::to_owned)
    });
    assert_eq!(user.run(["port", &name]).success(), format!("80/tcp -> 127.0.0.1:{port}\n"));
    user.run(["port", "rm", &name, "80"]).success();
    user.run(["port", "add", &name, &format!("{port}:81")]).success();
    let all = user.run(["port", "--all"]).success();
    assert!(all.ends_with(&format!("\t81/tcp -> 127.0.0.1:{port}\n")) && all.lines().count() == 1, "{all}");
    assert_echoes(&format!("127.0.0.1:{port}"));
    user.run(["kill", &name]).success();
    shell.wait().unwrap();
    user.run(["busybox", "--network", "container:web", "--", "true"]).refused(&["enter run", "container:web"]);
    user.run(["rm", "-f", "-t", "0", "web"]).success();
    user.run(["network", "rm", "learning"]).success();
}

#[test]
fn a_port_that_is_added_while_a_container_starts_is_there_when_it_runs() {
    let user = User::new();
    user.run(["create", "--name", "a", "busybox"].iter().chain(&ECHO)).success();
    let mut starting = user.enter(["start", "a"]).spawn().unwrap();
    let ports: Vec<u16> = (0..4).map(|_| free()).collect();
    for port in &ports {
        let told = user.run(["port", "add", "a", &format!("{port}:80")]).success();
        assert_eq!(told, format!("80/tcp -> 127.0.0.1:{port}\n"));
        // Said again it is what it was.
        assert_eq!(user.run(["port", "add", "a", &format!("{port}:80")]).success(), told);
    }
    assert!(starting.wait().unwrap().success());
    ports.iter().for_each(|port| assert_echoes(&format!("127.0.0.1:{port}")));
    assert_eq!(user.run(["port", "-l", "80"]).success().lines().count(), 4);
}

#[test]
fn a_range_that_is_exposed_is_each_of_its_ports() {
    let user = User::new();
    begin(&user, &["--name", "a", "-P", "--expose", "8000-8002", "--expose", "53/udp"], "busybox", &["sleep", "1000"]);
    let list = user.run(["port", "a"]).success();
    let inside: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(inside, ["53/udp", "8000/tcp", "8001/tcp", "8002/tcp"]);
    begin(&user, &["--name", "b", "--expose", "8000-8002"], "busybox", &["sleep", "1000"]);
    let ports = user.run(["ps", "--filter", "name=b", "--format", "{{.Ports}}"]).success();
    assert_eq!(ports.trim(), "8000-8002/tcp");
    begin(&user, &["--name", "c", "--link", "b"], "busybox", &["sleep", "1000"]);
    let environment = user.run(["exec", "c", "env"]).success();
    for (name, port) in [("START", 8000), ("END", 8002)] {
        let end = format!("\nB_PORT_8000_TCP_PORT_{name}={port}\n");
        assert!(environment.contains(&end), "{end} {environment}");
    }
}
