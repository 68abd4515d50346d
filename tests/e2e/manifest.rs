//! Lists of images: put together here, changed, shown, and sent.

use serde_json::Value;

use crate::support::{User, hub};

fn shown(user: &User, name: &str) -> Value {
    let text = user.run(["manifest", "inspect", name]).success();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn entries(list: &Value) -> Vec<(String, String)> {
    let entries = list["manifests"].as_array().expect("a list has manifests").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    entries.map(|entry| (text(&entry["digest"]), text(&entry["platform"]["architecture"]))).collect()
}

#[test]
fn a_list_is_made_changed_and_removed() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    let made = user.run(["manifest", "create", "team/list:1", "busybox"]).success();
    assert!(made.starts_with("sha256:"), "{made}");
    user.run(["manifest", "create", "team/list:1"]).refused(&["there is a list", "--amend"]);
    user.run(["manifest", "create", "busybox"]).refused(&["an image has the name"]);
    user.run(["manifest", "exists", "team/list:1"]).success();
    assert_eq!(user.run(["manifest", "exists", "team/none"]).code(), Some(1));
    let list = shown(&user, "team/list:1");
    // busybox is one of docker's form, and so is a list of it alone.
    assert!(list["mediaType"].as_str().expect("a type").contains("docker"), "{list}");
    let inspected: Value = serde_json::from_str(&user.run(["image", "inspect", "busybox"]).success()).expect("JSON");
    let digest = entries(&list)[0].0.clone();
    let repo_digest = inspected[0]["RepoDigests"][0].as_str().expect("a digest").to_owned();
    assert!(repo_digest.ends_with(&digest), "{repo_digest}");
    user.run([
        "manifest",
        "annotate",
        "--arch",
        "arm",
        "--variant",
        "v6",
        "--annotation",
        "a=b",
        "team/list:1",
        &digest,
    ])
    .success();
    let list = shown(&user, "team/list:1");
    assert_eq!(list["manifests"][0]["platform"]["variant"], "v6");
    assert_eq!(list["manifests"][0]["annotations"]["a"], "b");
    assert!(list["mediaType"].as_str().expect("a type").contains("oci"), "what is said has no place in docker's form");
    user.run(["manifest", "annotate", "--arch", "arm", "team/list:1", &format!("sha256:{}", "0".repeat(64))])
        .refused(&["has no image"]);
    user.run(["manifest", "remove", "team/list:1", "busybox"]).success();
    assert_eq!(entries(&shown(&user, "team/list:1")), []);
    let removed = user.run(["manifest", "rm", "team/list:1"]).success();
    assert!(removed.contains("team/list:1"), "{removed}");
    user.run(["manifest", "rm", "team/list:1"]).refused(&["there is no list"]);
    user.run(["image", "exists", "busybox"]).success();
}

#[test]
fn images_of_a_registry_are_added_without_fetching_them() {
    let user = User::new();
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    user.run(["manifest", "create", "list", "platforms"]).success();
    assert_eq!(entries(&shown(&user, "list")).iter().map(|(_, arch)| arch.as_str()).collect::<Vec<_>>(), [here]);
    user.run(["manifest", "add", "--arch", "arm64", "list", "docker://platforms"]).success();
    user.run(["manifest", "create", "--all", "--amend", "list", "docker://platforms"]).success();
    let theirs = shown(&user, "docker://platforms");
    let (mut ours, mut all) = (entries(&shown(&user, "list")), entries(&theirs));
    ours.sort();
    all.sort();
    assert_eq!(ours, all);
    user.run(["manifest", "add", "list", &format!("docker://{}/nothing/here", hub().address)])
        .refused(&["no such image"]);
    user.run(["manifest", "add", "list", "oci:somewhere"]).refused(&["neither in the store nor in a registry"]);
    assert_eq!(user.run(["images", "-q"]).success(), "");
    // The very bytes' digest is what the registry has.
    let index = std::fs::read_to_string(hub().layout.join("index.json")).expect("the layout has an index");
    for (digest, _) in all {
        let blob = hub().layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
        assert!(blob.exists() || index.contains(&digest), "{digest}");
    }
    let none: Value =
        serde_json::from_str(&user.run(["manifest", "inspect", "--referrers", "busybox"]).success()).expect("JSON");
    assert_eq!(none["manifests"], serde_json::json!([]));
}
