//! Registries that refuse, fail or are not there: each has its own error and hint.

use std::net::TcpListener;

use enter::registry::{Error, Reason};

use super::Fixture;
use super::registry::{Lie, tar};

fn said(code: &str, message: &str) -> Vec<u8> {
    format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#).into_bytes()
}

/// What comes of a registry that answers all requests for manifests so.
fn refused(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> (Error, usize, usize) {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.lie("/manifests/", usize::MAX, Lie::Answer(status, headers, body));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    (error, fixture.registry.count("/manifests/"), fixture.heard.retries())
}

#[test]
fn no_such_image_is_asked_for_once_and_named() {
    let fixture = Fixture::new();
    let error = fixture.pull("nothing:1").unwrap_err();
    assert!(matches!(&error, Error::NotFound { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("/nothing:1") && text.contains("repository name not known"), "{text}");
    assert_eq!(fixture.registry.count("/manifests/"), 1);
    assert!(!fixture.store.root().exists(), "a failed pull leaves no trace");
}

#[test]
fn unauthorized_says_how_to_log_in() {
    let (error, asked, _) = refused(401, Vec::new(), said("UNAUTHORIZED", "authentication required"));
    assert!(matches!(&error, Error::Unauthorized { known: false, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("login"), "{error}");
    assert_eq!(asked, 1);
}

#[test]
fn denied_shows_the_registry_s_words_harmlessly() {
    let (error, ..) = refused(403, Vec::new(), said("DENIED", "ask \\u001b[2Jyour admin"));
    assert!(matches!(&error, Error::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("your admin") && !error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn too_many_requests_are_waited_for_as_long_as_is_asked() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    let limited = Lie::Answer(429, vec![("Retry-After", "1".into())], said("TOOMANYREQUESTS", "slow down"));
    fixture.registry.lie("/manifests/", 1, limited);
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.heard.retries(), 1);
    let (error, asked, retries) = refused(
        429,
        vec![("Retry-After", "3600".into())],
        said("TOOMANYREQUESTS", "you have reached your pull rate limit"),
    );
    assert!(matches!(&error, Error::RateLimited { wait: Some(wait), .. } if wait.as_secs() == 3600), "{error:?}");
    assert!(error.to_string().contains("pull rate limit"));
    assert_eq!((asked, retries), (1, 0), "an hour is not waited for");
}

#[test]
fn failures_of_the_server_are_tried_again() {
    let fixture = Fixture::new();
    let pushed = fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.lie("/manifests/", 2, Lie::Answer(500, Vec::new(), Vec::new()));
    fixture.registry.lie(
        &pushed.blobs[0].to_string(),
        3,
        Lie::Answer(502, Vec::new(), b"<html>Bad Gateway</html>".to_vec()),
    );
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.heard.retries(), 5);
    let (error, asked, retries) = refused(500, Vec::new(), Vec::new());
    assert!(matches!(&error, Error::Status { status, .. } if status.starts_with("500")), "{error:?}");
    assert_eq!((asked, retries), (4, 3));
}

#[test]
fn nobody_there_is_asked_once_more_and_a_name_without_an_address_not_even_that() {
    let fixture = Fixture::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fixture.pull_as(&format!("{free}/a")).unwrap_err();
    assert!(
        matches!(&error, Error::Reach { reason: Reason::Refused, host, .. } if *host == free.to_string()),
        "{error:?}"
    );
    // It may be one that is just being restarted.
    assert_eq!(fixture.heard.retries(), 1);
    let error = fixture.pull_as("no-such-host.invalid/a").unwrap_err();
    assert!(matches!(&error, Error::Reach { reason: Reason::UnknownHost, .. }), "{error:?}");
    assert_eq!(fixture.heard.retries(), 1);
}

#[test]
fn a_registry_that_accepts_and_says_nothing_is_given_up() {
    let mut fixture = Fixture::new();
    fixture.options.transfer.retries = 1;
    fixture.options.transfer.stall_timeout = std::time::Duration::from_millis(100);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap();
    let error = fixture.pull_as(&format!("{host}/a")).unwrap_err();
    assert!(matches!(&error, Error::Reach { reason: Reason::Silent(_), .. }), "{error:?}");
    assert_eq!(fixture.heard.retries(), 1);
}

#[test]
fn plain_http_is_spoken_only_where_the_user_says_so() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.configure("");
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Reach { .. }), "{error:?}");
    assert_eq!(fixture.registry.log().len(), 0, "not even on this machine");
}

#[test]
fn a_blocked_registry_is_not_asked() {
    let fixture = Fixture::new();
    fixture.configure(&format!("[[registry]]\nlocation = '{}'\nblocked = true\n", fixture.registry.host()));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Blocked { .. }), "{error:?}");
    assert!(error.to_string().contains("registries.conf"));
    assert_eq!(fixture.registry.log().len(), 0);
}

#[test]
fn a_configuration_that_is_none_is_named() {
    let fixture = Fixture::new();
    fixture.configure("[[registry]\n");
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Configuration { .. }), "{error:?}");
    assert!(error.to_string().contains("registries.conf"));
}

#[test]
fn redirects_that_lead_nowhere_end() {
    let (error, asked, _) = refused(307, vec![("Location", "/v2/a/manifests/1".into())], Vec::new());
    assert!(matches!(&error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(asked, 10);
    for location in ["ftp://example.com/x", "file:///etc/passwd", ""] {
        let headers = if location.is_empty() { Vec::new() } else { vec![("Location", location.to_owned())] };
        let (error, asked, _) = refused(302, headers, Vec::new());
        assert!(matches!(&error, Error::Redirect { .. }), "{error:?}");
        assert_eq!(asked, 1);
    }
}

#[test]
fn an_artifact_is_told_from_an_image() {
    let fixture = Fixture::new();
    fixture.registry.push_as("charts/web:1.0", "amd64", &[], &[], |manifest| {
        manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into();
    });
    let error = fixture.pull("charts/web:1.0").unwrap_err();
    let causes = format!("{}: {}", error, std::error::Error::source(&error).unwrap());
    assert!(causes.contains("charts/web:1.0 cannot be used") && causes.contains("a Helm chart"), "{causes}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("helm pull oci://") && hint.contains("charts/web:1.0"), "{hint}");
}
