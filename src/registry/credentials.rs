//! What the user has logged in with: `auth.json` (containers-auth.json(5)), Docker's `config.json`, and credential helpers.
//!
//! Nothing here is ever shown: the types have no `Debug` that would.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Environment, Error};
use crate::image::{DEFAULT_DOMAIN, Reference};

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

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Finds the credentials for a repository: the first file that has any decides.
///
/// # Errors
/// A file that cannot be read or parsed, a helper that fails for another reason than knowing nothing.
pub fn find(
    environment: &Environment,
    helpers: &[String],
    reference: &Reference,
) -> Result<Option<Credentials>, Error> {
    let domain = reference.domain();
    for helper in helpers.iter().filter(|helper| *helper != "containers-auth.json") {
        if let Some(found) = ask(environment, helper, &server_name(domain))? {
            return Ok(Some(found));
        }
    }
    for path in files(environment) {
        let Some(text) = super::read(&path)? else { continue };
        let file: AuthFile =
            serde_json::from_str(&text).map_err(|source| Error::AuthFile { path: path.clone(), source })?;
        if let Some(found) = in_file(environment, &file, &path, reference)? {
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
    let docker = environment.path("DOCKER_CONFIG").or_else(|| Some(environment.home()?.join(".docker")));
    let paths = [
        environment.path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
        environment.config_home().map(|dir| dir.join("containers/auth.json")),
        docker.map(|dir| dir.join("config.json")),
    ];
    paths.into_iter().flatten().collect()
}

fn in_file(
    environment: &Environment,
    file: &AuthFile,
    path: &Path,
    reference: &Reference,
) -> Result<Option<Credentials>, Error> {
    for key in keys(reference) {
        if let Some(helper) = file.cred_helpers.get(&key) {
            return ask(environment, helper, &key);
        }
        if let Some(auth) = file.auths.get(&key)
            && let Some(found) = decode(auth, path, &key)?
        {
            return Ok(Some(found));
        }
    }
    let domain = reference.domain();
    // Docker's own keys: with a scheme, sometimes with a path, and a name of the past for Docker Hub.
    for (key, auth) in file.auths.iter().filter(|(key, _)| host_of(key) == domain) {
        if let Some(found) = decode(auth, path, key)? {
            return Ok(Some(found));
        }
    }
    if file.creds_store.is_empty() { Ok(None) } else { ask(environment, &file.creds_store, &server_name(domain)) }
}

/// `host/a/b`, `host/a`, `host`.
fn keys(reference: &Reference) -> Vec<String> {
    let mut key = reference.repository();
    let mut keys = vec![key.clone()];
    while let Some((shorter, _)) = key.rsplit_once('/') {
        key = shorter.to_owned();
        keys.push(key.clone());
    }
    keys
}

/// The host of a key that Docker wrote. Keys with a path but no scheme are for that repository alone.
fn host_of(key: &str) -> &str {
    let rest = match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.strip_suffix("/v1/").or_else(|| key.strip_suffix("/v1")).unwrap_or(key),
    };
    if matches!(rest, "index.docker.io" | "registry-1.docker.io") { DEFAULT_DOMAIN } else { rest }
}

/// What helpers call a registry.
fn server_name(domain: &str) -> String {
    if domain == DEFAULT_DOMAIN { "https://index.docker.io/v1/".into() } else { domain.to_owned() }
}

fn decode(auth: &Auth, path: &Path, key: &str) -> Result<Option<Credentials>, Error> {
    if !auth.identitytoken.is_empty() {
        return Ok(Some(Credentials::Token(auth.identitytoken.clone())));
    }
    if auth.auth.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::AuthEntry { path: path.to_owned(), key: key.to_owned() };
    let bytes = STANDARD.decode(auth.auth.trim_end_matches('\0')).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let (user, password) = text.split_once(':').ok_or_else(wrong)?;
    Ok(Some(Credentials::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
}

/// Runs `docker-credential-HELPER get` (docker/docker-credential-helpers, README).
fn ask(environment: &Environment, helper: &str, server: &str) -> Result<Option<Credentials>, Error> {
    let program = format!("docker-credential-{helper}");
    let failed = |reason: String| Error::Helper { program: program.clone(), server: server.to_owned(), reason };
    // A file of the user's names it, but it must not lead out of PATH.
    if helper.contains('/') {
        return Err(failed("its name has a slash".into()));
    }
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(path) = environment.get("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| failed(format!("it cannot be started: {error}")))?;
    // A helper that does not read its input says why by its exit code.
    let _ = child.stdin.take().map(|mut stdin| writeln!(stdin, "{server}"));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout })
            .trim()
            .to_owned();
        // The words by which all helpers say that they know nothing.
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(super::shorten(&said)));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("its answer is not understood: {error}")))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::Token(answer.secret),
        _ => Credentials::Password { user: answer.username, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn password(user: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: "p:w".into() })
    }

    fn auth(user: &str) -> String {
        STANDARD.encode(format!("{user}:p:w"))
    }

    fn look(environment: &Environment, name: &str) -> Option<Credentials> {
        find(environment, &[], &Reference::parse(name).unwrap()).unwrap()
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
            let error = find(&environment, &[], &Reference::parse(name).unwrap()).unwrap_err();
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
        let error = find(&environment, &[], &Reference::parse("r.example.com/x").unwrap()).unwrap_err();
        assert!(error.to_string().contains("r.example.com") && error.to_string().contains("auth.json"), "{error}");
    }
}
