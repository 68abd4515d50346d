//! `enter host`: a copy-on-write view of this machine.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::getuid;

use crate::support::User;

fn the_machines_own_files_are_there_with_their_owners(user: &User) {
    let passwd = std::fs::metadata("/etc/hosts").expect("this machine has /etc/hosts");
    let seen = user.sh(&[], "host", "stat -c %u:%g:%a /usr/bin/env /etc; cat /usr/lib/os-release");
    let info = std::fs::metadata("/usr/bin/env").expect("this machine has env");
    let etc = std::fs::metadata("/etc").expect("this machine has /etc");
    let release = std::fs::read_to_string("/usr/lib/os-release").expect("this machine has os-release");
    let line = |info: &std::fs::Metadata| format!("{}:{}:{:o}", info.uid(), info.gid(), info.mode() & 0o7777);
    assert_eq!(passwd.uid(), 0);
    assert_eq!(seen, format!("{}\n{}\n{release}", line(&info), line(&etc)));
}

fn you_are_you_there_too(user: &User) {
    assert_eq!(user.sh(&[], "host", "id -u; pwd"), format!("{}\n{}\n", getuid(), user.home().display()));
}

fn root_changes_everything_inside_and_nothing_outside(user: &User) {
    let script = "echo changed >/etc/hostname-of-the-test; rm /usr/bin/env; mkdir /usr/new; mv /etc/profile /etc/moved; \
                  chown 1:1 /etc/passwd; cat /etc/hostname-of-the-test; ls /usr/bin/env /etc/profile 2>&1 | wc -l";
    assert_eq!(user.sh(&["-u", "root"], "host", script), "changed\n2\n");
    for (path, there) in
        [("/etc/hostname-of-the-test", false), ("/usr/bin/env", true), ("/usr/new", false), ("/etc/moved", false)]
    {
        assert_eq!(Path::new(path).exists(), there, "{path}");
    }
    assert_eq!(std::fs::metadata("/etc/passwd").expect("this machine has users").uid(), 0);
}

fn what_the_user_may_not_read_stays_unreadable(user: &User) {
    assert!(std::fs::read("/etc/shadow").is_err(), "these tests are for an ordinary user");
    for flags in [&[][..], &["-u", "root"]] {
        let args = flags.iter().copied().chain(["host", "--", "cat", "/etc/shadow"]);
        let outcome = user.run(args);
        assert_ne!(outcome.code(), Some(0), "{flags:?}");
        assert_eq!(outcome.text(), "", "{flags:?}");
    }
}

fn a_package_can_be_installed_for_as_long_as_the_shell_lasts(user: &User) {
    let script = "apt-get -qq update && apt-get -qq install -y --no-install-recommends hello && hello -g installed";
    let seen = user.sh(&["-u", "root"], "host", script);
    assert_eq!(seen.lines().last(), Some("installed"), "{seen}");
    assert!(!Path::new("/usr/bin/hello").exists());
}

on_both_drivers!(
    the_machines_own_files_are_there_with_their_owners,
    you_are_you_there_too,
    root_changes_everything_inside_and_nothing_outside,
    what_the_user_may_not_read_stays_unreadable,
    a_package_can_be_installed_for_as_long_as_the_shell_lasts,
);
