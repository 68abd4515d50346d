//! What is typed wrongly or missing: a message that names it, a hint, exit code 125, and nothing lost.
//!
//! What a registry can do wrong is tested beside the registry code, against one that does it on purpose.

use crate::support::user::{ENTER, Outcome, finish, set_mode};
use crate::support::{User, hub};

#[test]
fn a_name_that_is_no_reference() {
    let user = User::new();
    for name in ["image/UPPER", "a:b:c:d", "bad name", "../escape", "-", "a//b", "image:"] {
        user.run(["--", name, "--", "true"]).refused(&[name]);
    }
    user.run(["--", "image@sha256:short", "--", "true"]).refused(&["sha256:short"]);
}

#[test]
fn an_image_that_does_not_exist() {
    let user = User::new();
    user.run(["no-such-image-anywhere", "--", "true"]).refused(&["no-such-image-anywhere"]);
    user.run(["pull", "busybox:no-such-tag"]).refused(&["no-such-tag"]);
    user.run(["--pull", "never", "busybox", "--", "true"]).refused(&["busybox"]);
}

#[test]
fn a_registry_that_does_not_answer() {
    let user = User::without_registry();
    // Nobody listens on port 1.
    user.run(["pull", "localhost:1/image"]).refused(&["localhost:1"]);
    user.run(["pull", "registry.invalid/image"]).refused(&["registry.invalid"]);
}

#[test]
fn a_registry_with_a_certificate_of_an_unknown_authority() {
    let user = User::without_registry();
    let name = format!("{}/library/busybox", hub().address);
    user.run(["pull", &name]).refused(&["certificate"]);
}

#[test]
fn a_blocked_registry() {
    let user = User::without_registry();
    let folder = user.config().join("containers");
    std::fs::create_dir_all(&folder).expect("a configuration can be written");
    let text = "[[registry]]\nprefix = \"blocked.example\"\nblocked = true\n";
    std::fs::write(folder.join("registries.conf"), text).expect("a configuration can be written");
    user.run(["pull", "blocked.example/image"]).refused(&["blocked"]);
}

#[test]
fn a_mistake_in_a_configuration_file() {
    let user = User::new();
    let folder = user.config().join("enter");
    std::fs::create_dir_all(&folder).expect("a configuration can be written");
    std::fs::write(folder.join("config.toml"), "\nno-such-key = 1\n").expect("a configuration can be written");
    user.run(["busybox", "--", "true"]).refused(&["config.toml", "no-such-key", "2"]);
}

#[test]
fn a_command_that_was_mistyped() {
    let user = User::without_registry();
    let outcome = user.run(["imagse"]);
    outcome.refused(&["imagse"]);
    assert!(outcome.stderr.contains("images"), "{}", outcome.stderr);
    user.run(["--no-such-flag", "busybox"]).refused(&["--no-such-flag"]);
    user.run(["rmi", "not-there"]);
}

#[test]
fn a_store_that_cannot_be_written() {
    let user = User::new();
    set_mode(&user.data(), 0o500);
    let outcome = user.run(["pull", "busybox"]);
    set_mode(&user.data(), 0o700);
    outcome.refused(&["ermission denied"]);
    user.run(["pull", "busybox"]).success();
}

#[test]
fn a_store_without_space() {
    let user = User::new();
    in_namespace(&user, "mount -t tmpfs -o size=20m none \"$XDG_DATA_HOME\"", &["pull", "debian"])
        .refused(&["there is no room for debian:latest", "MB are free"]);
}

#[test]
fn a_machine_without_dev_fuse() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    let other_dev = "cd \"$HOME\" && mkdir dev && for node in null zero full random urandom tty ptmx; do \
                     touch dev/$node && mount --bind /dev/$node dev/$node; done && mount --rbind dev /dev";
    in_namespace(&user, other_dev, &["busybox", "--", "true"]).refused(&["/dev/fuse"]);
}

#[test]
fn a_machine_without_user_namespaces() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    in_namespace(&user, "echo 0 >/proc/sys/user/max_user_namespaces", &["busybox", "--", "true"])
        .refused(&["user namespace"]);
}

#[test]
fn without_newuidmap_and_pasta_there_is_less_and_that_is_said() {
    let mut user = User::new();
    user.run(["pull", "busybox"]).success();
    // The helpers are looked for on PATH.
    user.set("PATH", user.home());
    let outcome = user.run(["--network", "none", "busybox", "--", "id", "-u"]);
    assert_eq!(outcome.text(), format!("{}\n", nix::unistd::getuid()), "{}", outcome.stderr);
}

#[test]
fn an_archive_into_a_closed_output_is_no_success() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    for words in ["save busybox", "save --format oci-archive busybox"] {
        let mut shell = user.command("sh");
        shell.args(["-c", &format!("exec \"$0\" {words} >&-"), ENTER]);
        finish(shell, b"").refused(&["the standard output: it is closed"]);
    }
    let mut shell = user.command("sh");
    shell.args(["-c", "exec \"$0\" save busybox >/dev/null", ENTER]);
    finish(shell, b"").success();
}

#[test]
fn a_file_of_credentials_that_is_none_is_told_before_any_registry_is_asked() {
    let user = User::new();
    let file = user.home().join("auth.json");
    std::fs::write(&file, "no JSON").unwrap();
    let file = file.to_str().unwrap();
    for words in [&["pull", "no.registry.invalid/x"][..], &["search", "no.registry.invalid/x"]] {
        user.run([&[words[0], "--authfile", file], &words[1..]].concat()).refused(&["auth.json"]);
    }
    // One that can be read only once.
    let mut shell = user.command("bash");
    shell.args(["-c", "exec \"$0\" pull -q --authfile <(echo '{}') busybox", ENTER]);
    finish(shell, b"").success();
}

/// Runs `enter` after `preparation`, in a namespace in which this user is root over its own mounts.
fn in_namespace(user: &User, preparation: &str, args: &[&str]) -> Outcome {
    let mut command = user.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("{preparation} && exec \"$0\" \"$@\"")).arg(ENTER).args(args);
    finish(command, b"")
}
