use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn digest(seed: &str) -> String {
    Digest::of(seed.as_bytes()).to_string()
}

fn layer(seed: &str) -> Value {
    json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(seed), "size": 10})
}

fn oci(layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("config"), "size": 3},
        "layers": layers,
    })
}

fn entry(seed: &str, os: &str, architecture: &str, variant: Option<&str>) -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(seed), "size": 10,
        "platform": {"os": os, "architecture": architecture, "variant": variant},
    })
}

fn parse(value: &Value) -> Result<Document, Error> {
    parse_document(value.to_string().as_bytes(), None)
}

#[test]
fn reads_oci_and_docker() {
    let Document::Manifest(manifest) = parse(&oci(&[layer("a"), layer("b")])).unwrap() else { panic!("no manifest") };
    assert_eq!(manifest.layers.len(), 2);
    assert_eq!(manifest.layers[1].digest.to_string(), digest("b"));
    let mut docker = oci(&[layer("a")]);
    docker["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    docker["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert!(matches!(parse(&docker), Ok(Document::Manifest(_))));
    // OCI's mediaType is optional: the shape decides.
    docker.as_object_mut().unwrap().remove("mediaType");
    assert!(matches!(parse(&docker), Ok(Document::Manifest(_))));
}

#[test]
fn schema_1_is_named() {
    for old in [json!({"schemaVersion": 1, "fsLayers": [], "history": []}), json!({"schemaVersion": 1, "name": "x"})] {
        assert!(matches!(parse(&old), Err(Error::Schema1)));
    }
}

#[test]
fn a_document_of_two_kinds_is_refused() {
    let mut both = oci(&[]);
    both["manifests"] = json!([entry("a", "linux", "amd64", None)]);
    assert!(matches!(parse(&both), Err(Error::MediaType(_))));
}

#[test]
fn layers_that_cannot_be_used_are_refused() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = layer("a");
        change(&mut value);
        parse(&oci(&[value]))
    };
    assert!(matches!(with(&|l| l["urls"] = json!(["https://example.com/layer"])), Err(Error::Layer { number: 1, .. })));
    assert!(matches!(with(&|l| l["mediaType"] = json!("text/plain")), Err(Error::Layer { .. })));
    assert!(matches!(with(&|l| l["size"] = json!(-1)), Err(Error::Descriptor { .. })));
    assert!(matches!(with(&|l| l["digest"] = json!("sha256:zz")), Err(Error::Descriptor { .. })));
    assert!(matches!(with(&|l| l["digest"] = json!("../../etc/passwd")), Err(Error::Descriptor { .. })));
    assert!(with(&|l| l["urls"] = json!([])).is_ok());
    assert!(with(&|l| l["urls"] = Value::Null).is_ok());
}

#[test]
fn limits_hold() {
    let layers: Vec<Value> = (0..=MAX_LAYERS).map(|at| layer(&at.to_string())).collect();
    assert!(matches!(parse(&oci(&layers)), Err(Error::Layers(501))));
    assert!(parse(&oci(&layers[1..])).is_ok());
    let mut config = oci(&[]);
    config["config"]["size"] = json!(MAX_MANIFEST + 1);
    assert!(matches!(parse(&config), Err(Error::TooLarge { .. })));
    let huge = vec![b' '; usize::try_from(MAX_MANIFEST).unwrap() + 1];
    assert!(matches!(parse_document(&huge, None), Err(Error::TooLarge { .. })));
}

#[test]
fn an_index_gives_the_best_image() {
    let value = json!({"schemaVersion": 2, "manifests": [
        entry("v6", "linux", "arm", Some("v6")),
        entry("amd64", "linux", "amd64", None),
        entry("v7", "linux", "arm", Some("v7")),
        entry("attestation", "unknown", "unknown", None),
        entry("windows", "windows", "amd64", None),
    ]});
    let Document::Index(index) = parse(&value).unwrap() else { panic!("no index") };
    for (platform, seed) in
        [("linux/amd64", "amd64"), ("linux/arm/v7", "v7"), ("linux/arm/v6", "v6"), ("linux/arm", "v7")]
    {
        let chosen = index.choose(&Platform::parse(platform).unwrap()).unwrap();
        assert_eq!(chosen.manifest.digest.to_string(), digest(seed), "{platform}");
    }
    let error = index.choose(&Platform::parse("linux/s390x").unwrap()).unwrap_err();
    assert!(error.to_string().contains("linux/arm/v6, linux/amd64"), "{error}");
    assert!(!error.to_string().contains("unknown"), "{error}");
    assert!(error.hint().unwrap().contains("--platform linux/arm/v6"));
}

#[test]
fn an_index_of_one_unnamed_image_gives_that() {
    let mut only = entry("a", "linux", "amd64", None);
    only.as_object_mut().unwrap().remove("platform");
    let Document::Index(index) = parse(&json!({"schemaVersion": 2, "manifests": [only]})).unwrap() else {
        panic!("no index")
    };
    assert!(index.choose(&Platform::host()).is_ok());
    let Document::Index(empty) = parse(&json!({"schemaVersion": 2, "manifests": []})).unwrap() else {
        panic!("no index")
    };
    assert!(empty.choose(&Platform::host()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_document(&bytes, None);
    }

    #[test]
    fn any_change_of_a_byte_is_no_panic(at in 0usize..600, byte: u8) {
        let mut bytes = oci(&[layer("a"), layer("b")]).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(Document::Manifest(manifest)) = parse_document(&bytes, None) {
            prop_assert!(manifest.layers.len() <= MAX_LAYERS);
        }
    }

    #[test]
    fn any_json_in_any_field_is_no_panic(field in 0usize..6, text in "\\PC{0,20}", number: i64) {
        let name = ["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers"][field];
        for value in [json!(text), json!(number), json!([number]), json!({"digest": text, "size": number}), json!([{"digest": text, "size": number}]), Value::Null] {
            let mut document = oci(&[layer("a")]);
            document[name] = value;
            let _ = parse(&document);
        }
    }
}
