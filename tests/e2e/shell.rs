//! `enter IMAGE -- COMMAND`: who one is inside, what is there, what comes out, and what stays.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getgid, getuid};

use crate::support::user::{finish, wait};
use crate::support::{User, wait_until};

#[test]
fn the_output_of_a_command_is_the_output_of_enter() {
    let user = User::new();
    let outcome = user.run(["busybox", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(outcome.text(), "out\n");
    assert!(outcome.stderr.ends_with("err\n"), "{}", outcome.stderr);
    // The second time there is nothing to pull and so nothing else to say.
    let outcome = user.run(["busybox", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((outcome.text().as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn the_exit_code_is_the_commands() {
    let user = User::new();
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 125"], 125),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["no-such-command"], 127),
        (&["/no/such/path"], 127),
        (&["/etc/passwd"], 126),
        (&["/etc"], 126),
        (&[""], 127),
    ] {
        let outcome = user.run(["busybox", "--"].iter().chain(command));
        assert_eq!(outcome.code(), Some(code), "{command:?}: {}", outcome.stderr);
    }
}

#[test]
fn what_cannot_be_run_is_said() {
    let user = User::new();
    let outcome = user.run(["busybox", "--", "no-such-command"]);
    assert!(outcome.stderr.contains("no-such-command"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("no such command"), "{}", outcome.stderr);
    let outcome = user.run(["busybox", "--", "/etc/passwd"]);
    assert!(outcome.stderr.contains("/etc/passwd"), "{}", outcome.stderr);
}

#[test]
fn a_signal_to_enter_reaches_the_command() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let script = "trap 'echo caught >~/caught; exit 3' TERM; echo started >~/started; while :; do sleep 0.1; done";
    let mut child = user.enter(["busybox", "--", "sh", "-c", script]).spawn().expect("enter starts");
    wait_until("the command's start", || user.home().join("started").exists().then_some(()));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("a signal can be sent");
    let status = wait(&mut child).expect("enter ends");
    assert_eq!(status.code(), Some(3), "{status}");
    assert!(user.home().join("caught").exists());
}

#[test]
fn a_command_ended_by_a_signal_to_enter_is_128_and_the_signal() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let script = "echo started >~/started; exec sleep 1000";
    let mut child = user.enter(["busybox", "--", "sh", "-c", script]).spawn().expect("enter starts");
    wait_until("the command's start", || user.home().join("started").exists().then_some(()));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("a signal can be sent");
    let status = wait(&mut child).expect("enter ends");
    assert_eq!(status.code().or(status.signal().map(|signal| 128 + signal)), Some(143), "{status}");
}

#[test]
fn bytes_go_in_and_out_unchanged() {
    let user = User::new();
    // Every byte, in blocks that line up with no buffer.
    let input: Vec<u8> = (0..5_000_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let outcome = user.run_with_input(["busybox", "--", "cat"], &input);
    assert!(outcome.status.success(), "{}", outcome.stderr);
    assert!(outcome.stdout == input, "{} bytes came back of {}", outcome.stdout.len(), input.len());
}

#[test]
fn a_pipe_through_two_containers_works() {
    let user = User::new();
    std::fs::write(user.home().join("a file"), "text").expect("a home can be written");
    let script = r#"tar c "a file" | "$ENTER" busybox -- tar t"#;
    let mut shell = user.command("sh");
    shell.args(["-c", script]).env("ENTER", crate::support::user::ENTER);
    assert_eq!(finish(shell, b"").success(), "a file\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_command() {
    let user = User::new();
    let mut shell = user.command("sh");
    shell.args(["-c", r#""$ENTER" busybox -- yes | head -n 1"#]).env("ENTER", crate::support::user::ENTER);
    assert_eq!(finish(shell, b"").success(), "y\n");
}

#[test]
fn without_a_terminal_there_is_no_pty() {
    let user = User::new();
    let outcome = user.run(["busybox", "--", "tty"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "not a tty\n"));
}

#[test]
fn a_shell_reads_its_script_from_standard_input() {
    let user = User::new();
    let outcome = user.run_with_input(["busybox"], b"echo one; echo two\nexit 4\n");
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(4), "one\ntwo\n"));
}

fn changes_outside_the_home_are_gone_and_those_at_home_stay(user: &User) {
    let script = "echo x >/etc/made; rm /etc/os-release; mkdir /new; cat /etc/made";
    assert_eq!(user.sh(&["-u", "root"], "busybox", script), "x\n");
    assert_eq!(user.sh(&[], "busybox", "echo y >~/made; echo x >/tmp/made; cat /tmp/made"), "x\n");
    let script = "test ! -e /etc/made; test ! -e /tmp/made; test ! -e /new; test -e /etc/os-release; cat ~/made";
    assert_eq!(user.sh(&[], "busybox", script), "y\n");
    assert!(!std::path::Path::new("/etc/made").exists());
}

#[test]
fn files_made_at_home_are_the_users_own() {
    let user = User::new();
    user.sh(&[], "busybox", "echo x >~/mine; mkdir ~/folder");
    for name in ["mine", "folder"] {
        let info = std::fs::metadata(user.home().join(name)).expect("what was made inside is here");
        assert_eq!((info.uid(), info.gid()), (getuid().as_raw(), getgid().as_raw()), "{name}");
    }
}

#[test]
fn you_are_you() {
    let user = User::new();
    let name = std::env::var("USER").expect("the tests' user has a name");
    let seen = user.sh(&[], "busybox", "id -u; id -g; id -un; echo $USER; echo $HOME; pwd; echo ~");
    let home = user.home().display().to_string();
    let (uid, gid) = (getuid().to_string(), getgid().to_string());
    assert_eq!(seen.lines().collect::<Vec<_>>(), [&uid, &gid, &name, &name, &home, &home, &home]);
}

#[test]
fn another_user_can_be_asked_for() {
    let user = User::new();
    for (flag, ids) in [
        ("root", "0:0"),
        ("0", "0:0"),
        ("nobody", "65534:65534"),
        ("nobody:tty", "65534:5"),
        ("1234:4321", "1234:4321"),
    ] {
        assert_eq!(user.sh(&["-u", flag], "busybox", "echo $(id -u):$(id -g)"), format!("{ids}\n"), "{flag}");
    }
    user.run(["-u", "no-such-user", "busybox", "--", "true"]).refused(&["no-such-user"]);
}

fn root_inside_can_do_what_root_does(user: &User) {
    let script = "touch /f; chown 33:33 /f; stat -c %u:%g /f; chmod 4755 /f; stat -c %a /f; mkdir /d; mv /d /e; ls -d /e; \
                  mknod /p p; ln /f /g; stat -c %h /g; su -s /bin/sh nobody -c 'id -u'";
    assert_eq!(user.sh(&["-u", "root"], "busybox", script), "33:33\n4755\n/e\n2\n65534\n");
}

#[test]
fn the_working_directory_is_kept_when_it_lies_at_home() {
    let user = User::new();
    let project = user.home().join("a project");
    std::fs::create_dir(&project).expect("a home can be written");
    let mut command = user.enter(["busybox", "--", "pwd"]);
    command.current_dir(&project);
    assert_eq!(finish(command, b"").success(), format!("{}\n", project.display()));
    let mut command = user.enter(["busybox", "--", "pwd"]);
    command.current_dir("/usr");
    assert_eq!(finish(command, b"").success(), format!("{}\n", user.home().display()));
    assert_eq!(user.run(["-w", "/etc", "busybox", "--", "pwd"]).success(), "/etc\n");
    user.run(["-w", "/no/such/folder", "busybox", "--", "pwd"]).refused(&["/no/such/folder"]);
}

#[test]
fn variables_are_set_passed_on_and_read_from_files() {
    let mut user = User::new();
    user.set("FROM_OUTSIDE", "passed on");
    std::fs::write(user.home().join("vars"), "# a comment\nIN_FILE=from a file\n").expect("a home can be written");
    let flags = ["-e", "SET=a value=b", "-e", "FROM_OUTSIDE", "-e", "NOT_THERE", "--env-file", "vars"];
    let seen = user.sh(&flags, "busybox", "echo \"$SET|$FROM_OUTSIDE|$IN_FILE|${NOT_THERE-unset}\"");
    assert_eq!(seen, "a value=b|passed on|from a file|unset\n");
}

#[test]
fn folders_and_files_of_the_host_can_be_shown_inside() {
    let user = User::new();
    let shared = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(shared.path().join("file"), "from outside\n").expect("a temporary folder can be written");
    let folder = shared.path().display();
    let (writable, read_only) = (format!("{folder}:/given"), format!("{folder}:/fixed:ro"));
    let one_file = format!("{folder}/file:/etc/one-file");
    let flags = ["-v", &writable, "-v", &read_only, "-v", &one_file];
    let script = "cat /given/file /fixed/file /etc/one-file; echo inside >/given/new; ! touch /fixed/new";
    assert_eq!(user.sh(&flags, "busybox", script), "from outside\n".repeat(3));
    assert_eq!(std::fs::read_to_string(shared.path().join("new")).expect("made inside"), "inside\n");
    user.run(["-v", "/no/such/source:/x", "busybox", "--", "true"]).refused(&["/no/such/source"]);
}

#[test]
fn locale_time_zone_and_terminal_are_the_users() {
    let mut user = User::new();
    user.set("LC_TIME", "C.UTF-8");
    user.set("TZ", "Asia/Tokyo");
    assert_eq!(user.sh(&[], "busybox", "echo $LANG $LC_TIME $TZ"), "C.UTF-8 C.UTF-8 Asia/Tokyo\n");
    // A locale that the image does not have makes every program complain; this one is always there.
    user.set("LANG", "de_DE.UTF-8");
    assert_eq!(user.sh(&[], "busybox", "echo $LANG"), "C.UTF-8\n");
}

#[test]
fn the_hostname_is_known_inside() {
    let user = User::new();
    let script = "grep -q \"$(hostname)\" /etc/hosts; grep -q 127.0.0.1 /etc/hosts; hostname";
    assert_ne!(user.sh(&[], "busybox", script), "\n");
    assert_eq!(user.sh(&["--hostname", "workshop"], "busybox", "hostname"), "workshop\n");
}

#[test]
fn a_dry_run_prints_the_plan_and_starts_nothing() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let plan = user.run(["--dry-run", "busybox", "--", "touch", "here"]).success();
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("the plan is JSON");
    assert!(plan.is_object(), "{plan}");
    assert!(!user.home().join("here").exists());
}

fn a_real_debian_installs_and_runs_packages(user: &User) {
    let script = "apt-get -qq update && apt-get -qq install -y --no-install-recommends hello >/dev/null 2>&1 && hello -g installed";
    assert_eq!(user.sh(&["-u", "root"], "debian", script), "installed\n");
    let outcome = user.run(["debian", "--", "hello"]);
    assert_eq!(outcome.code(), Some(127), "what was installed is gone: {}", outcome.text());
}

on_both_drivers!(
    changes_outside_the_home_are_gone_and_those_at_home_stay,
    root_inside_can_do_what_root_does,
    a_real_debian_installs_and_runs_packages,
);
