//! What lies on this machine and others wrote: archives of images, the files that tell of registries, and a disk that is full.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use enter::image::Digest;
use serde_json::{Value, json};

use crate::registry::{gzip, tar};
use crate::tars::Tar;
use crate::victim::Victim;

impl Victim {
    /// Puts a file into the user's home.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.user.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A load of this archive that is refused with these words.
    #[track_caller]
    fn loads_not(&self, archive: &[u8], texts: &[&str]) {
        let path = self.file("archive", archive);
        let outcome = self.enter(&["load", "-i", path.to_str().unwrap()]);
        outcome.unable(texts);
        assert!(!outcome.stderr.contains("registry"), "no registry had a part in it: {}", outcome.stderr);
        assert_eq!(self.files("images"), Vec::<String>::new());
    }
}

/// An archive as docker writes it, of one image with one layer.
fn docker(manifest: &Value, config: &Value, layer: &[u8]) -> Vec<u8> {
    Tar::default()
        .file("config", config.to_string())
        .file("layer", layer)
        .file("manifest.json", manifest.to_string())
        .end()
}

fn config(layer: &[u8]) -> Value {
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer)]}})
}

/// An archive of an OCI layout with one image, whose index and manifest have been changed.
fn oci(change: impl FnOnce(&mut Value, &mut Value)) -> Vec<u8> {
    let (layer, config) = (tar("a", b"a"), config(&tar("a", b"a")).to_string());
    let of = |bytes: &[u8], kind: &str| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": Digest::of(bytes), "size": bytes.len()});
    let mut manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": of(config.as_bytes(), "config.v1+json"), "layers": [of(&layer, "layer.v1.tar")]});
    let mut index = json!({"schemaVersion": 2, "manifests": [{}]});
    let first = of(manifest.to_string().as_bytes(), "manifest.v1+json");
    index["manifests"][0] = first.clone();
    change(&mut index, &mut manifest);
    if index["manifests"].get(0) == Some(&first) {
        index["manifests"][0] = of(manifest.to_string().as_bytes(), "manifest.v1+json");
    }
    let mut archive = Tar::default();
    archive.file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}").file("index.json", index.to_string());
    for blob in [manifest.to_string().as_bytes(), config.as_bytes(), &layer] {
        archive.file(format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    }
    archive.end()
}

#[test]
fn archives_that_lie_about_what_is_in_them() {
    let (victim, _) = Victim::new();
    let layer = tar("a", b"a");
    let item = json!({"Config": "config", "RepoTags": ["x:1"], "Layers": ["layer"]});
    let with = |key: &str, value: Value| {
        let mut item = item.clone();
        item[key] = value;
        docker(&json!([item]), &config(&layer), &layer)
    };
    victim.loads_not(&docker(&json!([]), &config(&layer), &layer), &["it has no images"]);
    victim.loads_not(&docker(&json!(null), &config(&layer), &layer), &["no image in it"]);
    victim.loads_not(&with("Config", json!("../../../../etc/passwd")), &["is not in it"]);
    victim.loads_not(&with("Layers", json!(["/etc/passwd"])), &["is not in it"]);
    victim.loads_not(&with("Layers", json!(["layer", "layer"])), &["2 layers"]);
    victim.loads_not(&with("RepoTags", json!(["\u{1b}[31mx"])), &["is not an image name"]);
    victim.loads_not(&docker(&json!([item]), &config(b"other"), &layer), &["should have the digest"]);
    let names: Vec<String> = (0..20_000).map(|at| format!("x:{at}")).collect();
    victim.loads_not(&with("RepoTags", json!(names)), &["20000 names"]);
    let links = Tar::default().file("config", "{}").symlink("manifest.json", "/etc/passwd").end();
    victim.loads_not(&links, &["neither manifest.json"]);
    let honest = gzip(&with("RepoTags", json!(["x:1"])));
    victim.loads_not(&honest[..honest.len() - 20], &["cannot read the archive"]);
    let entry = |key: &str, value: Value| oci(|index, _| index["manifests"][0][key] = value);
    victim.loads_not(&entry("size", json!(5)), &["5 are said of it"]);
    victim.loads_not(&entry("size", json!(-5)), &["index.json cannot be understood"]);
    victim.loads_not(&entry("digest", json!("sha256:../../../etc/passwd")), &["is not a digest"]);
    victim.loads_not(&oci(|index, _| index["manifests"] = json!([])), &["it has no images"]);
    victim.loads_not(&oci(|_, manifest| manifest["config"]["size"] = json!(1)), &["1 are said of it"]);
    let blob = |key: &str, value: Value| oci(|_, manifest| manifest["layers"][0][key] = value);
    victim.loads_not(&blob("size", json!(1_u64 << 40)), &["is shorter than"]);
    victim.loads_not(&blob("size", json!(2)), &["is longer than"]);
    victim.loads_not(&blob("mediaType", json!("\u{1b}[31m")), &["which is no tar"]);
    let encrypted = json!("application/vnd.oci.image.layer.v1.tar+encrypted");
    victim.loads_not(&blob("mediaType", encrypted), &["encrypted"]);
    // As many names as one may well have are given at once.
    let names: Vec<String> = (0..5000).map(|at| format!("x:{at}")).collect();
    let path = victim.file("archive", with("RepoTags", json!(names)));
    victim.enter(&["load", "-q", "-i", path.to_str().unwrap()]).success();
    assert_eq!(victim.enter(&["images", "-q"]).success().lines().count(), 5000);
}

#[test]
fn variables_of_an_image_without_number() {
    let (victim, _) = Victim::new();
    let layer = tar("a", b"a");
    let mut config = config(&layer);
    let variables: Vec<String> = (0..100_000).map(|at| format!("A{at}=some value of it")).collect();
    config["config"] = json!({"Env": variables, "Cmd": ["/a"]});
    let item = json!({"Config": "config", "RepoTags": ["x:1"], "Layers": ["layer"]});
    let path = victim.file("archive", docker(&json!([item]), &config, &layer));
    victim.enter(&["load", "-i", path.to_str().unwrap()]).success();
    // It is refused at last; it is enough that there is an end.
    let outcome = victim.enter(&["run", "--rm", "--network", "none", "x:1"]);
    assert!(!outcome.status.success() && outcome.code().is_some(), "{outcome:?}");
}

#[test]
fn configurations_without_end() {
    let (victim, _) = Victim::new();
    let folder = format!("certs.d/{}", victim.registry.host());
    let certificates = victim.user.config().join("containers").join(folder);
    fs::create_dir_all(&certificates).unwrap();
    victim.configure("");
    for name in ["a.crt", "a.cert"] {
        symlink("/dev/zero", certificates.join(name)).unwrap();
        symlink("/dev/zero", certificates.join("a.key")).unwrap();
        victim.refuses(&["cannot use the certificate", "longer than"]);
        fs::remove_file(certificates.join(name)).unwrap();
        fs::remove_file(certificates.join("a.key")).unwrap();
    }
    // What is cut off could say that this registry is blocked.
    victim.configure(&"#\n".repeat(5 << 20));
    victim.refuses(&["registries.conf", "longer than"]);
    let mut text = String::new();
    for at in 0..40_000 {
        write!(text, "[[registry]]\nlocation = 'r{at}.example'\nblocked = true\n").unwrap();
    }
    victim.configure(&format!("{text}[[registry]]\nlocation = '{}'\ninsecure = true\n", victim.registry.host()));
    victim.pull("a:1").success();
}

/// A disk of this process's own that is full: what is there can be looked at, and images can be removed.
#[test]
fn images_can_be_removed_from_a_full_disk() {
    let (victim, _) = Victim::new();
    let layer = tar("a", b"a");
    let item = json!({"Config": "config", "RepoTags": ["x:1", "x:2"], "Layers": ["layer"]});
    let archive = victim.file("archive", docker(&json!([item]), &config(&layer), &layer));
    let script = format!(
        "mount -t tmpfs -o size=8m disk \"$XDG_DATA_HOME\"; enter='{}'; load() {{ \"$enter\" load -q -i '{}'; }}
         fill() {{ ! cat /dev/zero >\"$XDG_DATA_HOME/filler\" 2>/dev/null; }}
         load; fill
         ! \"$enter\" tag x:1 x:3; ! \"$enter\" pull {}/a:1
         \"$enter\" rmi x:1; \"$enter\" images; \"$enter\" rmi x:2; \"$enter\" verify
         rm \"$XDG_DATA_HOME/filler\"; load; fill; \"$enter\" image prune --all --force
         rm \"$XDG_DATA_HOME/filler\"; load; test \"$(\"$enter\" images -q | wc -l)\" = 2; \"$enter\" verify",
        env!("CARGO_BIN_EXE_enter"),
        archive.display(),
        victim.registry.host()
    );
    let mut shell = victim.user.command("unshare");
    shell.args(["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-ec", &script]);
    let outcome = crate::support::user::finish(shell, b"");
    assert_eq!(outcome.stderr.matches("hint: make room").count(), 2, "{}", outcome.stderr);
    let text = outcome.success();
    for words in ["Untagged: x:1\n", "Untagged: x:2\n", "untagged: x:1\n", "untagged: x:2\n"] {
        assert!(text.contains(words), "{text}");
    }
}
