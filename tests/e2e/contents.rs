//! Every file of an image reads the same as in the tree that `umoci` unpacks: path, type, mode, owner, time, link target,
//! extended attributes, content.

use std::collections::BTreeSet;

use crate::support::user::finish;
use crate::support::{User, hub, hub::support};

/// What a container has mounted below its root, and so does not show of the image.
const MOUNTED: &[&str] = &["dev", "proc", "sys", "support"];
/// What is written into a container's own copy, and so differs from the image.
const WRITTEN: &[&str] = &[
    "etc/group",
    "etc/hostname",
    "etc/hosts",
    "etc/localtime",
    "etc/passwd",
    "etc/resolv.conf",
    "run/.containerenv",
    "run/user",
    "usr/local/bin/su",
    "usr/local/bin/sudo",
    "usr/local/bin/sudoedit",
];

fn a_whole_debian_reads_as_unpacked(user: &User) {
    compare(user, "debian", 5_000);
}

fn awkward_layers_read_as_unpacked(user: &User) {
    compare(user, "awkward", 5_100);
}

on_both_drivers!(a_whole_debian_reads_as_unpacked, awkward_layers_read_as_unpacked);

/// Lists the image inside and outside, and compares. `least`: how many lines a listing has at the very least.
fn compare(user: &User, image: &str, least: usize) {
    user.run(["pull", image]).success();
    let support = support("");
    let mount = format!("{}:/support:ro", support.display());
    let inside = user.run(["-u", "root", "-v", &mount, image, "--", "python3", "/support/list.py", "/"]);
    let mounted: BTreeSet<String> = inside.stderr.lines().map(str::to_owned).collect();
    let inside = inside.success();

    // In a user namespace with all of the user's ids, so that owners are what the image says.
    let mut unpack = user.command("podman");
    unpack.args(["unshare", "sh", "-ec"]).arg(
        r#"umoci unpack --image "$1:$2" "$3/bundle" >&2; python3 "$4/list.py" "$3/bundle/rootfs"; rm -rf "$3/bundle""#,
    );
    unpack.arg("sh").arg(&hub().layout).arg(image).arg(user.home()).arg(&support);
    let unpacked = finish(unpack, b"").success();

    let home = user.home().display().to_string();
    let hidden = |line: &&str| {
        let path = line[1..].split(['\'', '"']).next().unwrap_or_default();
        let below = |mount: &String| {
            path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // The folders that the home is mounted in are made for it.
        let made = path != "tmp" && home[1..].starts_with(&format!("{path}/"));
        made || WRITTEN.contains(&path) || mounted.iter().any(below)
    };
    let unexpected: Vec<&String> = mounted.iter().filter(|path| !expected_mount(path, user)).collect();
    assert!(unexpected.is_empty(), "mounted, and so not compared: {unexpected:?}");
    let inside: BTreeSet<&str> = inside.lines().filter(|line| !hidden(line)).collect();
    let unpacked: BTreeSet<&str> = unpacked.lines().filter(|line| !hidden(line)).collect();
    let differences: Vec<String> = (inside.difference(&unpacked).map(|line| format!("inside:   {line}")))
        .chain(unpacked.difference(&inside).map(|line| format!("unpacked: {line}")))
        .collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(inside.len() > least, "only {} names were compared", inside.len());
}

fn expected_mount(path: &str, user: &User) -> bool {
    let home = user.home();
    let uid = nix::unistd::getuid();
    MOUNTED.contains(&path)
        || ["run/enter", "run/enter-root"].contains(&path)
        || path == format!("run/user/{uid}")
        || home.to_string_lossy().trim_start_matches('/').starts_with(path)
}
