//! Challenges, realms and tokens: nobody else gets the credentials, and no answer leads anywhere.

use crate::registry::{Lie, Registry};
use crate::victim::Victim;

/// A registry that wants a token, with this challenge.
fn challenged(challenge: &str) -> Victim {
    let (victim, _) = Victim::new();
    victim.registry.want("Bearer right", challenge);
    victim.log_in(&victim.registry.host());
    victim
}

#[test]
fn realms_that_are_no_place_to_ask() {
    for (realm, words) in [
        ("file:///etc/passwd", "the realm is not https"),
        ("ftp://example.com/", "the realm is not https"),
        ("javascript:alert(1)", "the realm is not https"),
        ("data:application/json,{\"token\":\"right\"}", "the realm is not https"),
        ("", "the realm is no address"),
        ("//evil/token", "the realm is no address"),
        ("http://", "the realm is no address"),
        ("http://[::1", "the realm is no address"),
        ("http://169.254.169.254/latest/meta-data/iam", "link-local"),
        ("http://[fe80::1]/token", "link-local"),
    ] {
        let outcome = challenged(&format!("Bearer realm=\"{realm}\",service=\"s\"")).refuses(&[words]);
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
    }
}

#[test]
fn another_host_gets_no_credentials_from_a_realm_or_its_redirects() {
    let elsewhere = Registry::start();
    let port = elsewhere.host().rsplit_once(':').unwrap().1.to_owned();
    let victim = challenged(&format!("Bearer realm=\"http://localhost:{port}/token\",service=\"s\""));
    victim.refuses(&["localhost", "token"]);
    let (victim, _) = Victim::new();
    victim.registry.want("Bearer right", &format!("Bearer realm=\"http://{}/token\"", victim.registry.host()));
    victim.log_in(&victim.registry.host());
    victim.registry.lie(
        "/token",
        1,
        Lie::Answer(307, vec![("Location", format!("http://localhost:{port}/token"))], Vec::new()),
    );
    victim.refuses(&[]);
    let log = elsewhere.log();
    assert_eq!(log.len(), 2, "{log:?}");
    for request in log {
        assert_eq!(request.headers.get("authorization"), None);
        let all = format!("{request:?}");
        assert!(!all.contains("secret") && !all.contains("bWU6c2VjcmV0"), "{all}");
    }
}

#[test]
fn challenges_that_make_no_sense() {
    let long = format!("Bearer {}", "a=b,".repeat(5000));
    let quoted = format!("Bearer realm=\"{}", "\\\"".repeat(10_000));
    for challenge in
        ["", "Bearer", "Bearer realm", "Bearer realm=", "Negotiate", "Digest realm=\"x\"", "\u{1b}[31m", &long, &quoted]
    {
        challenged(challenge).refuses(&[]);
    }
}

#[test]
fn a_registry_that_is_never_content() {
    let victim = challenged("Basic realm=\"\u{1b}[2J\"");
    victim.registry.want("Basic another", "Basic realm=\"x\"");
    victim.refuses(&["with the credentials that are stored"]);
    assert!(victim.registry.count("GET /v2/a/manifests/1") <= 3);
    let (victim, _) = Victim::new();
    victim.registry.want("Bearer right", &format!("Bearer realm=\"http://{}/token\"", victim.registry.host()));
    victim.registry.put("/token", "application/json", br#"{"token":"wrong"}"#);
    victim.refuses(&["without a login"]);
    assert!(victim.registry.count("/token") <= 4, "{:?}", victim.registry.log());
}

#[test]
fn answers_that_are_no_tokens() {
    for answer in [
        &b""[..],
        b"<html>",
        b"{}",
        b"[]",
        br#"{"token":""}"#,
        br#"{"token":5}"#,
        br#"{"token":"a\r\nX-Evil: b"}"#,
        br#"{"token":"\u0000"}"#,
        br#"{"token":null,"access_token":null}"#,
        br#"{"token":"a","token":"b"}"#,
    ] {
        let (victim, _) = Victim::new();
        victim.registry.want("Bearer right", &format!("Bearer realm=\"http://{}/token\"", victim.registry.host()));
        victim.registry.put("/token", "application/json", answer);
        victim.refuses(&["token"]);
    }
    for play in [
        Lie::act(|_, out| {
            out.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"token\":\"")?;
            loop {
                out.write_all(&[b'a'; 65536])?;
            }
        }),
        Lie::raw(format!("HTTP/1.1 200 OK\r\n\r\n{}", "[".repeat(900_000))),
        Lie::Stall(3),
        Lie::Answer(503, Vec::new(), b"{\"errors\":[{\"message\":\"\\u001b[31m\\u0007\\u202e\"}]}".to_vec()),
        Lie::Answer(429, vec![("Retry-After", "99999999999".into())], Vec::new()),
    ] {
        let (victim, _) = Victim::new();
        victim.registry.want("Bearer right", &format!("Bearer realm=\"http://{}/token\"", victim.registry.host()));
        victim.registry.put("/token", "application/json", br#"{"token":"right"}"#);
        victim.registry.lie("/token", usize::MAX, play);
        victim.refuses(&[]);
    }
}
