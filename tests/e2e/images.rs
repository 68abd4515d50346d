//! Pulling, listing and removing images; and the images that are made unusually.

use std::path::Path;

use crate::support::{User, hub};

#[test]
fn an_image_is_pulled_once_listed_and_removed() {
    let user = User::new();
    let pulled = user.run(["pull", "busybox"]);
    assert!(pulled.status.success(), "{}", pulled.stderr);
    let listed = user.run(["images"]).success();
    assert!(listed.lines().any(|line| line.contains("busybox") && line.contains("latest")), "{listed}");
    // The journal tells of each pull.
    let kept =
        || files(&user.store()).into_iter().filter(|(path, _)| !path.ends_with("/events.jsonl")).collect::<Vec<_>>();
    let before = kept();
    user.run(["pull", "busybox"]).success();
    assert_eq!(kept(), before, "a second pull changes nothing");
    user.run(["rmi", "busybox"]).success();
    let listed = user.run(["images", "-q"]).success();
    assert_eq!(listed, "");
}

#[test]
fn removing_one_of_two_images_leaves_the_layers_of_the_other() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    user.run(["pull", "odd"]).success();
    user.run(["rmi", "busybox"]).success();
    assert_eq!(user.run(["--network", "none", "odd", "--", "echo", "there"]).success(), "there\n");
}

#[test]
fn two_pulls_at_once_share_the_work() {
    let user = User::new();
    let mut children: Vec<_> = (0..4).map(|_| user.enter(["pull", "sixty"]).spawn().expect("enter starts")).collect();
    for child in &mut children {
        let status = crate::support::user::wait(child).expect("a pull ends");
        assert!(status.success(), "{status}");
    }
    assert_eq!(user.sh(&[], "sixty", "cat /newest"), "59\n");
}

#[test]
fn sixty_layers_are_one_tree() {
    let user = User::new();
    let seen = user.sh(&[], "sixty", "cat /newest; ls /layers | sort -n | tr '\\n' ' '; cat /layers/*");
    // Layer n removes file n-10, from the eleventh on: the last ten remain.
    let numbers: Vec<String> = (50..60).map(|number| number.to_string()).collect();
    assert_eq!(seen, format!("59\n{} {}\n", numbers.join(" "), numbers.join("\n")));
}

#[test]
fn layers_compressed_with_zstd_are_read() {
    let user = User::new();
    assert_eq!(user.sh(&[], "zstd", "echo here"), "here\n");
}

#[test]
fn the_platform_of_this_machine_is_chosen_from_an_index() {
    let user = User::new();
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    assert_eq!(user.sh(&[], "platforms", "cat /platform"), format!("linux/{here}\n"));
    user.run(["pull", "--platform", "linux/riscv64", "platforms"]).refused(&["linux/riscv64", "arm64"]);
    user.run(["pull", "--platform", "linux/arm64", "platforms"]).success();
}

#[test]
fn an_image_can_be_named_by_its_registry_and_by_its_digest() {
    let user = User::new();
    let address = &hub().address;
    let full = format!("{address}/library/busybox:latest");
    assert_eq!(user.run([full.as_str(), "--", "echo", "full"]).success(), "full\n");
    let index = std::fs::read_to_string(hub().layout.join("index.json")).expect("the layout has an index");
    let index: serde_json::Value = serde_json::from_str(&index).expect("an index is JSON");
    let manifests = index["manifests"].as_array().expect("an index has manifests");
    let named = |manifest: &&serde_json::Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == "zstd";
    let digest = manifests.iter().find(named).expect("zstd is in the layout")["digest"].as_str().expect("a digest");
    let pinned = format!("docker.io/library/zstd@{digest}");
    assert_eq!(user.run([pinned.as_str(), "--", "echo", "pinned"]).success(), "pinned\n");
}

#[test]
fn entries_that_other_tools_refuse_are_read_as_gnu_tar_reads_them() {
    let user = User::new();
    let script = "cat /odd/twice /odd/implied/parents/file; stat -c %a /odd/twice; stat -c %s /odd/sparse; \
                  tail -c 5 /odd/sparse; head -c 5 /odd/sparse; tr -d '\\0' </odd/sparse | wc -l; test ! -e /pax_global_header; \
                  stat -c '%F %t:%T' /odd/null";
    let seen = user.sh(&["-u", "root"], "odd", script);
    let expected = "second, longer\nimplied\n640\n10000000\ndata\ndata\n3\ncharacter special file 1:3\n";
    assert_eq!(seen, expected);
}

#[test]
fn a_killed_pull_is_resumed_or_begun_again() {
    let user = User::new();
    for delay in [5, 20, 60, 120, 250] {
        let mut child = user.enter(["pull", "debian"]).spawn().expect("enter starts");
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }
    user.run(["pull", "debian"]).success();
    let seen = user.sh(&[], "debian", "cat /etc/debian_version | wc -l");
    assert_eq!(seen.trim(), "1");
    let store = user.store().display().to_string();
    let unfinished = |path: &str| ["tmp", "partial", "download", ".new"].iter().any(|word| path.contains(word));
    let names = files(&user.store()).into_iter().map(|(path, _)| path[store.len()..].to_owned());
    let left: Vec<String> = names.filter(|name| unfinished(name)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Every file below `folder`, with its size.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.expect("a folder's entry");
        // A container that has just ended may be cleared away meanwhile.
        let Ok(info) = entry.metadata() else { continue };
        if info.is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), info.len()));
        }
    }
    found.sort();
    found
}
