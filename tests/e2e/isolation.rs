//! What a container does not get: the caller's descriptors, secrets, processes, and ways around its mounts.

use std::path::{Path, PathBuf};

use crate::support::user::{ENTER, finish};
use crate::support::{User, wait_until};

#[test]
fn no_descriptor_of_the_caller_reaches_the_container() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let mut shell = user.command("sh");
    shell.args(["-c", r#"exec 7</etc/passwd 8>"$HOME/log"; "$ENTER" busybox -- ls /proc/self/fd"#]).env("ENTER", ENTER);
    let seen = finish(shell, b"").success();
    // Standard input, output and error, and the folder that ls reads.
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn what_the_caller_has_open_is_not_kept_by_the_parts_of_a_container() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let mut shell = user.command("sh");
    let script = r#"exec 7>"$HOME/open"; exec "$ENTER" busybox -- sh -c 'touch ~/started; exec sleep 1000'"#;
    let mut enter = shell.args(["-c", script]).env("ENTER", ENTER).spawn().expect("enter starts");
    wait_until("the command's start", || user.home().join("started").exists().then_some(()));
    let open = user.home().join("open");
    let has_it = |process: &Path| {
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors
            .map(|descriptor| std::fs::read_link(descriptor.path()))
            .any(|link| link.is_ok_and(|link| link == open))
    };
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten().map(|entry| entry.path());
    let holders: Vec<PathBuf> = processes.filter(|process| has_it(process)).collect();
    assert_eq!(holders, [PathBuf::from(format!("/proc/{}", enter.id()))]);
    enter.kill().expect("enter can be killed");
    enter.wait().expect("a killed child ends");
}

#[test]
fn secrets_in_the_environment_stay_outside() {
    let mut user = User::new();
    for name in
        ["SSH_AUTH_SOCK", "LD_LIBRARY_PATH", "AWS_SECRET_ACCESS_KEY", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS"]
    {
        user.set(name, "a secret");
    }
    user.set("https_proxy_of_the_test", "http://name:a secret@proxy:1");
    let seen = user.sh(&[], "busybox", "env");
    assert!(!seen.contains("a secret"), "{seen}");
}

#[test]
fn other_processes_are_neither_seen_nor_reached() {
    let user = User::new();
    let seen = user.sh(&[], "busybox", "ls -d /proc/[0-9]* | wc -l; kill -0 2147480000 2>/dev/null || echo none");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].trim().parse::<u32>().is_ok_and(|count| count <= 4), "{seen}");
    assert_eq!(lines[1], "none");
}

#[test]
fn the_first_process_cannot_be_used_to_reach_the_program_outside() {
    let user = User::new();
    let seen = user.sh(
        &["-u", "root"],
        "busybox",
        "readlink /proc/1/exe || echo unreadable; (echo x >/proc/1/exe) 2>/dev/null && echo WRITTEN || true",
    );
    assert!(!seen.contains("WRITTEN") && !seen.contains("target"), "{seen}");
}

#[test]
fn kernel_interfaces_are_masked_or_read_only_also_for_root() {
    let user = User::new();
    let script = "for file in /proc/kcore /proc/keys /proc/timer_list /proc/latency_stats; do \
                  test ! -e $file || test 0 = $(wc -c <$file) || echo READ $file; done; (echo 1 >/proc/sys/kernel/panic) 2>/dev/null && echo WRITTEN; \
                  (echo x >/proc/sysrq-trigger) 2>/dev/null && echo WRITTEN; (echo x >/sys/kernel/profiling) 2>/dev/null && echo WRITTEN; \
                  ls /sys/firmware 2>/dev/null; true";
    assert_eq!(user.sh(&["-u", "root"], "busybox", script), "");
}

#[test]
fn root_inside_cannot_undo_the_mounts() {
    let user = User::new();
    let script = "for path in /proc/kcore /proc/sys /sys; do umount $path 2>/dev/null && echo UNDONE $path; \
                  mount -o remount,rw,bind $path 2>/dev/null && echo UNDONE $path; done; true";
    assert_eq!(user.sh(&["-u", "root"], "busybox", script), "");
}

#[test]
fn dev_has_what_programs_expect_and_no_disks() {
    let user = User::new();
    let script = "echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; test -c /dev/tty; test -d /dev/shm; \
                  test -d /dev/pts; echo y >/dev/shm/file; cat /dev/fd/0 </dev/shm/file; ls -l /dev | grep -c '^b' || true";
    assert_eq!(user.sh(&[], "busybox", script), "3\n3\ny\n0\n");
}

#[test]
fn capabilities_are_few_and_none_for_an_ordinary_user() {
    let user = User::new();
    let caps = |flags: &[&str]| {
        user.sh(flags, "busybox", "grep -E 'Cap(Inh|Eff|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '")
    };
    let nothing = "0000000000000000";
    assert_eq!(caps(&[]), format!("{nothing} {nothing} {nothing} "));
    // The eleven that podman gives to root, and NET_RAW, without which ping's own file capability makes it unrunnable.
    assert_eq!(caps(&["-u", "root"]), format!("{nothing} 00000000800425fb {nothing} "));
}

#[test]
fn an_image_cannot_place_mounts_outside_its_root() {
    // The image's /proc, /etc and /dev may be symlinks to anywhere; what is mounted on them must stay inside.
    let user = User::new();
    let seen = user.sh(&[], "hostile", "ls -d /proc/self; cat /etc/hostname");
    assert!(seen.starts_with("/proc/self\n"), "{seen}");
    assert!(!user.home().join("proc").exists());
}

#[test]
fn what_an_image_asks_for_and_is_no_variable_is_left_out() {
    let user = User::new();
    let seen = user.run(["hostile", "--", "env"]).success();
    assert!(seen.lines().any(|line| line == "GOOD=yes"), "{seen}");
    assert!(!seen.contains("nameless") && !seen.contains("NO_VALUE") && !seen.contains("NUL"), "{seen}");
}
