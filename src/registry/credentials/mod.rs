//! What the user has logged in with: `auth.json` (containers-auth.json(5)), Docker's `config.json`, and credential helpers.
//!
//! Found here, and written by [`keep`]. Nothing of it is ever shown: the types have no `Debug` that would.

mod file;
mod helper;
mod keep;
mod place;

use std::fmt;
use std::path::{Path, PathBuf};

pub use keep::{Forgotten, Keeper, Kept};
pub use place::Place;

use super::{Environment, Error};
use file::AuthFile;
use helper::Helper;

/// The name that stands for the files themselves in a list of credential helpers (containers-registries.conf(5)).
const FILES: &str = "containers-auth.json";

/// What proves who the user is to one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password, or an access token in its place.
        password: String,
    },
    /// A refresh token of OAuth 2.
    Token(String),
}

impl Credentials {
    /// The name that they are for; a token has none.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password { user, .. } => Some(user),
            Self::Token(_) => None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Whether a file of credentials can be read and understood.
///
/// # Errors
/// That it cannot.
pub fn check_file(path: &Path) -> Result<(), Error> {
    AuthFile::load(path).map(drop)
}

/// Finds the credentials for a place: the first file or helper that has any decides.
///
/// # Errors
/// A file that cannot be read or parsed, a helper that fails for another reason than knowing nothing.
pub fn find(environment: &Environment, helpers: &[String], place: &Place) -> Result<Option<Credentials>, Error> {
    if let Some(given) = environment.given_credentials(place.domain()) {
        return Ok(Some(given.clone()));
    }
    for helper in helpers.iter().filter(|helper| *helper != FILES) {
        if let Some(found) = ask(environment, helper, &place.server_names())? {
            return Ok(Some(found));
        }
    }
    for path in files(environment) {
        if let Some(found) = in_file(environment, &AuthFile::load(&path)?, &path, place)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The files to look in, the one that counts most first.
fn files(environment: &Environment) -> Vec<PathBuf> {
    if let Some(only) = environment.path("REGISTRY_AUTH_FILE") {
        return vec![only];
    }
    let docker = environment.path("DOCKER_CONFIG");
    // Whoever names Docker's folder means it; else it is looked into last.
    let named = docker.is_some();
    let docker = docker.or_else(|| Some(environment.home()?.join(".docker"))).map(|dir| dir.join("config.json"));
    let own = [
        environment.runtime_dir().map(|dir| dir.join("containers/auth.json")),
        environment.config_home().map(|dir| dir.join("containers/auth.json")),
    ];
    let (first, last) = if named { (docker, None) } else { (None, docker) };
    first.into_iter().chain(own.into_iter().flatten()).chain(last).collect()
}

fn in_file(
    environment: &Environment,
    file: &AuthFile,
    path: &Path,
    place: &Place,
) -> Result<Option<Credentials>, Error> {
    for key in place.keys() {
        if let Some(helper) = file.helpers().get(&key) {
            return ask(environment, helper, &names_for(&key, place));
        }
        if let Some(found) = file.entry(&key, path)? {
            return Ok(Some(found));
        }
    }
    // Docker's own keys: with a scheme, sometimes with a path, and a name of the past for Docker Hub.
    let same_host = |key: &str| place::host_of(key) == place.domain();
    if let Some((key, helper)) = file.helpers().iter().find(|(key, _)| same_host(key)) {
        return ask(environment, helper, &names_for(key, place));
    }
    for key in file.keys().filter(|key| same_host(key)) {
        if let Some(found) = file.entry(key, path)? {
            return Ok(Some(found));
        }
    }
    match file.store() {
        Some(helper) => ask(environment, helper, &place.server_names()),
        None => Ok(None),
    }
}

/// What a helper may know a key by: as it stands, and where it is the whole registry's, by the registry's other names.
fn names_for(key: &str, place: &Place) -> Vec<String> {
    let others = place.server_names().into_iter().filter(|name| name != key && place::host_of(key) == place.domain());
    [key.to_owned()].into_iter().chain(others).collect()
}

fn ask(environment: &Environment, helper: &str, servers: &[String]) -> Result<Option<Credentials>, Error> {
    for server in servers {
        if let Some(found) = Helper::new(environment, helper).get(server)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::image::Reference;

    fn place(name: &str) -> Place {
        Place::of(&Reference::parse(name).unwrap())
    }

    fn password(user: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: "p:w".into() })
    }

    fn auth(user: &str) -> String {
        STANDARD.encode(format!("{user}:p:w"))
    }

    fn look(environment: &Environment, name: &str) -> Option<Credentials> {
        find(environment, &[], &place(name)).unwrap()
    }

    #[test]
    fn the_nearest_key_of_the_first_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path).display().to_string();
        let environment = Environment::of(&[("HOME", &at("home")), ("XDG_RUNTIME_DIR", &at("run"))], dir.path());
        fs::create_dir_all(at("run/containers")).unwrap();
        fs::create_dir_all(at("home/.docker")).unwrap();
        let file = format!(
            r#"{{"auths":{{"r.example.com/team/one":{{"auth":"{}"}},"r.example.com/team":{{"auth":"{}"}},"r.example.com":{{"auth":"{}"}}}}}}"#,
            auth("one"),
            auth("team"),
            auth("host")
        );
        fs::write(at("run/containers/auth.json"), file).unwrap();
        let docker = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},"https://r.example.com":{{"auth":"{}"}},"t.example.com":{{"auth":"","identitytoken":"abc"}}}}}}"#,
            auth("hub"),
            auth("late")
        );
        fs::write(at("home/.docker/config.json"), docker).unwrap();
        assert_eq!(look(&environment, "r.example.com/team/one:1"), password("one"));
        assert_eq!(look(&environment, "r.example.com/team/two"), password("team"));
        assert_eq!(look(&environment, "r.example.com/teams/x"), password("host"));
        assert_eq!(look(&environment, "debian"), password("hub"));
        assert_eq!(look(&environment, "t.example.com/x"), Some(Credentials::Token("abc".into())));
        assert_eq!(look(&environment, "evil.example.com/r.example.com/x"), None);
        let only = Environment::of(
            &[("HOME", &at("home")), ("REGISTRY_AUTH_FILE", &at("run/containers/auth.json"))],
            dir.path(),
        );
        assert_eq!(look(&only, "debian"), None);
    }

    #[test]
    fn helpers_are_asked() {
        let dir = tempfile::tempdir().unwrap();
        let helper = dir.path().join("docker-credential-ours");
        let script = "#!/bin/sh\nread -r server\ncase $server in r.example.com) echo '{\"Username\":\"u\",\"Secret\":\"p:w\"}';; t.example.com) \
             echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}';; bad.example.com) echo locked; exit 1;; *) echo credentials not found in native keychain; exit 1;; esac\n";
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(
            dir.path().join("config.json"),
            r#"{"credsStore":"ours","credHelpers":{"t.example.com":"ours","x.example.com":"missing"}}"#,
        )
        .unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let config = dir.path().display().to_string();
        let environment = Environment::of(&[("DOCKER_CONFIG", &config), ("PATH", &path)], dir.path());
        assert_eq!(look(&environment, "r.example.com/x"), password("u"));
        assert_eq!(look(&environment, "t.example.com/x"), Some(Credentials::Token("t".into())));
        assert_eq!(look(&environment, "other.example.com/x"), None);
        for name in ["bad.example.com/x", "x.example.com/x"] {
            let error = find(&environment, &[], &place(name)).unwrap_err();
            assert!(error.to_string().contains("docker-credential-"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert!(!format!("{:?}", password("u")).contains("p:w"));
    }

    #[test]
    fn a_damaged_entry_names_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.json");
        fs::write(&file, r#"{"auths":{"r.example.com":{"auth":"%%%"}}}"#).unwrap();
        let path = file.display().to_string();
        let environment = Environment::of(&[("REGISTRY_AUTH_FILE", &path)], dir.path());
        let error = find(&environment, &[], &place("r.example.com/x")).unwrap_err();
        assert!(error.to_string().contains("r.example.com") && error.to_string().contains("auth.json"), "{error}");
    }
}
