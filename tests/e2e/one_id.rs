//! A user who has one id only: the others are pretended, as far as packages and servers need them.
//!
//! The one user here is root of a user namespace in which nobody else has a number, as made by unshare(1).

use std::process::Command;

use crate::support::user::{ENTER, Outcome, finish};
use crate::support::{User, wait_until};

/// A shell script outside of containers, in which `enter` can map one id only.
fn outside(user: &User, script: &str) -> Outcome {
    let mut command: Command = user.command("unshare");
    command.args(["--user", "--map-root-user", "--", "sh", "-ec", script]).env("ENTER", ENTER);
    finish(command, b"")
}

/// What a script writes that root runs in Debian.
fn inside(user: &User, storage: &str, script: &str) -> Outcome {
    let mut command: Command = user.command("unshare");
    let words = ["--user", "--map-root-user", "--", ENTER, "-u", "root", "debian", "--", "sh", "-ec", script];
    command.args(words).env("ENTER_STORAGE", storage);
    finish(command, b"")
}

/// On both ways to keep what is changed.
fn on_both(script: &str, expected: &str) {
    let user = User::new();
    for storage in ["fuse", "overlay"] {
        assert_eq!(inside(&user, storage, script).success(), expected, "{storage}");
    }
}

#[test]
fn files_have_the_owners_that_they_were_given() {
    on_both(
        "cd /srv; touch file; mkdir dir; ln -s file link; chown 107:42 file; chown -h 5:6 link; chgrp 7 dir
         chown 8 dir; stat -c '%n %u %g' file dir link; stat -L -c '%u' link
         mv file dir/moved; cd dir; stat -c '%u' moved ../dir/moved /srv/dir/./moved; cp -p moved ../copy
         ln -s /srv/copy ../away; chown :9 ../away; stat -c '%u %g' ../copy; chmod 4755 moved; chown 10 moved; stat -c '%u %a' moved
         ln moved ../name; chown 11 ../name; stat -c %u moved; touch /dev/shm/x; chown 12 /dev/shm/x; stat -c %u /dev/shm/x",
        "file 107 42\ndir 8 7\nlink 5 6\n107\n107\n107\n107\n107 9\n10 755\n11\n12\n",
    );
}

#[test]
fn what_was_given_away_shows_its_owner_to_every_kind_of_look() {
    on_both(
        "cd /srv; touch file; chown 107:42 file; exec 5<file; stat -L -c %u /proc/self/fd/5 - <&5; ls -n file | cut -d' ' -f3,4
         perl -e '@a = stat(\"file\"); open(F, \"file\"); @b = stat(F); @c = lstat(\"file\"); print \"$a[4] $b[5] $c[4]\\n\"'
         find file -uid 107 -gid 42; rm file; perl -e '@a = stat(STDIN); print \"$a[4]\\n\"' <&5",
        "107\n107\n107 42\n107 42 107\nfile\n107\n",
    );
}

#[test]
fn a_user_can_be_taken_on_and_what_he_makes_is_his() {
    on_both(
        "chmod 1777 /srv; cd /srv
         su daemon -s /bin/sh -c 'id; touch a; mkdir b; mkfifo c; ln -s x d; umask 077; echo >e; : >>a'
         stat -c '%n %u %g %a' a b c e; stat -c '%u %g' d
         runuser -u bin -- id -un; setpriv --reuid 33 --regid 34 --clear-groups id; setpriv --regid 4 --groups 4,5,6 id -G",
        "uid=1(daemon) gid=1(daemon) groups=1(daemon)\na 1 1 644\nb 1 1 755\nc 1 1 644\ne 1 1 600\n1 1\nbin\n\
         uid=33(www-data) gid=34(backup) groups=34(backup)\n4 5 6\n",
    );
}

#[test]
fn there_is_no_way_back_but_one_that_was_left() {
    on_both(
        "perl -MPOSIX -e '$> = 7; print \"$< $>\\n\"; $> = 0; print \"$< $>\\n\"; setuid(8); $> = 0; $< = 0; print \"$< $>\\n\";
         chown(9, 9, \"/etc/passwd\") and print \"given away\\n\"; print $!+0, \"\\n\"'
         stat -c %u /etc/passwd",
        "0 7\n0 0\n8 8\n1\n0\n",
    );
}

#[test]
fn children_are_whom_their_parents_were_also_when_those_are_gone() {
    on_both(
        "su daemon -s /bin/sh -c '(setsid sh -c \"sleep 0.2; id -u >/tmp/said\" &) ; exit 0'
         while [ ! -s /tmp/said ]; do sleep 0.05; done; cat /tmp/said; id -u",
        "1\n0\n",
    );
}

#[test]
fn programs_that_run_as_their_owner_do() {
    on_both(
        "cp /usr/bin/id /srv/id; chown 4:5 /srv/id; chmod 6755 /srv/id; su daemon -s /bin/sh -c '/srv/id; id'
         printf '#!/bin/sh\\nid -u\\n' >/srv/script; chmod 6755 /srv/script; su daemon -s /bin/sh -c /srv/script",
        "uid=1(daemon) gid=1(daemon) euid=4(sync) egid=5(tty) groups=5(tty),1(daemon)\n\
         uid=1(daemon) gid=1(daemon) groups=1(daemon)\n1\n",
    );
}

#[test]
fn a_server_is_told_who_connects() {
    on_both(
        "perl -MSocket -e '
            socket(L, AF_UNIX, SOCK_STREAM, 0); bind(L, sockaddr_un(\"/tmp/socket\")); listen(L, 1);
            if (!fork) { $) = \"3 3\"; ($<, $>) = (2, 2); socket(C, AF_UNIX, SOCK_STREAM, 0);
                connect(C, sockaddr_un(\"/tmp/socket\")); sysread(C, $x, 1); exit }
            accept(S, L); ($pid, $uid, $gid) = unpack(\"iII\", getsockopt(S, SOL_SOCKET, SO_PEERCRED));
            print \"$uid $gid \", ($pid > 1 ? \"known\" : \"unknown\"), \"\\n\"'",
        "2 3 known\n",
    );
}

#[test]
fn devices_are_kept_as_data() {
    let user = User::new();
    let script = "cd /srv; mknod null c 1 3; mknod -m 0660 disk b 259 70000; chown 0:6 disk; stat -c '%n %F %t:%T %a %g' null disk
         mv disk moved; cp -a moved copy; stat -c '%F %t:%T %g' copy; mknod null c 1 5 2>&1 | grep -c exists; ls | wc -l
         cat null 2>/dev/null || echo cannot be opened; rm *; ls | wc -l; su daemon -s /bin/sh -c 'mknod /tmp/x c 1 3' || echo refused";
    let expected = "null character special file 1:3 644 0\ndisk block special file 103:11170 660 6\n\
         block special file 103:11170 6\n1\n3\ncannot be opened\n0\nrefused\n";
    assert_eq!(inside(&user, "fuse", script).success(), expected);
    let outcome = inside(&user, "overlay", "mknod /srv/null c 1 3");
    assert!(outcome.stderr.contains("Operation not permitted"), "{}", outcome.stderr);
}

#[test]
fn it_is_said_once_what_is_pretended() {
    let user = User::new();
    let outcome = inside(&user, "auto", "su daemon -s /bin/sh -c true; su bin -s /bin/sh -c true");
    let told = "there is one user here: daemon is only pretended, and may do what you may";
    assert_eq!(outcome.stderr.matches(told).count(), 1, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("bin is only"), "{}", outcome.stderr);
    let outcome = inside(&user, "auto", "touch /x; chown 5 /x");
    assert_eq!(outcome.stderr, "", "nobody is pretended to be anybody");
}

#[test]
fn nothing_changes_on_the_host() {
    let user = User::new();
    std::fs::write(user.home().join("file"), "").unwrap();
    let home = user.home().display().to_string();
    let script = format!("cd {home}; stat -c %u file; chown 5:6 file; stat -c '%u %g' file; ls -ln file | wc -l");
    assert_eq!(inside(&user, "auto", &script).success(), "0\n5 6\n1\n");
    assert_eq!(inside(&user, "auto", &format!("stat -c %u {home}/file")).success(), "0\n");
}

#[test]
fn a_link_out_of_the_container_leads_nowhere() {
    let user = User::new();
    let home = user.home().display().to_string();
    // In the container the same path is another file, or none.
    let script = format!(
        "rm -rf /srv/x; ln -s {ENTER} /srv/x; cd /srv; stat -L -c %u x 2>&1 | grep -c 'No such'; \
                          chown 5 x 2>&1 | grep -c 'No such'; ls -d {home} >/dev/null"
    );
    assert_eq!(inside(&user, "auto", &script).success(), "1\n1\n");
}

#[test]
fn exec_takes_on_whom_it_is_asked_for() {
    let user = User::new();
    let script = "$ENTER run -d --name box debian sleep 1000 >/dev/null
         $ENTER exec -u daemon box sh -c 'id; touch /tmp/x'; $ENTER exec -u 33:44 box id -g; $ENTER exec box stat -c %u /tmp/x
         $ENTER rm -f box >/dev/null";
    let outcome = outside(&user, script);
    assert_eq!(outcome.text(), "uid=1(daemon) gid=1(daemon) groups=1(daemon)\n44\n1\n", "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("daemon is only pretended").count(), 1, "{}", outcome.stderr);
}

#[test]
fn when_nobody_answers_any_more_calls_fail_and_nothing_hangs() {
    let user = User::new();
    let script = "$ENTER run -d --name box debian sleep 1000 >/dev/null; touch $HOME/runs; while [ ! -e $HOME/go ]; do sleep 0.1; done
         ! $ENTER exec box id; $ENTER rm -f box";
    let runs = user.home().join("runs");
    std::thread::scope(|scope| {
        let script = scope.spawn(|| outside(&user, script));
        wait_until("the container", || runs.exists().then_some(()));
        let own = format!("XDG_DATA_HOME={}", user.data().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_ours = |pid: &i32| {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            read("comm") == b"enter-pretend\n" && String::from_utf8_lossy(&read("environ")).contains(&own)
        };
        let found: Vec<i32> = numbers.filter(is_ours).collect();
        assert_eq!(found.len(), 1);
        let killed = Command::new("kill").args(["-KILL", &found[0].to_string()]).status().unwrap();
        assert!(killed.success());
        std::fs::write(user.home().join("go"), "").unwrap();
        assert_eq!(script.join().unwrap().success(), "box\n");
    });
}
