//! What is stored: how much it takes, that it is whole, and that it stays below a limit.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::User;

/// What du(1) sees of the images, in bytes.
fn du(user: &User) -> u64 {
    let folders = ["blobs", "layers", "images"].map(|name| user.store().join(name));
    let output = Command::new("du").args(["-s", "-B1"]).args(folders).output().expect("du is there");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// As the program shows a size, so that it can be found in its output.
fn shown(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "three digits are compared")]
    let bytes = bytes as f64;
    bytes
}

/// A size as the program shows it, in bytes.
fn parse(text: &str) -> f64 {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let power = match &text[digits..] {
        "B" => 0,
        "kB" => 3,
        "MB" => 6,
        "GB" => 9,
        unit => panic!("{unit}"),
    };
    text[..digits].parse::<f64>().unwrap() * 10_f64.powi(power)
}

#[track_caller]
fn close(one: f64, other: f64) {
    assert!((one - other).abs() <= one.max(other) * 0.006 + 1.0, "{one} and {other}");
}

/// The tar of the lowest layer of an image that is largest.
fn largest(user: &User, name: &str) -> PathBuf {
    let layers = fs::read_dir(user.store().join("layers")).unwrap().map(|entry| entry.unwrap().path());
    layers.map(|dir| dir.join(name)).max_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.len())).unwrap()
}

/// Changes one byte, as a disk does.
fn rot(path: &Path) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (mut byte, at) = ([0], file.metadata().unwrap().len() / 2);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn sizes_are_those_that_the_disk_has() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["pull", "-q", "sixty"]).success();
    let rows = user.run(["df", "--format", "{{.Type}}|{{.Size}}|{{.Reclaimable}}"]).success();
    let images: Vec<&str> = rows.lines().next().unwrap().split('|').collect();
    close(parse(images[1]), shown(du(&user)));
    let reclaimable = parse(images[2].split(' ').next().unwrap());

    // What an image alone has is what its removal frees.
    let unique = user.run(["images", "--format", "{{.UniqueSize}}", "busybox"]).success();
    let listed: Value = serde_json::from_str(&user.run(["images", "--format", "json", "busybox"]).success()).unwrap();
    assert_eq!(listed["UniqueSize"].as_str(), Some(unique.trim()));
    let before = du(&user);
    user.run(["rmi", "busybox"]).success();
    close(parse(unique.trim()), shown(before - du(&user)));

    let pruned = user.run(["image", "prune", "-af"]).success();
    let freed = pruned.lines().last().unwrap().strip_prefix("Total reclaimed space: ").unwrap().to_owned();
    close(parse(&freed) + parse(unique.trim()), reclaimable);
    // Some empty folders and the list of names are what is left.
    assert!(du(&user) < 64 << 10, "{}", du(&user));
    assert!(user.run(["df"]).success().contains("Images"));
}

#[test]
fn a_limit_is_kept_by_dropping_what_was_not_used_for_longest() {
    let mut user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["pull", "-q", "odd"]).success();
    user.run(["pull", "-q", "sixty"]).success();
    user.run(["busybox", "--", "true"]).success();
    let whole = user.run(["images", "--format", "{{.Repository}}"]).success();
    assert_eq!(whole.lines().count(), 3, "{whole}");
    assert_eq!(user.run(["image", "pin", "sixty"]).success(), "sixty:latest\n");
    assert_eq!(
        user.run(["images", "--filter", "pinned=true", "--format", "{{.Repository}} {{.Pinned}}"]).success(),
        "sixty true\n"
    );

    // Compressed forms are enough.
    user.set("ENTER_MAX_STORE_SIZE", (du(&user) - 1).to_string());
    let pulled = user.run(["pull", "-q", "busybox"]);
    assert!(pulled.stderr.contains("the compressed form"), "{}", pulled.stderr);
    assert_eq!(user.run(["images", "-q"]).success().lines().count(), 3);

    // Nothing but what is new, pinned or used may stay.
    user.run(["run", "--name", "box", "busybox", "true"]).success();
    user.set("ENTER_MAX_STORE_SIZE", "1000000");
    let failed = user.run(["pull", "-q", "platforms"]);
    let text = &failed.stderr;
    if failed.code() == Some(0) {
        assert!(text.contains("dropped ") && text.contains("odd:latest") && text.contains("max-store-size"), "{text}");
    } else {
        assert!(text.contains("max-store-size"), "{text}");
    }
    user.set("ENTER_MAX_STORE_SIZE", "0");
    let text = user.run_with_input(["import", "-", "small"], &[0; 1024]).stderr;
    assert!(text.contains("pinned, or used by a container"), "{text}");
    let left = user.run(["images", "--format", "{{.Repository}}"]).success();
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["busybox", "sixty", "small"]);
    user.set("ENTER_MAX_STORE_SIZE", "");
    assert_eq!(user.run(["image", "unpin", "sixty"]).success(), "sixty:latest\n");
    user.run(["image", "unpin", "sixty"]).unable(&["sixty:latest is not pinned"]);
    user.run(["rm", "box"]).success();
}

#[test]
fn a_pull_that_cannot_fit_fetches_nothing() {
    let mut user = User::new();
    user.set("ENTER_MAX_STORE_SIZE", "10kB");
    user.run(["pull", "busybox"]).refused(&["busybox:latest takes", "max-store-size"]);
    let layers = user.store().join("layers");
    assert!(!layers.exists() || fs::read_dir(layers).unwrap().next().is_none());
    user.set("ENTER_MAX_STORE_SIZE", "many");
    user.run(["pull", "busybox"]).refused(&["ENTER_MAX_STORE_SIZE", "a size such as 20GB"]);
}

#[test]
fn damage_is_named_and_repaired_while_a_container_runs() {
    let user = User::new();
    user.run(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).success();
    user.run(["pull", "-q", "sixty"]).success();
    let verified = user.run(["verify"]);
    assert!(verified.stderr.contains("nothing is damaged"), "{}", verified.stderr);
    assert_eq!(verified.success(), "");

    let tars = ["layer.tar", "layer.index"].map(|name| largest(&user, name));
    tars.iter().for_each(|path| rot(path));
    let inode = fs::metadata(&tars[0]).unwrap().ino();
    let verified = user.run(["verify"]);
    assert_eq!(verified.code(), Some(1), "{}", verified.stderr);
    assert!(verified.text().contains(tars[0].to_str().unwrap()), "{}", verified.text());
    assert!(verified.stderr.contains("damaged"), "{}", verified.stderr);
    assert_eq!(verified.text().lines().count(), 1, "the index cannot be compared: {}", verified.text());

    let repaired = user.run(["verify", "--repair", "--format", "json"]);
    let said: Value =
        serde_json::from_str(&repaired.text()).unwrap_or_else(|error| panic!("{error}: {}", repaired.stderr));
    assert_eq!(said["Damaged"][0]["Kind"], "layer");
    assert_eq!(said["Damaged"][0]["Repaired"], true, "{said}");
    repaired.success();
    assert_ne!(fs::metadata(&tars[0]).unwrap().ino(), inode, "what is open is not written to");
    assert_eq!(user.run(["verify"]).success(), "");
    assert_eq!(user.run(["exec", "web", "echo", "fine"]).success(), "fine\n");
    user.run(["rm", "-f", "web"]).success();
}

#[test]
fn what_is_not_kept_here_is_fetched_again() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["pull", "-q", "sixty"]).success();
    user.run(["image", "prune", "-f"]).success();
    // Every file of the store, but for the records of names.
    for folder in ["layers", "blobs/sha256", "images"] {
        for entry in fs::read_dir(user.store().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::read_dir(path).unwrap().for_each(|entry| rot(&entry.unwrap().path()));
            } else if path.file_name().unwrap() != "names.json" {
                rot(&path);
            }
        }
    }
    let verified = user.run(["verify"]);
    assert_eq!(verified.code(), Some(1), "{}", verified.stderr);
    let repaired = user.run(["verify", "--repair"]);
    assert_eq!(repaired.code(), Some(0), "{}{}", repaired.text(), repaired.stderr);
    assert!(repaired.text().lines().all(|line| line.ends_with("; repaired")), "{}", repaired.text());
    assert_eq!(user.run(["verify"]).success(), "");
    assert_eq!(user.run(["busybox", "--", "echo", "fine"]).success(), "fine\n");
}

#[test]
fn what_cannot_be_repaired_says_why() {
    let mut user = User::new();
    user.set("ENTER_RETRIES", "0");
    let imported = user.run_with_input(["import", "-", "mine.invalid/own"], &[0; 10240]).success();
    rot(&largest(&user, "layer.tar"));
    let verified = user.run(["verify", "mine.invalid/own"]);
    assert_eq!(verified.code(), Some(1));
    assert!(verified.text().contains("mine.invalid/own:latest"), "{}", verified.text());
    let repaired = user.run(["verify", "--repair", imported.trim()]);
    assert_eq!(repaired.code(), Some(1), "{}", repaired.stderr);
    assert!(repaired.text().contains("; not repaired: "), "{}", repaired.text());
    assert!(repaired.stderr.contains("1 damaged"), "{}", repaired.stderr);
}

#[test]
fn a_limit_beside_pulls_and_starts_takes_nothing_that_they_count_on() {
    let mut user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["image", "pin", "busybox"]).success();
    // Whatever comes is above it: each pull drops all that nobody holds.
    user.run(["pull", "-q", "sixty"]).success();
    user.set("ENTER_MAX_STORE_SIZE", du(&user).to_string());
    user.set("ENTER_PROGRESS", "none");
    let user = &user;
    let again = |times: usize, words: &'static [&'static str]| {
        move || {
            for _ in 0..times {
                let outcome = user.run(words);
                assert_eq!(outcome.code(), Some(0), "{words:?}: {}", outcome.stderr);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(again(4, &["pull", "sixty"]));
        scope.spawn(again(6, &["pull", "odd"]));
        scope.spawn(again(6, &["pull", "platforms"]));
        scope.spawn(again(6, &["image", "prune", "-af"]));
        scope.spawn(again(8, &["busybox", "--", "true"]));
        scope.spawn(again(3, &["verify"]));
    });
    let verified = user.run(["verify"]);
    assert_eq!(verified.code(), Some(0), "{}{}", verified.text(), verified.stderr);
    user.run(["image", "prune", "-af"]).success();
    assert_eq!(user.run(["images", "--format", "{{.Repository}}"]).success(), "busybox\n");
    assert!(user.run(["df", "--format", "{{.Reclaimable}}"]).success().starts_with("0B"));
}

#[test]
fn a_policy_counts_for_every_way_into_the_store() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    let archive = user.home().join("archive.tar");
    let archive = archive.to_str().unwrap();
    user.run(["save", "-o", archive, "busybox"]).success();
    let policy = user.config().join("containers/policy.json");
    fs::write(&policy, r#"{"default":[{"type":"reject"}]}"#).unwrap();
    let place = format!("docker-archive:{archive}");
    for words in [
        &["load", "-i", archive][..],
        &["pull", &place],
        &["pull", "odd"],
        &["run", "--rm", "odd"],
        &["import", archive],
    ] {
        let outcome = user.run(words);
        assert!(matches!(outcome.code(), Some(1 | 125)), "{words:?}");
        assert!(outcome.stderr.contains("is refused by the policy"), "{words:?}: {}", outcome.stderr);
    }
    // What is here already may be used.
    assert_eq!(user.run(["run", "--rm", "busybox", "echo", "here"]).success(), "here\n");
    let open = user.home().join("open.json");
    fs::write(&open, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    user.run(["load", "--signature-policy", open.to_str().unwrap(), "-i", archive]).success();
    user.run(["pull", "-q", "--signature-policy", open.to_str().unwrap(), "odd"]).success();
    user.run(["pull", "--signature-policy", "/nowhere.json", "odd"]).refused(&["/nowhere.json"]);
}
