//! `enter rebase`: what was changed in a box on another image, what collides, and the way back.

use crate::support::{Terminal, User};

/// Two images, the second made from the first, and a box `work` of the first that changes what the second changes, and more.
fn made(user: &User) {
    let image = |name: &str, from: &str, script: &str| {
        user.run(["run", "--name", "making", from, "sh", "-c", script]).success();
        user.run(["commit", "-q", "making", name]).success();
        user.run(["rm", "making"]).success();
    };
    let old = "for f in a b c; do echo old >/etc/$f; done; head -c 300000 /dev/zero | tr '\\0' x >/big; mkdir -p /dir /var/lib/dpkg; \
               echo old >/dir/f; echo old >/var/lib/dpkg/status; ln -s b /etc/link; mkdir /etc/same";
    image("localhost/v:1", "busybox", old);
    let new = "for f in a c d e; do echo new >/etc/$f; done; echo small >/big; rm -r /dir; echo new >/var/lib/dpkg/status; \
               ln -sf c /etc/link; chmod 700 /etc/same";
    image("localhost/v:2", "localhost/v:1", new);
    let script = "echo box >/etc/a; rm /etc/c; echo box >/etc/d; chmod 600 /big; echo box >>/dir/f; echo box >>/var/lib/dpkg/status; \
                  echo box >/etc/x; echo box >/etc/b";
    user.run(["-n", "work", "-u", "root", "localhost/v:1", "--", "sh", "-c", script]).success();
}

fn look(user: &User) -> String {
    let script = "cat /etc/a /etc/b; ls /etc/c 2>/dev/null; cat /etc/d /etc/e 2>/dev/null; tr -d x </big | wc -c; wc -c </big; \
                  cat /dir/f /etc/x; readlink /etc/link";
    user.run(["-u", "root", "work", "--", "sh", "-c", script]).text()
}

const TABLE: &str = "\
PATH                   IN THE BOX   IN THE IMAGE
/big                   changed      changed
/dir/f                 changed      deleted
/etc/a                 changed      changed
/etc/c                 deleted      changed
/etc/d                 added        added
/var/lib/dpkg/status   changed      changed
";

fn what_was_changed_stays_and_the_rest_is_the_new_images(user: &User) {
    made(user);
    let dry = user.run(["rebase", "--dry-run", "work", "localhost/v:2"]);
    assert_eq!(dry.text(), TABLE, "{}", dry.stderr);
    let before = "box\nbox\nbox\n0\n300000\nold\nbox\nbox\nb\n";
    assert_eq!(look(user), before, "nothing happened");
    let done = user.run(["rebase", "work", "localhost/v:2"]);
    assert_eq!(done.text(), TABLE);
    for said in ["/var/lib/dpkg/status", "dist-upgrade", "the way back: enter rebase work localhost/v:1"] {
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    // Before its next start, too.
    let changed = user.run(["diff", "work"]).success();
    assert!(changed.contains("A /dir/f\n") && changed.contains("C /etc/d\n"), "{changed}");
    // What had only its mode of its own still has the content of before.
    assert_eq!(look(user), "box\nbox\nbox\nnew\n0\n300000\nold\nbox\nbox\nc\n");
    user.run(["rebase", "--back", "work"]).success();
    assert_eq!(look(user), before);
    assert_eq!(user.run(["ls", "--format", "{{.Name}} {{.Image}}"]).success(), "work localhost/v:1\n");
    // Nothing needs the other image any more.
    user.run(["rmi", "localhost/v:2"]).success();
    assert_eq!(look(user), before);
}

on_both_drivers! {
    what_was_changed_stays_and_the_rest_is_the_new_images,
}

#[test]
fn what_cannot_be_put_on_another_image_says_why() {
    let user = User::new();
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    user.run(["rebase", "work", "host"]).unable(&["it is no image"]);
    user.run(["rebase", "nobody", "busybox"]).unable(&["no box `nobody`"]);
    user.run(["rebase", "--back", "work"]).unable(&["no way back", "enter rebase work IMAGE"]);
    let same = user.run(["rebase", "work", "busybox"]);
    assert_eq!(same.code(), Some(0));
    assert!(same.stderr.contains("already"), "{}", same.stderr);
    user.run(["pull", "-q", "--platform", "linux/arm64", "platforms"]).success();
    let arm = user.run(["images", "-q", "platforms"]).success();
    user.run(["rebase", "work", arm.trim()]).unable(&["linux/arm64"]);
    let mut terminal = Terminal::start(&user.enter(["work"]));
    terminal.wait_for("$ ");
    user.run(["rebase", "work", "debian"]).unable(&["it is running", "enter stop work"]);
    terminal.line("exit");
    terminal.wait();
}

#[test]
fn a_directory_of_the_box_does_not_hide_a_link_that_programs_are_found_by() {
    let user = User::new();
    user.run([
        "run",
        "--name",
        "making",
        "busybox",
        "sh",
        "-c",
        "mkdir /opt /tools; mv /tools /opt/tools; ln -s opt/tools /tools",
    ])
    .success();
    user.run(["commit", "-q", "making", "localhost/merged"]).success();
    user.run(["-n", "work", "-u", "root", "busybox", "--", "sh", "-c", "mkdir /tools; echo x >/tools/mine"]).success();
    user.run(["rebase", "work", "localhost/merged"]).unable(&["its directory /tools would hide", "--force"]);
    assert_eq!(user.run(["ls", "--format", "{{.Image}}"]).success(), "busybox\n");
    user.run(["rebase", "--force", "work", "localhost/merged"]).success();
    assert_eq!(user.run(["work", "--", "cat", "/tools/mine"]).text(), "x\n");
}

#[test]
fn set_puts_a_box_on_another_image_and_much_else() {
    let user = User::new();
    user.run(["-n", "work", "busybox", "--", "sh", "-c", "echo kept >/tmp/kept; mkdir /tmp/begin"]).success();
    let flags = [
        "set",
        "work",
        "--image",
        "debian",
        "--user",
        "root",
        "--shell",
        "/bin/dash",
        "--workdir",
        "/tmp/begin",
        "--label",
        "kind=test",
        "--dns-search",
        "example.com",
        "--dns-option",
        "ndots:2",
        "--timezone",
        "UTC",
        "--tmpfs",
        "/scratch:size=1m",
        "--cap-drop",
        "net_raw",
        "--security-opt",
        "no-new-privileges",
        "--name",
        "other",
    ];
    let done = user.run(flags);
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    let script = "id -u; pwd; cat /tmp/kept; grep -c Debian /etc/os-release; grep -e example.com -e ndots /etc/resolv.conf; stat -f -c %T /scratch; \
                  grep NoNewPrivs /proc/self/status | cut -f2; hostname";
    let seen = user.run(["other", "--", "sh", "-c", script]);
    assert!(seen.text().starts_with("0\n/tmp/begin\nkept\n"), "{} {}", seen.text(), seen.stderr);
    assert!(seen.text().contains("search example.com\n") && seen.text().contains("ndots:2"), "{}", seen.text());
    assert!(seen.text().ends_with("tmpfs\n1\nother\n"), "{}", seen.text());
    assert_eq!(user.run_with_input(["other"], b"echo $0\n").text(), "/bin/dash\n");
    assert_eq!(user.run(["ps", "-aq", "--filter", "label=kind=test"]).success().lines().count(), 1);
    let shown = user.run(["set", "other"]).success();
    for line in [
        "image",
        "user",
        "shell",
        "workdir",
        "label",
        "dns-search",
        "dns-option",
        "timezone",
        "cap-drop",
        "security-opt",
    ] {
        assert!(shown.lines().any(|shown| shown.split_whitespace().next() == Some(line)), "{line}: {shown}");
    }
    // What is said for one visit wins.
    assert_ne!(user.run(["-u", "nobody", "-w", "/", "other", "--", "id", "-u"]).text(), "0\n");
    let kinds = [
        "user",
        "shell",
        "workdir",
        "label=kind",
        "dns-search",
        "dns-option",
        "timezone",
        "cap-drop",
        "security-opt",
        "volume=/scratch",
    ];
    user.run(["set", "other"].into_iter().chain(kinds.iter().flat_map(|kind| ["--unset", kind]))).success();
    let seen = user.run(["other", "--", "sh", "-c", "id -un; sudo id -u; grep -c example /etc/resolv.conf"]);
    assert!(seen.text().ends_with("\n0\n0\n") && !seen.text().starts_with("root"), "{} {}", seen.text(), seen.stderr);
    user.run(["set", "other", "--unset", "user"]).unable(&["cannot take back user"]);
    user.run(["set", "other", "--cap-add", "nonsense"]).unable(&["nonsense"]);
}

fn a_running_box_is_copied_as_it_is_at_one_moment(user: &User) {
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    let mut terminal = Terminal::start(&user.enter(["work"]));
    terminal.wait_for("$ ");
    // Two files that are always alike, but for the moment between.
    terminal.line(
        "while :; do n=$((n+1)); echo $n >/tmp/new; cp /tmp/new /tmp/one; cp /tmp/new /tmp/two; done & echo $((40+2))",
    );
    terminal.wait_for("42");
    for copy in ["first", "second"] {
        assert_eq!(user.run(["clone", "work", copy]).success(), format!("{copy}\n"));
        let seen = user.run([copy, "--", "sh", "-c", "cat /tmp/new /tmp/one /tmp/two"]).text();
        let numbers: Vec<u64> = seen.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1), "{seen}");
    }
    // It goes on.
    terminal.line("a=$(cat /tmp/one); sleep 0.3; [ \"$a\" != \"$(cat /tmp/one)\" ] && echo goes-$((50+1))");
    terminal.wait_for("goes-51");
    terminal.line("exit");
    terminal.wait();
}

mod copies {
    on_both_drivers! {
        a_running_box_is_copied_as_it_is_at_one_moment,
    }
    use super::a_running_box_is_copied_as_it_is_at_one_moment;
}

#[test]
fn signals_that_nobody_asked_for_do_not_end_a_box() {
    let user = User::new();
    user.run(["-n", "work", "--keep-running", "busybox", "--", "true"]).success();
    for signal in ["USR1", "USR2", "HUP", "INT", "TERM"] {
        user.run(["kill", "-s", signal, "work"]).success();
    }
    // Nor those of who is in it, to everybody.
    user.run(["work", "--", "sh", "-c", "trap '' USR1; kill -USR1 -1; sleep 0.2"]).success();
    assert_eq!(user.run(["ls", "--format", "{{.State}}"]).success(), "running\n");
    user.run(["kill", "work"]).success();
    assert_eq!(user.run(["ls", "--format", "{{.State}}"]).success(), "stopped\n");
    user.run(["start", "work"]).success();
    user.run(["stop", "work"]).success();
    assert_eq!(user.run(["ls", "--format", "{{.State}}"]).success(), "stopped\n");
}
