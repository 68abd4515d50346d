//! One more command in a container, and one more terminal.

use crate::support::{Terminal, User};

/// A container called `box` that does nothing, in the background.
fn idle(flags: &[&str], image: &str) -> User {
    let user = User::new();
    begin(&user, flags, image);
    user
}

fn begin(user: &User, flags: &[&str], image: &str) {
    user.run(["pull", image]).success();
    let command = [image, "sleep", "1000"];
    user.run(["run", "-d", "--name", "box"].iter().chain(flags).chain(&command)).success();
}

#[test]
fn it_joins_the_containers_processes_files_and_environment() {
    let user = idle(&["-e", "FROM=the container", "-w", "/var"], "busybox");
    let script = "echo $FROM $MORE; pwd; tr '\\0' ' ' </proc/1/cmdline; hostname; id -u";
    let seen = user.run(["exec", "-e", "MORE=and more", "box", "sh", "-c", script]).success();
    let id = user.run(["ps", "-q"]).success();
    assert_eq!(seen, format!("the container and more\n/var\nsleep 1000 {id}0\n"));
    user.run(["exec", "-d", "box", "touch", "/made"]).success();
    user.run(["exec", "box", "sh", "-c", "until [ -e /made ]; do sleep 0.05; done"]).success();
}

#[test]
fn its_exit_code_is_the_commands_and_says_what_kept_it_from_running() {
    let user = idle(&[], "busybox");
    for (command, code) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["nowhere"], 127),
        (&["/etc"], 126),
        (&["true"], 0),
    ] {
        let outcome = user.run(["exec", "box"].iter().chain(command));
        assert_eq!(outcome.code(), Some(code), "{command:?}: {}", outcome.stderr);
    }
    for (line, code, message) in [
        (&["exec", "nobody", "true"][..], 1, "no such container: nobody"),
        (&["exec", "box"], 1, "COMMAND is missing"),
        (&["exec"], 1, "CONTAINER is missing"),
        (&["exec", "-u", "nobody-here", "box", "true"], 126, "nobody-here"),
        (&["exec", "-w", "relative", "box", "true"], 125, "--workdir cannot be `relative`"),
        (&["exec", "-w", "/no/such", "box", "true"], 125, "/no/such"),
        (&["exec", "--preserve-fds", "5", "box", "true"], 125, "--preserve-fds cannot be `5`"),
        (&["exec", "--detach-keys", "ctrl-?", "box", "true"], 125, "--detach-keys cannot be `ctrl-?`"),
        (&["exec", "-it", "box", "sh"], 1, "not a TTY"),
    ] {
        let outcome = user.run(line);
        assert!(outcome.stderr.contains(message), "{line:?}: {}", outcome.stderr);
        assert_eq!(outcome.code(), Some(code), "{line:?}: {}", outcome.stderr);
    }
    user.run(["kill", "box"]).success();
    user.run(["wait", "box"]).success();
    let outcome = user.run(["exec", "box", "true"]);
    assert_eq!((outcome.code(), outcome.stderr.contains("is not running")), (Some(1), true), "{}", outcome.stderr);
}

fn a_user_is_looked_up_in_the_container_as_it_is_now(user: &User) {
    begin(user, &[], "busybox");
    user.run(["exec", "box", "sh", "-c", "echo late:x:77:78::/srv:/bin/sh >>/etc/passwd; mkdir -p /srv"]).success();
    let seen = user.run(["exec", "-u", "late", "box", "sh", "-c", "id -u; id -g; echo $HOME"]).success();
    assert_eq!(seen, "77\n78\n/srv\n");
    assert_eq!(user.run(["exec", "-u", "5:6", "box", "sh", "-c", "id -u; id -g"]).success(), "5\n6\n");
    // A hostile passwd is not waited for, and nobody becomes root by it.
    user.run(["exec", "box", "sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd"]).success();
    assert_eq!(user.run(["exec", "-u", "late", "box", "true"]).code(), Some(126));
}

#[test]
fn it_is_confined_as_the_container_is() {
    let user = idle(&["--cap-drop", "ALL", "--security-opt", "no-new-privileges"], "debian");
    let status = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t\\n'";
    let own = user.run(["exec", "box", "sh", "-c", status]).success();
    assert_eq!(own, "CapEff:0000000000000000CapBnd:0000000000000000NoNewPrivs:1Seccomp:2");
    let more = user.run(["exec", "--privileged", "box", "sh", "-c", status]).success();
    assert!(more.contains("NoNewPrivs:0Seccomp:0") && !more.contains("CapEff:0000000000000000"), "{more}");
    // Nothing of init's or of the caller's is open.
    assert_eq!(user.run(["exec", "box", "sh", "-c", "echo /proc/self/fd/*"]).success().matches("/fd/").count(), 4);
}

#[test]
fn a_privileged_container_can_mount_and_exec_sees_it() {
    for flags in [&["--privileged"][..], &["--privileged", "--userns", "keep-id", "-u", "root"]] {
        let user = idle(flags, "debian");
        user.run(["exec", "box", "mount", "-t", "tmpfs", "mine", "/mnt"]).success();
        user.run(["exec", "box", "grep", "-q", "^mine /mnt", "/proc/self/mounts"]).success();
    }
    let user = idle(&[], "debian");
    let outcome = user.run(["exec", "box", "mount", "-t", "tmpfs", "mine", "/mnt"]);
    assert!(outcome.code() != Some(0), "an ordinary container has mounted something");
}

#[test]
fn input_and_output_are_the_callers_own() {
    let user = idle(&[], "busybox");
    let million = vec![b'x'; 1 << 20];
    let outcome = user.run_with_input(["exec", "-i", "box", "cat"], &million);
    assert!(outcome.stdout == million, "{} bytes came back", outcome.stdout.len());
    assert_eq!(user.run_with_input(["exec", "box", "cat"], b"not passed on").success(), "");
    let outcome = user.run(["exec", "box", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((outcome.text().as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_terminal_of_its_own_is_left_by_the_keys_and_goes_on() {
    let user = idle(&[], "busybox");
    let mut terminal = Terminal::start(&user.enter(["exec", "-it", "box", "sh"]));
    terminal.wait_for("# ");
    terminal.line("tty; stty size; echo rea''dy");
    let seen = terminal.wait_for("ready\r\n");
    assert!(seen.contains("/dev/pts/0") && seen.contains("24 80"), "{seen}");
    terminal.line("exec sleep 777");
    // sh must have read its line before it is left.
    crate::support::wait_until("sleep in the container", || {
        user.run(["exec", "box", "ps"]).success().contains("sleep 777").then_some(())
    });
    terminal.send("\x10\x11");
    terminal.wait_for("read escape sequence");
    assert_eq!(terminal.wait().code(), Some(1));
    assert!(user.run(["exec", "box", "ps"]).success().contains("sleep 777"));
}

#[test]
fn several_terminals_may_be_attached_and_leave() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    let mut first = Terminal::start(&user.enter(["run", "-it", "--name", "box", "busybox", "sh"]));
    first.wait_for("# ");
    first.line("echo rea''dy");
    first.wait_for("ready\r\n");
    first.send("\x10\x11");
    assert_eq!(first.wait().code(), Some(0));
    let mut one = Terminal::start(&user.enter(["attach", "box"]));
    let mut other = Terminal::start(&user.enter(["attach", "box"]));
    other.line("echo bo''th");
    other.wait_for("both\r\n");
    one.line("echo aga''in");
    one.wait_for("again\r\n");
    other.wait_for("again\r\n");
    one.send("\x10\x11");
    one.wait_for("read escape sequence");
    assert_eq!(one.wait().code(), Some(1));
    other.line("exit 9");
    assert_eq!(other.wait().code(), Some(9));
    let outcome = user.run(["attach", "box"]);
    assert_eq!((outcome.code(), outcome.stderr.contains("is not running")), (Some(1), true), "{}", outcome.stderr);
}

on_both_drivers!(a_user_is_looked_up_in_the_container_as_it_is_now);
