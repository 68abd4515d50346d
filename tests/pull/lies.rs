//! Registries that lie: nothing that they send is believed, and nothing of it stays.

use std::error::Error as _;

use enter::image::{self, Digest};
use enter::registry::Error;
use enter::store::{self, Limits};
use serde_json::{Value, json};

use super::Fixture;
use super::registry::{Lie, OCI_INDEX, OCI_MANIFEST, gzip, noise, tar};

fn layers() -> [Vec<u8>; 2] {
    [tar("a", &noise(1, 2 << 20)), tar("b", b"b")]
}

/// Pulls an image about whose first layer's blob a lie is told.
fn with_lie(make: impl FnOnce(&[u8]) -> Lie) -> Error {
    let fixture = Fixture::new();
    let tars = layers();
    let blob = gzip(&tars[0]);
    let pushed = fixture.registry.push("a", "1", &tars);
    fixture.registry.lie(&pushed.blobs[0].to_string(), usize::MAX, make(&blob));
    let error = fixture.pull("a:1").unwrap_err();
    assert_eq!(fixture.leftovers(), Vec::<String>::new(), "{error}");
    assert!(fixture.store.images().unwrap().is_empty());
    assert!(error.hint().is_some(), "{error}");
    error
}

/// Pulls an image whose manifest has been changed, by who pushed it.
fn with_manifest(change: impl FnOnce(&mut Value)) -> Error {
    let fixture = Fixture::new();
    let tars = [tar("a", b"a"), tar("b", b"b and more")];
    let blobs = [gzip(&tars[0]), gzip(&tars[1])];
    fixture.registry.push_as("a:1", "amd64", &tars, &blobs, change);
    let error = fixture.pull("a:1").unwrap_err();
    assert_eq!(fixture.leftovers(), Vec::<String>::new(), "{error}");
    assert!(fixture.store.images().unwrap().is_empty());
    error
}

/// Pulls an image whose first layer is these bytes.
fn with_layer(tar: Vec<u8>, blob: Vec<u8>) -> Error {
    let mut fixture = Fixture::new();
    fixture.store = fixture.store.clone().with_limits(Limits { tar_bytes: 8 << 20, ..Limits::default() });
    fixture.registry.push_as("a:1", "amd64", &[tar], &[blob], |_| {});
    let error = fixture.pull("a:1").unwrap_err();
    assert_eq!(fixture.leftovers(), Vec::<String>::new(), "{error}");
    error
}

#[test]
fn bytes_with_another_digest() {
    let error = with_lie(|blob| {
        let mut other = blob.to_vec();
        other[1_000_000] ^= 1;
        Lie::Body(other)
    });
    assert!(matches!(&error, Error::Store(store::Error::Digest { .. })), "{error:?}");
}

#[test]
fn more_bytes_than_promised() {
    let longer = |blob: &[u8]| [blob, &[0; 100_000]].concat();
    let announced = with_lie(|blob| Lie::Body(longer(blob)));
    assert!(matches!(&announced, Error::Answer { .. }), "{announced:?}");
    let chunked = with_lie(|blob| Lie::Chunked(longer(blob)));
    assert!(matches!(&chunked, Error::Store(store::Error::Size { longer: true, .. })), "{chunked:?}");
}

#[test]
fn fewer_bytes_than_promised() {
    let error = with_lie(|blob| Lie::Body(blob[..1000].to_vec()));
    assert!(matches!(&error, Error::Answer { .. }), "{error:?}");
}

#[test]
fn a_page_for_a_browser() {
    let error = with_lie(|_| Lie::Body(b"<html>please log in to the wireless network</html>".to_vec()));
    assert!(matches!(&error, Error::Answer { .. }), "{error:?}");
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &layers());
    fixture.registry.lie(
        "/manifests/",
        1,
        Lie::Answer(200, vec![("Content-Type", "text/html".into())], b"<html>".to_vec()),
    );
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Metadata { .. }), "{error:?}");
}

#[test]
fn a_manifest_that_contradicts_itself() {
    let count = with_manifest(|manifest| {
        manifest["layers"].as_array_mut().unwrap().pop();
    });
    assert!(
        matches!(&count, Error::Metadata { source: image::Error::LayerCount { layers: 1, diff_ids: 2 }, .. }),
        "{count:?}"
    );
    let size = with_manifest(|manifest| manifest["layers"][1]["size"] = json!(7));
    assert!(matches!(&size, Error::Answer { .. }), "{size:?}");
    let swapped = with_manifest(|manifest| manifest["layers"].as_array_mut().unwrap().reverse());
    assert!(matches!(&swapped, Error::Store(store::Error::Digest { .. })), "{swapped:?}");
    let config = with_manifest(|manifest| manifest["config"]["size"] = json!(3));
    assert!(matches!(&config, Error::Digest { .. } | Error::Answer { .. }), "{config:?}");
}

#[test]
fn a_manifest_that_asks_too_much() {
    let urls = with_manifest(|manifest| manifest["layers"][0]["urls"] = json!(["http://169.254.169.254/secret"]));
    assert!(matches!(&urls, Error::Metadata { source: image::Error::Layer { number: 1, .. }, .. }), "{urls:?}");
    let many = with_manifest(|manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = vec![layer; 501].into();
    });
    assert!(matches!(&many, Error::Metadata { source: image::Error::Layers(501), .. }), "{many:?}");
    let huge = with_manifest(|manifest| manifest["annotations"] = json!({"x": "y".repeat(5 << 20)}));
    assert!(matches!(&huge, Error::Metadata { source: image::Error::TooLarge { .. }, .. }), "{huge:?}");
    let old =
        with_manifest(|manifest| *manifest = json!({"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": []}));
    assert!(matches!(&old, Error::Metadata { source: image::Error::Schema1, .. }), "{old:?}");
}

#[test]
fn a_manifest_that_is_not_the_one_that_was_asked_for() {
    let fixture = Fixture::new();
    let pushed = fixture.registry.push("a", "1", &layers());
    fixture.registry.push("a", "2", &[tar("c", b"c")]);
    fixture.registry.lie("/manifests/sha256", usize::MAX, Lie::Body(b"{}".to_vec()));
    let error = fixture.pull(&format!("a@{}", pushed.manifest)).unwrap_err();
    assert!(matches!(&error, Error::Digest { expected, .. } if *expected == pushed.manifest), "{error:?}");
}

#[test]
fn an_index_that_lies_about_a_manifest() {
    let fixture = Fixture::new();
    let pushed = fixture.registry.push("a", "1", &layers());
    let index = |digest: &Digest, size: usize| {
        let entry = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": "amd64"}});
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).to_string()
    };
    fixture.registry.put_manifest("a", "size", OCI_INDEX, index(&pushed.manifest, 5).as_bytes());
    let error = fixture.pull("a:size").unwrap_err();
    assert!(matches!(&error, Error::Answer { .. }), "{error:?}");
    let inner = index(&pushed.manifest, 5);
    let inner_digest = fixture.registry.put_manifest("a", "inner", OCI_INDEX, inner.as_bytes());
    fixture.registry.put_manifest("a", "nested", OCI_INDEX, index(&inner_digest, inner.len()).as_bytes());
    let error = fixture.pull("a:nested").unwrap_err();
    assert!(matches!(&error, Error::Metadata { source: image::Error::NestedIndex, .. }), "{error:?}");
    fixture.registry.put_manifest("a", "gone", OCI_INDEX, index(&Digest::of(b"gone"), 4).as_bytes());
    let error = fixture.pull("a:gone").unwrap_err();
    assert!(matches!(&error, Error::Missing { .. }), "{error:?}");
}

#[test]
fn layers_that_are_no_layers() {
    let junk = noise(1, 100_000);
    let no_tar = with_layer(junk.clone(), gzip(&junk));
    assert!(matches!(&no_tar, Error::Store(store::Error::Layer { .. })), "{no_tar:?}");
    assert!(no_tar.source().is_some());
    let whole = tar("a", &noise(1, 100_000));
    let cut = whole[..60_000].to_vec();
    let truncated = with_layer(cut.clone(), gzip(&cut));
    assert!(matches!(&truncated, Error::Store(store::Error::Layer { .. })), "{truncated:?}");
    let packed = gzip(&whole);
    let broken = with_layer(whole.clone(), packed[..packed.len() - 20].to_vec());
    assert!(matches!(&broken, Error::Store(store::Error::Decompress { .. })), "{broken:?}");
}

#[test]
fn a_bomb() {
    let zeros = tar("zeros", &vec![0; 256 << 20]);
    let gzip_bomb = with_layer(zeros.clone(), gzip(&zeros));
    assert!(
        matches!(&gzip_bomb, Error::Store(store::Error::Layer { source: cowfs::Error::Limit { .. }, .. })),
        "{gzip_bomb:?}"
    );
    let zstd_bomb = with_layer(zeros.clone(), zstd::encode_all(&zeros[..], 1).unwrap());
    assert!(
        matches!(&zstd_bomb, Error::Store(store::Error::Layer { source: cowfs::Error::Limit { .. }, .. })),
        "{zstd_bomb:?}"
    );
}

#[test]
fn a_layer_that_the_registry_lost() {
    let fixture = Fixture::new();
    let pushed = fixture.registry.push("a", "1", &layers());
    fixture.registry.lie(&pushed.blobs[1].to_string(), usize::MAX, Lie::Answer(404, Vec::new(), Vec::new()));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Missing { what, .. } if what.contains(&pushed.blobs[1].to_string())), "{error:?}");
}
