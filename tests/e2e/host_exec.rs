//! `enter host-exec` inside: what was allowed runs outside as if it were run inside, and nothing else does.

use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Terminal, User, wait_until};

/// A box `work` from which sh and cat may be run outside.
fn allowed(user: &User) {
    user.run(["-n", "work", "--allow-host-exec", "sh", "--allow-host-exec", "cat", "busybox", "--", "true"]).success();
}

/// What a script in the box says.
fn inside(user: &User, script: &str) -> String {
    user.run(["work", "--", "sh", "-c", script]).success()
}

fn nothing_runs_outside_unless_it_was_allowed(user: &User) {
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    let refused = user.run(["work", "--", "enter", "host-exec", "id"]);
    assert_eq!(refused.code(), Some(126));
    assert!(refused.stderr.contains("enter set work --allow-host-exec id"), "{}", refused.stderr);
    let refused = user.run(["busybox", "--", "enter", "host-exec", "id"]);
    assert!(refused.stderr.contains("enter --allow-host-exec id busybox"), "{}", refused.stderr);
    // At once, also in a box that runs; and back.
    user.run(["set", "work", "--allow-host-exec", "id"]).success();
    let set = user.run(["set", "work"]).success();
    assert!(set.lines().any(|line| line.split_whitespace().eq(["allow-host-exec", "id"])), "{set}");
    assert_eq!(
        user.run(["work", "--", "enter", "host-exec", "id", "-u"]).success(),
        format!("{}\n", nix::unistd::getuid())
    );
    for other in ["/bin/id", "sh", "../bin/id", "", "id "] {
        let code = user.run(["work", "--", "enter", "host-exec", other]).code();
        let is_same = std::fs::canonicalize("/bin/id").ok() == std::fs::canonicalize("/usr/bin/id").ok();
        assert!(code != Some(0) || (other == "/bin/id" && is_same), "{other}");
    }
    user.run(["set", "work", "--unset", "allow-host-exec=id"]).success();
    assert_eq!(user.run(["work", "--", "enter", "host-exec", "id"]).code(), Some(126));
}

fn a_command_outside_ends_as_it_would_inside(user: &User) {
    allowed(user);
    user.run(["set", "work", "--allow-host-exec", "no-such-program"]).success();
    let said = inside(
        user,
        "enter host-exec sh -c 'echo out; echo err >&2; exit 7' 2>/tmp/err; echo $?; cat /tmp/err
         enter host-exec no-such-program 2>/dev/null; echo $?
         enter host-exec sh -c 'kill -9 $$'; echo $?
         enter host-exec sh -c 'kill -15 $$' 2>/dev/null; echo $?
         enter host-exec -- sh -c 'printf \"[%s]\" \"$@\"' sh a 'b  c' '' \"d
e\"",
    );
    assert_eq!(said, "out\n7\nerr\n127\n137\n143\n[a][b  c][][d\ne]");
}

fn pipes_files_and_what_is_closed_are_what_they_are_inside(user: &User) {
    allowed(user);
    let said = inside(
        user,
        "echo piped | enter host-exec cat
         seq 1 30000 | enter host-exec cat | tail -n 1
         yes | enter host-exec sh -c 'read a; echo $a'
         printf 'a\\nb\\nc\\n' >/tmp/f; while read x; do enter host-exec sh -c true; echo read $x; done </tmp/f
         enter host-exec sh -c 'echo file' >/tmp/o; cat /tmp/o; enter host-exec cat </tmp/o
         enter host-exec cat </dev/null; enter host-exec cat <&-; enter host-exec sh -c 'echo closed' >&-; echo end",
    );
    assert_eq!(said, "piped\n30000\ny\nread a\nread b\nread c\nfile\nfile\nend\n");
}

fn it_begins_where_one_is_if_that_is_outside_too(user: &User) {
    allowed(user);
    let project = user.home().join("project");
    std::fs::create_dir(&project).expect("a folder");
    let said = inside(user, "cd ~/project; enter host-exec sh -c pwd; cd /tmp; enter host-exec sh -c pwd");
    assert_eq!(said, format!("{}\n/\n", project.display()));
    // By another name inside.
    let volume = format!("{}:/src", project.display());
    let run =
        ["-v", &volume, "--allow-host-exec", "sh", "busybox", "--", "sh", "-c", "cd /src; enter host-exec sh -c pwd"];
    assert_eq!(user.run(run).success(), format!("{}\n", project.display()));
}

fn its_environment_is_that_of_who_came_in(user: &User) {
    allowed(user);
    let mut command = user.enter(["work", "--", "enter", "host-exec", "sh", "-c", "echo $MARK-$ENTER_BOX-"]);
    command.env("MARK", "mine");
    let output = command.output().expect("enter runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mine--\n");
    // The box was started by somebody else, who is still there.
    let mut other = user.enter(["work", "--", "sh", "-c", "touch ~/there; cat"]);
    let mut other = other.env("MARK", "other").stdin(std::process::Stdio::piped()).spawn().expect("enter runs");
    wait_until("the other", || user.home().join("there").exists().then_some(()));
    let output = command.output().expect("enter runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mine--\n");
    drop(other.stdin.take());
    assert!(other.wait().expect("it ends").success());
}

fn root_inside_is_not_the_user(user: &User) {
    allowed(user);
    user.run(["-u", "root", "work", "--", "enter", "host-exec", "sh"]).refused(&["as yourself"]);
}

fn a_link_by_another_name_is_the_program_of_that_name(user: &User) {
    allowed(user);
    assert_eq!(inside(user, "ln -s /run/enter/enter /tmp/cat; echo linked | /tmp/cat"), "linked\n");
}

fn what_a_killed_client_ran_ends(user: &User) {
    allowed(user);
    let script = "enter host-exec sh -c 'echo $$ >~/pid; exec sleep 1000' & while [ ! -s ~/pid ]; do sleep 0.1; done; kill -9 $!";
    inside(user, script);
    let pid = std::fs::read_to_string(user.home().join("pid")).expect("it ran");
    wait_until("its end", || (!std::path::Path::new("/proc").join(pid.trim()).exists()).then_some(()));
}

fn a_terminal_outside_is_as_good_as_one_inside(user: &User) {
    user.run(["-n", "work", "--allow-host-exec", "sh", "--allow-host-exec", "cat", "debian", "--", "true"]).success();
    let mut terminal = Terminal::start(&user.enter(["work", "--", "sh"]));
    terminal.wait_for("$ ");
    terminal.line("echo be''gun");
    terminal.wait_for("begun");
    terminal.resize(33, 99);
    terminal.line("enter host-exec sh -c 'stty size; test -t 0 && test -t 1 && test -t 2 && echo all-termi''nals'");
    terminal.wait_for("33 99");
    terminal.wait_for("all-terminals");
    terminal.line(
        "enter host-exec sh -c 'trap \"stty size; echo re''sized\" WINCH; echo wai''ting; while :; do sleep 0.1; done'",
    );
    terminal.wait_for("waiting");
    terminal.resize(44, 77);
    terminal.wait_for("44 77");
    terminal.send("\x03");
    terminal.wait_for("$ ");
    terminal.line("echo co''de $?");
    terminal.wait_for("code 130");
    // A job that is stopped, and goes on.
    terminal.line("enter host-exec cat");
    terminal.line("once");
    terminal.wait_for("once\r\nonce");
    terminal.send("\x1a");
    terminal.wait_for("topped");
    terminal.line("echo in''side; fg");
    terminal.wait_for("inside");
    terminal.line("twice");
    terminal.wait_for("twice\r\ntwice");
    terminal.send("\x04");
    terminal.wait_for("$ ");
    terminal.line("echo en''ded $?");
    terminal.wait_for("ended 0");
    terminal.line("exit");
    assert!(terminal.wait().success());
}

fn a_program_that_was_replaced_is_run_as_it_is_now_or_not_at_all(user: &User) {
    let tool = user.home().join("tool");
    std::fs::write(&tool, "#!/bin/sh\necho one\n").expect("a program");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = tool.to_str().expect("UTF-8");
    user.run(["-n", "work", "--allow-host-exec", path, "busybox", "--", "true"]).success();
    assert_eq!(inside(user, "enter host-exec tool"), "one\n");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    assert_eq!(user.run(["work", "--", "enter", "host-exec", path]).code(), Some(126));
    std::fs::remove_file(&tool).expect("it goes");
    assert_eq!(user.run(["work", "--", "enter", "host-exec", path]).code(), Some(127));
    std::fs::create_dir(&tool).expect("a folder in its place");
    assert_eq!(user.run(["work", "--", "enter", "host-exec", path]).code(), Some(127));
}

/// What strangers write to the socket: it goes on for the others, and leaves nothing behind.
fn garbage_is_refused_and_harms_nobody(user: &User) {
    allowed(user);
    let folder = user.store().join("containers");
    let mut holder = user.enter(["work", "--", "sh", "-c", "touch ~/held; cat"]);
    let mut holder = holder.stdin(std::process::Stdio::piped()).spawn().expect("enter runs");
    wait_until("the holder", || user.home().join("held").exists().then_some(()));
    let socket_folder = std::fs::read_dir(folder).expect("containers").flatten().map(|entry| entry.path());
    let folder = socket_folder.into_iter().find(|path| path.join("outward").exists()).expect("the box's folder");
    let null = std::fs::File::open("/dev/null").expect("/dev/null");
    let folder_itself = std::fs::File::open(&folder).expect("a folder");
    let knock = || sys::door::knock(&folder, "outward").expect("somebody listens");
    let answer = |socket: &std::os::fd::OwnedFd| {
        let mut buffer = vec![0; 200_000];
        let length = sys::socket::receive(socket, &mut buffer).map_or(0, |(length, _)| length);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let large = vec![b'['; 195 * 1024];
    for garbage in
        [&b"\0"[..], b"{}", b"[[[[[[[", b"{\"version\":1,\"verb\":\"host-exec\",\"streams\":[true,true,true]}", &large]
    {
        let socket = knock();
        sys::socket::send(&socket, garbage, None).expect("it is sent");
        assert!(answer(&socket).contains("refused"), "{garbage:.20?}");
    }
    let request = br#"{"version":1,"verb":"host-exec","arguments":["sh"],"streams":[true,false,false]}"#;
    for odd in [null.as_fd(), folder_itself.as_fd()] {
        let socket = knock();
        sys::socket::send_with(&socket, request, &[odd]).expect("it is sent");
        assert!(answer(&socket).contains("neither a pipe nor a socket"));
    }
    let many = vec![null.as_fd(); 200];
    let socket = knock();
    sys::socket::send_with(&socket, request, &many).expect("it is sent");
    assert!(answer(&socket).contains("refused"));
    // More than are served at once, which say nothing; then they are gone.
    let silent: Vec<_> = (0..120).map(|_| knock()).collect();
    drop(silent);
    let said = user.run(["work", "--", "enter", "host-exec", "sh", "-c", "echo still"]).success();
    assert_eq!(said, "still\n");
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
}

on_both_drivers! {
    nothing_runs_outside_unless_it_was_allowed,
    a_command_outside_ends_as_it_would_inside,
    pipes_files_and_what_is_closed_are_what_they_are_inside,
    it_begins_where_one_is_if_that_is_outside_too,
    its_environment_is_that_of_who_came_in,
    root_inside_is_not_the_user,
    a_link_by_another_name_is_the_program_of_that_name,
    what_a_killed_client_ran_ends,
    a_terminal_outside_is_as_good_as_one_inside,
    a_program_that_was_replaced_is_run_as_it_is_now_or_not_at_all,
    garbage_is_refused_and_harms_nobody,
}
