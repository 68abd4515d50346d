//! `enter doctor`, on this machine and on machines that lack something: namespaces in which it was taken away.

use std::process::Command;

use serde_json::Value;

/// Runs `enter doctor --json` with a home of its own; `before` is a shell's words that take something away first, in namespaces
/// that `unshare` makes by `options`. Gives the exit code and the report.
fn examine(options: &[&str], before: &str) -> (i32, Value) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(options).args(["--", "sh", "-c", &format!("{before}\nexec \"$0\" doctor --json")]);
    command.arg(env!("CARGO_BIN_EXE_enter")).env("HOME", home.path()).env_remove("XDG_DATA_HOME");
    let output = command.output().expect("the tests need unshare(1) of util-linux");
    let code = output.status.code().expect("not killed");
    let report = serde_json::from_slice(&output.stdout);
    let report: Value = report.unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(code == 0, report["usable"] == true, "the exit code is the verdict: {report:#}");
    let left = |folder: &std::path::Path| folder.read_dir().map_or(0, Iterator::count);
    assert_eq!(left(&home.path().join(".local/share/enter/v1")), 0, "something was left in the store");
    (code, report)
}

/// The state, detail and mend of a check that must have been made.
fn finding(report: &Value, check: &str) -> (String, String, String) {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check:?} in {report:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("detail"), text("mend"))
}

#[test]
fn on_a_machine_that_can_run_the_tests_a_shell_can_be_opened() {
    let (code, report) = examine(&[], "");
    assert_eq!(code, 0, "{report:#}");
    for check in [
        "user namespaces",
        "store",
        "FUSE device",
        "extended attributes",
        "FUSE filesystem",
        "overlay",
        "fuse storage driver",
        "system call filter",
        "tap device",
    ] {
        assert_eq!(finding(&report, check).0, "good", "{report:#}");
    }
    assert!(finding(&report, "network").1.contains("pasta") || finding(&report, "network").1.contains("default route"));
}

#[test]
fn without_user_namespaces_it_names_the_setting_that_forbids_them() {
    let (code, report) =
        examine(&["--user", "--map-root-user"], "echo 0 > /proc/sys/user/max_user_namespaces || exit 99");
    assert_eq!(code, 1);
    let (state, detail, mend) = finding(&report, "user namespaces");
    assert_eq!(state, "bad", "{report:#}");
    assert!(detail.contains("cannot make a user namespace"), "{detail}");
    assert!(mend.contains("user.max_user_namespaces=28633") && mend.contains("sudo"), "{mend}");
}

#[test]
fn without_devices_it_says_how_to_get_them() {
    let (code, report) = examine(&["--user", "--map-root-user", "--mount"], "mount -t tmpfs none /dev || exit 99");
    assert_eq!(code, 1);
    let (state, _, mend) = finding(&report, "FUSE device");
    assert_eq!((state.as_str(), mend.as_str()), ("bad", "sudo modprobe fuse"));
    let (state, _, mend) = finding(&report, "tap device");
    assert_eq!((state.as_str(), mend.as_str()), ("less", "sudo modprobe tun"), "a shell needs no network");
}

#[test]
fn a_home_that_cannot_be_written_is_bad_and_the_rest_is_still_tried() {
    let (code, report) = examine(
        &["--user", "--map-root-user", "--mount"],
        "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" || exit 99",
    );
    assert_eq!(code, 1);
    let (state, detail, mend) = finding(&report, "store");
    assert_eq!(state, "bad");
    assert!(detail.contains("Read-only file system") && mend.contains("XDG_DATA_HOME"), "{detail}; {mend}");
    assert_eq!(finding(&report, "FUSE device").0, "good");
}

#[test]
fn a_filesystem_that_takes_no_overlay_is_good_for_a_shell_all_the_same() {
    // An overlay is no place for the upper side of another; and ramfs has no extended attributes.
    let overlay = "mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work none .local";
    for (mount, attributes) in [(overlay, "good"), ("mount -t ramfs none .local", "less")] {
        let before = format!("cd \"$HOME\" && mkdir lower upper work .local && {mount} || exit 99");
        let (code, report) = examine(&["--user", "--map-root-user", "--mount"], &before);
        assert_eq!(code, 0, "{report:#}");
        let (state, detail, mend) = finding(&report, "overlay");
        assert!(state == "less" && detail.contains("fuse driver") && mend.contains("XDG_DATA_HOME"), "{report:#}");
        assert_eq!(finding(&report, "fuse storage driver").0, "good", "{report:#}");
        assert_eq!(finding(&report, "extended attributes").0, attributes, "{report:#}");
    }
}

#[test]
fn without_a_default_route_a_shell_can_be_opened_that_has_no_network() {
    let (code, report) = examine(&["--user", "--map-root-user", "--net"], "");
    assert_eq!(code, 0, "{report:#}");
    let (state, detail, _) = finding(&report, "network");
    assert_eq!(state, "less");
    assert!(detail.contains("no default route"), "{detail}");
}

#[test]
fn where_no_program_may_gain_privileges_one_id_is_left() {
    let (code, report) = examine(&[], "exec setpriv --no-new-privs \"$0\" doctor --json");
    assert_eq!(code, 0, "{report:#}");
    let (state, _, mend) = finding(&report, "subordinate ids");
    // Root writes the maps itself, and loses nothing.
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(state, "less");
        assert!(mend.contains("no_new_privs") || mend.contains("usermod"), "{mend}");
    }
}

#[test]
fn for_people_it_ends_with_the_verdict() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_enter")).arg("doctor").env("HOME", home.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.lines().last().unwrap().starts_with("A shell can be opened here"),
        "{text}"
    );
    assert!(text.starts_with("good  user namespaces: "), "{text}");
}
