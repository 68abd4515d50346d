use std::fs;

use proptest::prelude::*;

use super::*;
use crate::image::Reference;

fn configuration(text: &str) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.merge(File::parse(text).unwrap(), Path::new("registries.conf"));
    configuration
}

fn candidates(configuration: &Configuration, name: &str) -> Vec<String> {
    let reference = Reference::parse(name).unwrap();
    configuration.candidates(&reference).unwrap().iter().map(Reference::to_string).collect()
}

fn endpoints(configuration: &Configuration, name: &str) -> Vec<(String, bool)> {
    let endpoints = configuration.endpoints(&Reference::parse(name).unwrap()).unwrap();
    endpoints.iter().map(|endpoint| (endpoint.reference.to_string(), endpoint.insecure)).collect()
}

#[test]
fn without_configuration_short_names_are_docker_hub_s() {
    let none = configuration("");
    assert_eq!(candidates(&none, "debian"), ["docker.io/library/debian:latest"]);
    assert_eq!(candidates(&configuration("unqualified-search-registries = []"), "a/b:1"), ["docker.io/a/b:1"]);
    assert_eq!(endpoints(&none, "quay.io/a/b:1"), [("quay.io/a/b:1".to_owned(), false)]);
}

#[test]
fn short_names_follow_aliases_then_search_registries() {
    let text = r#"
        unqualified-search-registries = ["registry.example.com:5000", "docker.io"]
        [aliases]
        "fedora" = "registry.fedoraproject.org/fedora"
    "#;
    let permissive = configuration(text);
    assert_eq!(candidates(&permissive, "fedora:40"), ["registry.fedoraproject.org/fedora:40"]);
    assert_eq!(
        candidates(&permissive, "tool"),
        ["registry.example.com:5000/tool:latest", "docker.io/library/tool:latest"]
    );
    assert_eq!(candidates(&permissive, "quay.io/tool"), ["quay.io/tool:latest"]);
    let enforcing = configuration(&format!("short-name-mode = \"enforcing\"\n{text}"));
    let tool = Reference::parse("tool").unwrap();
    assert_eq!(enforcing.choices(&tool).unwrap().len(), 2);
    assert_eq!(permissive.guesses(&tool).unwrap(), permissive.choices(&tool).unwrap());
    assert!(enforcing.choices(&Reference::parse("fedora").unwrap()).unwrap().is_empty());
    let disabled = configuration(&format!("short-name-mode = \"disabled\"\n{text}"));
    assert_eq!((disabled.choices(&tool).unwrap().len(), disabled.guesses(&tool).unwrap().len()), (0, 2));
    let error = enforcing.guesses(&tool).unwrap_err();
    assert!(matches!(&error, Error::ShortName { .. }));
    assert!(error.hint().unwrap().contains("registry.example.com:5000/tool:latest"), "{error:?}");
    assert_eq!(candidates(&enforcing, "fedora"), ["registry.fedoraproject.org/fedora:latest"]);
}

#[test]
fn mirrors_come_before_the_registry() {
    let configuration = configuration(
        r#"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.example.com:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "digests.example.com"
        pull-from-mirror = "digest-only"
    "#,
    );
    assert_eq!(
        endpoints(&configuration, "debian"),
        [
            ("mirror.example.com:5000/hub/library/debian:latest".to_owned(), true),
            ("docker.io/library/debian:latest".to_owned(), false)
        ]
    );
    let pinned = format!("debian@sha256:{}", "a".repeat(64));
    assert_eq!(endpoints(&configuration, &pinned).len(), 3);
}

#[test]
fn the_longest_prefix_wins_and_is_replaced() {
    let configuration = configuration(
        r#"
        [[registry]]
        prefix = "example.com"
        location = "internal.example.net"
        [[registry]]
        prefix = "example.com/secret"
        location = "example.com/secret"
        blocked = true
        [[registry]]
        prefix = "*.example.org"
        insecure = true
        [[registry]]
        prefix = "*.dev.example.org/team"
        location = "one.example.net/all"
    "#,
    );
    assert_eq!(endpoints(&configuration, "example.com/a/b:1"), [("internal.example.net/a/b:1".to_owned(), false)]);
    assert_eq!(endpoints(&configuration, "example.computer/a:1"), [("example.computer/a:1".to_owned(), false)]);
    assert_eq!(endpoints(&configuration, "a.example.org/b:1"), [("a.example.org/b:1".to_owned(), true)]);
    assert_eq!(endpoints(&configuration, "x.y.example.org:80/b:1"), [("x.y.example.org:80/b:1".to_owned(), true)]);
    assert_eq!(endpoints(&configuration, "example.org/b:1"), [("example.org/b:1".to_owned(), false)]);
    assert_eq!(
        endpoints(&configuration, "q.dev.example.org/team/b:1"),
        [("one.example.net/all/b:1".to_owned(), false)]
    );
    let blocked = configuration.endpoints(&Reference::parse("example.com/secret/x").unwrap()).unwrap_err();
    assert!(matches!(blocked, Error::Blocked { .. }));
}

#[test]
fn what_has_no_meaning_is_refused() {
    for text in [
        "unqualified-search-registries = 'docker.io'",
        "short-name-mode = 'maybe'",
        "[registries.search]\nregistries = ['docker.io']",
        "[[registry]]\nlocation = 'https://example.com'",
        "[[registry]]\ninsecure = true",
        "[[registry]]\nprefix = 'example.com'",
        "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = ''",
        "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = 'b'\npull-from-mirror = 'sometimes'",
    ] {
        assert!(File::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_user_s_file_replaces_the_system_s_and_drop_ins_come_on_top() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let home = dir.path().join("home").display().to_string();
    let environment = Environment::of(&[("HOME", &home)], &dir.path().join("etc"));
    write("etc/containers/registries.conf", "unqualified-search-registries = ['system.example.com']");
    assert_eq!(candidates(&Configuration::load(&environment).unwrap(), "a"), ["system.example.com/a:latest"]);
    write("home/.config/containers/registries.conf", "[aliases]\n'a' = 'user.example.com/a'");
    let user = Configuration::load(&environment).unwrap();
    assert_eq!(candidates(&user, "a"), ["user.example.com/a:latest"]);
    assert_eq!(candidates(&user, "b"), ["docker.io/library/b:latest"]);
    write(
        "etc/containers/registries.conf.d/10.conf",
        "[aliases]\n'a' = 'ten.example.com/a'\n'b' = 'ten.example.com/b'",
    );
    write("home/.config/containers/registries.conf.d/20.conf", "[aliases]\n'a' = 'twenty.example.com/a'\n'b' = ''");
    write("etc/containers/registries.conf.d/99.txt", "not toml");
    let merged = Configuration::load(&environment).unwrap();
    assert_eq!(candidates(&merged, "a"), ["twenty.example.com/a:latest"]);
    assert_eq!(candidates(&merged, "b"), ["docker.io/library/b:latest"]);
    write("etc/containers/registries.conf.d/11.conf", "aliases = 3");
    let error = Configuration::load(&environment).unwrap_err();
    assert!(error.to_string().contains("11.conf"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_no_panic(text in "\\PC{0,200}") {
        let _ = File::parse(&text);
    }

    #[test]
    fn any_prefix_is_no_panic(prefix in "[*.a-z/:]{0,12}", name in "[a-z]{1,3}\\.[a-z]{1,3}/[a-z]{1,3}") {
        if let Some(length) = lookup::match_length(&prefix, &name) {
            prop_assert!(length <= name.len());
        }
    }
}
