//! Who gets to see the user's credentials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use enter::registry::Error;

use super::Fixture;
use super::registry::{Lie, Registry, tar};

const BASIC: &str = "Basic bWU6c2VjcmV0";

/// Stores `me:secret` for a registry.
fn log_in(fixture: &Fixture, host: &str) {
    let auth = STANDARD.encode("me:secret");
    fixture.write("home/.docker/config.json", &format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#));
}

fn bearer(realm: &Registry) -> String {
    format!(r#"Bearer realm="http://{}/token",service="test",scope="repository:a:pull""#, realm.host())
}

fn authorizations(registry: &Registry, on: &str) -> Vec<Option<String>> {
    let log = registry.log();
    log.iter()
        .filter(|request| request.line.contains(on))
        .map(|request| request.headers.get("authorization").cloned())
        .collect()
}

#[test]
fn basic_credentials_are_shown_once_they_are_asked_for() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.want(BASIC, "Basic realm=\"registry\"");
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Unauthorized { known: false, .. }), "{error:?}");
    log_in(&fixture, &fixture.registry.host());
    fixture.registry.forget();
    fixture.pull("a:1").unwrap();
    assert_eq!(authorizations(&fixture.registry, "/v2/a/")[0], None, "not before");
}

#[test]
fn wrong_credentials_are_told_apart_from_none() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.want("Basic somebody-else", "Basic realm=\"registry\"");
    log_in(&fixture, &fixture.registry.host());
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Unauthorized { known: true, .. }), "{error:?}");
    assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"));
}

#[test]
fn a_token_is_fetched_once_for_all_layers() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a"), tar("b", b"b"), tar("c", b"c")]);
    fixture.registry.want("Bearer t1", &bearer(&fixture.registry));
    fixture.registry.put("/token", "application/json", br#"{"token":"t1","expires_in":60}"#);
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.count("/token"), 1);
    let asked = &fixture.registry.log().into_iter().find(|request| request.line.contains("/token")).unwrap();
    assert!(
        asked.line.contains("service=test") && asked.line.contains("scope=repository%3Aa%3Apull"),
        "{}",
        asked.line
    );
    assert_eq!(asked.headers.get("authorization"), None);
}

#[test]
fn a_token_that_runs_out_is_renewed() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.want("Bearer t1", &bearer(&fixture.registry));
    fixture.registry.put("/token", "application/json", br#"{"access_token":"t1"}"#);
    fixture.registry.lie("/token", 1, Lie::Body(br#"{"token":"run out"}"#.to_vec()));
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.count("/token"), 2);
}

#[test]
fn credentials_go_to_the_registry_s_own_realm() {
    let fixture = Fixture::new();
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.registry.want("Bearer t1", &bearer(&fixture.registry));
    fixture.registry.put("/token", "application/json", br#"{"token":"t1"}"#);
    log_in(&fixture, &fixture.registry.host());
    fixture.pull("a:1").unwrap();
    assert_eq!(authorizations(&fixture.registry, "/token"), [Some(BASIC.to_owned())]);
}

#[test]
fn a_foreign_realm_gets_no_credentials_without_consent() {
    let mut fixture = Fixture::new();
    let realm = Registry::start();
    realm.put("/token", "application/json", br#"{"token":"anonymous"}"#);
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    let port = realm.host().rsplit_once(':').unwrap().1.to_owned();
    let challenge = format!(r#"Bearer realm="http://localhost:{port}/token",service="test""#);
    fixture.registry.want("Bearer t1", &challenge);
    log_in(&fixture, &fixture.registry.host());
    let error = fixture.pull("a:1").unwrap_err();
    assert!(
        matches!(&error, Error::Unauthorized { withheld: Some(host), .. } if host.starts_with("localhost")),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("token-hosts"));
    assert!(authorizations(&realm, "/token").iter().all(Option::is_none));
    fixture.options.transfer.token_hosts.push(format!("localhost:{port}"));
    realm.put("/token", "application/json", br#"{"token":"t1"}"#);
    realm.forget();
    fixture.pull("a:1").unwrap();
    assert_eq!(authorizations(&realm, "/token"), [Some(BASIC.to_owned())]);
}

#[test]
fn a_redirect_leaves_the_credentials_behind() {
    let fixture = Fixture::new();
    let elsewhere = Registry::start();
    let tars = [tar("a", b"a")];
    let pushed = fixture.registry.push("a", "1", &tars);
    elsewhere.push("a", "1", &tars);
    let location = format!("http://{}/v2/a/blobs/{}", elsewhere.host(), pushed.blobs[0]);
    fixture.registry.want(BASIC, "Basic realm=\"registry\"");
    log_in(&fixture, &fixture.registry.host());
    fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Answer(307, vec![("Location", location)], Vec::new()));
    fixture.pull("a:1").unwrap();
    assert_eq!(authorizations(&elsewhere, "/blobs/"), [None]);
}

#[test]
fn a_proxy_is_used_but_not_for_this_machine() {
    let mut fixture = Fixture::new();
    let proxy = Registry::start();
    let home = fixture.path("home").display().to_string();
    let address = format!("http://{}", proxy.host());
    let variables = [("HOME", home.as_str()), ("HTTPS_PROXY", address.as_str()), ("http_proxy", address.as_str())];
    fixture.options.environment = enter::registry::Environment::of(&variables, &fixture.path("etc"));
    fixture.registry.push("a", "1", &[tar("a", b"a")]);
    fixture.pull("a:1").unwrap();
    assert_eq!(proxy.log().len(), 0);
    let error = fixture.pull_as("registry.invalid/a").unwrap_err();
    assert!(error.hint().unwrap().contains(&proxy.host()), "{error:?}");
    assert_eq!(proxy.count("CONNECT registry.invalid:443"), 1);
}
