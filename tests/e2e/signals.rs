//! Signals to `enter` without a terminal: what a script, a batch system or nohup(1) sends.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::user::wait;
use crate::support::{User, wait_until};

/// A command inside that says that it has started, and then does what the script says.
fn start(user: &User, before: &[&str], script: &str) -> Child {
    user.sh(&[], "busybox", "true");
    let script = format!("touch ~/started; {script}");
    let mut words: Vec<&str> = before.to_vec();
    words.extend([crate::support::user::ENTER, "busybox", "--", "sh", "-c", &script]);
    let child = user.command(words[0]).args(&words[1..]).spawn().expect("enter starts");
    wait_until("the command's start", || user.home().join("started").exists().then_some(()));
    child
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("a signal can be sent");
}

#[test]
fn a_hang_up_without_a_terminal_is_129_and_no_error() {
    let user = User::new();
    let mut child = start(&user, &[], "exec sleep 1000");
    send(&child, Signal::SIGHUP);
    assert_eq!(wait(&mut child).and_then(|status| status.code()), Some(129));
}

#[test]
fn nohup_holds_for_what_enter_runs() {
    let user = User::new();
    let mut child = start(&user, &["nohup"], "until [ -e ~/go ]; do sleep 0.1; done; exit 5");
    send(&child, Signal::SIGHUP);
    std::fs::write(user.home().join("go"), "").expect("a file at home");
    assert_eq!(wait(&mut child).and_then(|status| status.code()), Some(5));
}

#[test]
fn an_interrupt_that_a_script_has_ignored_stays_ignored() {
    let user = User::new();
    let ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"];
    let mut child = start(&user, &ignoring, "until [ -e ~/go ]; do sleep 0.1; done; exit 5");
    send(&child, Signal::SIGINT);
    std::fs::write(user.home().join("go"), "").expect("a file at home");
    assert_eq!(wait(&mut child).and_then(|status| status.code()), Some(5));
}

#[test]
fn an_interrupt_that_a_script_sends_to_its_container_in_the_background_is_passed_on() {
    let user = User::new();
    // A shell without job control has what it runs in the background ignore SIGINT.
    let script = r#"
        "$0" run --name back busybox sh -c 'trap "echo BYE; exit 3" INT; echo READY; while :; do sleep 0.1; done' &
        until "$0" logs back 2>/dev/null | grep -q READY; do sleep 0.1; done
        kill -INT $!
        wait $!"#;
    let outcome = crate::support::user::finish(
        {
            let mut command = user.command("sh");
            command.args(["-c", script, crate::support::user::ENTER]);
            command
        },
        b"",
    );
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(3), "READY\nBYE\n"), "{outcome:?}");
}

#[test]
fn a_stop_without_a_terminal_stops_the_command_and_it_goes_on() {
    let user = User::new();
    let mut child = start(&user, &[], "exec sleep 98765");
    let home = format!("HOME={}", user.home().display());
    // The command, found among all processes by what it runs and for whom; its state is the third field (proc_pid_stat(5)).
    let state = || {
        let processes = std::fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| entry.ok());
        let mut commands = processes.filter(|process| {
            let file = |name| std::fs::read(process.path().join(name)).unwrap_or_default();
            let is_his = file("environ").split(|byte| *byte == 0).any(|variable| variable == home.as_bytes());
            is_his && file("cmdline") == b"sleep\x0098765\0"
        });
        let stat = std::fs::read_to_string(commands.next()?.path().join("stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    };
    wait_until("sleep", || state().filter(|state| *state == 'S'));
    send(&child, Signal::SIGTSTP);
    wait_until("sleep to stop", || state().filter(|state| *state == 'T'));
    send(&child, Signal::SIGCONT);
    wait_until("sleep to go on", || state().filter(|state| *state == 'S'));
    send(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).and_then(|status| status.code()), Some(143));
}
