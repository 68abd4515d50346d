//! `enter logs`: what containers have written, kept apart, in order, bounded, and harmless to a terminal.

use crate::support::user::{finish, wait};
use crate::support::{Terminal, User, wait_until};

/// Runs a shell script as the container `name` to its end; its output is in its log.
#[track_caller]
fn written(user: &User, flags: &[&str], name: &str, script: &str) {
    user.run([&["run", "--name", name], flags, &["busybox", "sh", "-c", script]].concat()).success();
}

#[test]
fn the_streams_are_kept_apart_with_their_times() {
    let user = User::new();
    written(&user, &[], "both", "echo one; echo two >&2; sleep 0.1; echo three; printf four");
    let outcome = user.run(["logs", "both"]);
    assert_eq!((outcome.text().as_str(), outcome.stderr.as_str()), ("one\nthree\nfour", "two\n"));
    assert_eq!(user.run(["logs", "-n", "2", "both"]).success(), "three\nfour");
    assert_eq!(user.run(["logs", "--tail", "nonsense", "both"]).success(), "one\nthree\nfour");
    assert_eq!(user.run(["logs", "--since", "1h", "--latest"]).success(), "one\nthree\nfour");
    assert_eq!(user.run(["logs", "--until", "1h", "both"]).success(), "");
    let timed = user.run(["logs", "-t", "--tail=1", "both"]).success();
    let (time, text) = timed.split_once(' ').expect("a time and a line");
    assert_eq!((time.len(), text), ("2026-11-22T04:50:59.880325591Z".len(), "four"));
    assert_eq!(user.run(["logs", "--since", time, "both"]).success(), "four");
}

#[test]
fn what_cannot_be_shown_is_told() {
    let user = User::new();
    written(&user, &["--log-driver", "none"], "silent", "echo one");
    for (args, told) in [
        (&["logs", "silent"][..], "configured logging driver does not support reading"),
        (&["logs", "nobody"], "no such container: nobody"),
        (&["logs", "silent", "nobody"], "unknown argument `nobody`"),
        (&["logs"], "CONTAINER is missing"),
        (&["logs", "--since", "soon", "silent"], "invalid value `soon` for `--since`"),
        (&["logs", "--until", "10x", "silent"], "invalid value `10x` for `--until`"),
    ] {
        let outcome = user.run(args);
        assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), ""), "{args:?}");
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    for (option, told) in
        [("max-size=much", "a size is a number"), ("max-file=0", "1 or more"), ("x=y", "no option `x`")]
    {
        user.run(["create", "--log-opt", option, "busybox"]).refused(&["--log-opt", option, told]);
    }
    user.run(["create", "--log-driver", "syslog", "busybox"]).refused(&["--log-driver", "syslog", "k8s-file"]);
}

#[test]
fn any_bytes_come_back_as_they_were_written() {
    let user = User::new();
    // Lines of every length, no line at all, and everything that is no text.
    let script = "head -c 300000 /dev/urandom; head -c 100000 /dev/zero; printf '\\n\\n\\r\\nend'";
    let outcome = finish(user.enter(["run", "--name", "bytes", "busybox", "sh", "-c", script]), b"");
    assert!(outcome.status.success() && outcome.stdout.len() > 400_000, "{}", outcome.stderr);
    assert!(user.run(["logs", "bytes"]).stdout == outcome.stdout);
    assert!(user.run(["logs", "-f", "bytes"]).stdout == outcome.stdout);
}

#[test]
fn a_log_has_no_more_than_it_may_and_ends_with_the_end() {
    let user = User::new();
    for driver in ["k8s-file", "json-file"] {
        let flags = ["--log-driver", driver, "--log-opt", "max-size=50k", "--log-opt", "max-file=3"];
        written(&user, &flags, driver, "seq 100000");
        let id = user.run(["inspect", "--format", "{{.Id}}", driver]).success();
        let files = std::fs::read_dir(user.store().join("containers").join(id.trim()).join("logs")).unwrap();
        let sizes: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= 50 << 10), "{sizes:?}");
        let kept = user.run(["logs", driver]).success();
        let numbers: Vec<u32> = kept.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.len() > 1000 && numbers.windows(2).all(|two| two[1] == two[0] + 1), "{}", numbers.len());
        assert_eq!(numbers.last(), Some(&100_000));
    }
}

#[test]
fn whoever_follows_gets_all_and_is_let_go_at_the_end() {
    let user = User::new();
    let script = "for i in $(seq 30); do seq 100; sleep 0.02; done";
    let flags = ["--log-opt", "max-size=2k", "--log-opt", "max-file=20"];
    user.run([&["run", "-d", "--name", "talker"][..], &flags, &["busybox", "sh", "-c", script]].concat()).success();
    let followed = user.run(["logs", "-f", "talker"]).success();
    let wanted: String = (1..=100).map(|number| format!("{number}\n")).collect();
    assert_eq!(followed, wanted.repeat(30));
    // One that is removed meanwhile ends it too.
    user.run(["run", "-d", "--name", "quiet", "busybox", "sh", "-c", "echo hello; exec sleep 1000"]).success();
    let output = user.home().join("output");
    let mut command = user.enter(["logs", "-f", "quiet"]);
    command.stdout(std::fs::File::create(&output).unwrap());
    let mut follower = command.spawn().expect("enter starts");
    let read = || std::fs::read_to_string(&output).unwrap_or_default();
    wait_until("the first line", || (read() == "hello\n").then_some(()));
    user.run(["rm", "-f", "quiet"]).success();
    assert!(wait(&mut follower).expect("logs -f ends with its container").success());
}

#[test]
fn a_terminal_gets_colours_and_nothing_that_acts() {
    let user = User::new();
    written(&user, &[], "painter", r"printf '\033[31mred\033[0m \033]0;title\007 \033[2J\n'");
    let piped = user.run(["logs", "painter"]).success();
    assert_eq!(piped, "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\n");
    let mut terminal = Terminal::start(&user.enter(["logs", "painter"]));
    assert!(terminal.wait().success());
    let shown = terminal.shown();
    assert!(shown.contains("\x1b[31mred\x1b[0m \\u{1b}]0;title\\u{7} \\u{1b}[2J"), "{shown}");
    let mut terminal = Terminal::start(&user.enter(["logs", "--raw", "painter"]));
    assert!(terminal.wait().success());
    assert!(terminal.shown().contains("\x1b]0;title\x07 \x1b[2J"), "{}", terminal.shown());
}
