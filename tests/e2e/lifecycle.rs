//! Containers that live: stopped, killed, held, restarted, waited for and removed, by several commands at once too.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::user::{Outcome, wait};
use crate::support::{Terminal, User, wait_until};

fn user() -> User {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user
}

/// What `inspect` says of a container by a template.
fn inspect(user: &User, template: &str, container: &str) -> String {
    user.run(["inspect", "--format", template, container]).success().trim().to_owned()
}

fn status(user: &User, container: &str) -> String {
    inspect(user, "{{.State.Status}} {{.State.ExitCode}}", container)
}

fn pid(user: &User, container: &str, field: &str) -> Pid {
    let pid = inspect(user, &format!("{{{{.State.{field}}}}}"), container);
    Pid::from_raw(pid.parse().unwrap_or_else(|_| panic!("{field} is `{pid}`")))
}

/// Starts a container in the background.
fn run(user: &User, flags: &[&str], script: &str) {
    let words = [&["run", "-d"], flags, &["busybox", "sh", "-c", script]].concat();
    user.run(words).success();
}

#[track_caller]
fn verb_failed(outcome: &Outcome, text: &str) {
    assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(text), "`{text}` is not in:\n{}", outcome.stderr);
}

fn stop_asks_first_and_the_files_stay(user: &User) {
    run(user, &["--name", "a"], "trap 'echo bye >/said; exit 4' TERM; echo ready; while :; do sleep 0.1; done");
    wait_until("the trap", || user.run(["logs", "a"]).text().contains("ready").then_some(()));
    assert_eq!(user.run(["stop", "a"]).success(), "a\n");
    assert_eq!(status(user, "a"), "exited 4");
    assert_eq!(user.run(["stop", "a"]).success(), "a\n", "what is stopped is stopped");
    assert_eq!(user.run(["wait", "a"]).success(), "4\n");
    user.run(["start", "a"]).success();
    wait_until("a second start", || (user.run(["logs", "a"]).text() == "ready\nready\n").then_some(()));
    assert_eq!(user.run(["rm", "-f", "a"]).success(), "a\n");
    verb_failed(&user.run(["stop", "a"]), "no such container: a");
}

#[test]
fn what_does_not_listen_is_ended_by_force() {
    let user = user();
    run(&user, &["--name", "a"], "trap '' TERM; while :; do sleep 1000; done");
    user.run(["stop", "-t", "1", "a"]).success();
    assert_eq!(status(&user, "a"), "exited 137");
}

#[test]
fn signals_have_names_and_numbers_and_reach_the_payload() {
    let user = user();
    let script =
        "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'exit 9' RTMIN; echo ready; while :; do sleep 0.05; done";
    let script = script.replace("trap 'exit 9' RTMIN; ", "trap 'exit 9' 34; ");
    run(&user, &["--name", "a"], &script);
    let says = |text: &str| wait_until(text, || user.run(["logs", "a"]).text().contains(text).then_some(()));
    says("ready");
    user.run(["kill", "-s", "HUP", "a"]).success();
    says("hup");
    user.run(["kill", "--signal", "10", "a"]).success();
    says("usr1");
    user.run(["kill", "-s", "SIGRTMIN", "a"]).success();
    assert_eq!(user.run(["wait", "a"]).success(), "9\n");
    verb_failed(&user.run(["kill", "a"]), "not running");
    user.run(["kill", "-s", "NOSUCH", "a"]).refused(&["NOSUCH", "signal"]);
}

#[test]
fn every_container_is_tried_and_the_exit_code_tells() {
    let user = user();
    run(&user, &["--name", "a"], "sleep 1000");
    run(&user, &["--name", "b"], "sleep 1000");
    let outcome = user.run(["kill", "a", "nosuch", "b"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "a\nb\n"));
    verb_failed(&outcome, "no such container: nosuch");
    let outcome = user.run(["rm", "a", "nosuch", "b"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "a\nb\n"));
    let outcome = user.run(["rm", "-f", "nosuch"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(0), ""));
    assert!(outcome.stderr.contains("no such container: nosuch"));
    verb_failed(&user.run(["rm"]), "CONTAINER is missing");
}

#[test]
fn a_container_that_is_held_neither_works_nor_can_be_lost() {
    let user = user();
    run(&user, &["--name", "a"], "while :; do echo tick; sleep 0.02; done");
    let ticks = || user.run(["logs", "a"]).text().lines().count();
    wait_until("a tick", || (ticks() > 2).then_some(()));
    assert_eq!(user.run(["pause", "a"]).success(), "a\n");
    assert_eq!(status(&user, "a"), "paused 0");
    let before = ticks();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ticks(), before);
    verb_failed(&user.run(["pause", "a"]), "already paused");
    user.run(["unpause", "a"]).success();
    wait_until("more ticks", || (ticks() > before + 2).then_some(()));
    verb_failed(&user.run(["unpause", "a"]), "not paused");
    user.run(["pause", "a"]).success();
    user.run(["stop", "-t", "1", "a"]).success();
    assert_eq!(status(&user, "a"), "exited 137");
}

#[test]
fn policies_restart_until_somebody_stops_it() {
    let user = user();
    run(&user, &["--name", "a", "--restart", "on-failure:2"], "echo run; exit 3");
    wait_until("the last restart", || (status(&user, "a") == "exited 3").then_some(()));
    assert_eq!(user.run(["logs", "a"]).text(), "run\nrun\nrun\n");
    assert_eq!(inspect(&user, "{{.RestartCount}}", "a"), "2");
    run(&user, &["--name", "b", "--restart", "always"], "echo run; sleep 1000");
    wait_until("the first", || (user.run(["logs", "b"]).text() == "run\n").then_some(()));
    // Killed from outside, it has not been asked to end.
    kill(pid(&user, "b", "Pid"), Signal::SIGKILL).expect("a payload can be killed");
    wait_until("a restart", || (user.run(["logs", "b"]).text() == "run\nrun\n").then_some(()));
    user.run(["stop", "-t", "0", "b"]).success();
    assert_eq!(status(&user, "b"), "exited 137");
}

fn restart_keeps_what_was_written(user: &User) {
    run(user, &["--name", "a"], "echo x >>/count; wc -l </count; sleep 1000");
    wait_until("the first", || (user.run(["logs", "a"]).text() == "1\n").then_some(()));
    assert_eq!(user.run(["restart", "-t", "0", "a"]).success(), "a\n");
    wait_until("the second", || (user.run(["logs", "a"]).text() == "1\n2\n").then_some(()));
    user.run(["kill", "a"]).success();
    user.run(["restart", "a"]).success();
    wait_until("the third", || (user.run(["logs", "a"]).text() == "1\n2\n3\n").then_some(()));
    user.run(["rm", "-f", "a"]).success();
}

#[test]
fn a_time_limit_ends_it() {
    let user = user();
    assert_eq!(user.run(["run", "--timeout", "1", "--rm", "busybox", "sleep", "1000"]).code(), Some(137));
}

#[test]
fn what_is_removed_at_its_end_leaves_its_name_at_once() {
    let user = user();
    for code in ["0", "3"] {
        let outcome =
            user.run(["run", "--rm", "--name", "a", "busybox", "sh", "-c", &format!("echo x >/x; exit {code}")]);
        assert_eq!(outcome.code(), code.parse().ok(), "{}", outcome.stderr);
    }
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
}

fn a_killed_monitor_costs_the_container_its_life_and_nothing_else(user: &User) {
    run(user, &["--name", "a"], "echo x >>/count; wc -l </count; sleep 1000");
    wait_until("the first", || (user.run(["logs", "a"]).text() == "1\n").then_some(()));
    let monitor = |name: &str| {
        let id = inspect(user, "{{.Id}}", name);
        let state = std::fs::read_to_string(user.store().join("containers").join(id).join("state.json"));
        let state: serde_json::Value = serde_json::from_str(&state.expect("a state")).expect("JSON");
        Pid::from_raw(i32::try_from(state["monitor"].as_i64().expect("a number")).expect("a process id"))
    };
    kill(monitor("a"), Signal::SIGKILL).expect("a monitor can be killed");
    wait_until("its end", || (status(user, "a") == "exited 137").then_some(()));
    user.run(["start", "a"]).success();
    wait_until("the second", || (user.run(["logs", "a"]).text() == "1\n2\n").then_some(()));
    user.run(["rm", "-f", "a"]).success();
    // One that was to be removed is gone for every command as soon as nothing of it runs.
    run(user, &["--rm", "--name", "b"], "sleep 1000");
    kill(monitor("b"), Signal::SIGKILL).expect("a monitor can be killed");
    wait_until("its end", || (user.run(["container", "exists", "b"]).code() == Some(1)).then_some(()));
    verb_failed(&user.run(["logs", "b"]), "no such container: b");
    user.run(["run", "--rm", "--name", "b", "busybox", "true"]).success();
}

#[test]
fn keys_leave_a_terminal_and_others_can_come_to_it() {
    let user = user();
    let mut terminal = Terminal::start(&user.enter(["run", "-it", "--name", "a", "busybox"]));
    terminal.wait_for("# ");
    terminal.line("echo fir''st");
    terminal.wait_for("first\r\n");
    terminal.send("\x10\x11");
    assert_eq!(terminal.wait().code(), Some(0));
    assert_eq!(status(&user, "a"), "running 0");
    let mut one = Terminal::start(&user.enter(["start", "-ai", "a"]));
    let mut other = Terminal::start(&user.enter(["start", "-ai", "--detach-keys", "x,y", "a"]));
    one.line("echo bo''th");
    one.wait_for("both\r\n");
    other.wait_for("both\r\n");
    other.send("xy");
    assert!(other.wait().code().is_some());
    // Its terminal is gone, and the container goes on.
    one.hang_up();
    one.wait();
    assert_eq!(status(&user, "a"), "running 0");
    user.run(["rm", "-f", "a"]).success();
}

#[test]
fn a_client_that_is_gone_or_stopped_holds_nothing_up() {
    let user = user();
    let script = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); printf '%01000d\\n' $n; done; echo done >&2";
    let start = |name: &str| -> Child {
        let mut command = user.enter(["run", "--name", name, "busybox", "sh", "-c", script]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("enter starts")
    };
    let ended = |name: &str| wait_until("the end", || (status(&user, name) == "exited 0").then_some(()));
    let mut gone = start("gone");
    wait_until("a start", || user.run(["logs", "gone"]).text().contains('1').then_some(()));
    gone.kill().expect("a child can be killed");
    gone.wait().expect("a killed child ends");
    ended("gone");
    assert_eq!(user.run(["logs", "gone"]).text().lines().count(), 3000);
    let mut stopped = start("stopped");
    wait_until("a start", || user.run(["logs", "stopped"]).text().contains('1').then_some(()));
    let process = Pid::from_raw(stopped.id().cast_signed());
    kill(process, Signal::SIGSTOP).expect("a child can be stopped");
    ended("stopped");
    assert_eq!(user.run(["logs", "stopped"]).text().lines().count(), 3000);
    kill(process, Signal::SIGKILL).expect("a child can be killed");
    assert!(wait(&mut stopped).is_some());
}

#[test]
fn health_is_looked_after() {
    let user = user();
    let check = "echo looked; test -e /well";
    let flags = ["--health-cmd", check, "--health-interval", "200ms", "--health-retries", "2"];
    run(&user, &[&["--name", "a"], &flags[..]].concat(), "sleep 1000");
    let health = |name: &str, status: &str| {
        wait_until(status, || (inspect(&user, "{{.State.Health.Status}}", name) == status).then_some(()));
    };
    health("a", "unhealthy");
    user.run(["exec", "a", "touch", "/well"]).success();
    health("a", "healthy");
    assert_eq!(inspect(&user, "{{(index .State.Health.Log 0).Output}}", "a"), "looked");
    user.run(["rm", "-f", "a"]).success();
    // One that hangs is killed, and what is unwell is ended if that was asked for.
    let flags = ["--health-cmd", "sleep 1000", "--health-interval", "100ms", "--health-timeout", "300ms"];
    let flags = [&["--name", "b", "--health-retries", "1", "--health-on-failure", "kill"], &flags[..]].concat();
    run(&user, &flags, "sleep 1000");
    wait_until("its end", || (status(&user, "b") == "exited 137").then_some(()));
    user.run(["rm", "b"]).success();
}

#[test]
fn a_container_shares_what_another_has() {
    let user = user();
    run(&user, &["--name", "a", "--hostname", "first"], "sleep 1234");
    let shares = |flag: &str, namespace: &str| {
        let of =
            |words: &[&str]| user.run([words, &["readlink", &format!("/proc/self/ns/{namespace}")]].concat()).success();
        assert_eq!(of(&["run", "--rm", flag, "container:a", "busybox"]), of(&["exec", "a"]), "{flag}");
    };
    shares("--network", "net");
    shares("--ipc", "ipc");
    shares("--pid", "pid");
    let processes = user.run(["run", "--rm", "--pid", "container:a", "busybox", "ps"]).success();
    assert!(processes.contains("sleep 1234"), "{processes}");
    user.run(["kill", "a"]).success();
    let outcome = user.run(["run", "--rm", "--pid", "container:a", "busybox", "true"]);
    assert_eq!(outcome.code(), Some(125), "{}", outcome.stderr);
    assert_eq!(user.run(["ps", "-aq", "--filter", "status=created"]).success(), "");
}

#[test]
fn commands_at_the_same_time_do_not_spoil_each_other() {
    let user = user();
    user.run(["create", "--name", "a", "busybox", "sleep", "1000"]).success();
    for _ in 0..6 {
        let verbs: [&[&str]; 6] = [
            &["start", "a"],
            &["stop", "-t", "0", "a"],
            &["kill", "a"],
            &["start", "a"],
            &["pause", "a"],
            &["ps", "-a"],
        ];
        let children = verbs.map(|verb| {
            let mut command = user.enter(verb.iter().copied());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("enter starts")
        });
        for mut child in children {
            assert!(wait(&mut child).is_some(), "a command hangs");
        }
    }
    user.run(["rm", "-f", "a"]).success();
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
    assert_eq!(std::fs::read_dir(user.store().join("names")).expect("the names").count(), 0);
}

#[test]
fn a_container_that_is_only_just_being_started_is_removed_by_force_and_started_but_once() {
    let user = user();
    let spawn = |words: &[&str]| {
        let mut command = user.enter(words.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("enter starts")
    };
    for _ in 0..8 {
        user.run(["create", "--name", "a", "busybox", "sleep", "1000"]).success();
        let mut starting = [spawn(&["start", "a"]), spawn(&["start", "a"])];
        for child in &mut starting {
            assert!(wait(child).expect("it ends").success(), "one that another has started is started");
        }
        user.run(["stop", "-t", "0", "a"]).success();
        let mut starting = spawn(&["start", "a"]);
        user.run(["rm", "-f", "a"]).success();
        assert!(wait(&mut starting).is_some(), "a command hangs");
        assert_eq!(user.run(["ps", "-aq"]).success(), "");
    }
}

on_both_drivers!(
    stop_asks_first_and_the_files_stay,
    restart_keeps_what_was_written,
    a_killed_monitor_costs_the_container_its_life_and_nothing_else,
);
