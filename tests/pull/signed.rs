//! What a policy accepts, and what of a registry's signatures counts. The signatures are made by openssl(1), in cosign's form.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use enter::image::Digest;
use enter::registry::{Error, Policy};
use enter::trust;
use serde_json::json;

use super::Fixture;
use super::registry::{Lie, OCI_INDEX, OCI_MANIFEST, Pushed, tar};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is there");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Makes a key, whose public part the policy wants for every image of the registry.
fn want_signatures(fixture: &Fixture) {
    fs::create_dir_all(fixture.path("home/.config/containers")).unwrap();
    let (private, public) = (fixture.path("key.pem"), fixture.path("key.pub"));
    let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private]);
    openssl(&["pkey", "-in", private, "-pubout", "-out", public]);
    let policy = json!({
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {"docker": {fixture.registry.host(): [{"type": "sigstoreSigned", "keyPath": public}]}},
    });
    fixture.write("home/.config/containers/policy.json", &policy.to_string());
}

/// Signs a digest under a name, and puts the signature where cosign does.
fn sign(fixture: &Fixture, repository: &str, digest: &Digest, name: &str) {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let (file, key) = (fixture.path("payload"), fixture.path("key.pem"));
    fs::write(&file, &payload).unwrap();
    let signature = openssl(&["dgst", "-sha256", "-sign", key.to_str().unwrap(), file.to_str().unwrap()]);
    put(fixture, repository, digest, &payload, &STANDARD.encode(signature));
}

fn put(fixture: &Fixture, repository: &str, digest: &Digest, payload: &[u8], signature: &str) {
    let blob = fixture.registry.put_blob(repository, payload);
    let config = fixture.registry.put_blob(repository, b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": PAYLOAD, "digest": blob, "size": payload.len(), "annotations": {ANNOTATION: signature}}],
    });
    let tag = format!("sha256-{}.sig", digest.hex());
    fixture.registry.put_manifest(repository, &tag, OCI_MANIFEST, manifest.to_string().as_bytes());
}

fn push(fixture: &Fixture) -> (Pushed, String) {
    (fixture.registry.push("a", "1", &[tar("a", b"a")]), format!("{}/a:1", fixture.registry.host()))
}

#[track_caller]
fn refused(fixture: &Fixture, name: &str, word: &str) {
    let error = fixture.pull(name).unwrap_err();
    assert!(matches!(error, Error::Trust(trust::Error::Refused { .. })), "{error:?}");
    assert!(error.to_string().contains(word), "{error}");
    assert_eq!(fixture.store.images().unwrap().len(), 0);
    assert!(!fixture.store.root().join("layers").exists(), "no layer was fetched");
}

#[test]
fn an_image_that_nobody_has_signed_is_refused() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, _) = push(&fixture);
    refused(&fixture, "a:1", "there is none");
    for blob in &pushed.blobs {
        assert_eq!(fixture.registry.count(&blob.to_string()), 0);
    }
}

#[test]
fn a_signed_image_is_accepted() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, name) = push(&fixture);
    sign(&fixture, "a", &pushed.manifest, &name);
    assert_eq!(fixture.pull("a:1").unwrap().manifest, pushed.manifest);
    assert_eq!(fixture.registry.count(".sig"), 1);
}

#[test]
fn a_signature_for_another_name_or_image_is_none() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, name) = push(&fixture);
    sign(&fixture, "a", &pushed.manifest, &name.replace(":1", ":2"));
    refused(&fixture, "a:1", "it is for the name");
    let other = fixture.registry.push("a", "2", &[tar("b", b"b")]);
    sign(&fixture, "a", &other.manifest, &name);
    // The signature of the other image, given out as this one's.
    let path = |digest: &Digest| format!("/v2/a/manifests/sha256-{}.sig", digest.hex());
    let body = fixture.registry.content(&path(&other.manifest));
    fixture.registry.put(&path(&pushed.manifest), OCI_MANIFEST, &body);
    refused(&fixture, "a:1", "and not for");
}

#[test]
fn a_signature_by_somebody_else_is_none() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, name) = push(&fixture);
    sign(&fixture, "a", &pushed.manifest, &name);
    want_signatures(&fixture);
    refused(&fixture, "a:1", "another key");
    put(&fixture, "a", &pushed.manifest, b"{}", "no base64!");
    refused(&fixture, "a:1", "base64");
}

#[test]
fn a_signed_index_vouches_for_its_images() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, name) = push(&fixture);
    let size = fixture.registry.size(&format!("/v2/a/manifests/{}", pushed.manifest));
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"mediaType": OCI_MANIFEST, "digest": pushed.manifest, "size": size, "platform": {"os": "linux", "architecture": "amd64"}}]});
    let index = fixture.registry.put_manifest("a", "1", OCI_INDEX, index.to_string().as_bytes());
    refused(&fixture, "a:1", "there is none");
    sign(&fixture, "a", &index, &name);
    fixture.pull("a:1").unwrap();
    // As podman has it: the manifest's own signature.
    let fixture = Fixture { store: enter::store::Store::open(&fixture.path("other/v1")).unwrap(), ..fixture };
    sign(&fixture, "a", &pushed.manifest, &name);
    fixture.registry.forget();
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.count(&format!("{}.sig", index.hex())), 0, "one is enough");
}

#[test]
fn what_is_here_is_looked_at_again_when_it_is_pulled() {
    let mut fixture = Fixture::new();
    let (pushed, name) = push(&fixture);
    fixture.pull("a:1").unwrap();
    want_signatures(&fixture);
    fixture.options.policy = Policy::Always;
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Trust(_)), "{error:?}");
    sign(&fixture, "a", &pushed.manifest, &name);
    fixture.pull("a:1").unwrap();
}

#[test]
fn a_policy_that_is_not_understood_refuses_everything() {
    let fixture = Fixture::new();
    push(&fixture);
    for text in
        ["{", r#"{"default":[{"type":"acceptAll"}]}"#, r#"{"default":[{"type":"insecureAcceptAnything"}],"x":1}"#]
    {
        fixture.write("home/.config/containers/policy.json", text);
        let error = fixture.pull("a:1").unwrap_err();
        assert!(matches!(error, Error::Trust(trust::Error::Policy { .. })), "{text}: {error:?}");
    }
    assert_eq!(fixture.registry.log().len(), 0, "nobody was asked");
}

#[test]
fn the_users_policy_stands_in_place_of_the_systems() {
    let mut fixture = Fixture::new();
    push(&fixture);
    fixture.write("etc/containers/policy.json", r#"{"default":[{"type":"reject"}]}"#);
    refused(&fixture, "a:1", "(reject)");
    assert_eq!(fixture.registry.log().len(), 0, "nobody was asked");
    fixture.write("home/.config/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    fixture.pull("a:1").unwrap();
    let named = fixture.path("named.json");
    fixture.options.environment = fixture.options.environment.clone().with_policy(Some(named.clone()));
    fixture.options.policy = Policy::Always;
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Trust(trust::Error::Read { path, .. }) if *path == named), "{error:?}");
}

#[test]
fn lists_of_signatures_that_lie_are_no_signatures() {
    let fixture = Fixture::new();
    want_signatures(&fixture);
    let (pushed, name) = push(&fixture);
    sign(&fixture, "a", &pushed.manifest, &name);
    let many = vec![
        json!({"mediaType": PAYLOAD, "digest": pushed.manifest, "size": 1u64 << 40, "annotations": {ANNOTATION: "AA=="}});
        10_000
    ];
    for (lie, trusted) in [
        (Lie::Body(b"<html>".to_vec()), false),
        (Lie::Body(json!({"layers": []}).to_string().into_bytes()), true),
        (Lie::Body(json!({"layers": many}).to_string().into_bytes()), true),
        (Lie::Answer(403, Vec::new(), Vec::new()), false),
        (Lie::Body(vec![b' '; 5 << 20]), false),
    ] {
        fixture.registry.lie(".sig", 1, lie.clone());
        let error = fixture.pull("a:1").unwrap_err();
        assert_eq!(matches!(error, Error::Trust(_)), trusted, "{error:?}");
        fixture.registry.repent();
    }
    // The payload is another one than its digest says.
    let path = format!("/v2/a/manifests/sha256-{}.sig", pushed.manifest.hex());
    let list: serde_json::Value = serde_json::from_slice(&fixture.registry.content(&path)).unwrap();
    let payload = list["layers"][0]["digest"].as_str().unwrap().to_owned();
    fixture.registry.lie(&payload, 1, Lie::Body(b"{}".to_vec()));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error:?}");
    fixture.registry.repent();
    fixture.pull("a:1").unwrap();
}
