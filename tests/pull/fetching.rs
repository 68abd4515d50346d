//! What a pull brings, and what it does not fetch again.

use std::fs;

use enter::image::{Digest, Platform};
use enter::registry::{Error, LayerEvent, Policy, find};
use enter::store::{Removal, Store};
use serde_json::json;

use super::Fixture;
use super::registry::{OCI_INDEX, OCI_MANIFEST, Registry, gzip, noise, tar};

#[test]
fn an_image_comes_with_all_its_layers() {
    let fixture = Fixture::new();
    let tars: Vec<Vec<u8>> = (0..10).map(|at| tar(&format!("file-{at}"), &noise(at, 10_000))).collect();
    let pushed = fixture.registry.push("team/tool", "1", &tars);
    let image = fixture.pull("team/tool:1").unwrap();
    assert_eq!((&image.id, &image.manifest), (&pushed.id, &pushed.manifest));
    let stored: Vec<Vec<u8>> = image.tars.iter().map(|tar| fs::read(tar).unwrap()).collect();
    assert!(stored == tars, "the layers are the tars, in order");
    let merged = cowfs::tree::Image::open(&image.tree, &image.tars).unwrap();
    assert_eq!(merged.read_file(b"file-7", 1 << 20).unwrap().unwrap(), noise(7, 10_000));
    for blob in &pushed.blobs {
        assert_eq!(
            fixture.heard.events(blob),
            [LayerEvent::Started { from: 0 }, LayerEvent::Finishing, LayerEvent::Done]
        );
    }
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let mut fixture = Fixture::new();
    let base = tar("base", b"base");
    let pushed = fixture.registry.push("a", "1", &[base.clone(), tar("a", b"a")]);
    let other = fixture.registry.push("b", "1", &[base, tar("b", b"b")]);
    fixture.pull("a:1").unwrap();
    fixture.registry.forget();
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.log().len(), 0, "nobody is asked about an image that is here");
    fixture.options.policy = Policy::Always;
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.count("GET /v2/a/"), 0);
    assert_eq!(fixture.registry.count("HEAD /v2/a/manifests/1"), 1);
    fixture.pull("b:1").unwrap();
    assert_eq!(fixture.heard.events(&other.blobs[0]).last(), Some(&LayerEvent::Exists));
    assert_eq!(fixture.registry.count(&format!("GET /v2/b/blobs/{}", pushed.blobs[0])), 0);
}

#[test]
fn a_tag_that_moves_is_followed_by_always_and_newer() {
    let mut fixture = Fixture::new();
    let old = fixture.registry.push("a", "latest", &[tar("a", b"old")]);
    fixture.pull("a").unwrap();
    let new = fixture.registry.push("a", "latest", &[tar("a", b"new")]);
    assert_eq!(fixture.pull("a").unwrap().id, old.id);
    fixture.options.policy = Policy::Newer;
    assert_eq!(fixture.pull("a").unwrap().id, new.id);
    let newest = fixture.registry.push("a", "latest", &[tar("a", b"newest")]);
    fixture.options.policy = Policy::Always;
    assert_eq!(fixture.pull("a").unwrap().id, newest.id);
}

#[test]
fn without_the_registry_newer_takes_what_is_here_and_always_does_not() {
    let mut fixture = Fixture::new();
    let pushed = fixture.registry.push("a", "latest", &[tar("a", b"a")]);
    let name = format!("{}/a", fixture.registry.host());
    fixture.pull("a").unwrap();
    fixture.registry.lie("/v2/", usize::MAX, super::registry::Lie::Answer(503, Vec::new(), Vec::new()));
    fixture.options.policy = Policy::Newer;
    assert_eq!(fixture.pull_as(&name).unwrap().id, pushed.id);
    fixture.options.policy = Policy::Always;
    assert!(matches!(fixture.pull_as(&name), Err(Error::Status { .. })));
    fixture.options.policy = Policy::Never;
    assert_eq!(fixture.pull_as(&name).unwrap().id, pushed.id);
    let error = fixture.pull("other").unwrap_err();
    assert!(matches!(error, Error::NotHere { .. }), "{error}");
}

/// An index of two platforms under `name:tag`.
fn push_index(registry: &Registry, repository: &str, tag: &str) -> (Digest, [Digest; 2]) {
    let push = |architecture: &str| {
        let tars = [tar("arch", architecture.as_bytes())];
        registry.push_as(&format!("{repository}:{architecture}"), architecture, &tars, &[gzip(&tars[0])], |_| {})
    };
    let images = ["amd64", "arm64"].map(push);
    let entry = |at: usize, architecture: &str| json!({"mediaType": OCI_MANIFEST, "digest": images[at].manifest, "size": registry.size(&format!("/v2/{repository}/manifests/{}", images[at].manifest)), "platform": {"os": "linux", "architecture": architecture}});
    let index =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(0, "amd64"), entry(1, "arm64")]});
    let digest = registry.put_manifest(repository, tag, OCI_INDEX, index.to_string().as_bytes());
    (digest, images.map(|image| image.id))
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let mut fixture = Fixture::new();
    let (index, [amd64, arm64]) = push_index(&fixture.registry, "multi", "1");
    assert_eq!(fixture.pull("multi:1").unwrap().id, amd64);
    fixture.options.platform = Platform::parse("linux/arm64/v8").unwrap();
    let image = fixture.pull("multi:1").unwrap();
    assert_eq!(image.id, arm64);
    assert_eq!(image.digests.values().next(), Some(&index), "the digest that others know it by is that of the index");
    assert_eq!(fixture.pull(&format!("multi@{index}")).unwrap().id, arm64);
    fixture.options.platform = Platform::parse("linux/s390x").unwrap();
    let error = fixture.pull("multi:1").unwrap_err();
    assert!(error.hint().unwrap().contains("--platform linux/amd64"), "{error:?}");
}

#[test]
fn a_registry_without_head_is_asked_with_get() {
    let mut fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.pull("a:1").unwrap();
    fixture.registry.lie("HEAD", usize::MAX, super::registry::Lie::Answer(405, Vec::new(), Vec::new()));
    fixture.options.policy = Policy::Always;
    fixture.pull("a:1").unwrap();
}

#[test]
fn files_that_were_removed_by_hand_are_fetched_again() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a"), tar("b", b"b")]);
    let image = fixture.pull("a:1").unwrap();
    for path in [&image.tars[0], &image.tree] {
        fs::remove_file(path).unwrap();
        fixture.pull("a:1").unwrap();
        assert!(path.is_file(), "{}", path.display());
    }
}

#[test]
fn a_damaged_tree_is_made_again_without_the_registry() {
    let mut fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a"), tar("b", b"b")]);
    let image = fixture.pull("a:1").unwrap();
    let whole = fs::read(&image.tree).unwrap();
    fixture.registry.forget();
    for policy in [Policy::Missing, Policy::Never] {
        fixture.options.policy = policy;
        fs::write(&image.tree, b"of another version").unwrap();
        fixture.pull("a:1").unwrap();
        assert!(fs::read(&image.tree).unwrap() == whole);
    }
    assert_eq!(fixture.registry.log().len(), 0);
    fixture.options.policy = Policy::Always;
    fs::write(&image.tree, b"of another version").unwrap();
    fixture.pull("a:1").unwrap();
    assert!(fs::read(&image.tree).unwrap() == whole);
}

#[test]
fn a_single_image_for_another_machine_is_refused() {
    let mut fixture = Fixture::new();
    let tars = [tar("a", b"a")];
    fixture.registry.push_as("arm:1", "arm64", &tars, &[gzip(&tars[0])], |_| {});
    let error = fixture.pull("arm:1").unwrap_err();
    assert!(matches!(&error, Error::Platform { found, .. } if found == "linux/arm64"), "{error}");
    assert!(error.hint().unwrap().contains("--platform linux/arm64"));
    fixture.options.platform = Platform::parse("arm64").unwrap();
    fixture.pull("arm:1").unwrap();
}

#[test]
fn layers_may_be_zstd_or_plain_whatever_their_type_says() {
    let fixture = Fixture::new();
    let tars = [tar("zstd", b"zstd"), tar("plain", b"plain"), tar("gzip", b"gzip")];
    let blobs = [zstd::encode_all(&tars[0][..], 3).unwrap(), tars[1].clone(), gzip(&tars[2])];
    fixture.registry.push_as("mixed:1", "amd64", &tars, &blobs, |_| {});
    let image = fixture.pull("mixed:1").unwrap();
    assert!(image.tars.iter().zip(&tars).all(|(path, tar)| fs::read(path).unwrap() == *tar));
}

#[test]
fn the_same_layer_twice_is_fetched_once() {
    let fixture = Fixture::new();
    let empty = tar("a", b"a");
    let pushed = fixture.registry.push("twice", "1", &[empty.clone(), tar("b", b"b"), empty]);
    let image = fixture.pull("twice:1").unwrap();
    assert_eq!(image.tars.len(), 3);
    assert_eq!(image.tars[0], image.tars[2]);
    assert_eq!(fixture.registry.count(&pushed.blobs[0].to_string()), 1);
}

#[test]
fn two_pulls_at_once_share_the_work() {
    let fixture = Fixture::new();
    let tars: Vec<Vec<u8>> = (0..6).map(|at| tar(&format!("file-{at}"), &noise(at, 200_000))).collect();
    let pushed = fixture.registry.push("shared", "1", &tars);
    for blob in &pushed.blobs {
        fixture.registry.lie(&blob.to_string(), 1, super::registry::Lie::Slow(std::time::Duration::from_millis(10)));
    }
    let second = Store::open(fixture.store.root()).unwrap();
    std::thread::scope(|scope| {
        let one = scope.spawn(|| fixture.pull("shared:1").unwrap());
        let name = format!("{}/shared:1", fixture.registry.host()).parse().unwrap();
        let two = enter::registry::pull(&second, &name, &fixture.options, &enter::registry::Silent).unwrap();
        assert_eq!(one.join().unwrap().id, two.id);
    });
    for blob in &pushed.blobs {
        assert_eq!(fixture.registry.count(&blob.to_string()), 1, "{blob}");
    }
}

#[test]
fn pulls_do_not_fail_because_the_image_is_being_removed() {
    let fixture = Fixture::new();
    let shared = tar("shared", b"shared");
    fixture.registry.push("one", "1", &[shared.clone(), tar("one", b"one")]);
    fixture.registry.push("two", "1", &[shared, tar("two", b"two")]);
    let name = |image: &str| format!("{}/{image}:1", fixture.registry.host());
    std::thread::scope(|scope| {
        let pulls = ["one", "one", "two"].map(|image| {
            let (fixture, name) = (&fixture, name(image));
            scope.spawn(move || (0..30).for_each(|_| drop(fixture.pull_as(&name).unwrap())))
        });
        for at in 0.. {
            if pulls.iter().all(|pull| pull.is_finished()) {
                break;
            }
            let removal = Removal { force: true, holder: &|_| Ok(None) };
            let removed = fixture.store.remove(&name(["one", "two"][at % 2]), &fixture.options.platform, &removal);
            assert!(matches!(removed, Ok(_) | Err(enter::store::Error::NoSuchImage(_))), "{removed:?}");
            fixture.store.prune().unwrap();
        }
    });
    for image in ["one", "two"] {
        let image = fixture.pull_as(&name(image)).unwrap();
        assert!(cowfs::tree::Image::open(&image.tree, &image.tars).is_ok());
    }
}

#[test]
fn mirrors_are_tried_in_order_and_the_registry_last() {
    let fixture = Fixture::new();
    let (empty, full) = (Registry::start(), Registry::start());
    let hub = full.push("proxy/library/debian", "12", &[tar("a", b"from the mirror")]);
    let own = fixture.registry.push("origin/library/alpine", "3", &[tar("a", b"from the registry")]);
    fixture.configure(&format!(
        "[[registry]]\nprefix = 'docker.io'\nlocation = '{}/origin'\ninsecure = true\n\
         [[registry.mirror]]\nlocation = '{}'\ninsecure = true\n[[registry.mirror]]\nlocation = '{}/proxy'\ninsecure = true\n",
        fixture.registry.host(),
        empty.host(),
        full.host()
    ));
    let debian = fixture.pull_as("debian:12").unwrap();
    assert_eq!(debian.id, hub.id);
    assert_eq!(
        debian.names[0].to_string(),
        "docker.io/library/debian:12",
        "the name is the one that was asked for, not the mirror's"
    );
    assert_eq!(fixture.pull_as("alpine:3").unwrap().id, own.id);
    assert!(empty.count("GET /v2/library/") >= 2);
    full.lie("/manifests/", 5, super::registry::Lie::Answer(401, Vec::new(), Vec::new()));
    let error = fixture.pull_as("other").unwrap_err();
    assert!(matches!(&error, Error::Nowhere { attempts, .. } if attempts.len() == 3), "{error:?}");
    assert!(error.to_string().contains(&full.host()), "{error}");
    full.repent();
    let error = fixture.pull_as("nothing").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn short_names_are_searched_for_and_found_again() {
    let fixture = Fixture::new();
    let second = Registry::start();
    second.push("tool", "latest", &[tar("a", b"a")]);
    let (one, two) = (fixture.registry.host(), second.host());
    fixture.configure(&format!(
        "unqualified-search-registries = ['{one}', '{two}']\n[[registry]]\nlocation = '{one}'\ninsecure = true\n[[registry]]\nlocation = '{two}'\ninsecure = true\n"
    ));
    let image = fixture.pull_as("tool").unwrap();
    assert_eq!(image.names[0].to_string(), format!("{two}/tool:latest"));
    let found = find(&fixture.store, "tool", &fixture.options.platform, &fixture.options.environment).unwrap();
    assert_eq!(found.unwrap().id, image.id);
    second.forget();
    fixture.pull_as("tool").unwrap();
    assert_eq!(second.log().len(), 0);
}
