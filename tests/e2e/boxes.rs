//! Boxes: what is kept, who is in them, when they end, and that everything about them can be changed later.

use std::os::unix::fs::MetadataExt as _;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};

use crate::support::{Terminal, User, wait_until};

/// A box `work` of busybox, or of another image.
fn made(user: &User, image: &str) {
    user.run(["-n", "work", image, "--", "true"]).success();
}

fn field(user: &User, name: &str, field: &str) -> String {
    let format = format!("{{{{.Name}}}} {{{{.{field}}}}}");
    let list = user.run(["ls", "--format", &format]).success();
    let line = list.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(ToOwned::to_owned));
    line.unwrap_or_else(|| panic!("no box {name} in:\n{list}"))
}

fn state(user: &User) -> String {
    field(user, "work", "State")
}

fn until_stopped(user: &User) {
    wait_until("the box's end", || (state(user) == "stopped").then_some(()));
}

fn background(user: &User, args: &[&str], mark: &str) -> Child {
    let child = user.enter(args).spawn().expect("enter starts");
    wait_until(mark, || user.home().join(mark).exists().then_some(()));
    child
}

fn what_is_changed_in_a_box_is_there_the_next_time(user: &User) {
    user.run(["-n", "work", "busybox", "--", "sh", "-c", "echo one >/tmp/kept; id -un; hostname"]).success();
    let again = user.run(["work", "--", "sh", "-c", "cat /tmp/kept; hostname; echo $ENTER_BOX"]).success();
    assert_eq!(again, "one\nwork\nwork\n");
    user.run(["-u", "root", "work", "--", "sh", "-c", "echo root >/etc/kept; rm /etc/os-release"]).success();
    assert_eq!(user.run(["work", "--", "sh", "-c", "cat /etc/kept; ls /etc/os-release"]).text(), "root\n");
    // Nothing of it is in a throwaway shell.
    assert_eq!(user.sh(&[], "busybox", "ls /tmp/kept /etc/kept 2>/dev/null || true"), "");
}

fn a_box_goes_without_leaving_anything_but_the_home(user: &User) {
    user.run(["-n", "work", "busybox", "--", "sh", "-c", "echo mine >~/mine; mkdir ~/folder"]).success();
    user.run(["-u", "root", "work", "--", "sh", "-c", "mkdir -m 700 /closed; touch /closed/x"]).success();
    user.run(["rm", "work"]).success();
    assert_eq!(user.run(["ls", "-q"]).success(), "");
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
    for name in ["mine", "folder"] {
        let info = std::fs::metadata(user.home().join(name)).expect("what was made at home is there");
        assert_eq!(info.uid(), getuid().as_raw(), "{name}");
    }
    user.run(["work", "--", "true"]).refused(&["work"]);
}

fn a_copy_of_a_box_has_all_of_it_and_is_another(user: &User) {
    made(user, "busybox");
    let script = "echo a >/etc/one; ln /etc/one /etc/two; rm /etc/os-release; mkdir -m 700 /closed; touch /closed/x; \
                  ln -s nowhere /etc/link; chown 42:43 /etc/one; rm -r /root; mkdir /root";
    user.run(["-u", "root", "work", "--", "sh", "-c", script]).success();
    user.run(["set", "work", "-e", "WHICH=the copy has it too"]).success();
    assert_eq!(user.run(["clone", "work", "other"]).success(), "other\n");
    user.run(["-u", "root", "work", "--", "sh", "-c", "echo b >>/etc/one"]).success();
    let look = "cat /etc/one; stat -c '%u %g %h' /etc/two; ls /etc/os-release /closed; readlink /etc/link; hostname; \
                echo $WHICH; ls -A /root";
    let seen = user.run(["-u", "root", "other", "--", "sh", "-c", look]);
    assert_eq!(seen.text(), "a\n42 43 2\n/closed:\nx\nnowhere\nother\nthe copy has it too\n", "{}", seen.stderr);
    user.run(["clone", "work", "other"]).unable(&["other", "in use"]);
    user.run(["rename", "other", "third"]).success();
    assert_eq!(user.run(["third", "--", "hostname"]).text(), "third\n");
}

on_both_drivers! {
    what_is_changed_in_a_box_is_there_the_next_time,
    a_box_goes_without_leaving_anything_but_the_home,
    a_copy_of_a_box_has_all_of_it_and_is_another,
}

#[test]
fn you_are_you_in_a_box_too() {
    let user = User::new();
    made(&user, "busybox");
    let script = "id -u; id -g; id -un; echo $HOME; pwd; echo x >~/made; echo $EXTRA; echo out >&2; exit 7";
    let outcome = user.run(["-e", "EXTRA=1", "work", "--", "sh", "-c", script]);
    let name = std::env::var("USER").expect("the tests' user has a name");
    let home = user.home().display().to_string();
    let (uid, gid) = (getuid(), nix::unistd::getgid());
    assert_eq!(outcome.text(), format!("{uid}\n{gid}\n{name}\n{home}\n{home}\n1\n"));
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(7), "out\n"));
    assert_eq!(std::fs::read(user.home().join("made")).expect("the home is the same"), b"x\n");
    assert_eq!(user.run_with_input(["work"], b"echo from standard input; exit 3\n").text(), "from standard input\n");
    assert_eq!(user.run(["work", "--", "no-such-command"]).code(), Some(127));
    assert_eq!(user.run(["work", "--", "/etc"]).code(), Some(126));
}

#[test]
fn a_second_shell_joins_the_first_and_the_last_one_ends_the_box() {
    let user = User::new();
    made(&user, "busybox");
    assert_eq!(state(&user), "stopped", "nobody is in it any more");
    let mut first = Terminal::start(&user.enter(["work"]));
    first.wait_for("$ ");
    first.line("echo $((40+2))");
    first.wait_for("42");
    let mut second = Terminal::start(&user.enter(["work"]));
    second.wait_for("$ ");
    second.line("touch /tmp/by-second; echo $((50+1))");
    second.wait_for("51");
    assert_eq!((state(&user), field(&user, "work", "Shells")), ("running".into(), "2".into()));
    first.line("ls /tmp/by-sec*; sleep 1000 & echo $((60+1))");
    first.wait_for("/tmp/by-second");
    first.wait_for("61");
    // Of the same processes: what the first runs, the second sees.
    second.line("ps | grep -c '[s]leep 1000'; exit");
    second.wait_for("1\r\n");
    second.wait();
    assert_eq!((state(&user), field(&user, "work", "Shells")), ("running".into(), "1".into()));
    first.line("exit 5");
    assert_eq!(first.wait().code(), Some(5));
    assert_eq!(state(&user), "stopped", "the last one has left");
    assert_eq!(user.run(["inspect", "-f", "{{.State.ExitCode}}", "work"]).text(), "0\n");
}

#[test]
fn a_terminal_that_is_closed_ends_the_box_with_all_that_ran_in_it() {
    let user = User::new();
    made(&user, "busybox");
    let mut terminal = Terminal::start(&user.enter(["work"]));
    terminal.wait_for("$ ");
    terminal.line("sh -c 'trap \"\" HUP TERM; touch ~/began; exec sleep 1000' & sleep 2000");
    wait_until("a program in the background", || user.home().join("began").exists().then_some(()));
    assert_eq!(state(&user), "running");
    terminal.hang_up();
    until_stopped(&user);
    assert_eq!(user.run(["work", "--", "sh", "-c", "ps | grep -c '[s]leep'"]).text(), "0\n");
}

#[test]
fn a_client_that_is_killed_has_left() {
    let user = User::new();
    made(&user, "busybox");
    let command =
        ["work", "--", "sh", "-c", "trap 'echo told >~/told' HUP; touch ~/began; while :; do sleep 0.05; done"];
    let mut child = background(&user, &command, "began");
    let mut other = background(&user, &["work", "--", "sh", "-c", "touch ~/other; exec sleep 1000"], "other");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).expect("a signal can be sent");
    child.wait().expect("it ends");
    wait_until("the end of what it ran", || user.home().join("told").exists().then_some(()));
    assert_eq!((state(&user), field(&user, "work", "Shells")), ("running".into(), "1".into()));
    kill(Pid::from_raw(other.id().cast_signed()), Signal::SIGKILL).expect("a signal can be sent");
    other.wait().expect("it ends");
    until_stopped(&user);
}

#[test]
fn what_is_left_in_the_background_is_asked_to_end() {
    let user = User::new();
    made(&user, "busybox");
    let script = "(trap 'echo asked >~/asked; exit' TERM; touch ~/began; while :; do sleep 0.05; done) & \
                  while [ ! -e ~/began ]; do sleep 0.05; done";
    user.run(["work", "--", "sh", "-c", script]).success();
    assert_eq!(state(&user), "stopped");
    assert!(user.home().join("asked").exists(), "nobody loses data by leaving");
}

#[test]
fn a_box_that_keeps_running_goes_on_alone() {
    let user = User::new();
    user.run(["-n", "work", "--keep-running", "busybox", "--", "sh", "-c", "echo x >/dev/shm/mine"]).success();
    assert_eq!((state(&user), field(&user, "work", "Shells")), ("running".into(), "0".into()));
    assert_eq!(user.run(["work", "--", "cat", "/dev/shm/mine"]).text(), "x\n");
    user.run(["rm", "work"]).unable(&["it is running"]);
    user.run(["set", "work", "--keep-running=false"]).success();
    user.run(["work", "--", "true"]).success();
    assert_eq!(state(&user), "stopped");
    user.run(["set", "work", "--keep-running"]).success();
    user.run(["work", "--", "true"]).success();
    user.run(["stop", "work"]).success();
    assert_eq!(state(&user), "stopped");
}

#[test]
fn a_signal_to_who_entered_reaches_the_command() {
    let user = User::new();
    made(&user, "busybox");
    let script = "trap 'echo caught >~/caught; exit 3' TERM; touch ~/began; while :; do sleep 0.05; done";
    let mut child = background(&user, &["work", "--", "sh", "-c", script], "began");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("a signal can be sent");
    assert_eq!(crate::support::user::wait(&mut child).expect("enter ends").code(), Some(3));
    assert!(user.home().join("caught").exists());
    until_stopped(&user);
}

#[test]
fn fifty_come_and_go_at_once() {
    let user = User::new();
    made(&user, "busybox");
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let commands: Vec<_> =
                (0..7).map(|n| (n, user.enter(["work", "--", "echo", &format!("{thread}.{n}")]))).collect();
            std::thread::spawn(move || {
                for (n, command) in commands {
                    let outcome = crate::support::user::finish(command, b"");
                    assert_eq!(outcome.success(), format!("{thread}.{n}\n"));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("all of them have been in it"));
    assert_eq!(state(&user), "stopped");
}

#[test]
fn nothing_that_was_kept_is_lost_with_a_monitor_that_is_killed() {
    let user = User::new();
    made(&user, "busybox");
    let command = ["work", "--", "sh", "-c", "echo kept >/tmp/kept; sync; touch ~/began; exec sleep 1000"];
    let mut child = background(&user, &command, "began");
    // inspect tells the payload; its monitor is what started all of it.
    let folder = user.run(["inspect", "-f", "{{.Id}}", "work"]).text();
    let state_file = user.store().join("containers").join(folder.trim()).join("state.json");
    let text = std::fs::read_to_string(state_file).expect("a state");
    let monitor = text.split("\"monitor\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a monitor");
    kill(Pid::from_raw(monitor.parse().expect("a number")), Signal::SIGKILL).expect("a signal can be sent");
    child.wait().expect("it ends");
    assert_eq!(user.run(["work", "--", "cat", "/tmp/kept"]).text(), "kept\n");
}

#[test]
fn everything_can_be_changed_later() {
    let user = User::new();
    made(&user, "busybox");
    let folder = user.home().join("shown");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("file"), "in the folder\n").expect("a file");
    let volume = format!("{}:/shown:ro", folder.display());
    let flags = [
        "set",
        "work",
        "-e",
        "A=1",
        "-e",
        "B=2",
        "-v",
        &volume,
        "-p",
        "127.0.0.1::8080",
        "--hostname",
        "other",
        "--ulimit",
    ];
    user.run(flags.into_iter().chain(["nofile=100:200", "--add-host", "there:192.0.2.7"])).success();
    let look = "echo $A $B; cat /shown/file; touch /shown/x 2>/dev/null || echo read-only; hostname; ulimit -n; grep there /etc/hosts";
    let seen = user.run(["work", "--", "sh", "-c", look]);
    assert_eq!(seen.text(), "1 2\nin the folder\nread-only\nother\n100\n192.0.2.7\tthere\n", "{}", seen.stderr);
    let set = user.run(["set", "work"]).success();
    let line = |word: &str| set.lines().find_map(|line| line.strip_prefix(word)).map(str::trim).unwrap_or_default();
    assert_eq!((line("volume"), line("hostname"), line("ulimit")), (&*volume, "other", "nofile=100:200"));
    assert_eq!((line("network"), line("keep-running"), line("add-host")), ("pasta", "false", "there:192.0.2.7"));
    let unset =
        ["set", "work", "--unset", "env=A", "--unset", "volume", "--unset", "publish=8080", "--unset", "hostname"];
    user.run(unset.into_iter().chain(["--unset", "ulimit=nofile", "--unset", "add-host=there", "--network", "none"]))
        .success();
    let seen = user.run([
        "work",
        "--",
        "sh",
        "-c",
        "echo $A.$B; ls -d /shown/file; hostname; ls /sys/class/net; grep -c there /etc/hosts",
    ]);
    assert_eq!(seen.text(), ".2\nwork\nlo\n0\n", "{}", seen.stderr);
    user.run(["set", "work", "--unset", "env=A"]).unable(&["env=A", "none"]);
    user.run(["set", "nobody", "-e", "A=1"]).unable(&["no box `nobody`"]);
    user.run(["set", "work", "-v", "/no/such/place:/x"]).unable(&["/no/such/place"]);
}

#[test]
fn what_a_running_box_cannot_take_up_is_said_and_the_rest_is_there_at_once() {
    let user = User::new();
    made(&user, "busybox");
    let mut terminal = Terminal::start(&user.enter(["work"]));
    terminal.wait_for("$ ");
    terminal.line("echo $((40+2))");
    terminal.wait_for("42");
    let at_once = user.run(["set", "work", "-e", "NEW=variable"]);
    assert_eq!((at_once.code(), at_once.stderr.as_str()), (Some(0), ""));
    assert_eq!(user.run(["work", "--", "sh", "-c", "echo $NEW"]).text(), "variable\n");
    let late = user.run(["set", "work", "-v", &format!("{}:/late", user.home().display())]);
    assert_eq!(late.code(), Some(0), "{}", late.stderr);
    assert!(late.stderr.contains("volumes") && late.stderr.contains("next start"), "{}", late.stderr);
    assert_ne!(user.run(["work", "--", "ls", "-d", "/late"]).code(), Some(0));
    terminal.line("exit");
    terminal.wait();
    assert_eq!(user.run(["work", "--", "ls", "-d", "/late"]).text(), "/late\n");
}

#[test]
fn a_port_of_a_box_is_published_while_it_runs_and_taken_back() {
    let user = User::new();
    made(&user, "busybox");
    let serve = "mkdir -p /tmp/www; echo hello >/tmp/www/index.html; touch ~/began; exec httpd -f -p 8080 -h /tmp/www";
    let mut child = background(&user, &["work", "--", "sh", "-c", serve], "began");
    user.run(["set", "work", "-p", "127.0.0.1::8080"]).success();
    let port = user.run(["port", "work", "8080"]).success();
    wait_until("an answer", || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(port.trim()).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.ends_with("hello\n").then_some(())
    });
    user.run(["set", "work", "--unset", "publish"]).success();
    assert!(std::net::TcpStream::connect(port.trim()).is_err());
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    until_stopped(&user);
}

#[test]
fn a_box_comes_before_an_image_of_its_name_and_that_is_said() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let made = user.run(["-n", "busybox", "busybox", "--", "touch", "/tmp/in-the-box"]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    assert!(made.stderr.contains("the image of that name"), "{}", made.stderr);
    let entered = user.run(["busybox", "--", "ls", "/tmp/in-the-box"]);
    assert_eq!(entered.text(), "/tmp/in-the-box\n");
    assert!(entered.stderr.contains("busybox is a box"), "{}", entered.stderr);
    assert_eq!(user.run(["busybox:latest", "--", "ls", "/tmp/in-the-box"]).text(), "");
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let user = User::new();
    made(&user, "busybox");
    user.run(["-n", "work", "busybox"]).refused(&["there is a box work already", "enter work"]);
    user.run(["-n", "pull", "busybox"]).refused(&["--name cannot be `pull`"]);
    user.run(["-n", "a/b", "busybox"]).refused(&["--name cannot be `a/b`"]);
    user.run(["-n", "new", "host"]).refused(&["this machine"]);
    user.run(["-n", "new", "--rm", "busybox"]).refused(&["--rm"]);
    user.run(["-v", "/tmp:/x", "work"]).refused(&["--volume", "enter set work"]);
    user.run(["wrok"]).refused(&["no box `wrok`", "did you mean `enter work`?"]);
    user.run(["set", "wrok"]).unable(&["no box `wrok`", "did you mean `work`?"]);
    user.run(["attach", "work"]).unable(&["it is a box", "enter work"]);
    user.run(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).success();
    user.run(["set", "web"]).unable(&["web is a container, and no box"]);
    user.run(["rm", "-f", "web"]).success();
    // None of this has made one.
    assert_eq!(user.run(["ls", "-q"]).success(), "work\n");
}

#[test]
fn a_box_is_a_container_that_only_its_name_removes() {
    let user = User::new();
    made(&user, "busybox");
    user.run(["create", "--name", "done", "busybox", "true"]).success();
    assert_eq!(user.run(["ps", "-a", "--format", "{{.Names}} {{.Image}}"]).success(), "done busybox\nwork busybox\n");
    user.run(["container", "prune", "-f"]).success();
    user.run(["rm", "-a"]).success();
    assert_eq!(user.run(["ls", "-q"]).success(), "work\n");
    user.run(["-n", "second", "busybox", "--", "true"]).success();
    let listed: serde_json::Value =
        serde_json::from_str(user.run(["ls", "--format", "json"]).success().lines().next().expect("a line"))
            .expect("JSON");
    assert_eq!((listed["Name"].as_str(), listed["Shells"].as_str()), (Some("second"), Some("0")));
    let table = user.run(["ls"]).success();
    assert_eq!(table.lines().next().expect("headings"), "NAME      IMAGE     STATE     SHELLS    CHANGED   LAST USED");
    user.run(["start", "work"]).success();
    assert_eq!(user.run(["exec", "work", "hostname"]).text(), "work\n");
    user.run(["stop", "work"]).success();
    user.run(["commit", "work", "localhost/saved"]).success();
    assert_eq!(user.run(["run", "--rm", "localhost/saved", "echo", "as before"]).text(), "as before\n");
}
