//! `enter run`, `create` and `start`: names, what is kept, and what keeps a container.

use crate::support::User;
use crate::support::user::finish;

#[test]
fn a_stopped_container_keeps_its_files_and_is_started_again() {
    let user = User::new();
    let script = "echo line >> /log; cat /log";
    user.run(["create", "--name", "keeps", "busybox", "sh", "-c", script]).success();
    assert_eq!(user.run(["start", "-a", "keeps"]).success(), "line\n");
    assert_eq!(user.run(["start", "--attach", "keeps"]).success(), "line\nline\n");
    assert_eq!(user.run(["start", "keeps"]).success(), "keeps\n");
    user.run(["wait", "keeps"]).success();
    assert_eq!(user.run(["start", "-a", "-l"]).success().lines().count(), 4);
    assert_eq!(user.run(["run", "--name", "code", "busybox", "sh", "-c", "exit 7"]).code(), Some(7));
    assert_eq!(user.run(["start", "-a", "code"]).code(), Some(7));
}

#[test]
fn accounts_are_the_containers_own_by_the_time_that_it_is_started() {
    let user = User::new();
    user.run(["create", "--name", "late", "-u", "late", "busybox", "id", "-u"]).success();
    let outcome = user.run(["start", "-a", "late"]);
    assert!(outcome.stderr.contains("no such user"), "{outcome:?}");
    user.run(["run", "--name", "adds", "busybox", "sh", "-c", "echo late:x:77:77::/:/bin/sh >> /etc/passwd"]).success();
    let file = user.home().join("passwd");
    user.run(["cp", "adds:/etc/passwd", file.to_str().unwrap()]).success();
    user.run(["cp", file.to_str().unwrap(), "late:/etc/passwd"]).success();
    assert_eq!(user.run(["start", "-a", "late"]).success(), "77\n");
}

#[test]
fn every_container_that_is_named_is_tried() {
    let user = User::new();
    user.run(["create", "--name", "one", "busybox", "sleep", "100"]).success();
    user.run(["create", "--name", "two", "--restart", "always", "busybox", "sleep", "100"]).success();
    let outcome = user.run(["start", "nobody", "one", "one"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "one\none\n"));
    assert!(outcome.stderr.contains("nobody"), "{outcome:?}");
    let two = user.run(["ps", "-aq", "--no-trunc", "--filter", "name=two"]).success();
    assert_eq!(user.run(["start", "--all", "--filter", "restart-policy=always"]).success(), two);
    assert_eq!(user.run(["start", "--all"]).success(), "", "both run");
    let outcome = user.run(["start", "-a", "one", "two"]);
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    user.run(["rm", "-f", "one", "two"]).success();
}

#[test]
fn a_name_is_one_containers_unless_that_is_to_be_replaced() {
    let user = User::new();
    let first = user.run(["run", "-d", "--name", "web", "busybox", "sleep", "100"]).success();
    let outcome = user.run(["run", "--rm", "--name", "web", "busybox", "true"]);
    outcome.refused(&["web", "in use"]);
    let second = user.run(["run", "-d", "--replace", "--name", "web", "busybox", "sleep", "100"]).success();
    assert_eq!(user.run(["ps", "-aq", "--no-trunc"]).success(), second);
    assert_ne!(first, second);
    user.run(["rm", "-f", "web"]).success();
    assert_eq!(user.run(["run", "-d", "--rm", "busybox", "no-such-command"]).code(), Some(127));
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
}

#[test]
fn containers_share_what_they_are_asked_to() {
    let user = User::new();
    user.run(["run", "-d", "--name", "first", "--dns", "10.9.8.7", "busybox", "sleep", "100"]).success();
    let share = |flags: &[&str], script: &str| {
        let command = ["busybox", "sh", "-ec", script];
        let args = ["run", "--rm"].iter().chain(flags).chain(&command).copied();
        user.run(args).success()
    };
    let inside = |kind: &str| user.run(["exec", "first", "readlink", &format!("/proc/self/ns/{kind}")]).success();
    assert_eq!(share(&["--network", "container:first"], "readlink /proc/self/ns/net"), inside("net"));
    assert_eq!(share(&["--ipc", "container:first"], "readlink /proc/self/ns/ipc"), inside("ipc"));
    assert_eq!(share(&["--network", "container:first"], "cat /etc/resolv.conf"), "nameserver 10.9.8.7\n");
    user.run(["create", "--name", "follows", "--network", "container:first", "busybox", "true"]).success();
    user.run(["rm", "-f", "first"]).success();
    let outcome = user.run(["start", "follows"]);
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
}

#[test]
fn a_unit_is_one_that_systemd_takes() {
    let user = User::new();
    let strange = ["-e", "A=50% of $x \"quoted\"", "--label", "l=a b"];
    let args = ["run", "-d", "--name", "web"].iter().chain(&strange).chain(&["busybox", "sleep", "100"]).copied();
    user.run(args).success();
    for flags in [&["--name"][..], &["--name", "--new"], &["--restart-policy", "always", "--time", "5"], &[]] {
        let args = ["generate", "systemd", "--files"].iter().chain(flags).chain(&["web"]).copied();
        let path = user.run(args).success();
        let mut verify = user.command("systemd-analyze");
        verify.args(["--user", "--man=no", "verify", path.trim_end()]);
        let outcome = finish(verify, b"");
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{flags:?}: {outcome:?}");
        std::fs::remove_file(path.trim_end()).unwrap();
    }
    let unit = user.run(["generate", "systemd", "--new", "--name", "web"]).success();
    let again = unit.lines().find_map(|line| line.strip_prefix("ExecStartPre=")).unwrap();
    let expected = r#"create --replace --name web -e "A=50%% of $$x \"quoted\"" "--label=l=a b" busybox sleep 100"#;
    assert!(again.ends_with(expected), "{again}");
    user.run(["generate", "systemd", "web", "--after", "a b"]).refused(&["a b"]);
    assert_eq!(user.run(["generate", "systemd", "nobody"]).code(), Some(1));
    user.run(["rm", "-f", "web"]).success();
}
