//! How blobs get there.

use super::taker::Fault;
use super::*;

/// More than a part, so that there are several.
const LARGE: usize = 24 << 20;

#[test]
fn what_was_pulled_goes_with_its_very_digests_and_once() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(1, 100_000));
    let pushed = fixture.push(&image, "x/a:2").unwrap();
    assert_eq!(pushed.digest, source.manifest);
    assert_eq!(fixture.taker.manifest("x/a", "2").unwrap().0, registry::OCI_MANIFEST);
    assert_eq!(Digest::of(&fixture.taker.blob("x/a", &source.blobs[0]).unwrap()), source.blobs[0]);
    assert_eq!(fixture.heard.last(&source.blobs[0]), Some(LayerEvent::Done));
    // Small blobs need no part of their own.
    assert_eq!((fixture.taker.count("POST "), fixture.taker.count("PATCH ")), (2, 0));

    fixture.taker.forget();
    assert_eq!(fixture.push(&image, "x/a:3").unwrap().digest, source.manifest);
    assert_eq!((fixture.taker.count("POST "), fixture.taker.count("PUT ")), (0, 1));
    assert_eq!(fixture.heard.last(&source.blobs[0]), Some(LayerEvent::Exists));
}

#[test]
fn a_large_blob_goes_in_parts_that_lie_side_by_side() {
    let fixture = Fixture::with(Nature { relative: false, ..Nature::default() });
    let (image, source) = fixture.pulled("a", &registry::noise(2, LARGE));
    fixture.push(&image, "a:1").unwrap();
    let blob = fixture.taker.blob("a", &source.blobs[0]).unwrap();
    let mut at = 0;
    for (line, headers) in fixture.taker.asked("PATCH ") {
        assert!(line.contains("_state=a%2Fb%3D%3D"), "{line}");
        let (first, last) = headers["content-range"].split_once('-').unwrap();
        assert_eq!(first.parse::<usize>().unwrap(), at);
        at = last.parse::<usize>().unwrap() + 1;
    }
    assert_eq!(at, blob.len());
    assert!(fixture.taker.count("PATCH ") > 1);
    assert!(fixture.taker.count("PATCH ") < 6, "parts grow where they go quickly");
}

#[test]
fn a_broken_part_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(3, LARGE));
    fixture.taker.fault("PATCH ", 2, Fault::Break(2 << 20));
    fixture.push(&image, "a:1").unwrap();
    let size = fixture.taker.blob("a", &source.blobs[0]).unwrap().len();
    // One upload, and its configuration's; no byte that was kept is sent again.
    assert_eq!(fixture.taker.count("POST "), 2);
    assert!(fixture.taker.taken() < size + 10_000, "{} of {size}", fixture.taker.taken());
    assert_eq!(fixture.heard.retries.lock().unwrap().len(), 2);
}

#[test]
fn many_breaks_are_forgiven_where_something_was_done() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(4, LARGE));
    fixture.taker.fault("PATCH ", 15, Fault::Break(1_200_000));
    fixture.push(&image, "a:1").unwrap();
    assert!(fixture.taker.blob("a", &source.blobs[0]).is_some());
    assert_eq!(fixture.taker.count("POST "), 2);
}

#[test]
fn a_registry_that_never_gets_further_is_given_up() {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", &registry::noise(5, LARGE));
    fixture.taker.fault("PATCH ", usize::MAX, Fault::Break(0));
    let error = fixture.push(&image, "a:1").unwrap_err();
    assert!(matches!(error, Error::Reach { .. }), "{error}");
}

#[test]
fn a_forgotten_upload_begins_anew() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(6, LARGE));
    fixture.taker.fault("size=5242880", 1, Fault::Forget);
    fixture.push(&image, "a:1").unwrap();
    assert!(fixture.taker.blob("a", &source.blobs[0]).is_some());
    assert_eq!(fixture.taker.count("POST "), 3);
}

#[test]
fn who_knows_no_parts_gets_all_at_once() {
    for nature in [Nature { parts: false, ..Nature::default() }, Nature { least: 1 << 30, ..Nature::default() }] {
        let fixture = Fixture::with(nature);
        let (image, source) = fixture.pulled("a", &registry::noise(7, LARGE));
        fixture.push(&image, "a:1").unwrap();
        assert!(fixture.taker.blob("a", &source.blobs[0]).is_some());
    }
}

#[test]
fn an_end_without_an_answer_is_looked_for() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(8, LARGE));
    fixture.taker.fault("PUT /v2/a/blobs", 1, Fault::Swallow);
    fixture.push(&image, "a:1").unwrap();
    assert_eq!(fixture.taker.count("POST "), 2);
    assert!(fixture.taker.blob("a", &source.blobs[0]).is_some());
}

#[test]
fn blobs_are_taken_over_from_the_images_other_names() {
    for mounts in [true, false] {
        let fixture = Fixture::with(Nature { mounts, ..Nature::default() });
        let (image, source) = fixture.pulled("a", &registry::noise(9, 100_000));
        fixture.push(&image, "first/a:1").unwrap();
        fixture.store.tag(&image.id, &[fixture.name("first/a:1")]).unwrap();
        let image = fixture.store.by_id(&image.id).unwrap().unwrap();
        fixture.taker.forget();
        let pushed = push(&fixture.store, &image, None, &fixture.name("second/a:1"), &fixture.options, &fixture.heard);
        assert_eq!(pushed.unwrap().digest, source.manifest);
        assert_eq!(fixture.taker.count("mount="), 1);
        assert!(fixture.taker.blob("second/a", &source.blobs[0]).is_some());
        let expected = if mounts { LayerEvent::Mounted } else { LayerEvent::Done };
        assert_eq!(fixture.heard.last(&source.blobs[0]), Some(expected));
        assert_eq!(fixture.taker.taken() > 100_000, !mounts);
    }
}

#[test]
fn who_does_not_tell_what_is_there_gets_it_again() {
    let fixture = Fixture::with(Nature { tells: false, ..Nature::default() });
    let (image, _) = fixture.pulled("a", &registry::noise(10, 100_000));
    fixture.push(&image, "a:1").unwrap();
    fixture.taker.forget();
    fixture.push(&image, "a:1").unwrap();
    assert_eq!(fixture.taker.count("POST "), 2);
}

#[test]
fn a_registry_that_is_busy_is_asked_again() {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", &registry::noise(11, LARGE));
    for (on, status) in [("POST ", 503), ("PATCH ", 502), ("PUT /v2/a/blobs", 500), ("PUT /v2/a/manifests", 429)] {
        fixture.taker.fault(on, 1, Fault::Answer(status, Vec::new(), ""));
    }
    fixture.push(&image, "a:1").unwrap();
    assert_eq!(fixture.heard.retries.lock().unwrap().len(), 4);
}

#[test]
fn an_authorization_that_runs_out_within_an_upload_is_renewed() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", &registry::noise(12, LARGE));
    let realm = Registry::start();
    realm.put("/token", "application/json", br#"{"token": "new"}"#);
    let challenge = format!(r#"Bearer realm="http://{}/token",service="it",scope="repository:a:pull""#, realm.host());
    realm.lie("/token", 1, registry::Lie::Body(br#"{"token": "old"}"#.to_vec()));
    // Refused at first, and once more in the middle.
    for on in ["POST ", "size=5242880"] {
        fixture.taker.fault(on, 1, Fault::Answer(401, vec![("WWW-Authenticate", challenge.clone())], ""));
    }
    fixture.push(&image, "a:1").unwrap();
    assert!(fixture.taker.blob("a", &source.blobs[0]).is_some());
    let used =
        |(_, headers): (String, std::collections::BTreeMap<String, String>)| headers.get("authorization").cloned();
    let used: Vec<Option<String>> = fixture.taker.asked("size=5242880").into_iter().map(used).collect();
    assert_eq!(used[..2], [Some("Bearer old".into()), Some("Bearer new".into())]);
    let asked = realm.log();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| request.line.contains("repository%3Aa%3Apull%2Cpush")), "{asked:?}");
}

#[test]
fn a_place_on_another_host_gets_no_authorization() {
    let fixture = Fixture::new();
    let other = Taker::start(Nature::default());
    let (image, _) = fixture.pulled("a", &registry::noise(13, 100_000));
    let realm = Registry::start();
    realm.put("/token", "application/json", br#"{"token": "secret"}"#);
    fixture.taker.want("Bearer secret", &format!(r#"Bearer realm="http://{}/token""#, realm.host()));
    let place = format!("http://{}/v2/a/blobs/uploads/u1?x=y", other.host());
    // The challenge is the first answer to each, the place the second.
    fixture.taker.fault("HEAD ", 1, Fault::Answer(404, Vec::new(), ""));
    fixture.push(&image, "warm:1").unwrap();
    fixture.taker.fault("POST ", 1, Fault::Answer(202, vec![("Location", place)], ""));
    // What is there is nothing that takes it; what counts is what it was sent.
    drop(fixture.push(&image, "a:1"));
    let asked = other.asked("u1");
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|(_, headers)| !headers.contains_key("authorization")), "{asked:?}");
}
