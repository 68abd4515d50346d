//! Manifests, indexes and configurations that are too large, nested, contradictory, or of another kind.

use enter::image::Digest;
use serde_json::{Value, json};

use crate::registry::{Lie, OCI_INDEX, OCI_MANIFEST, gzip, tar};
use crate::victim::Victim;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n";

/// A registry that has this manifest under `a:1`.
fn manifest(bytes: &[u8]) -> Victim {
    let (victim, _) = Victim::new();
    victim.registry.put_manifest("a", "1", OCI_MANIFEST, bytes);
    victim
}

/// A registry whose image's manifest has been changed.
fn changed(change: impl FnOnce(&mut Value)) -> Victim {
    let (victim, _) = Victim::new();
    let tars = [tar("a", b"a")];
    victim.registry.push_as("a:1", "amd64", &tars, &[gzip(&tars[0])], change);
    victim
}

/// A registry whose image has this configuration, and one layer.
fn configured(config: &[u8]) -> Victim {
    let (victim, _) = Victim::new();
    let digest = victim.registry.put_blob("a", config);
    let tars = [tar("a", b"a")];
    victim.registry.push_as("a:1", "amd64", &tars, &[gzip(&tars[0])], |manifest| {
        manifest["config"]["digest"] = json!(digest);
        manifest["config"]["size"] = json!(config.len());
    });
    victim
}

#[test]
fn a_manifest_without_end() {
    for length in ["Content-Length: 9999999999\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let chunk =
            if length.starts_with('T') { format!("10000\r\n{}\r\n", " ".repeat(0x10000)) } else { " ".repeat(0x10000) };
        let victim = Victim::told(
            "GET /v2/a/manifests/",
            Lie::act(move |_, out| {
                write!(out, "{HEAD}{length}\r\n")?;
                loop {
                    out.write_all(chunk.as_bytes())?;
                }
            }),
        );
        victim.refuses(&["at most 4194304 are accepted"]);
    }
}

#[test]
fn a_configuration_without_end_or_larger_than_any() {
    let victim = changed(|manifest| manifest["config"]["size"] = json!(1_u64 << 40));
    victim.refuses(&["image configuration is 1099511627776 bytes long"]);
    let (victim, pushed) = Victim::new();
    victim.registry.lie(
        &pushed.id.to_string(),
        usize::MAX,
        Lie::act(|_, out| {
            out.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                out.write_all(&[b' '; 65536])?;
            }
        }),
    );
    victim.refuses(&["configuration of"]);
}

#[test]
fn nesting_without_end() {
    let deep = |open: &str, times: usize| open.repeat(times);
    for text in [
        deep("[", 2_000_000),
        deep("{\"a\":", 500_000),
        format!("{{\"schemaVersion\":2,\"layers\":{}", deep("[", 1_000_000)),
        format!("{{\"schemaVersion\":2,\"annotations\":{}", deep("{\"a\":[", 500_000)),
    ] {
        manifest(text.as_bytes()).refuses(&["the manifest cannot be read"]);
    }
    // What is passed over is no harm.
    let whole = format!(
        r#"{{"rootfs":{{"diff_ids":["{}"]}},"x":{}{}}}"#,
        Digest::of(&tar("a", b"a")),
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let victim = configured(whole.as_bytes());
    let outcome = victim.pull("a:1");
    if outcome.status.success() {
        for words in [["inspect", "a"], ["history", "a"], ["images", "-a"]] {
            let name = format!("{}/a:1", victim.registry.host());
            let outcome = victim.enter(&[words[0], if words[1] == "a" { &name } else { words[1] }]);
            assert!(outcome.code().is_some(), "{outcome:?}");
        }
    } else {
        outcome.refused(&["configuration"]);
        victim.has_nothing();
    }
}

#[test]
fn a_key_that_is_there_twice() {
    let (victim, pushed) = Victim::new();
    let layer = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":5}}"#,
        pushed.blobs[0]
    );
    let config = format!(r#"{{"digest":"{}","size":5}}"#, pushed.id);
    let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}],"layers":[]}}"#);
    victim.registry.put_manifest("a", "1", OCI_MANIFEST, text.as_bytes());
    victim.refuses(&["the manifest cannot be read", "duplicate field"]);
}

#[test]
fn documents_that_are_something_else() {
    for (document, words) in [
        (json!({"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": [{"blobSum": "sha256:0"}]}), "schema 1"),
        (json!({"schemaVersion": 2, "manifests": [], "layers": []}), "both manifest and index"),
        (json!({"schemaVersion": 2, "mediaType": "text/\u{1b}]0;owned\u{7}"}), "not a manifest of an image"),
        (json!({"schemaVersion": 2}), "not a manifest of an image"),
        (json!([]), "the manifest cannot be read"),
        (json!("sha256:0"), "the manifest cannot be read"),
        (Value::Null, "the manifest cannot be read"),
        (json!({"schemaVersion": 2, "layers": []}), "config"),
        (
            json!({"schemaVersion": 2, "manifests": [{"digest": "sha256:../../../../etc/passwd", "size": 1}]}),
            "is not a digest",
        ),
        (json!({"schemaVersion": 2, "manifests": []}), "only for nothing"),
    ] {
        manifest(document.to_string().as_bytes()).refuses(&[words]);
    }
    manifest(b"").refuses(&["the manifest cannot be read"]);
    manifest(&[0xff; 1000]).refuses(&["the manifest cannot be read"]);
}

#[test]
fn layers_that_are_elsewhere_encrypted_or_no_layers() {
    for (kind, words) in [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "may not be distributed"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "may not be distributed"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "encrypted"),
        ("\u{1b}[31mapplication/evil\r\n", "evil"),
        ("", "no tar"),
    ] {
        changed(|manifest| manifest["layers"][0]["mediaType"] = json!(kind))
            .refuses(&["layer 1 cannot be used", words]);
    }
    for url in ["http://169.254.169.254/latest/meta-data", "file:///etc/shadow", "\u{1b}[2J"] {
        changed(|manifest| manifest["layers"][0]["urls"] = json!([url])).refuses(&["fetched from another address"]);
    }
}

#[test]
fn sizes_that_cannot_be() {
    for size in [json!(-1), json!(i64::MIN), json!(1.5), json!("5"), json!(u64::MAX), json!(1e300), Value::Null] {
        changed(|manifest| manifest["layers"][0]["size"] = size).refuses(&[]);
    }
    // Together more than any number holds.
    let victim = changed(|manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = (0..3).map(|_| layer.clone()).collect();
        for layer in manifest["layers"].as_array_mut().unwrap() {
            layer["size"] = json!(i64::MAX);
        }
    });
    victim.refuses(&[]);
}

#[test]
fn many_layers_whose_sizes_are_more_than_a_number_holds() {
    let (victim, _) = Victim::new();
    let tars: Vec<Vec<u8>> = (0..4).map(|at| tar(&format!("{at}"), b"x")).collect();
    let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
    victim.registry.push_as("a:1", "amd64", &tars, &blobs, |manifest| {
        for layer in manifest["layers"].as_array_mut().unwrap() {
            layer["size"] = json!(i64::MAX);
        }
    });
    victim.refuses(&["there is no room"]);
}

#[test]
fn a_thousand_layers() {
    let many = |manifest: &mut Value| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = vec![layer; 1000].into();
    };
    changed(many).refuses(&["has 1000 layers, and at most 500"]);
    let ids = vec![Digest::of(b"a").to_string(); 1000];
    configured(json!({"rootfs": {"diff_ids": ids}}).to_string().as_bytes())
        .refuses(&["has 1000 layers, and at most 500"]);
    configured(json!({"rootfs": {"diff_ids": ids[..3]}}).to_string().as_bytes()).refuses(&["lists 1 layers", "3"]);
}

#[test]
fn indexes_that_lead_in_circles_or_nowhere() {
    let (victim, _) = Victim::new();
    let index = |digest: &Digest, size: usize| {
        let entry = json!({"mediaType": OCI_INDEX, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": "amd64"}});
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": vec![entry; 30]}).to_string()
    };
    // The first of them leads to the second, which claims to be an index that leads on.
    let mut inner = index(&Digest::of(b"nowhere"), 7);
    for _ in 0..20 {
        let digest = victim.registry.put_manifest("a", "inner", OCI_INDEX, inner.as_bytes());
        inner = index(&digest, inner.len());
    }
    victim.registry.put_manifest("a", "1", OCI_INDEX, inner.as_bytes());
    victim.refuses(&["points to another index"]);
    assert!(victim.registry.count("/manifests/") <= 4, "{:?}", victim.registry.log());
    // One that answers every question with itself.
    let own = index(&Digest::of(b"own"), 5);
    victim.registry.put_manifest("a", &Digest::of(b"own").to_string(), OCI_INDEX, own.as_bytes());
    victim.registry.lie("/manifests/", usize::MAX, Lie::Body(own.into_bytes()));
    victim.refuses(&["should have the digest"]);
}

#[test]
fn an_index_with_entries_without_number() {
    let entry = |at: usize| json!({"mediaType": OCI_MANIFEST, "digest": Digest::of(&at.to_le_bytes()), "size": 5, "platform": {"os": "linux", "architecture": format!("a{at}")}});
    let index = json!({"schemaVersion": 2, "manifests": (0..15_000).map(entry).collect::<Vec<_>>()}).to_string();
    let outcome = manifest(index.as_bytes()).refuses(&["no image for"]);
    assert!(outcome.stderr.len() < 2000, "{}", outcome.stderr);
}

#[test]
fn platforms_that_lie() {
    let (victim, _) = Victim::new();
    let tars = [tar("a", b"a")];
    let arm = victim.registry.push_as("a:arm", "arm64", &tars, &[gzip(&tars[0])], |_| {});
    let size = victim.registry.size(&format!("/v2/a/manifests/{}", arm.manifest));
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": arm.manifest, "size": size, "platform": {"os": "linux", "architecture": "amd64"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    victim.registry.put_manifest("a", "1", OCI_INDEX, index.as_bytes());
    victim
        .enter(&["pull", "--platform", "linux/amd64", &format!("{}/a:1", victim.registry.host())])
        .refused(&["is an image for linux/arm64, not for linux/amd64"]);
    victim.has_nothing();
    let (victim, _) = Victim::new();
    victim.registry.push_as("a:1", "\u{1b}[31mevil\u{7}", &tars, &[gzip(&tars[0])], |_| {});
    victim.refuses(&["is an image for"]);
}

#[test]
fn configurations_that_are_none() {
    for config in [
        &b"<html>"[..],
        b"",
        b"[]",
        br#"{"rootfs":{"diff_ids":["sha256:../../../../../../tmp/x"]}}"#,
        br#"{"rootfs":{"diff_ids":["md5:d41d8cd98f00b204e9800998ecf8427e"]}}"#,
        br#"{"rootfs":{"diff_ids":[1]}}"#,
        br#"{"rootfs":{"diff_ids":[]},"rootfs":{"diff_ids":[]}}"#,
        br#"{"config":{"Env":[null]},"rootfs":{"diff_ids":[]}}"#,
    ] {
        configured(config).refuses(&["image configuration"]);
    }
}

#[test]
fn what_a_header_says_about_a_document_counts_for_nothing() {
    let (victim, pushed) = Victim::new();
    let bytes = manifest_bytes(&victim, &pushed.manifest);
    let other = Digest::of(b"other");
    for kind in [
        "text/html",
        "application/octet-stream",
        OCI_INDEX,
        "\u{80}",
        "a;b;c=\"",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let headers = vec![("Content-Type", kind.to_owned()), ("Docker-Content-Digest", other.to_string())];
        victim.registry.lie("/v2/a/manifests/1", 1, Lie::Answer(200, headers, bytes.clone()));
        victim.pull("a:1").success();
        let digests = victim.enter(&["images", "--digests", "--no-trunc"]).success();
        assert!(digests.contains(&pushed.manifest.to_string()) && !digests.contains(&other.to_string()), "{digests}");
        victim.enter(&["rmi", &format!("{}/a:1", victim.registry.host())]).success();
    }
}

fn manifest_bytes(victim: &Victim, digest: &Digest) -> Vec<u8> {
    victim.registry.content(&format!("/v2/a/manifests/{digest}"))
}
