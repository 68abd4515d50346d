//! Networks of one's own: made, listed and removed; containers that find each other there, come and go, and are linked.

use crate::support::{User, wait_until};

fn user() -> User {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user
}

/// Starts a container in the background, which answers on port 1234 with its name.
fn serve(user: &User, name: &str, flags: &[&str]) {
    let script = format!("while true; do echo I am {name} | nc -l -p 1234; done");
    let words = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", &script]].concat();
    user.run(words).success();
}

/// What `script` says in a container.
fn exec(user: &User, container: &str, script: &str) -> String {
    user.run(["exec", container, "sh", "-c", script]).success()
}

/// Asks until there is an answer: a server is there a moment after its container.
#[track_caller]
fn reaches(user: &User, from: &str, host: &str, who: &str) {
    let answer = format!("I am {who}\n");
    let script = format!("nc -w 2 {host} 1234 </dev/null || true");
    wait_until(&format!("{from} reaches {host}"), || (exec(user, from, &script) == answer).then_some(()));
}

fn misses(user: &User, from: &str, host: &str) {
    assert_eq!(
        exec(user, from, &format!("nc -w 1 {host} 1234 </dev/null 2>/dev/null || true")),
        "",
        "{from} reaches {host}"
    );
}

fn address(user: &User, container: &str, network: &str) -> String {
    let template = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    user.run(["inspect", "-f", &template, container]).success().trim().to_owned()
}

#[test]
fn networks_are_made_listed_and_removed() {
    let user = User::without_registry();
    let id = user.run(["network", "create", "learning"]).success();
    assert_eq!(id.trim().len(), 64);
    assert_eq!(user.run(["network", "create"]).success(), "enter1\n");
    let format = "{{.Name}} {{.Driver}} {{range .Subnets}}{{.Subnet}} {{.Gateway}}{{end}}";
    assert_eq!(
        user.run(["network", "ls", "--filter", "type=custom", "--format", format]).success(),
        "enter1 bridge 10.89.1.0/24 10.89.1.1\nlearning bridge 10.89.0.0/24 10.89.0.1\n"
    );
    let config = "{{(index .IPAM.Config 0).Subnet}} {{.Internal}} {{len .Containers}}";
    assert_eq!(user.run(["network", "inspect", "-f", config, &id[..12]]).success(), "10.89.0.0/24 false 0\n");
    assert_eq!(user.run(["network", "rm", "learning"]).success(), "learning\n");
    assert_eq!(user.run(["network", "exists", "learning"]).code(), Some(1));
    assert_eq!(user.run(["network", "prune", "-f"]).success(), "Deleted Networks:\nenter1\n\n");
    assert_eq!(user.run(["network", "ls", "-q", "--filter", "type=custom"]).success(), "");
}

#[test]
fn a_network_that_cannot_be_is_refused_with_the_reason() {
    let user = User::without_registry();
    user.run(["network", "create", "--subnet", "10.5.0.0/24", "lab"]).success();
    for (args, texts) in [
        (&["lab"][..], &["lab", "already in use"][..]),
        (&["--subnet", "10.5.0.128/25", "x"], &["10.5.0.128/25 overlaps with 10.5.0.0/24 of the network lab"]),
        (&["--subnet", "10.0.0.0/8", "x"], &["10.0.0.0/8 overlaps"]),
        (&["--subnet", "10.6.0.0/31", "x"], &["10.6.0.0/31", "too small"]),
        (&["--subnet", "127.0.0.0/8", "x"], &["127.0.0.0/8"]),
        (&["--subnet", "10.6.0.0/24", "--gateway", "10.7.0.1", "x"], &["10.7.0.1"]),
        (&["--subnet", "10.6.0.0/24", "--ip-range", "10.7.0.0/28", "x"], &["10.7.0.0"]),
        (&["--gateway", "10.7.0.1", "x"], &["--subnet"]),
        (&["--subnet", "10.6.0.0/24", "--subnet", "10.7.0.0/24", "x"], &["one subnet of each family"]),
        (&["none"], &["pre-defined"]),
        (&["a/b"], &["a/b", "cannot be a network's name"]),
        (&["links-x"], &["links-x"]),
    ] {
        user.run(["network", "create"].iter().chain(args)).unable(texts);
    }
    user.run(["network", "create", "--opt", "mtu=10", "x"]).refused(&["mtu=10"]);
    user.run(["network", "create", "--subnet", "10.6.0.0/33", "x"]).refused(&["10.6.0.0/33"]);
    user.run(["network", "rm", "nowhere"]).unable(&["no such network: nowhere"]);
    user.run(["network", "rm", "pasta"]).unable(&["pre-defined"]);
    user.run(["run", "--network", "nowhere", "busybox"]).refused(&["no such network: nowhere"]);
    user.run(["run", "--network", "lab", "--ip", "10.6.0.7", "busybox"]).refused(&["10.6.0.7", "10.5.0.0/24"]);
    user.run(["run", "--network", "lab", "--ip", "10.5.0.1", "busybox"]).refused(&["10.5.0.1", "gateway"]);
    user.run(["run", "--ip", "10.5.0.7", "busybox"]).refused(&["--ip", "networks of one's own"]);
    user.run(["run", "--network", "lab", "--network", "host", "busybox"]).refused(&["together"]);
    assert_eq!(user.run(["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]).success(), "lab\n");
}

#[test]
fn containers_on_a_network_reach_each_other_and_no_others() {
    let user = user();
    for network in ["learning", "catsonly"] {
        user.run(["network", "create", network]).success();
    }
    serve(&user, "catserver", &["--network", "learning", "--network-alias", "kitty"]);
    serve(&user, "dogserver", &["--net", "learning:ip=10.89.0.77,mac=02:00:5e:10:00:07"]);
    for (from, host, who) in [
        ("dogserver", "catserver", "catserver"),
        ("dogserver", "kitty", "catserver"),
        ("catserver", "dogserver", "dogserver"),
        ("catserver", "10.89.0.77", "dogserver"),
    ] {
        reaches(&user, from, host, who);
    }
    assert!(exec(&user, "dogserver", "cat /sys/class/net/eth0/address").contains("02:00:5e:10:00:07"));

    user.run(["network", "connect", "--alias", "tom", "catsonly", "catserver"]).success();
    serve(&user, "bobcatserver", &["--network", "catsonly"]);
    reaches(&user, "bobcatserver", "catserver", "catserver");
    reaches(&user, "bobcatserver", "tom", "catserver");
    misses(&user, "bobcatserver", "dogserver");
    misses(&user, "bobcatserver", "10.89.0.77");
    let on = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}";
    assert!(user.run(["network", "inspect", "-f", on, "learning"]).success().contains("dogserver 10.89.0.77/24"));
    assert_eq!(
        user.run(["ps", "--filter", "network=catsonly", "--format", "{{.Names}} {{.Networks}}"]).success(),
        "bobcatserver catsonly\ncatserver learning,catsonly\n"
    );

    // It is on one no more, at once; and the other stays.
    user.run(["network", "rm", "catsonly"]).unable(&["catsonly", "catserver"]);
    user.run(["network", "disconnect", "learning", "catserver"]).success();
    misses(&user, "dogserver", "catserver");
    reaches(&user, "bobcatserver", "catserver", "catserver");
    user.run(["network", "disconnect", "learning", "catserver"]).unable(&["not on the network learning"]);
    user.run(["network", "connect", "catsonly", "catserver"]).unable(&["already"]);

    // A new name is known, and what was started again has its address.
    user.run(["rename", "bobcatserver", "lynx"]).success();
    reaches(&user, "catserver", "lynx", "bobcatserver");
    let before = address(&user, "catserver", "catsonly");
    user.run(["restart", "-t", "0", "catserver"]).success();
    assert_eq!(address(&user, "catserver", "catsonly"), before);
    reaches(&user, "lynx", "catserver", "catserver");
    user.run(["rm", "-f", "-a"]).success();
    user.run(["network", "rm", "catsonly", "learning"]).success();
}

#[test]
fn a_link_has_one_direction_and_tells_of_the_other_on_the_default_network_too() {
    let user = user();
    user.run(["network", "create", "learning"]).success();
    for (name, network) in [("own", Some("learning")), ("plain", None)] {
        let network: Vec<&str> = network.iter().flat_map(|network| ["--network", *network]).collect();
        serve(&user, name, &[&network[..], &["-e", "SECRET=theinternetlovescats", "--expose", "1234"]].concat());
        let linker = format!("{name}-linker");
        let link = format!("{name}:kitty");
        serve(&user, &linker, &[&network[..], &["--link", &link]].concat());
        reaches(&user, &linker, "kitty", name);
        let seen = exec(&user, &linker, "echo $KITTY_ENV_SECRET $KITTY_PORT_1234_TCP_PORT $KITTY_NAME");
        assert_eq!(seen, format!("theinternetlovescats 1234 /{linker}/kitty\n"));
    }
    misses(&user, "plain", "plain-linker");
    // What makes it possible is not seen.
    assert_eq!(user.run(["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]).success(), "learning\n");
    assert_eq!(user.run(["ps", "--filter", "name=plain", "--format", "{{.Networks}}"]).success(), "pasta\npasta\n");
    user.run(["stop", "-t", "0", "plain"]).success();
    user.run(["run", "--link", "plain", "busybox"]).refused(&["plain", "not running"]);
    user.run(["run", "--link", "nobody", "busybox"]).refused(&["no such container: nobody"]);
    user.run(["rm", "-f", "-a"]).success();
}

#[test]
fn a_network_that_is_full_or_an_address_that_is_taken_is_told_before_anything_runs() {
    let user = user();
    user.run(["network", "create", "--subnet", "10.5.0.0/30", "small"]).success();
    user.run(["run", "-d", "--name", "first", "--network", "small", "busybox", "sleep", "1000"]).success();
    user.run(["run", "--rm", "--network", "small", "busybox", "true"]).refused(&["small", "no free address"]);
    user.run(["run", "--rm", "--network", "small", "--ip", "10.5.0.2", "busybox", "true"])
        .refused(&["10.5.0.2", "first"]);
    // What has ended keeps nothing from anybody.
    user.run(["stop", "-t", "0", "first"]).success();
    assert!(
        user.run(["run", "--rm", "--network", "small", "busybox", "ip", "address"]).success().contains("10.5.0.2/30")
    );
    user.run(["start", "first"]).success();
    user.run(["rm", "-f", "first"]).success();
}

#[test]
fn containers_go_on_when_the_process_that_holds_their_networks_is_killed() {
    let user = user();
    user.run(["network", "create", "learning"]).success();
    serve(&user, "catserver", &["--network", "learning"]);
    serve(&user, "dogserver", &["--network", "learning"]);
    reaches(&user, "dogserver", "catserver", "catserver");
    let before = address(&user, "catserver", "learning");
    let store = user.store();
    let holders = || -> Vec<i32> {
        let is_ours = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("__network\0") && line.contains(&*store.to_string_lossy())
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    };
    for _ in 0..3 {
        let killed = holders();
        assert!(!killed.is_empty(), "nobody holds the networks");
        for pid in &killed {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL);
        }
        wait_until("another holder is there", || holders().into_iter().find(|pid| !killed.contains(pid)));
        reaches(&user, "dogserver", "catserver", "catserver");
        assert_eq!(address(&user, "catserver", "learning"), before);
    }
    user.run(["rm", "-f", "-a"]).success();
    wait_until("the last holder has ended", || holders().is_empty().then_some(()));
}
