//! In which form layers and manifests go.

use enter::registry::push_all;
use enter::store::Compression;

use super::*;

#[test]
fn what_was_made_here_is_compressed_and_the_same_each_time() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let fixture = Fixture::new();
        let image = fixture.made(&registry::noise(1, 3 << 20), "me/a:1");
        let pushed = fixture.push(&image, "me/a:1").unwrap();
        let there = fixture.there("me/a", "1");
        assert_eq!(there["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        // What was pushed under its own name is what that name is known by.
        assert_eq!(fixture.store.by_id(&image.id).unwrap().unwrap().digests.values().next(), Some(&pushed.digest));
        let again = fixture.store.by_id(&image.id).unwrap().unwrap();
        fixture.taker.forget();
        assert_eq!(fixture.push(&again, "me/a:1").unwrap().digest, pushed.digest);
        assert_eq!(fixture.taker.count("POST "), 0);
        assert!(fixture.heard.changed.lock().unwrap().is_empty());
        digests.push(layer(&there, 0));
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn forms_are_changed_where_that_is_asked_for() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(2, 100_000));
    for (how, kind) in
        [(Compression::Zstd, "tar+zstd"), (Compression::ZstdChunked, "tar+zstd"), (Compression::Gzip, "tar+gzip")]
    {
        let options = PushOptions { compression: Some(how), level: Some(3), ..fixture.options.clone() };
        fixture.push_as(&image, "a:1", &options).unwrap();
        let there = fixture.there("a", "1");
        assert!(there["layers"][0]["mediaType"].as_str().unwrap().ends_with(kind), "{there}");
        let annotation = &there["layers"][0]["annotations"]["io.github.containers.zstd-chunked.manifest-checksum"];
        assert_eq!(annotation.is_string(), how == Compression::ZstdChunked);
        // What is in this form already stays as it is, unless by force.
        assert_eq!(layer(&there, 0) == source.blobs[0], how == Compression::Gzip);
    }
    let options = PushOptions { force_compression: true, level: Some(9), ..fixture.options.clone() };
    fixture.push_as(&image, "a:1", &options).unwrap();
    assert_ne!(layer(&fixture.there("a", "1"), 0), source.blobs[0]);
}

#[test]
fn dockers_form_is_made_and_knows_no_zstd() {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", b"a");
    let options = PushOptions { format: Some(Form::Docker), ..fixture.options.clone() };
    fixture.push_as(&image, "a:docker", &options).unwrap();
    let (kind, bytes) = fixture.taker.manifest("a", "docker").unwrap();
    assert_eq!(kind, "application/vnd.docker.distribution.manifest.v2+json");
    assert!(!String::from_utf8(bytes).unwrap().contains("oci"));
    let options = PushOptions { compression: Some(Compression::Zstd), ..options };
    let error = fixture.push_as(&image, "a:docker", &options).unwrap_err();
    assert!(error.to_string().contains("--format oci"), "{error}");
    let options = PushOptions { level: Some(10), ..fixture.options.clone() };
    let error = fixture.push_as(&image, "a:1", &options).unwrap_err();
    assert_eq!(error.to_string(), "gzip has the levels 1 to 9, and not 10");
}

#[test]
fn what_was_not_kept_is_fetched_again_and_what_is_damaged_too() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(3, 100_000));
    fixture.store.drop_compressed(&|_| true).unwrap();
    assert_eq!(fixture.push(&image, "one:1").unwrap().digest, source.manifest);
    let kept = fixture.store.compressed().unwrap();
    assert_eq!(kept[0].digest, source.blobs[0]);
    let mut damaged = fs::read(&kept[0].path).unwrap();
    damaged[500] ^= 1;
    fs::write(&kept[0].path, damaged).unwrap();
    assert_eq!(fixture.push(&image, "two:1").unwrap().digest, source.manifest);
    assert!(fixture.heard.changed.lock().unwrap().is_empty());
}

#[test]
fn what_nobody_has_any_more_is_compressed_anew_and_that_is_told() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(4, 100_000));
    fixture.store.drop_compressed(&|_| true).unwrap();
    fixture.source.lie("/blobs/", usize::MAX, registry::Lie::Answer(404, Vec::new(), Vec::new()));
    assert_ne!(fixture.push(&image, "a:1").unwrap().digest, source.manifest);
    let now = layer(&fixture.there("a", "1"), 0);
    assert_eq!(*fixture.heard.changed.lock().unwrap(), [(source.blobs[0].clone(), now)]);
}

#[test]
fn nothing_is_left_behind_where_nothing_is_kept() {
    let mut fixture = Fixture::new();
    fixture.options.keep_compressed = false;
    let image = fixture.made(&registry::noise(5, 100_000), "me/a:1");
    fixture.push(&image, "me/a:1").unwrap();
    assert!(fixture.store.compressed().unwrap().is_empty());
}

#[test]
fn all_platforms_go_under_the_index_that_they_came_by() {
    let fixture = Fixture::new();
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let tars = [registry::tar("file", architecture.as_bytes())];
        let blobs = [registry::gzip(&tars[0])];
        let name = format!("many:{architecture}");
        let pushed = fixture.source.push_as(&name, architecture, &tars, &blobs, |_| {});
        let size = fixture.source.size(&format!("/v2/many/manifests/{architecture}"));
        entries.push(serde_json::json!({"mediaType": registry::OCI_MANIFEST, "digest": pushed.manifest, "size": size, "platform": {"os": "linux", "architecture": architecture}}));
    }
    let index =
        serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX, "manifests": entries}).to_string();
    let digest = fixture.source.put_manifest("many", "1", registry::OCI_INDEX, index.as_bytes());
    let name = Reference::parse(&format!("{}/many:1", fixture.source.host())).unwrap();
    let pull_for = |platform: &str| {
        let options = PullOptions {
            platform: Platform::parse(platform).unwrap(),
            environment: fixture.options.environment.clone(),
            ..PullOptions::default()
        };
        pull(&fixture.store, &name, &options, &Silent).unwrap()
    };
    pull_for("linux/amd64");
    let push_here = |tag: &str| {
        let images = fixture.store.all_platforms(&name).unwrap();
        push_all(
            &fixture.store,
            &images,
            &name,
            &fixture.name(&format!("many:{tag}")),
            &fixture.options,
            &fixture.heard,
        )
    };
    // Half of it has an index of its own.
    assert_ne!(push_here("half").unwrap().digest, digest);
    assert_eq!(fixture.there("many", "half")["manifests"].as_array().unwrap().len(), 1);
    pull_for("linux/arm64");
    assert_eq!(push_here("whole").unwrap().digest, digest);
    assert_eq!(fixture.taker.manifest("many", "whole").unwrap().1, index.as_bytes());
}
