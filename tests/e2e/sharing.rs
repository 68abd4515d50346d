//! What shells and boxes share of this machine beside the home: found, switched, told, and followed where it changes.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::User;

/// Connects to a socket and prints what is said there.
const HEAR: &str = "import os, socket, sys\n\
    s = socket.socket(socket.AF_UNIX); s.connect(os.path.expandvars(sys.argv[1])); print(s.recv(99).decode())\n";

/// Says a word to everybody who connects, for as long as the tests run.
fn speaker(path: &Path, word: &'static str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder for a socket");
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(word.as_bytes());
        }
    });
}

/// A user with a session of sorts.
fn user_with_session() -> User {
    let mut user = User::new();
    let run = user.runtime();
    for (name, word) in [("wayland-0", "wayland"), ("pipewire-0", "pipewire"), ("pulse/native", "pulse")] {
        speaker(&run.join(name), word);
    }
    speaker(&run.join("bus"), "bus");
    speaker(&user.home().join("agents/ssh"), "agent");
    user.set("SSH_AUTH_SOCK", user.home().join("agents/ssh"));
    user.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={},guid=12", run.join("bus").display()));
    user
}

fn hear(user: &User, name: &str, socket: &str) -> String {
    let outcome = user.run([name, "--", "python3", "-c", HEAR, socket]);
    outcome.success().trim().to_owned()
}

fn the_sockets_of_the_session_answer_inside(user: &User) {
    for (socket, word) in [
        ("$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY", "wayland"),
        ("$XDG_RUNTIME_DIR/pipewire-0", "pipewire"),
        ("$XDG_RUNTIME_DIR/pulse/native", "pulse"),
        ("$SSH_AUTH_SOCK", "agent"),
    ] {
        assert_eq!(hear(user, "debian", socket), word);
    }
    let uid = nix::unistd::getuid();
    let variables =
        user.sh(&[], "debian", "echo $DBUS_SESSION_BUS_ADDRESS $PULSE_SERVER; stat -c '%a %u' $XDG_RUNTIME_DIR");
    let expected = format!("unix:path=/run/user/{uid}/bus unix:/run/user/{uid}/pulse/native\n700 {uid}\n");
    assert_eq!(variables, expected);
}

#[test]
fn sockets_answer_on_overlay() {
    let mut user = user_with_session();
    user.set("ENTER_STORAGE", "overlay");
    the_sockets_of_the_session_answer_inside(&user);
}

#[test]
fn sockets_answer_on_fuse() {
    let mut user = user_with_session();
    user.set("ENTER_STORAGE", "fuse");
    the_sockets_of_the_session_answer_inside(&user);
}

#[test]
fn each_thing_is_switched_by_flags_and_settings() {
    let user = user_with_session();
    let count = |flags: &[&str]| {
        let script = "for v in WAYLAND_DISPLAY PULSE_SERVER SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS; do \
            eval test -n \\\"\\$$v\\\" && echo $v; done; ls $XDG_RUNTIME_DIR";
        user.sh(flags, "busybox", script).split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(count(&["--unshare", "all"]), "");
    assert_eq!(count(&["--share", "none"]), "");
    assert_eq!(count(&["--unshare", "all", "--share", "ssh"]), "SSH_AUTH_SOCK ssh-agent");
    assert_eq!(count(&["--unshare", "wayland,audio", "--unshare", "ssh-agent"]), "DBUS_SESSION_BUS_ADDRESS bus");
    let config = user.config().join("enter");
    std::fs::create_dir_all(&config).expect("a folder");
    std::fs::write(config.join("config.toml"), "unshare = ['all']\nshare = ['dbus']\n").expect("a file");
    assert_eq!(count(&[]), "DBUS_SESSION_BUS_ADDRESS bus");
    assert_eq!(count(&["--unshare", "dbus", "--share", "wayland"]), "WAYLAND_DISPLAY wayland-0");
}

#[test]
fn a_word_that_is_none_gets_the_list() {
    let user = User::new();
    for flag in ["--share", "--unshare"] {
        user.run([flag, "telepathy", "busybox", "--", "true"]).refused(&["telepathy", "wayland", "ssh-agent", "dbus"]);
    }
}

#[test]
fn what_is_asked_for_and_not_there_is_told_and_nothing_else_is() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let outcome = user.run(["busybox", "--", "true"]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    let outcome = user.run(["--share", "x11", "busybox", "--", "true"]);
    assert_eq!(outcome.code(), Some(0));
    assert!(outcome.stderr.contains("--share x11") && outcome.stderr.contains("DISPLAY"), "{}", outcome.stderr);
}

#[test]
fn a_variable_that_was_asked_for_wins() {
    let user = user_with_session();
    assert_eq!(user.sh(&["-e", "SSH_AUTH_SOCK=/mine"], "busybox", "echo $SSH_AUTH_SOCK"), "/mine\n");
}

fn a_running_box_follows_the_session(user: &User) {
    user.run(["-n", "work", "--keep-running", "debian", "--", "true"]).success();
    assert_eq!(hear(user, "work", "$SSH_AUTH_SOCK"), "agent");
    // The same path leads to another agent now, and a compositor is there that was not.
    std::fs::remove_file(user.runtime().join("wayland-0")).expect("a socket");
    speaker(&user.home().join("agents/ssh"), "second");
    assert_eq!(hear(user, "work", "$SSH_AUTH_SOCK"), "second");
    assert_eq!(user.sh(&[], "work", "echo $WAYLAND_DISPLAY."), ".\n");
    speaker(&user.runtime().join("wayland-0"), "again");
    assert_eq!(hear(user, "work", "$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY"), "again");
    // Switched off, it is not pointed to any more; switched on, it is there at once.
    user.run(["set", "work", "--unshare", "ssh-agent"]).success();
    assert_eq!(user.sh(&[], "work", "echo $SSH_AUTH_SOCK."), ".\n");
    let set = user.run(["set", "work"]).success();
    assert!(set.lines().any(|line| line.split_whitespace().eq(["unshare", "ssh-agent"])), "{set}");
    user.run(["set", "work", "--unset", "share=ssh-agent"]).success();
    assert_eq!(hear(user, "work", "$SSH_AUTH_SOCK"), "second");
    user.run(["--share", "x11", "work", "--", "true"]).refused(&["--share", "work"]);
}

#[test]
fn a_running_box_follows_on_overlay() {
    let mut user = user_with_session();
    user.set("ENTER_STORAGE", "overlay");
    a_running_box_follows_the_session(&user);
}

#[test]
fn a_running_box_follows_on_fuse() {
    let mut user = user_with_session();
    user.set("ENTER_STORAGE", "fuse");
    a_running_box_follows_the_session(&user);
}

#[test]
fn explain_tells_of_each_thing_and_its_switch_and_runs_nothing() {
    let user = user_with_session();
    let text = user.run(["explain", "--unshare", "audio", "nowhere/to-be-found"]).success();
    for line in [
        "wayland on --unshare wayland windows",
        "x11 absent --unshare x11",
        "audio off --share audio",
        "ssh-agent on --unshare ssh-agent",
        "network --network NETWORK the internet, by",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let is_there = |text: &str| text.split_whitespace().take(words.len()).eq(words.iter().copied());
        assert!(text.lines().any(is_there), "`{line}` is not in:\n{text}");
    }
    assert!(text.contains("would be fetched") && text.contains(&*user.home().to_string_lossy()), "{text}");
    assert!(!user.store().join("containers").read_dir().is_ok_and(|mut all| all.next().is_some()));

    user.run(["-n", "work", "--unshare", "dbus", "-e", "SECRET=12345", "busybox", "--", "true"]).success();
    let json = user.run(["explain", "--format", "json", "work"]).success();
    let told: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(told["kind"], "box");
    let entry = |topic: &str| {
        let mut entries = told["entries"].as_array().expect("entries").iter();
        entries.find(|entry| entry["topic"] == topic).cloned().unwrap_or_else(|| panic!("no {topic} in {json}"))
    };
    assert_eq!(entry("dbus")["state"], "off");
    assert_eq!(entry("dbus")["switch"], "enter set work --share dbus");
    assert!(entry("variables")["what"].as_str().is_some_and(|names| names.contains("SECRET")));
    assert!(!json.contains("12345"), "values may be secrets: {json}");
}
