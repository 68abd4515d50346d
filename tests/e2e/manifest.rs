//! Lists of images: put together here, changed, shown, and sent.

use serde_json::Value;

use crate::support::user::finish;
use crate::support::{Guarded, User, hub};

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

#[test]
fn a_list_is_pushed_with_all_its_images() {
    let (user, registry) = (User::new(), Guarded::open());
    let path = user.config().join("containers/registries.conf");
    let text = std::fs::read_to_string(&path).expect("the user has a configuration");
    std::fs::write(&path, format!("{text}\n{}", registry.configuration())).expect("a file in the home");
    // One that was pulled, one that is only known to a registry, and one that was made here.
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["manifest", "create", "list", "busybox"]).success();
    user.run(["manifest", "add", "--arch", "arm64", "list", "docker://platforms"]).success();
    let archive = user.home().join("root.tar");
    let made = user.command("tar").args(["-cf"]).arg(&archive).args(["--files-from", "/dev/null"]).status();
    assert!(made.expect("tar starts").success());
    user.run([std::ffi::OsStr::new("import"), archive.as_os_str(), "mine".as_ref()]).success();
    user.run(["manifest", "add", "--arch", "riscv64", "list", "mine"]).success();
    let destination = format!("{}/team/list:1", registry.address);
    let file = user.home().join("digest");
    let pushed = user.run([
        "manifest",
        "push",
        "-q",
        "--digestfile",
        file.to_str().expect("text"),
        "list",
        &format!("docker://{destination}"),
    ]);
    let digest = pushed.success();
    assert_eq!(std::fs::read_to_string(&file).expect("the digest was written"), digest.trim());
    let mut skopeo = user.command("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--all", "--quiet", "--src-tls-verify=false"]);
    skopeo.arg(format!("docker://{destination}")).arg(format!("oci:{}:all", user.home().join("copy").display()));
    finish(skopeo, b"").success();
    let there = shown(&user, &format!("docker://{destination}"));
    let architectures: Vec<String> = entries(&there).into_iter().map(|(_, architecture)| architecture).collect();
    assert_eq!(architectures[1..], ["arm64", "riscv64"]);
    user.run(["pull", "-q", &destination]).success();
    user.run(["manifest", "push", "--rm", "list", &destination]).success();
    assert_eq!(user.run(["manifest", "exists", "list"]).code(), Some(1));
    user.run(["manifest", "push", "list", &destination]).refused(&["there is no list"]);
}
