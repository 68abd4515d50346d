//! Ways back: a throwaway shell that was left is brought back, and one that runs is kept.

use std::fs;
use std::process::Child;

use crate::support::{Terminal, User, wait_until};

fn list(user: &User, template: &str) -> String {
    user.run(["restore", "--list", "--format", template]).success()
}

/// A shell that runs until `~/go` is there, and has said by `~/started` that it does.
fn waiting(user: &User, flags: &[&str]) -> Child {
    let script = "echo one >/tmp/first; touch ~/started; while [ ! -e ~/go ]; do sleep 0.1; done; echo two >/tmp/last";
    let args: Vec<&str> = flags.iter().copied().chain(["busybox", "--", "sh", "-c", script]).collect();
    let child = user.enter(&args).spawn().expect("enter starts");
    wait_until("the shell", || user.home().join("started").exists().then_some(()));
    child
}

fn let_go(user: &User, mut shell: Child) {
    fs::write(user.home().join("go"), "").expect("the home can be written to");
    assert!(shell.wait().expect("the shell ends").success());
}

fn what_was_dropped_comes_back_in_a_shell_or_as_a_box(user: &User) {
    let script = "echo changed >/etc/changed; rm /etc/os-release; mkdir -m 700 /closed; echo x >/closed/x; chown -R 42:42 /closed";
    user.run(["-u", "root", "-e", "WHICH=as before", "busybox", "--", "sh", "-c", script]).success();
    assert_eq!(list(user, "{{.Number}} {{.Image}} {{.Files}} {{.Size}}"), "1 busybox 3 10B\n");
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
    let look = "cat /etc/changed; ls /etc/os-release; stat -c %u /closed/x; echo $WHICH; id -u";
    let seen = user.run(["restore", "--", "sh", "-c", look]);
    assert_eq!(seen.text(), "changed\n42\nas before\n0\n", "{}", seen.stderr);
    user.run(["restore", "-n", "work"]).success();
    assert_eq!(list(user, "{{.Number}}"), "");
    let seen = user.run(["-u", "root", "work", "--", "sh", "-c", look]);
    assert_eq!(seen.text(), "changed\n42\nas before\n0\n", "{}", seen.stderr);
    user.run(["restore"]).unable(&["no shell", "restored"]);
}

fn a_running_shell_becomes_a_box(user: &User) {
    let mut shell = waiting(user, &["-e", "WHICH=as before"]);
    assert_eq!(user.run(["keep", "work"]).success(), "work\n");
    user.run(["keep", "other"]).unable(&["no throwaway shell"]);
    user.run(["keep", "-s", "work", "other"]).unable(&["work", "a box already"]);
    assert!(shell.try_wait().expect("it can be waited for").is_none());
    let look = "cat /tmp/first; echo $WHICH $ENTER_BOX";
    assert_eq!(user.run(["work", "--", "sh", "-c", look]).text(), "one\nas before work\n");
    // Who has come to it stays, whatever becomes of the shell that it began as.
    let stay = "touch ~/inside; while [ ! -e ~/leave ]; do sleep 0.1; done; cat /tmp/last";
    let visitor = user.enter(["work", "--", "sh", "-c", stay]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("the visitor", || user.home().join("inside").exists().then_some(()));
    let_go(user, shell);
    fs::write(user.home().join("leave"), "").unwrap();
    let visited = visitor.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&visited.stdout), "two\n");
    wait_until("the end of the box", || {
        (user.run(["ls", "--format", "{{.Name}} {{.State}}"]).success() == "work stopped\n").then_some(())
    });
    assert_eq!(list(user, "{{.Number}}"), "");
    assert_eq!(user.run(["work", "--", "sh", "-c", look]).text(), "one\nas before work\n");
}

#[test]
fn a_shell_is_kept_from_inside() {
    let user = User::new();
    let script = "echo one >/tmp/first; /run/enter/enter keep 'a/b' || echo $?; /run/enter/enter keep work; /run/enter/enter keep other || echo $?";
    let outcome = user.run(["busybox", "--", "sh", "-c", script]);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("125\nwork\n125\n", Some(0)), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cannot keep this shell as `a/b`"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("work is a box already"), "{}", outcome.stderr);
    assert_eq!(user.run(["work", "--", "cat", "/tmp/first"]).success(), "one\n");
    assert_eq!(list(&user, "{{.Number}}"), "");
}

on_both_drivers! {
    what_was_dropped_comes_back_in_a_shell_or_as_a_box,
    a_running_shell_becomes_a_box,
}

#[test]
fn who_sits_at_a_terminal_is_told_what_was_dropped_and_a_script_is_not() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    let outcome = user.run(["busybox", "--", "sh", "-c", "echo 1234 >/tmp/new"]);
    assert_eq!((outcome.stderr.as_str(), outcome.code()), ("", Some(0)));
    for (flags, script, told) in [
        (&[][..], "echo 1234 >/tmp/new", "dropped 1 file, 5B; bring them back within 24 hours with: enter restore"),
        (&["--rm"], "echo 1234 >/tmp/new", ""),
        (&[], "true", ""),
    ] {
        let args: Vec<&str> = flags.iter().copied().chain(["busybox", "--", "sh", "-c", script]).collect();
        let mut terminal = Terminal::start(&user.enter(&args));
        assert!(terminal.wait().success());
        assert_eq!(terminal.shown().trim(), told);
    }
    assert_eq!(list(&user, "{{.Number}}"), "1\n2\n");
}

#[test]
fn what_was_in_a_terminal_that_was_closed_comes_back() {
    let user = User::new();
    let mut terminal = Terminal::start(&user.enter(["busybox"]));
    terminal.line("echo there >/tmp/new; echo d''one");
    terminal.wait_for("done");
    terminal.hang_up();
    wait_until("the end of the shell", || (list(&user, "{{.Files}}") == "1\n").then_some(()));
    assert_eq!(user.run(["restore", "--", "cat", "/tmp/new"]).text(), "there\n");
}

#[test]
fn what_is_too_much_or_too_old_is_gone() {
    let mut user = User::new();
    let write = |user: &User, bytes: &str, name: &str| {
        user.run(["busybox", "--", "sh", "-c", &format!("head -c {bytes} /dev/zero >/tmp/{name}")])
    };
    user.set("ENTER_RESTORE_SIZE", "1MB");
    let gone = write(&user, "1500000", "large");
    assert!(gone.stderr.contains("dropped 1 file, 1.5MB: too much to be brought back"), "{}", gone.stderr);
    for name in ["a", "b", "c"] {
        write(&user, "400000", name).success();
    }
    wait_until("the oldest to go", || (list(&user, "{{.Size}}") == "400kB\n400kB\n").then_some(()));
    assert_eq!(user.run(["restore", "--", "sh", "-c", "cd /tmp; ls a b c large 2>/dev/null"]).text(), "c\n");
    user.set("ENTER_RESTORE_TIME", "1s");
    wait_until("all to go", || list(&user, "{{.Size}}").is_empty().then_some(()));
    user.set("ENTER_RESTORE_SIZE", "0B");
    write(&user, "4", "none").success();
    assert_eq!(list(&user, "{{.Size}}"), "");
}

#[test]
fn what_cannot_be_restored_is_told_and_stays() {
    let user = User::new();
    user.run(["restore"]).unable(&["no shell"]);
    user.run(["keep"]).unable(&["no throwaway shell"]);
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    user.run(["busybox", "--", "touch", "/tmp/new"]).success();
    user.run(["restore", "-n", "work"]).unable(&["work", "already"]);
    user.run(["restore", "nonsense"]).unable(&["no shell `nonsense`"]);
    user.run(["restore", "2"]).unable(&["no shell `2`"]);
    user.run(["rm", "work"]).success();
    // Pruning leaves its image alone, and naming the image does not.
    user.run(["image", "prune", "-af"]).success();
    assert_eq!(user.run(["restore", "busybox", "--", "ls", "/tmp/new"]).text(), "/tmp/new\n");
    user.run(["rmi", "busybox"]).success();
    user.run(["restore"]).unable(&["its image is not in the store"]);
    assert_eq!(list(&user, "{{.Files}}"), "1\n");
    user.run(["restore", "--forget", "all"]).success();
    assert_eq!(list(&user, "{{.Files}}"), "");
}
