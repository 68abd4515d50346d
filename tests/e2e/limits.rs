//! Limits of control groups: kept to where this machine gives the user any, refused with the reason where it does not.

use crate::support::User;

fn are_to_be_had(user: &User) -> bool {
    user.run(["info", "--format", "{{.MemoryLimit}}"]).success() == "true\n"
}

#[test]
fn a_container_keeps_to_its_limits_or_is_refused_with_the_reason() {
    let user = User::new();
    let flags = ["run", "--rm", "-m", "64m", "--pids-limit", "20", "--cpus", "0.5", "busybox"];
    let script = "cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max; cat /proc/self/cgroup";
    let outcome = user.run(flags.iter().chain(&["sh", "-c", script]));
    if !are_to_be_had(&user) {
        outcome.refused(&["cannot limit what the container uses", "control group"]);
        let made = user.run(["ps", "-aq"]).success();
        assert_eq!(made, "", "something was made");
        user.run(["create", "--name", "plain", "busybox"]).success();
        user.run(["update", "-m", "64m", "plain"]).unable(&["control group"]);
        user.run(["-n", "work", "busybox", "--", "true"]).success();
        user.run(["set", "work", "--cpus", "1"]).unable(&["control group"]);
        return;
    }
    assert_eq!(outcome.success(), "67108864\n67108864\n20\n50000 100000\n0::/\n");
    user.run(["run", "-d", "--name", "small", "-m", "32m", "busybox", "sleep", "1000"]).success();
    let field = |field: &str| user.run(["inspect", "small", "--format", field]).success();
    assert_eq!(field("{{.HostConfig.Memory}} {{.State.OOMKilled}}"), "33554432 false\n");
    user.run(["update", "-m", "48m", "--pids-limit", "9", "small"]).success();
    let now = user.run(["exec", "small", "sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"]);
    assert_eq!(now.success(), "50331648\n9\n");
    let eats = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}";
    let eaten = user.run(["run", "--name", "eats", "-m", "20m", "--memory-swap", "20m", "busybox", "sh", "-c", eats]);
    assert_eq!(eaten.code(), Some(137), "{}", eaten.text());
    assert_eq!(user.run(["inspect", "eats", "--format", "{{.State.OOMKilled}}"]).success(), "true\n");
}

#[test]
fn limits_that_make_no_sense_are_refused_before_anything_is_fetched() {
    let user = User::without_registry();
    for (flags, why) in [
        (&["-m", "1m"][..], "less than 6m"),
        (&["--memory-swap", "1g"], "needs --memory"),
        (&["-m", "64m", "--memory-swap", "32m"], "less than --memory"),
        (&["-m", "64m", "--memory-reservation", "128m"], "more than --memory"),
        (&["--cpus", "1", "--cpu-quota", "50000"], "--cpus"),
    ] {
        let args = ["run"].iter().chain(flags).chain(&["busybox", "true"]).copied();
        user.run(args).refused(&["the limits cannot be so", why]);
    }
    for (flag, value) in [
        ("--memory", "much"),
        ("--cpus", "-1"),
        ("--cpus", "0.001"),
        ("--cpuset-cpus", "2-0"),
        ("--pids-limit", "x"),
        ("--blkio-weight", "5"),
        ("--device-read-bps", "sda:1"),
        ("--cgroup-parent", "work"),
    ] {
        user.run(["run".into(), format!("{flag}={value}"), "busybox".into()]).refused(&[flag, value]);
    }
    // What asks for no limit is none.
    let user = User::new();
    user.run(["run", "--rm", "-m", "0", "--pids-limit=-1", "--cpus", "0", "busybox", "true"]).success();
}
