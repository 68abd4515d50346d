//! Boxes as hosts of OpenSSH's own client: programs, terminals, files and ports, and what is written for it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::user::finish;
use crate::support::{Outcome, Terminal, User, wait_until};

/// A box `work`, and what ssh is to know of it.
fn made(user: &User, image: &str) -> PathBuf {
    user.run(["-n", "work", image, "--", "true"]).success();
    let file = user.home().join("config-of-ssh");
    std::fs::write(&file, user.run(["ssh-config", "work"]).success()).expect("a file can be written");
    file
}

/// A program of OpenSSH's, with what it is to know.
fn client(user: &User, program: &str, rest: &[&str]) -> Command {
    let mut command = user.command(program);
    command.arg("-q").arg("-F").arg(user.home().join("config-of-ssh")).args(rest);
    command
}

fn ssh(user: &User, rest: &[&str], input: &[u8]) -> Outcome {
    finish(client(user, "ssh", rest), input)
}

#[test]
fn a_line_is_run_with_its_streams_its_code_and_its_user() {
    let user = User::new();
    made(&user, "debian");
    let outcome = ssh(&user, &["work.enter", "id -un; pwd; echo 'a  b'; echo $ENTER_BOX; echo wrong >&2; exit 7"], b"");
    let me = user.run(["work", "--", "id", "-un"]).success();
    assert_eq!(outcome.text(), format!("{me}{}\na  b\nwork\n", user.home().display()));
    assert_eq!((outcome.stderr.as_str(), outcome.code()), ("wrong\n", Some(7)));
    assert_eq!(ssh(&user, &["root@work.enter", "id -u; pwd"], b"").text(), "0\n/root\n");
    assert_eq!(ssh(&user, &["work.enter", "kill -TERM $$"], b"").code(), Some(143));
    let unknown = ssh(&user, &["nobody-here@work.enter", "true"], b"");
    assert!(unknown.code() != Some(0) && unknown.stderr.contains("nobody-here"), "{unknown:?}");
    assert_eq!(ssh(&user, &["-o", "SetEnv=GIVEN=yes", "work.enter", "echo $GIVEN"], b"").text(), "yes\n");
    // An editor's way: a script for the shell that is started.
    let script = b"read -r line <<'END'\nsome words\nEND\necho \"$line\"\n(exit 2) || echo more\nexit 3\n";
    let outcome = ssh(&user, &["-T", "work.enter", "sh"], script);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("some words\nmore\n", Some(3)));
    let shell = ssh(&user, &["-T", "work.enter"], b"echo from a shell; exit 5\n");
    assert_eq!((shell.text().as_str(), shell.code()), ("from a shell\n", Some(5)));
}

#[test]
fn much_goes_through_both_ways_at_once_and_a_reader_that_does_not_read_is_waited_for() {
    let user = User::new();
    made(&user, "busybox");
    let much: Vec<u8> = (0..6_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let outcome = ssh(&user, &["work.enter", "cat"], &much);
    assert!(outcome.stdout == much, "{} bytes of {} came back", outcome.stdout.len(), much.len());
    let outcome = ssh(&user, &["work.enter", "sleep 1; head -c 5"], &much);
    assert_eq!(outcome.stdout, &much[..5]);
    // New keys, many times.
    let outcome = ssh(&user, &["-o", "RekeyLimit=1M", "work.enter", "cat"], &much);
    assert!(outcome.stdout == much, "{} bytes of {} came back with new keys", outcome.stdout.len(), much.len());
}

#[test]
fn a_terminal_is_one_and_takes_on_its_size() {
    let user = User::new();
    made(&user, "debian");
    let mut terminal = Terminal::start(&client(&user, "ssh", &["work.enter"]));
    terminal.line("tty; stty size; echo $TERM end");
    terminal.wait_for("/dev/pts/");
    terminal.wait_for("24 80");
    terminal.wait_for("xterm-256color end");
    terminal.resize(40, 120);
    terminal.line("sleep 0.3; stty size");
    terminal.wait_for("40 120");
    terminal.wait_for("$ ");
    terminal.line("echo sl''eeps; sleep 100");
    terminal.wait_for("sleeps");
    terminal.send("\x03");
    // What is typed before it has ended is thrown away with it.
    terminal.wait_for("$ ");
    terminal.line("echo code $?");
    terminal.wait_for("code 130");
    terminal.line("exit 6");
    assert_eq!(terminal.wait().code(), Some(6));
}

fn files_go_both_ways(user: &User) {
    made(user, "busybox");
    let much: Vec<u8> = (0..1_000_000_u32).flat_map(|number| number.to_be_bytes()).collect();
    let here = user.home().join("much");
    std::fs::write(&here, &much).expect("a file can be written");
    let here = here.to_str().expect("a path of text");
    finish(client(user, "scp", &["-p", here, "work.enter:/tmp/over there"]), b"").success();
    finish(client(user, "scp", &["work.enter:/tmp/over there", "back"]), b"").success();
    assert!(std::fs::read(user.home().join("back")).is_ok_and(|back| back == much));
    finish(client(user, "scp", &["-r", "work.enter:/etc", "copy-of-etc"]), b"").success();
    assert!(user.home().join("copy-of-etc/hosts").exists());

    let batch = "mkdir /tmp/new\nput much /tmp/new/one\nrename /tmp/new/one /tmp/new/two\nln -s two /tmp/new/link\n\
                 ln /tmp/new/two /tmp/new/three\nchmod 640 /tmp/new/two\nls -l /tmp/new\ndf /tmp\ncd /tmp/new\npwd\n";
    let sftp = |batch: &str| finish(client(user, "sftp", &["-b", "-", "work.enter"]), batch.as_bytes());
    let said = sftp(batch).success();
    assert!(said.contains("-rw-r-----    2") && said.contains("Remote working directory: /tmp/new"), "{said}");
    let look = "cd /tmp/new; stat -c '%n %a %s' *; readlink link; cmp two three";
    assert_eq!(ssh(user, &["work.enter", look], b"").text(), "link 777 3\nthree 640 4000000\ntwo 640 4000000\ntwo\n");
    sftp("rm /tmp/new/*\nrmdir /tmp/new\n").success();
    assert_eq!(sftp("ls /tmp/new\n").code(), Some(1));
    // What one may not do, one may not do.
    let refused = sftp("put much /etc/mine\n");
    assert!(refused.code() == Some(1) && refused.stderr.contains("ermission denied"), "{refused:?}");
    let of_root = finish(client(user, "scp", &[here, "root@work.enter:/etc/mine"]), b"");
    assert_eq!(of_root.code(), Some(0), "{}", of_root.stderr);
    assert_eq!(ssh(user, &["work.enter", "stat -c '%u %s' /etc/mine"], b"").text(), "0 4000000\n");
}

on_both_drivers! { files_go_both_ways }

#[test]
fn ports_of_the_box_are_reached_and_nothing_of_this_machine() {
    let user = User::new();
    made(&user, "debian");
    let server = "use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 7777, Listen => 5); \
                  open(F, '>/tmp/up'); close F; while ($c = $s->accept) { $l = <$c>; print $c \"got $l\"; close $c }";
    std::fs::write(user.home().join("server.pl"), server).expect("a file can be written");
    let mut child =
        client(&user, "ssh", &["work.enter", "perl server.pl"]).stdin(Stdio::null()).spawn().expect("ssh starts");
    wait_until("the server", || ssh(&user, &["work.enter", "test -e /tmp/up"], b"").status.success().then_some(()));
    for host in ["localhost:7777", "127.0.0.1:7777"] {
        assert_eq!(ssh(&user, &["-W", host, "work.enter"], b"hello\n").text(), "got hello\n", "{host}");
    }
    let outside = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = outside.local_addr().expect("it has an address").port();
    for host in [format!("127.0.0.1:{port}"), "no-such-host.invalid:80".into()] {
        let refused = ssh(&user, &["-W", &host, "work.enter"], b"hello\n");
        assert!(refused.code() != Some(0) && refused.text().is_empty(), "{host}: {refused:?}");
    }
    child.kill().expect("ssh can be killed");
    child.wait().expect("it ends");
    // With its connection, what ran there has ended, and with the last of them the box.
    wait_until("the box's end", || {
        user.run(["ls", "--format", "{{.State}}"]).success().contains("stopped").then_some(())
    });
}

#[test]
fn what_is_written_for_ssh_is_ours_and_what_is_the_users_stays() {
    let user = User::new();
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    user.run(["ssh-config", "--write"]).success();
    let folder = user.home().join(".ssh");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert_eq!(read("config"), "Include enter.conf\n");
    let text = read("enter.conf");
    assert!(text.contains("Host work.enter\n") && text.contains("Host *.enter\n"), "{text}");
    std::fs::write(folder.join("config"), "Host mine\n").expect("a file can be written");
    let said = user.run(["ssh-config", "--write"]);
    assert!(said.status.success() && said.stderr.contains("Include enter.conf"), "{}", said.stderr);
    assert_eq!(read("config"), "Host mine\n");
    std::fs::write(folder.join("enter.conf"), "# mine\n").expect("a file can be written");
    user.run(["ssh-config", "--write"]).refused(&["enter.conf", "not enter's"]);
    assert_eq!(read("enter.conf"), "# mine\n");
    user.run(["ssh-config", "wrok"]).unable(&["wrok", "did you mean `work`"]);
    user.run(["ssh-proxy", "nothing"]).unable(&["nothing"]);

    // A box that was made later is reached by the pattern; another key than ours by nothing.
    let file = user.home().join("config-of-ssh");
    std::fs::write(&file, user.run(["ssh-config"]).success()).expect("a file can be written");
    user.run(["-n", "later", "busybox", "--", "true"]).success();
    assert_eq!(ssh(&user, &["later.enter", "echo $ENTER_BOX"], b"").text(), "later\n");
    let key = user.store().join("ssh/host_key");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&key.metadata().expect("there is a key")) & 0o777, 0o600);
    std::fs::File::options()
        .append(true)
        .open(user.store().join("ssh/known_hosts"))
        .expect("it is there")
        .write_all(b"\n")
        .expect("it can be written");
    std::fs::remove_file(&key).expect("it can be removed");
    let known = std::fs::read(user.store().join("ssh/known_hosts")).expect("it can be read");
    let kept = user.home().join("kept");
    std::fs::write(&kept, known).expect("a file can be written");
    let option = format!("UserKnownHostsFile={}", kept.display());
    let other = ssh(&user, &["-o", &option, "later.enter", "true"], b"");
    assert_eq!(other.code(), Some(255), "{other:?}");
}
