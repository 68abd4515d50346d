//! What is said when a registry does not take something, or answers what cannot be.

use enter::registry::Refusal;

use super::taker::Fault;
use super::*;

/// What a push fails with when requests with `on` in their line are answered so.
fn refused(on: &str, status: u16, body: &'static str) -> (String, Option<String>) {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", b"a");
    fixture.taker.fault(on, usize::MAX, Fault::Answer(status, Vec::new(), body));
    let error = fixture.push(&image, "me/a:1").unwrap_err();
    let text = error.to_string().replace(&fixture.taker.host(), "HOST");
    (text, error.hint().map(|hint| hint.replace(&fixture.taker.host(), "HOST")))
}

#[test]
fn each_refusal_has_its_words_and_its_hint() {
    let cases: [(&str, u16, &'static str, &str, &str); 11] = [
        ("POST ", 401, "", "HOST does not take HOST/me/a:1 without a login", "enter login HOST"),
        (
            "POST ",
            403,
            r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#,
            "HOST denies to write HOST/me/a:1: \"not yours\"",
            "enter login HOST",
        ),
        ("POST ", 405, "", "HOST can only be read", "push to another registry"),
        (
            "POST ",
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such project"}]}"#,
            "has no repository for HOST/me/a:1",
            "make it there first",
        ),
        (
            "POST ",
            400,
            r#"{"errors":[{"code":"NAME_INVALID","message":"invalid"}]}"#,
            "does not accept the name HOST/me/a:1",
            "another name",
        ),
        ("PUT /v2/me/a/blobs", 413, "", "too large", "allow larger uploads"),
        ("PUT /v2/me/a/blobs", 507, "", "has no room for", "more room"),
        (
            "PUT /v2/me/a/blobs",
            403,
            r#"{"errors":[{"code":"DENIED","message":"adding 5 MiB would exceed the quota"}]}"#,
            "has no room for",
            "more room",
        ),
        (
            "PUT /v2/me/a/blobs",
            400,
            r#"{"errors":[{"code":"DIGEST_INVALID","message":"wrong"}]}"#,
            "received something else",
            "faulty",
        ),
        (
            "PUT /v2/me/a/manifests",
            400,
            r#"{"errors":[{"code":"MANIFEST_INVALID","message":"schema"}]}"#,
            "does not accept the manifest of HOST/me/a:1: \"schema\"",
            "--format",
        ),
        ("PUT /v2/me/a/manifests", 418, "", "answered 418", "can be pushed to"),
    ];
    for (on, status, body, text, hint) in cases {
        let (said, hinted) = refused(on, status, body);
        assert!(said.contains(text), "{status} {body}: {said}");
        assert!(hinted.as_ref().is_some_and(|hinted| hinted.contains(hint)), "{status} {body}: {hinted:?}");
    }
}

#[test]
fn a_registry_that_has_made_something_else_of_it_is_named() {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", b"a");
    let other = Digest::of(b"something else").to_string();
    fixture.taker.fault("/manifests/", 1, Fault::Answer(201, vec![("Docker-Content-Digest", other)], ""));
    let error = fixture.push(&image, "a:1").unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
}

#[test]
fn places_that_cannot_be_are_refused() {
    for place in ["ftp://127.0.0.1/", "http://[", "//", "file:///etc/passwd", "http://169.254.169.254/latest"] {
        let fixture = Fixture::new();
        let (image, _) = fixture.pulled("a", b"a");
        fixture.taker.fault("POST ", usize::MAX, Fault::Answer(202, vec![("Location", place.into())], ""));
        let error = fixture.push(&image, "a:1").unwrap_err();
        assert!(matches!(error, Error::Answer { .. } | Error::Redirect { .. }), "{place}: {error}");
    }
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", b"a");
    fixture.taker.fault("POST ", usize::MAX, Fault::Answer(202, Vec::new(), ""));
    assert!(matches!(fixture.push(&image, "a:1").unwrap_err(), Error::Answer { .. }));
}

#[test]
fn a_digest_as_the_destination_must_be_that_of_the_image() {
    let fixture = Fixture::new();
    let (image, source) = fixture.pulled("a", b"a");
    let wrong = fixture.push(&image, &format!("a@{}", Digest::of(b"x"))).unwrap_err();
    assert!(matches!(&wrong, Error::Refusal(refusal) if matches!(**refusal, Refusal::OtherDigest { .. })), "{wrong}");
    fixture.push(&image, &format!("a@{}", source.manifest)).unwrap();
    assert!(fixture.taker.manifest("a", &source.manifest.to_string()).is_some());
}

#[test]
fn a_registry_that_is_not_there_is_said_to_be_out_of_reach() {
    let fixture = Fixture::new();
    let (image, _) = fixture.pulled("a", b"a");
    let name = Reference::parse("localhost:1/a").unwrap();
    let error = push(&fixture.store, &image, None, &name, &fixture.options, &fixture.heard).unwrap_err();
    assert!(error.to_string().starts_with("cannot reach localhost:1: "), "{error}");
}
