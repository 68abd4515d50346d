//! `enter run`: what each flag cannot be. The message names the flag and the value, says what was expected, and nothing is fetched or made.

use crate::support::User;

/// Flag, value, and a word of what is expected instead.
const BAD: &[(&str, &str, &str)] = &[
    ("--attach", "stdlog", "stdin, stdout or stderr"),
    ("--entrypoint", "[\"a", "JSON"),
    ("--env", "=x", "name"),
    ("--workdir", "relative", "slash"),
    ("--workdir", "/a/../b", ".."),
    ("--umask", "99", "octal"),
    ("--timezone", "/etc/passwd", "Europe/Berlin"),
    ("--ulimit", "nofile", "NAME=SOFT[:HARD]"),
    ("--ulimit", "nofile=9:1", "above"),
    ("--label", "=x", "KEY"),
    ("--annotation", "x", "KEY=VALUE"),
    ("--restart", "sometimes", "on-failure"),
    ("--stop-signal", "NOSUCH", "SIGTERM"),
    ("--stop-timeout", "soon", "seconds"),
    ("--timeout", "0", "seconds"),
    ("--log-driver", "syslog", "k8s-file"),
    ("--log-opt", "max-size=x", "10m"),
    ("--log-opt", "colour=red", "max-size"),
    ("--health-interval", "30", "30s"),
    ("--health-start-period", "x", "30s"),
    ("--health-start-interval", "1d", "30s"),
    ("--health-timeout", "-1s", "30s"),
    ("--health-on-failure", "cry", "restart"),
    ("--volume", "a/b:/target", "./a/b"),
    ("--volume", "/a:/", "root itself"),
    ("--volume", "/a:/proc", "/proc"),
    ("--volume", "data:/proc/sys", "/proc"),
    ("--volume", "/a:/b/../c", ".."),
    ("--volume", "/a:/b:copy", "volumes"),
    ("--volume", "/a:/b:idmap", "only root"),
    ("--volume", "/a:/b:rshared", "show in a container"),
    ("--volume", "/a:/b:O,U", "exclude"),
    ("--volumes-from", "db:sideways", "ro, rw"),
    ("--volume-driver", "nfs", "local"),
    ("--volume", "/a:relative", "slash"),
    ("--volume", "/a:/b:sideways", "ro, rw"),
    ("--mount", "type=nfs,dst=/x", "bind, volume"),
    ("--mount", "type=volume,src=a/b,dst=/x", "type=bind"),
    ("--mount", "type=volume,src=a,dst=/x,subpath=../b", ".."),
    ("--mount", "type=image,dst=/x", "source"),
    ("--mount", "type=tmpfs,dst=/", "root itself"),
    ("--mount", "type=bind,dst=/x", "source"),
    ("--tmpfs", "/x:size=much", "64m"),
    ("--tmpfs", "x", "slash"),
    ("--shm-size", "big", "64m"),
    ("--device", "fuse", "DEVICE"),
    ("--device", "/dev/null:r", "permissions"),
    ("--network", "my/net", "container:NAME"),
    ("--network", "lab:mtu=5", "interface_name"),
    ("--network", "lab:ip=fd00::1", "IPv4"),
    ("--ip", "10.5.0", "address"),
    ("--ip6", "10.5.0.1", "address"),
    ("--mac-address", "01:00:5e:00:00:01", "group"),
    ("--network-alias", "a b", "letters"),
    ("--link", ":db", "ALIAS"),
    ("--hostname", "a b", "letters"),
    ("--domainname", "-x", "letters"),
    ("--add-host", "db", "NAME:ADDRESS"),
    ("--add-host", "gate:host-way", "host-gateway"),
    ("--dns", "server", "address"),
    ("--dns-search", "a b", "word"),
    ("--dns-option", "", "word"),
    ("--expose", "70000", "8080"),
    ("--sysctl", "vm.swappiness=1", "whole machine"),
    ("--sysctl", "kernel.hostname=x", "--hostname"),
    ("--pid", "other", "container:NAME"),
    ("--ipc", "other", "shareable"),
    ("--uts", "container:x", "private or host"),
    ("--userns", "sideways", "keep-id"),
    ("--detach-keys", "ctrl-1", "ctrl-"),
    ("--preserve-fds", "x", "digit"),
    ("--pull", "perhaps", "always"),
    ("--platform", "a/b/c/d", "a/b/c/d"),
    ("--sig-proxy", "x", "true"),
];

#[test]
fn each_value_that_a_flag_cannot_have_is_told_with_the_form_expected() {
    let user = User::without_registry();
    for (flag, value, expected) in BAD {
        let outcome = user.run(["run".into(), format!("{flag}={value}"), "busybox".into()]);
        outcome.refused(&[flag, value, expected]);
    }
    assert!(!user.store().join("containers").exists(), "something was made");
}

#[test]
fn what_docker_has_and_a_rootless_container_cannot_is_refused_with_the_reason() {
    let user = User::without_registry();
    for (flag, value) in [
        ("--kernel-memory", "1g"),
        ("--memory-swappiness", "10"),
        ("--cpu-rt-runtime", "950000"),
        ("--gpus", "all"),
        ("--link-local-ip", "169.254.7.7"),
        ("--device-cgroup-rule", "c 1:1 r"),
        ("--runtime", "runc"),
        ("--isolation", "hyperv"),
        ("--oom-score-adj", "-5"),
    ] {
        user.run(["run", flag, value, "busybox"]).refused(&["cannot be had", value]);
    }
    user.run(["create", "--oom-kill-disable", "busybox"]).refused(&["--oom-kill-disable cannot be had"]);
}

#[test]
fn what_excludes_each_other() {
    let user = User::without_registry();
    for flags in [
        &["--rm", "--restart", "always"][..],
        &["-d", "-a", "stdout"],
        &["--uts", "host", "--hostname", "x"],
        &["--network", "container:x", "--dns", "1.1.1.1"],
        &["--link", "a", "--network", "none"],
        &["--no-hosts", "--add-host", "a:1.1.1.1"],
        &["--init", "--pid", "host"],
    ] {
        let args = ["run"].iter().chain(flags).chain(&["busybox"]).copied();
        user.run(args).refused(&[flags[0].trim_start_matches('-')]);
    }
    assert_eq!(user.run(["run"]).code(), Some(1), "as docker has it");
    user.run(["run", "--no-such-flag", "busybox"]).refused(&["--no-such-flag"]);
}

#[test]
fn what_can_only_be_seen_with_the_image_there() {
    let user = User::new();
    let refused = |flags: &[&str], texts: &[&str]| {
        let args = ["run"].iter().chain(flags).chain(&["busybox", "true"]).copied();
        let outcome = user.run(args);
        assert_eq!(outcome.code(), Some(125), "{flags:?}: {outcome:?}");
        for text in texts {
            assert!(outcome.stderr.contains(text), "{flags:?}: no {text} in {}", outcome.stderr);
        }
    };
    refused(&["--cap-add", "FLY"], &["--cap-add", "FLY", "capabilities(7)"]);
    refused(&["--security-opt", "what"], &["--security-opt", "what", "seccomp=FILE"]);
    refused(&["--security-opt", "apparmor=mine"], &["apparmor=mine", "apparmor=unconfined"]);
    refused(&["--security-opt", "seccomp=/no/such/file"], &["/no/such/file"]);
    refused(&["-v", "/no/such/folder:/x"], &["/no/such/folder", "does not exist"]);
    refused(&["--mount", "type=bind,src=/no/such,dst=/x"], &["/no/such", "does not exist"]);
    refused(&["-v", "/usr:/x", "--tmpfs", "/x"], &["/x"]);
    refused(&["--device", "/etc/passwd"], &["/etc/passwd", "no device"]);
    refused(&["--device", "/dev/no-such"], &["/dev/no-such"]);
    refused(&["-u", "no-such-user"], &["no-such-user"]);
    refused(&["--group-add", "no-such-group"], &["no-such-group"]);
    refused(&["--env-file", "no-such-file"], &["no-such-file", "--env-file"]);
    refused(&["--label-file", "no-such-file"], &["no-such-file", "--label-file"]);
    refused(&["--name", "a/b"], &["a/b"]);
    refused(&["--pid", "container:nobody"], &["nobody"]);
    refused(&["--timezone", "No/Such"], &["No/Such"]);
    refused(&["--health-cmd", "[]"], &["--health-cmd"]);
    refused(&["-w", "/etc/passwd"], &["/etc/passwd"]);
    refused(&["--userns", "auto:size=99999999"], &["99999999"]);
    refused(&["--preserve-fds", "1"], &["--preserve-fds", "number 3"]);
    user.run(["create", "--name", "taken", "busybox"]).success();
    refused(&["--name", "taken"], &["taken", "in use"]);
}
