//! Looking for images, and listing tags.

use crate::support::guarded::{Guarded, PASSWORD, USER};
use crate::support::user::finish;
use crate::support::{User, hub};

fn filled(registry: &Guarded, user: &User, names: &[&str]) {
    std::fs::create_dir_all(user.config().join("containers")).expect("a folder in the home");
    let text = format!("unqualified-search-registries = [\"{}\"]\n{}", registry.address, registry.configuration());
    std::fs::write(user.config().join("containers/registries.conf"), text).expect("a file in the home");
    for name in names {
        let mut copy = user.command("skopeo");
        copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--dest-creds"]);
        copy.arg(format!("{USER}:{PASSWORD}"));
        copy.arg(format!("oci:{}:busybox", hub().layout.display()))
            .arg(format!("docker://{}/{name}", registry.address));
        finish(copy, b"").success();
    }
}

#[test]
fn a_registry_without_a_search_is_looked_through() {
    let (registry, user) = (Guarded::start(), User::without_registry());
    filled(&registry, &user, &["team/tool:1", "team/tool:2", "team/toolbox:1", "other:1"]);
    let address = registry.address.as_str();
    user.run(["search", "tool"]).refused(&["without a login"]);
    user.run(["login", "-u", USER, "-p", PASSWORD, address]).success();
    let found = user.run(["search", "tool", "--format", "{{.Name}}"]).success();
    assert_eq!(found, format!("{address}/team/tool\n{address}/team/toolbox\n"));
    let found = user.run(["image", "search", "--limit", "1", &format!("{address}/")]).success();
    assert!(found.starts_with("NAME") && found.contains("STARS"), "{found}");
    assert_eq!(found.lines().count(), 2, "{found}");
    assert_eq!(user.run(["search", "--filter", "stars=1", "tool", "--format", "{{.Name}}"]).success(), "");
    user.run(["search", "--filter", "colour=red", "tool"]).refused(&["is-official"]);
    user.run(["search", "--limit", "101", "tool"]).refused(&["100 at most"]);
}

#[test]
fn tags_are_listed() {
    let (registry, user) = (Guarded::start(), User::without_registry());
    filled(&registry, &user, &["team/tool:1", "team/tool:2", "team/tool:3"]);
    let name = format!("{}/team/tool", registry.address);
    user.run(["login", "-u", USER, "-p", PASSWORD, &registry.address]).success();
    let listed = user.run(["search", "--list-tags", &name, "--format", "{{.Tag}}"]).success();
    // This registry has an order of its own.
    let mut tags: Vec<&str> = listed.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["1", "2", "3"]);
    let some = user.run(["search", "--list-tags", "--limit", "2", "team/tool"]);
    assert!(some.stderr.contains("more tags"), "{}", some.stderr);
    assert_eq!(some.success().lines().count(), 3);
    let json = user.run(["search", "--list-tags", "--format", "json", &name]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["Tags"], serde_json::json!(listed.lines().collect::<Vec<_>>()));
    user.run(["search", "--list-tags", &format!("{name}:1")]).refused(&["has one already"]);
    user.run(["search", "--list-tags", &format!("{}/none", registry.address)]).refused(&["no such image"]);
}
