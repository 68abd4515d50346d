//! `enter image trust`: the policy is shown and changed, and counts, for others too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::User;

#[test]
fn what_is_set_counts_and_is_shown() {
    let user = User::new();
    let policy = user.config().join("containers/policy.json");
    assert!(!policy.exists());
    user.run(["image", "trust", "set", "-t", "reject", "default"]).success();
    assert_eq!(fs::metadata(&policy).unwrap().permissions().mode() & 0o777, 0o644);
    user.run(["pull", "-q", "odd"]).refused(&["is refused by the policy"]);
    let complete = user.run(["image", "trust", "show", "odd"]);
    assert!(complete.success().contains("reject"));
    // One registry is trusted: the one that the tests' images are said to be of.
    let registry = "docker.io";
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    user.run(["image", "trust", "set", "--type", "accept", registry]).success();
    assert_eq!(fs::metadata(&policy).unwrap().permissions().mode() & 0o777, 0o600);
    user.run(["pull", "-q", "odd"]).success();

    let table = user.run(["image", "trust", "show"]).success();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]);
    assert_eq!(lines[1], ["all", "default", "reject"]);
    assert_eq!(lines[2], ["repository", registry, "accept"]);
    let json: serde_json::Value =
        serde_json::from_str(&user.run(["image", "trust", "show", "--json"]).success()).unwrap();
    assert_eq!(json[0]["name"], "* (default)");
    assert_eq!((&json[1]["repo_name"], &json[1]["type"]), (&registry.into(), &"accept".into()));
    assert_eq!(user.run(["image", "trust", "show", "-n", "odd"]).success().lines().count(), 1);
    assert_eq!(user.run(["image", "trust", "show", "--raw"]).success(), fs::read_to_string(&policy).unwrap());

    // Others read it as well.
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--policy", policy.to_str().unwrap(), "copy", "-q", "dir:/nowhere", "dir:/nowhere-else"]);
    let told = String::from_utf8_lossy(&skopeo.output().unwrap().stderr).into_owned();
    assert!(told.contains("rejected by policy") || told.contains("nowhere"), "{told}");
    assert!(!told.contains("policy.json"), "{told}");
}

#[test]
fn what_cannot_count_is_refused_and_changes_nothing() {
    let user = User::without_registry();
    let set = |words: &[&str]| user.run(["image", "trust", "set"].iter().chain(words).copied());
    set(&["-t", "accept", "busybox"]).refused(&["docker.io/library/busybox"]);
    set(&["-t", "sigstoreSigned", "quay.io"]).refused(&["--pubkeysfile"]);
    set(&["-t", "sigstoreSigned", "-f", "/none.pub", "quay.io"]).refused(&["/none.pub"]);
    set(&["-t", "accept", "-f", "/none.pub", "quay.io"]).refused(&["keys are for signatures"]);
    let file = user.home().join("no.key");
    fs::write(&file, "no key").unwrap();
    let file = file.to_str().unwrap();
    set(&["-t", "sigstoreSigned", "-f", file, "quay.io"]).refused(&["no.key"]);
    let policy = user.config().join("containers/policy.json");
    assert!(!policy.exists());
    // GnuPG's is for others, and says so.
    let gpg = set(&["-f", file, "quay.io/team"]);
    assert!(gpg.stderr.contains("warning") && gpg.stderr.contains("GnuPG"), "{}", gpg.stderr);
    assert!(user.run(["image", "trust", "show"]).success().contains("signed"));
    fs::write(&policy, r#"{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}"#).unwrap();
    let before = fs::read(&policy).unwrap();
    set(&["-t", "accept", "quay.io"]).refused(&["policy.json"]);
    assert_eq!(fs::read(&policy).unwrap(), before);
    let other = user.home().join("other.json");
    set(&["--policypath", other.to_str().unwrap(), "-t", "accept", "default"]).success();
    assert!(other.exists());
}
