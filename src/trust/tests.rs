use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::super::key::tests::{openssl, pair};
use super::super::requirement::Signature;
use super::*;
use crate::image::{Digest, Reference};

const MANIFEST: &[u8] = b"{\"schemaVersion\":2}";

fn policy(text: &str) -> Result<Policy, Error> {
    Policy::parse(Path::new("/p/policy.json"), text.as_bytes())
}

fn scope_of(policy: &Policy, source: &Source) -> String {
    policy.rules(source).scope.clone()
}

/// Why the policy refuses an image without signatures; nothing if it accepts it.
fn refusal(text: &str, image: &str) -> String {
    let source = Source::registry(&Reference::parse(image).unwrap());
    let policy = policy(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let rules = policy.rules(&source);
    let documents = [Document { bytes: MANIFEST, signatures: Vec::new() }];
    rules.check_first().and_then(|()| rules.check(&documents)).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_narrowest_scope_counts() {
    let text = r#"{"default":[{"type":"reject"}],"transports":{
        "docker":{"":[{"type":"reject"}],"r.io":[{"type":"reject"}],"r.io/a":[{"type":"reject"}],"r.io/a/b":[{"type":"reject"}],
            "r.io/a/b:1":[{"type":"reject"}],"*.example.com":[{"type":"reject"}]},
        "oci":{"/images":[{"type":"insecureAcceptAnything"}]},
        "docker-archive":{"":[{"type":"insecureAcceptAnything"}]}, "future":{"what":[{"type":"reject"}]}}}"#;
    let policy = policy(text).unwrap();
    for (image, scope) in [
        ("r.io/a/b:1", "in docker: \"r.io/a/b:1\""),
        ("r.io/a/b:2", "in docker: \"r.io/a/b\""),
        ("r.io/a/c", "in docker: \"r.io/a\""),
        ("r.io/x", "in docker: \"r.io\""),
        ("deep.er.example.com:5000/x", "in docker: \"*.example.com\""),
        ("example.com/x", "in docker: \"\""),
        ("busybox", "in docker: \"\""),
    ] {
        assert_eq!(scope_of(&policy, &Source::registry(&Reference::parse(image).unwrap())), scope);
    }
    assert_eq!(scope_of(&policy, &Source::path("oci", Path::new("/images/x"), Some("1"))), "in oci: \"/images\"");
    assert_eq!(scope_of(&policy, &Source::path("oci", Path::new("/imagesx"), None)), "by default");
    assert!(policy.rules(&Source::whole("docker-archive", "a.tar")).accept_anything());
    assert_eq!(scope_of(&policy, &Source::whole("oci-archive", "a.tar")), "by default");
    let stored = Source::whole("containers-storage", "x");
    let text = r#"{"default":[{"type":"reject"}],"transports":{"containers-storage":{
        "":[{"type":"insecureAcceptAnything"}],"[overlay@/s]r.io":[REST]}}}"#;
    for (rest, accepts) in [(r#"{"type":"insecureAcceptAnything"}"#, true), (r#"{"type":"reject"}"#, false)] {
        let policy = super::Policy::parse(Path::new("/p"), text.replace("REST", rest).as_bytes()).unwrap();
        assert_eq!(policy.rules(&stored).accept_anything(), accepts, "{rest}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_its_name() {
    let one = |requirement: &str| format!(r#"{{"default":[{{"type":"insecureAcceptAnything"}},{requirement}]}}"#);
    for (requirement, word) in [
        (r#"{"type":"insecureAcceptAnything"}"#, ""),
        (r#"{"type":"reject"}"#, "reject"),
        (r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}"#, "signedBy"),
        (r#"{"type":"signedBaseLayer","baseLayerIdentity":{"type":"matchExact"}}"#, "signedBaseLayer"),
        (r#"{"type":"sigstoreSigned","keyPath":"/k","rekorPublicKeyPath":"/r"}"#, "rekorPublicKeyPath"),
        (r#"{"type":"sigstoreSigned","fulcio":{"caPath":"/c"},"rekorPublicKeyDatas":[]}"#, "fulcio"),
        (r#"{"type":"sigstoreSigned","pki":{}}"#, "pki"),
        (r#"{"type":"sigstoreSigned","keyPath":"/k"}"#, "cannot read /k"),
        (r#"{"type":"sigstoreSigned","keyData":"aGVsbG8="}"#, "in keyData"),
    ] {
        let said = refusal(&one(requirement), "r.io/a");
        assert!(said.contains(word) && said.is_empty() == word.is_empty(), "{requirement}: {said}");
    }
    assert_eq!(
        refusal(&one(r#"{"type":"reject"}"#), "r.io/a"),
        "r.io/a:latest is refused by the policy /p/policy.json, by default: it rejects it (reject)"
    );
}

#[test]
fn what_is_not_understood_is_no_policy() {
    for text in [
        "",
        "{}",
        r#"{"default":[]}"#,
        r#"{"default":[{}]}"#,
        r#"{"default":[{"type":"acceptAnything"}]}"#,
        r#"{"default":[{"type":"reject","x":1}]}"#,
        r#"{"default":[{"type":"reject","type":"insecureAcceptAnything"}]}"#,
        r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
        r#"{"default":[{"type":"reject"}],"transport":{}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[{"type":"reject"}],"a":[{"type":"reject"}]}}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{},"docker":{}}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[]}}}"#,
        r#"{"default":[{"type":"sigstoreSigned"}]}"#,
        r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","keyData":"x"}]}"#,
        r#"{"default":[{"type":"sigstoreSigned","keyPaths":[]}]}"#,
        r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","keyTyp":"x"}]}"#,
        r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{"type":"any"}}]}"#,
        r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","rekorPublicKeyPath":"a","rekorPublicKeyData":"b"}]}"#,
        r#"{"default":[{"type":"signedBy","keyType":"X509","keyPath":"/k"}]}"#,
        r#"{"default":[{"type":"signedBy","keyType":"GPGKeys"}]}"#,
        r#"{"default":[{"type":"reject"}]} {}"#,
    ] {
        assert!(policy(text).is_err(), "{text}");
    }
}

/// A key, and what it has signed: which digest is good under which name.
fn signed(folder: &Path, digest: &str, name: &str) -> Signature {
    let private = folder.join("key.pem").to_str().unwrap().to_owned();
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"{name}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    let signature = openssl(&["dgst", "-sha256", "-sign", &private], payload.as_bytes());
    Signature { payload: payload.into_bytes(), signature: STANDARD.encode(signature) }
}

#[test]
fn a_signature_counts_for_one_image_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_, public) = pair(folder.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let stranger = tempfile::tempdir().unwrap();
    pair(stranger.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let third = tempfile::tempdir().unwrap();
    let (_, others) = pair(third.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let path = folder.path().join("cosign.pub");
    std::fs::write(&path, &public).unwrap();
    let (ours, theirs) = (STANDARD.encode(&public), STANDARD.encode(&others));
    let texts = [
        format!(r#""keyPath":{:?}"#, path.to_str().unwrap()),
        format!(r#""keyPaths":[{:?}]"#, path.to_str().unwrap()),
        format!(r#""keyData":"{ours}""#),
        format!(r#""keyDatas":["{theirs}","{ours}"]"#),
    ];
    let digest = Digest::of(MANIFEST).to_string();
    let good = signed(folder.path(), &digest, "r.io/a:1");
    let cases = [
        (good.clone(), "r.io/a:1", ""),
        (good.clone(), "r.io/a:2", "it is for the name r.io/a:1"),
        (signed(folder.path(), &digest, "r.io/a"), "r.io/a:1", "it is for the name r.io/a"),
        (signed(folder.path(), &Digest::of(b"other").to_string(), "r.io/a:1"), "r.io/a:1", "and not for sha256:"),
        (signed(stranger.path(), &digest, "r.io/a:1"), "r.io/a:1", "made by another key"),
        (Signature { signature: "!".into(), ..good.clone() }, "r.io/a:1", "no base64"),
        (Signature { payload: b"{}".to_vec(), ..good.clone() }, "r.io/a:1", "made by another key"),
    ];
    for keys in &texts {
        let text = format!(r#"{{"default":[{{"type":"sigstoreSigned",{keys}}}]}}"#);
        let policy = policy(&text).unwrap();
        for (signature, image, expected) in &cases {
            let source = Source::registry(&Reference::parse(image).unwrap());
            let rules = policy.rules(&source);
            assert!(!rules.accept_anything());
            rules.check_first().unwrap();
            let check = |signatures| rules.check(&[Document { bytes: MANIFEST, signatures }]);
            let said = check(vec![signature.clone()]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{expected}: {said}");
        }
        let source = Source::registry(&Reference::parse("r.io/a:1").unwrap());
        let rules = policy.rules(&source);
        let check = |signatures| rules.check(&[Document { bytes: MANIFEST, signatures }]);
        // One good one is enough; none is not.
        check(vec![cases[3].0.clone(), good.clone()]).unwrap();
        assert!(check(Vec::new()).unwrap_err().to_string().contains("there is none"));
        // That of the index vouches for the manifest that it leads to.
        let index = Document { bytes: MANIFEST, signatures: vec![good.clone()] };
        rules.check(&[Document { bytes: b"child", signatures: Vec::new() }, index]).unwrap();
    }
}

#[test]
fn every_requirement_must_be_met() {
    let folder = tempfile::tempdir().unwrap();
    let (_, public) = pair(folder.path(), &["-algorithm", "ED25519"]);
    let stranger = tempfile::tempdir().unwrap();
    let (_, others) = pair(stranger.path(), &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let (ours, theirs) = (STANDARD.encode(public), STANDARD.encode(others));
    let text = format!(
        r#"{{"default":[{{"type":"sigstoreSigned","keyData":"{theirs}"}},{{"type":"sigstoreSigned","keyData":"{ours}"}}]}}"#
    );
    let policy = policy(&text).unwrap();
    let source = Source::registry(&Reference::parse("r.io/a:1").unwrap());
    let one = signed(stranger.path(), &Digest::of(MANIFEST).to_string(), "r.io/a:1");
    assert!(policy.rules(&source).check(&[Document { bytes: MANIFEST, signatures: vec![one] }]).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = policy(&text);
    }

    #[test]
    fn no_shape_makes_it_panic(
        kind in "insecureAcceptAnything|reject|sigstoreSigned|signedBy|signedBaseLayer|x",
        key in "keyPath|keyPaths|keyData|keyDatas|keyType|fulcio|pki|rekorPublicKeyData|signedIdentity|type",
        value in "null|1|\"\"|\"x\"|\\[\\]|\\[\"x\"\\]|\\{\\}|\\{\"type\":\"matchExact\"\\}",
    ) {
        let text = format!(r#"{{"default":[{{"type":"{kind}","{key}":{value}}}]}}"#);
        if let Ok(policy) = policy(&text) {
            let source = Source::registry(&Reference::parse("r.io/a").unwrap());
            let documents = [Document { bytes: MANIFEST, signatures: Vec::new() }];
            // Nothing but what says so in so many words accepts an image that nobody has signed.
            let accepted = policy.rules(&source).check(&documents).is_ok();
            prop_assert_eq!(accepted, kind == "insecureAcceptAnything");
        }
    }
}
