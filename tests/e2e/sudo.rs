//! `sudo` and `su` in images that have none, or one of their own: without a password, and without anything being installed.

use crate::support::user::{ENTER, finish};
use crate::support::{Terminal, User};

/// Of a shell of `image`: its output.
fn out(user: &User, image: &str, script: &str) -> String {
    user.run([image, "--", "sh", "-c", script]).success()
}

fn root_is_a_word_away(user: &User) {
    for image in ["busybox", "debian"] {
        let script = "id -u; sudo id -u; sudo -n id -un; sudo sh -c 'echo x >/etc/by-root; stat -c %u /etc/by-root'; \
                      sudo -u nobody id -un; sudo -u '#7' id -u; sudo -g '#9' id -g; command su -c 'id -u'; echo in | sudo cat";
        let expected = "0\nroot\n0\nnobody\n7\n9\n0\nin\n";
        let seen = out(user, image, &script.replace("command su", "/usr/local/bin/su"));
        assert_eq!(seen.split_once('\n').map(|(_, rest)| rest), Some(expected), "{image}");
    }
}

fn a_box_has_it_too_and_what_root_changes_stays(user: &User) {
    user.run(["-n", "work", "busybox", "--", "sudo", "sh", "-c", "echo kept >/etc/kept; chmod 600 /etc/kept"])
        .success();
    assert_eq!(user.run(["work", "--", "cat", "/etc/kept"]).code(), Some(1));
    assert_eq!(user.run(["work", "--", "sudo", "cat", "/etc/kept"]).text(), "kept\n");
    // Nothing of what it takes is a change of the box.
    let changed = user.run(["diff", "work"]).success();
    assert!(!changed.contains("sudo") && !changed.contains("/usr") && changed.contains("A /etc/kept\n"), "{changed}");
}

on_both_drivers! {
    root_is_a_word_away,
    a_box_has_it_too_and_what_root_changes_stays,
}

#[test]
fn who_has_one_id_is_root_as_far_as_that_can_be_pretended() {
    let user = User::new();
    for storage in ["fuse", "overlay"] {
        let mut command = user.command("unshare");
        // Somebody who is not root outside of the container, either, and has no other ids.
        let script =
            "sudo id -u; sudo -u daemon id -un; sudo sh -c 'touch /etc/x; chown 7 /etc/x; stat -c %u /etc/x'; id -u";
        let outside = "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid; \
                       exec unshare --user --map-user=$0 --map-group=$1 -- \"$2\" debian -- sh -c \"$3\"";
        let (uid, gid) = (nix::unistd::getuid().to_string(), nix::unistd::getgid().to_string());
        command
            .args(["--user", "--map-root-user", "--mount", "--", "sh", "-ec", outside, &uid, &gid, ENTER, script])
            .env("ENTER_STORAGE", storage);
        let own = nix::unistd::getuid();
        assert_eq!(finish(command, b"").success(), format!("0\ndaemon\n7\n{own}\n"), "{storage}");
    }
}

#[test]
fn the_environment_is_as_sudo_makes_it() {
    let user = User::new();
    let own = std::env::var("USER").expect("the tests' user has a name");
    let home = user.home().display().to_string();
    let script = "export OTHER=1 http_proxy=p; sudo sh -c 'echo $HOME $USER $SUDO_USER $OTHER. $http_proxy $ENTER_BOX.'; \
                  sudo -E sh -c 'echo $HOME $USER $OTHER'; sudo -EH sh -c 'echo $HOME'; \
                  sudo --preserve-env=OTHER sh -c 'echo $HOME $OTHER'; sudo A=1 B='x y' sh -c 'echo $A $B'; \
                  sudo -i echo 'a  b' '$HOME'; sudo -D /etc pwd; cd /usr; sudo pwd; sudo -i pwd; sudo -s 'echo' 'c;d'";
    let expected =
        format!("/root root {own} . p .\n{home} root 1\n/root\n/root 1\n1 x y\na  b /root\n/etc\n/usr\n/root\nc;d\n");
    assert_eq!(out(&user, "debian", script), expected);
}

#[test]
fn su_is_as_su_is() {
    let user = User::new();
    let home = user.home().display().to_string();
    let script = "cd /usr; X=1 su -c 'echo $HOME $X; pwd'; X=1 su - -c 'echo $HOME $X. $USER; pwd'; su nobody -s /bin/sh -c 'id -un'; \
                  su -m -c 'echo $HOME'; su -s /bin/sh root -- -c 'echo $0 $1' name word; echo 'id -u' | su; su nobody-here; echo $?";
    let expected = format!("/root 1\n/usr\n/root . root\n/root\nnobody\n{home}\nname word\n0\n1\n");
    assert_eq!(out(&user, "debian", script), expected);
}

#[test]
fn codes_signals_and_what_is_not_there() {
    let user = User::new();
    for (command, code, said) in [
        ("sudo sh -c 'exit 7'", 7, ""),
        ("sudo no-such", 1, "sudo: no-such: command not found\n"),
        ("sudo -u no-such true", 1, "sudo: unknown user no-such\n"),
        ("sudo sh -c 'kill -9 $$'", 137, ""),
        ("sudo -v && sudo -k && sudo -K", 0, ""),
        ("printf 'echo by a script\\n' >~/s; chmod +x ~/s; sudo ~/s >/dev/null", 0, ""),
        ("sudo -u nobody /usr/local/bin/sudo true 2>/dev/null", 1, ""),
    ] {
        let outcome = user.run(["debian", "--", "bash", "-c", &format!("{command}; exit $?")]);
        let outcome_said = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("sudo: "))
            .fold(String::new(), |all, line| all + line + "\n");
        assert_eq!((outcome.code(), outcome_said.as_str()), (Some(code), said), "{command}: {}", outcome.stderr);
    }
    let list = out(&user, "busybox", "sudo -l; sudo -V | grep -c '^Sudo version'");
    assert!(list.contains("NOPASSWD: ALL") && list.ends_with("1\n"), "{list}");
}

#[test]
fn a_command_by_sudo_is_the_terminals_own_job() {
    let user = User::new();
    let mut terminal = Terminal::start(&user.enter(["debian"]));
    terminal.wait_for("$ ");
    terminal.line("sudo sleep 1000; echo ended $((100+30))");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.send("\u{3}");
    terminal.line("echo after $((40+2))");
    terminal.wait_for("after 42");
    terminal.line("sudo -i");
    terminal.wait_for("# ");
    terminal.line("echo $((50+1)) $LOGNAME; exit");
    terminal.wait_for("51 root");
    terminal.line("exit");
    terminal.wait();
}

#[test]
fn an_images_own_sudo_asks_for_no_password() {
    let user = User::new();
    // As Debian's package has it, as far as enter is concerned: the program, and the folder that its file of rules includes.
    let script = "printf '#!/bin/sh\\necho own; cat /etc/sudoers.d/enter\\n' >/usr/bin/sudo; chmod 755 /usr/bin/sudo; \
                  mkdir -p /etc/sudoers.d; echo '@includedir /etc/sudoers.d' >/etc/sudoers";
    user.run(["-u", "root", "-n", "work", "debian", "--", "sh", "-c", script]).success();
    // The link of the first start leads to enter's still; a new container of that image has none.
    user.run(["commit", "work", "localhost/with-sudo"]).success();
    let uid = nix::unistd::getuid();
    let rules = format!("own\n#{uid} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let seen = out(
        &user,
        "localhost/with-sudo",
        "sh /usr/bin/sudo 2>/dev/null || true; command -v sudo; stat -c '%a %u' /etc/sudoers.d/enter",
    );
    assert_eq!(seen, "own\n/usr/bin/sudo\n440 0\n");
    assert_eq!(user.run(["-u", "root", "localhost/with-sudo", "--", "sudo"]).text(), rules);
}
