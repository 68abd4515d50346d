//! Lists of tags and images, logins and single documents from a registry that lies: of the verbs that are no pull of one image.

use std::fmt::Write as _;

use crate::registry::Lie;
use crate::support::user::Outcome;
use crate::victim::Victim;

const TAGS: &str = "/tags/list";

fn page(tags: &str, link: &str) -> Lie {
    let link = if link.is_empty() { Vec::new() } else { vec![("Link", link.to_owned())] };
    Lie::Answer(200, link, format!(r#"{{"name":"a","tags":[{tags}]}}"#).into_bytes())
}

/// The verbs that read a list of tags.
fn readers(lie: &Lie) -> Vec<Outcome> {
    let words: [&[&str]; 2] = [&["search", "--list-tags", "--limit", "100000"], &["pull", "--all-tags"]];
    let read = |words: &&[&str]| {
        let victim = Victim::told(TAGS, lie.clone());
        let name = format!("{}/a", victim.registry.host());
        let outcome = victim.enter(&[*words, &[&name]].concat());
        victim.has_nothing();
        outcome
    };
    words.iter().map(read).collect()
}

#[track_caller]
fn refused(lie: &Lie, texts: &[&str]) {
    for outcome in readers(lie) {
        outcome.refused(texts);
    }
}

#[test]
fn pages_that_lead_nowhere_or_to_somebody_else() {
    let next = |address: &str| page("\"1\"", &format!("<{address}>; rel=\"next\""));
    refused(&next("/v2/a/tags/list"), &["in a circle"]);
    refused(&next("/v2/a/tags/list?a#b"), &["in a circle"]);
    refused(&next("http://169.254.169.254/latest"), &["another host"]);
    refused(&next("file:///etc/passwd"), &["another host"]);
    refused(&next("//evil.invalid/v2/a/tags/list"), &["another host"]);
    refused(&next("http://:0:0/"), &["next page"]);
    // Each page is another one, and none has anything new.
    refused(
        &Lie::act(|request, out| {
            let (body, more) = (r#"{"tags":["1"]}"#, "0".repeat(request.line.len()));
            write!(
                out,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nLink: </v2/a/tags/list?{more}>; rel=next\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }),
        &["nothing new"],
    );
}

#[test]
fn lists_that_are_none() {
    let answer = |body: Vec<u8>| Lie::Answer(200, Vec::new(), body);
    for body in ["", "[]", "null", "{\"tags\":{}}", "{\"tags\":[{}]}", "{\"tags\":[1]}", "<html>", "{\"tags\":[\"1\"]"]
    {
        refused(&answer(body.into()), &["tags"]);
    }
    refused(&answer(b"[".repeat(4 << 20)), &["tags"]);
    refused(&answer(format!("{{\"x\":{}", "{\"a\":".repeat(1 << 20)).into_bytes()), &["tags"]);
    refused(&answer(vec![b' '; 9 << 20]), &["longer than"]);
    refused(
        &Lie::act(|_, out| {
            write!(out, "HTTP/1.1 200 OK\r\n\r\n{{\"tags\":[\"1\"")?;
            loop {
                out.write_all(&b",\"1\"".repeat(10_000))?;
            }
        }),
        &["longer than"],
    );
    for outcome in
        readers(&Lie::Answer(200, vec![("Content-Encoding", "gzip".into())], b"\x1f\x8b\x08garbage".to_vec()))
    {
        outcome.refused(&["tags"]);
    }
}

#[test]
fn tags_that_are_none_are_not_shown() {
    let victim = Victim::told(TAGS, page(r#""\u001b[2J","../../x","a b","1\u0000","-x","1","1","\u202e""#, ""));
    let outcome = victim.enter(&["search", "--list-tags", &format!("{}/a", victim.registry.host())]);
    let shown = outcome.success();
    assert_eq!(shown.lines().count(), 2, "{shown}");
}

#[test]
fn as_many_tags_as_fit_into_a_page() {
    let mut tags = String::new();
    for at in 0..700_000 {
        write!(tags, "\"{at}\",").unwrap();
    }
    let victim = Victim::told(TAGS, page(&format!("{tags}\"x\""), ""));
    let name = format!("{}/a", victim.registry.host());
    victim.enter(&["search", "--list-tags", "--limit", "5", &name]).success();
    assert!(victim.enter(&["search", "--list-tags", "--limit", "1000000", &name]).code().is_some());
}

#[test]
fn searches_that_are_answered_with_anything() {
    let results = |item: &str| format!("{{\"results\":[{item}]}}").into_bytes();
    for body in [
        Vec::new(),
        b"{\"results\":5}".to_vec(),
        results("{\"name\":\"\\u001b]0;x\\u0007\",\"description\":\"\\u001b[2J\\n\\r\"}"),
        results("{\"name\":\"a\",\"star_count\":99999999999999999999999}"),
        results(&"{\"name\":\"a\",\"description\":\"x\"},".repeat(100_000)),
        results(&format!("{{\"name\":\"{}\"}}", "x".repeat(4 << 20))),
        b"{\"repositories\":[\"\\u001b[2J\",\"../..\",\"a\"]}".to_vec(),
        b"{\"repositories\":[[[[[[".to_vec(),
        b"[".repeat(8 << 20),
    ] {
        let (victim, _) = Victim::new();
        for on in ["/v1/", "_catalog"] {
            victim.registry.lie(on, usize::MAX, Lie::Answer(200, Vec::new(), body.clone()));
        }
        let outcome = victim.enter(&["search", "--limit", "100", &format!("{}/a", victim.registry.host())]);
        assert!(outcome.code().is_some(), "{outcome:?}");
    }
}

#[test]
fn a_login_gives_the_password_to_nobody_else() {
    for place in ["http://localhost:{}/v2/", "http://169.254.169.254/v2/"] {
        let elsewhere = crate::registry::Registry::start();
        let port = elsewhere.host().rsplit_once(':').unwrap().1.to_owned();
        let (victim, _) = Victim::new();
        let location = place.replace("{}", &port);
        victim.registry.lie("GET /v2/ ", usize::MAX, Lie::Answer(307, vec![("Location", location)], Vec::new()));
        let host = victim.registry.host();
        let outcome = victim.enter(&["login", "-u", "me", "-p", "secret-word", &host]);
        assert!(!outcome.stderr.contains("secret-word"), "{}", outcome.stderr);
        for request in elsewhere.log() {
            assert_eq!(request.headers.get("authorization"), None, "{request:?}");
        }
    }
}

#[test]
fn a_login_that_is_never_answered_well() {
    let basic = vec![("WWW-Authenticate", "Basic realm=\"x\"".to_owned())];
    for lie in [
        Lie::Answer(401, basic, Vec::new()),
        Lie::Answer(401, Vec::new(), Vec::new()),
        Lie::Answer(500, Vec::new(), b"\x1b[2J".to_vec()),
        Lie::Answer(307, vec![("Location", "/v2/".into())], Vec::new()),
        Lie::raw(&b"HTTP/1.1 200 OK\r\n"[..]),
        Lie::raw(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]),
        Lie::raw(&b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"[..]),
    ] {
        let victim = Victim::told("/v2/", lie);
        let host = victim.registry.host();
        let outcome = victim.enter(&["login", "-u", "me", "-p", "secret-word", &host]);
        assert!(!outcome.status.success() && outcome.code().is_some(), "{outcome:?}");
        assert!(outcome.stderr.contains("error: ") && !outcome.stderr.contains("secret-word"), "{}", outcome.stderr);
        assert!(victim.registry.log().len() < 30, "{}", victim.registry.log().len());
    }
}

#[test]
fn a_digest_in_a_header_is_believed_by_nobody() {
    let other = format!("sha256:{}", "0".repeat(64));
    for said in [other.as_str(), "sha256:../../../etc/passwd", "", "\u{1b}[2J"] {
        let victim = Victim::told(
            "HEAD /v2/a/manifests/1",
            Lie::Answer(200, vec![("Docker-Content-Digest", said.to_owned())], Vec::new()),
        );
        let name = format!("{}/a:1", victim.registry.host());
        for _ in 0..2 {
            assert!(victim.enter(&["pull", &name]).code().is_some());
        }
        assert!(victim.enter(&["manifest", "inspect", &name]).code().is_some());
    }
}
