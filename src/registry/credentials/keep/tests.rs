use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::find;
use super::*;
use proptest::prelude::*;

/// A home, a folder for the session, and a helper that keeps what it is given in files.
struct Fixture {
    dir: tempfile::TempDir,
    environment: Environment,
}

const HELPER: &str = r#"#!/bin/sh
cd "$(dirname "$0")/kept" || exit 1
case $1 in
store) cat >new; mv new "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' new | tr / _)" ;;
list) echo '{}' ;;
*) read -r server; file=$(echo "$server" | tr / _); [ -e "$file" ] || { echo credentials not found in native keychain; exit 1; }
   case $1 in get) cat "$file" ;; erase) rm "$file" ;; esac ;;
esac
"#;

impl Fixture {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path).display().to_string();
        for folder in ["home/.docker", "run", "bin/kept"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("bin/docker-credential-ours"), HELPER).unwrap();
        fs::set_permissions(at("bin/docker-credential-ours"), fs::Permissions::from_mode(0o755)).unwrap();
        let (home, run) = (at("home"), at("run"));
        let path = format!("{}:/usr/bin:/bin", at("bin"));
        let mut all = vec![("HOME", home.as_str()), ("XDG_RUNTIME_DIR", run.as_str()), ("PATH", path.as_str())];
        let own: Vec<(&str, String)> = variables.iter().map(|(name, value)| (*name, at(value))).collect();
        all.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
        let environment = Environment::of(&all, dir.path());
        Self { dir, environment }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn user(&self, place: &str) -> Option<String> {
        let found = find(&self.environment, &[], &Place::parse(place).unwrap()).unwrap();
        found.and_then(|found| found.user().map(str::to_owned))
    }

    fn keep(&self, place: &str, user: &str) -> Result<Kept, Error> {
        let credentials = Credentials::Password { user: user.into(), password: "p:w".into() };
        Keeper::new(&self.environment, &[], None)?.keep(&Place::parse(place).unwrap(), &credentials)
    }

    fn forget(&self, place: &str) -> Forgotten {
        Keeper::new(&self.environment, &[], None).unwrap().forget(&Place::parse(place).unwrap()).unwrap()
    }
}

#[test]
fn what_is_kept_is_found_and_all_else_stays() {
    let fixture = Fixture::new(&[]);
    let file = "run/containers/auth.json";
    assert_eq!(fixture.keep("quay.io", "one").unwrap(), Kept::File(fixture.path(file)));
    assert_eq!(fs::metadata(fixture.path(file)).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(
        fixture.text(file),
        "{\n\t\"auths\": {\n\t\t\"quay.io\": {\n\t\t\t\"auth\": \"b25lOnA6dw==\"\n\t\t}\n\t}\n}\n"
    );
    let other = r#"{"z": [1, 2], "auths": {"a.example.com": {"auth": "YTpi", "email": "x"}, "https://quay.io": {"auth": "b2xkOm9sZA=="}}, "a": 1.50}"#;
    fs::write(fixture.path(file), other).unwrap();
    fs::set_permissions(fixture.path(file), fs::Permissions::from_mode(0o644)).unwrap();
    fixture.keep("quay.io/team", "team").unwrap();
    fixture.keep("quay.io", "two").unwrap();
    fixture.keep("a.example.com", "a").unwrap();
    assert_eq!(fs::metadata(fixture.path(file)).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fixture.text(file);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["auths"]["a.example.com"]["email"], "x");
    assert_eq!(value["z"], json!([1, 2]));
    assert!(!text.contains("https://quay.io") && text.find("\"z\"") < text.find("\"auths\""), "{text}");
    assert_eq!(
        (fixture.user("quay.io").unwrap(), fixture.user("quay.io/team").unwrap()),
        ("two".into(), "team".into())
    );
    assert_eq!(fixture.forget("quay.io"), Forgotten::Done);
    assert_eq!(fixture.forget("quay.io"), Forgotten::Nothing);
    assert_eq!((fixture.user("quay.io"), fixture.user("quay.io/team").as_deref()), (None, Some("team")));
    Keeper::new(&fixture.environment, &[], None).unwrap().forget_all().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&fixture.text(file)).unwrap(),
        json!({"z": [1, 2], "auths": {}, "a": 1.5})
    );
    assert_eq!(fs::read_dir(fixture.path("run/containers")).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let fixture = Fixture::new(&[("REGISTRY_AUTH_FILE", "home/auth.json")]);
    fs::write(fixture.path("home/real.json"), "").unwrap();
    std::os::unix::fs::symlink("real.json", fixture.path("home/auth.json")).unwrap();
    fixture.keep("quay.io", "one").unwrap();
    assert!(fs::symlink_metadata(fixture.path("home/auth.json")).unwrap().is_symlink());
    assert!(fixture.text("home/real.json").contains("quay.io"));
}

#[test]
fn the_file_is_where_it_belongs() {
    let place = |fixture: &Fixture| Keeper::new(&fixture.environment, &[], None).unwrap().path().to_owned();
    let fixture = Fixture::new(&[("REGISTRY_AUTH_FILE", "x.json"), ("DOCKER_CONFIG", "docker")]);
    assert_eq!(place(&fixture), fixture.path("x.json"));
    let fixture = Fixture::new(&[("DOCKER_CONFIG", "docker")]);
    assert_eq!(place(&fixture), fixture.path("docker/config.json"));
    fixture.keep("docker.io", "hub").unwrap();
    assert!(fixture.text("docker/config.json").contains("https://index.docker.io/v1/"));
    assert_eq!(fixture.user("docker.io").as_deref(), Some("hub"));
    assert!(matches!(fixture.keep("quay.io/team", "x"), Err(Error::PartOfRegistry { .. })));
    let fixture = Fixture::new(&[("XDG_RUNTIME_DIR", "not/there")]);
    assert!(matches!(fixture.keep("quay.io", "x"), Err(Error::NoPlace { missing: Some(_) })));
}

#[test]
fn the_helpers_of_files_keep_and_forget() {
    let fixture = Fixture::new(&[("DOCKER_CONFIG", "docker")]);
    fs::create_dir(fixture.path("docker")).unwrap();
    fs::write(
        fixture.path("docker/config.json"),
        r#"{"credsStore": "ours", "credHelpers": {"own.example.com": "ours"}}"#,
    )
    .unwrap();
    for place in ["docker.io", "quay.io", "own.example.com"] {
        assert_eq!(fixture.keep(place, "u").unwrap(), Kept::Helper("ours".into()), "{place}");
        assert_eq!(fixture.user(place).as_deref(), Some("u"), "{place}");
    }
    let text = fixture.text("docker/config.json");
    assert!(!text.contains("auth\""), "{text}");
    assert!(text.contains("https://index.docker.io/v1/") && text.contains("credHelpers"), "{text}");
    assert_eq!(fixture.forget("docker.io"), Forgotten::Done);
    assert_eq!((fixture.user("docker.io"), fixture.user("quay.io").as_deref()), (None, Some("u")));
    Keeper::new(&fixture.environment, &[], None).unwrap().forget_all().unwrap();
    assert_eq!((fixture.user("quay.io"), fixture.user("own.example.com")), (None, None));
}

#[test]
fn the_helpers_of_registries_conf_go_first() {
    let fixture = Fixture::new(&[]);
    let helpers = ["ours".to_owned(), FILES.to_owned()];
    let keeper = Keeper::new(&fixture.environment, &helpers, None).unwrap();
    let place = Place::parse("quay.io").unwrap();
    let credentials = Credentials::Token("t".into());
    assert_eq!(keeper.keep(&place, &credentials).unwrap(), Kept::Helper("ours".into()));
    assert_eq!(find(&fixture.environment, &helpers, &place).unwrap(), Some(credentials.clone()));
    assert!(matches!(
        keeper.keep(&Place::parse("quay.io/a").unwrap(), &credentials),
        Err(Error::PartOfRegistry { .. })
    ));
    assert_eq!(keeper.forget(&place).unwrap(), Forgotten::Done);
    assert_eq!(keeper.forget(&place).unwrap(), Forgotten::Nothing);
    assert!(!fixture.path("run/containers").exists());
}

#[test]
fn a_damaged_file_is_left_alone() {
    let fixture = Fixture::new(&[("REGISTRY_AUTH_FILE", "x.json")]);
    for text in ["{", "[]", r#"{"auths": 3}"#, r#"{"auths": {"a": "hunter2"}}"#] {
        fs::write(fixture.path("x.json"), text).unwrap();
        let error = fixture.keep("quay.io", "one").unwrap_err();
        assert!(matches!(&error, Error::AuthFile { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(fixture.text("x.json"), text);
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let fixture = Fixture::new(&[]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let fixture = &fixture;
            scope.spawn(move || fixture.keep(&format!("r{number}.example.com"), "u").unwrap());
        }
    });
    assert_eq!(AuthFile::parse(&fixture.text("run/containers/auth.json")).unwrap().keys().count(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_other_key_survives(key in "[a-z]{1,8}", text in "\\PC{0,20}", number in any::<i64>()) {
        prop_assume!(!["auths"].contains(&key.as_str()));
        let fixture = Fixture::new(&[("REGISTRY_AUTH_FILE", "x.json")]);
        let before = json!({ "0": number, key.as_str(): { "0": text }, "auths": { "a.example.com": { "0": text } } });
        fs::write(fixture.path("x.json"), before.to_string()).unwrap();
        fixture.keep("quay.io", "one").unwrap();
        fixture.forget("quay.io");
        let after: Value = serde_json::from_str(&fixture.text("x.json")).unwrap();
        prop_assert_eq!(after, before);
    }
}
