//! What users of Toolbx and Distrobox complain about, where no other test shows that it is not so here. The README has the whole table.

use std::fs;
use std::process::Stdio;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::support::{ENTER, User};

#[test]
fn what_is_here_starts_with_no_registry_and_no_network() {
    let mut user = User::new();
    user.run(["pull", "busybox"]).success();
    fs::remove_dir_all(user.config().join("containers")).expect("a configuration can be removed");
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        user.set(name, "http://127.0.0.1:1");
    }
    for args in [&["busybox", "--", "true"][..], &["-n", "work", "busybox", "--", "true"], &["work", "--", "true"]] {
        let outcome = user.run(args);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_start_looks_into_no_folder_of_the_home() {
    let user = User::new();
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    let slow = user.home().join("slow");
    fs::create_dir_all(slow.join("mount")).expect("a home can be written");
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify is there");
    for folder in [&slow, &slow.join("mount")] {
        inotify.add_watch(folder, AddWatchFlags::IN_ALL_EVENTS).expect("a folder can be watched");
    }
    for args in [["busybox", "--", "true"], ["work", "--", "true"]] {
        user.run(args).success();
        let seen = inotify.read_events();
        assert!(seen.is_err(), "{args:?}: {seen:?}");
    }
    user.run(["work", "--", "ls", "slow"]).success();
    assert!(inotify.read_events().is_ok(), "who looks is seen");
}

#[test]
fn the_shell_is_the_users_own_or_the_best_that_there_is() {
    let mut user = User::new();
    for (wanted, image, expected) in [
        ("/bin/bash", "debian", "/bin/bash"),
        ("/opt/shells/bash", "debian", "/usr/bin/bash"),
        ("/usr/bin/fish", "debian", "/usr/bin/bash"),
        ("/usr/bin/zsh", "busybox", "/bin/ash"),
        ("/usr/sbin/nologin", "busybox", "/bin/ash"),
    ] {
        user.set("SHELL", wanted);
        let script = "echo $SHELL; grep ^$USER: /etc/passwd | cut -d: -f7";
        let outcome = user.run_with_input([image], script.as_bytes());
        let seen = outcome.success();
        let seen: Vec<&str> = seen.lines().collect();
        assert_eq!(seen, [expected, expected], "{wanted} in {image}");
    }
}

#[test]
fn of_the_environment_comes_what_is_meant_for_it() {
    let mut user = User::new();
    let path = std::env::var("PATH").expect("the tests have a PATH");
    user.set("PATH", format!("{path}:/opt/of-the-host/bin"));
    for (name, value) in [
        ("EDITOR", "/opt/host/bin/vi -n"),
        ("PAGER", "moar"),
        ("LC_TIME", "C"),
        ("no_proxy", "intern"),
        ("SOMETHING", "else"),
    ] {
        user.set(name, value);
    }
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    for name in ["busybox", "work"] {
        let seen = user.sh(&[], name, "echo $EDITOR ${PAGER-} $LC_TIME $no_proxy ${SOMETHING-none}; echo $PATH");
        let (variables, path) = seen.split_once('\n').expect("two lines");
        assert_eq!(variables, "/bin/vi -n C intern none", "{name}");
        assert!(!path.contains("of-the-host"), "{name}: {path}");
    }
}

#[test]
fn packages_find_no_systemd_of_the_hosts_to_act_on() {
    let user = User::new();
    let script = "test ! -e /run/systemd/system; test ! -S /run/systemd/private; test ! -S /run/dbus/system_bus_socket; \
                  case $(cat /proc/1/comm) in *systemd*) exit 1;; esac; echo apart";
    user.run(["-n", "work", "debian", "--", "true"]).success();
    for name in ["debian", "work"] {
        assert_eq!(user.sh(&["-u", "root"], name, script), "apart\n");
    }
}

#[test]
fn a_container_can_have_containers_inside() {
    let user = User::new();
    let binary = format!("{ENTER}:/usr/local/bin/enter:ro");
    let script = "useradd --create-home inner; su inner -c 'enter host -- sh -c \"id -un; touch /var/tmp/x 2>/dev/null; echo \\$container\"'";
    let outcome = user.run(["run", "--rm", "--privileged", "-v", &binary, "debian", "sh", "-ec", script]);
    assert_eq!(outcome.success(), "inner\nenter\n");
}

#[test]
fn an_image_is_stored_once_whatever_the_ids() {
    let user = User::new();
    user.run(["pull", "debian"]).success();
    let stored = || {
        let mut du = user.command("du");
        let done = du.args(["-sk", "--"]).arg(user.store().join("layers")).stderr(Stdio::inherit()).output();
        let text = String::from_utf8(done.expect("du(1) is there").stdout).expect("a number");
        text.split_whitespace().next().expect("a number").to_owned()
    };
    let before = stored();
    user.run(["debian", "--", "true"]).success();
    for users in ["", "keep-id", "keep-id:uid=7,gid=7", "auto:size=2000"] {
        user.run(["run", "--rm", "--userns", users, "debian", "true"]).success();
    }
    assert_eq!(stored(), before);
}
