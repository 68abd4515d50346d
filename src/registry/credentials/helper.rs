//! Credential helpers: programs called `docker-credential-NAME` that keep secrets elsewhere (docker/docker-credential-helpers, README).
//!
//! They are not ours: they may be missing, fail, hang, or say anything. Secrets go through pipes alone, never as arguments, and
//! nothing that a helper says in the place of an answer is repeated where it could hold one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Credentials, Environment, Error};

/// How long a helper may take. It may have to ask its user for the password of a keyring.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most that is read of what a helper says, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// The name that stands for a refresh token in the place of a password.
const TOKEN: &str = "<token>";

/// A helper, by the name that files of configuration know it by.
pub struct Helper<'a> {
    environment: &'a Environment,
    name: &'a str,
    patience: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Kept<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// How a helper ended, and what it wrote.
struct Said {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: Vec<u8>,
}

impl<'a> Helper<'a> {
    /// The helper `docker-credential-NAME`.
    pub fn new(environment: &'a Environment, name: &'a str) -> Self {
        Self { environment, name, patience: PATIENCE }
    }

    /// Asks for the credentials of a server; `None` where it has none.
    pub fn get(&self, server: &str) -> Result<Option<Credentials>, Error> {
        let said = self.run("get", server, format!("{server}\n").as_bytes())?;
        if !said.status.success() {
            return self.refused(server, &said, "").map(|()| None);
        }
        parse_answer(&said.output).map_err(|reason| self.failed(server, reason))
    }

    /// Gives it credentials to keep.
    pub fn store(&self, server: &str, credentials: &Credentials) -> Result<(), Error> {
        let (username, secret) = match credentials {
            Credentials::Password { user, password } => (user.as_str(), password.as_str()),
            Credentials::Token(token) => (TOKEN, token.as_str()),
        };
        let kept = Kept { server_url: server, username, secret };
        // Text always becomes JSON.
        let input = serde_json::to_vec(&kept).unwrap_or_default();
        let said = self.run("store", server, &input)?;
        if said.status.success() {
            return Ok(());
        }
        self.refused(server, &said, secret).and_then(|()| Err(self.failed(server, "it cannot store them".into())))
    }

    /// Has it forget a server; `false` where it knows nothing of it.
    pub fn erase(&self, server: &str) -> Result<bool, Error> {
        // Most helpers erase what is not there without a word.
        if self.get(server)?.is_none() {
            return Ok(false);
        }
        let said = self.run("erase", server, format!("{server}\n").as_bytes())?;
        if said.status.success() { Ok(true) } else { self.refused(server, &said, "").map(|()| false) }
    }

    /// The servers that it has credentials for.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let said = self.run("list", "all registries", b"")?;
        if !said.status.success() {
            return self.refused("all registries", &said, "").map(|()| Vec::new());
        }
        parse_list(&said.output).map_err(|reason| self.failed("all registries", reason))
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn failed(&self, server: &str, reason: String) -> Error {
        Error::Helper { program: self.program(), server: server.to_owned(), reason }
    }

    /// What a helper's failure means: nothing where it knows of no credentials, else an error with its words.
    fn refused(&self, server: &str, said: &Said, secret: &str) -> Result<(), Error> {
        let words = if said.output.is_empty() { &said.complaint } else { &said.output };
        let words = String::from_utf8_lossy(words);
        // The words by which all helpers say that they know nothing.
        if words.contains("credentials not found") {
            return Ok(());
        }
        let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let shows_secrets = line.contains(['{', '"']) || (!secret.is_empty() && words.contains(secret));
        let reason = match (shows_secrets, super::super::shorten(line)) {
            (false, line) if !line.is_empty() => line,
            _ => format!("it ended with {}", said.status),
        };
        Err(self.failed(server, reason))
    }

    fn run(&self, verb: &str, server: &str, input: &[u8]) -> Result<Said, Error> {
        let failed = |reason: String| self.failed(server, reason);
        // A file of the user's names it, but it must not lead out of PATH.
        if self.name.contains('/') || self.name.is_empty() {
            return Err(failed("that is no name of a program".into()));
        }
        let mut command = Command::new(self.program());
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(path) = self.environment.get("PATH") {
            command.env("PATH", path);
        }
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed("there is no such program in PATH".into()),
            // A folder of PATH that may not be looked into says so of every name.
            std::io::ErrorKind::PermissionDenied => failed("there is no such program in PATH that may be run".into()),
            _ => failed(format!("it cannot be started: {error}")),
        })?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // A helper that does not read its input says why by its exit code.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let (output, complaint) = (read(child.stdout.take()), read(child.stderr.take()));
        let until = Instant::now() + self.patience;
        let ended = wait(&mut child, until).map_err(|error| failed(error.to_string()))?;
        // What it has left running may hold the pipes, and is not waited for.
        let told = |from: Receiver<Vec<u8>>| {
            let left = until.saturating_duration_since(Instant::now());
            from.recv_timeout(left).ok()
        };
        match (ended, told(output), told(complaint)) {
            (Some(_), Some(output), _) if output.len() as u64 > MAX_ANSWER => Err(failed("it says too much".into())),
            (Some(status), Some(output), Some(complaint)) => Ok(Said { status, output, complaint }),
            _ => {
                // It may have ended this very moment.
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(format!("it has not answered within {} s", self.patience.as_secs())))
            }
        }
    }
}

/// Reads a pipe to its end, or to what is too much.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map(|pipe| pipe.take(MAX_ANSWER + 1).read_to_end(&mut bytes));
        // Nobody waits any more where the helper has taken too long.
        let _ = sender.send(if matches!(read, Some(Err(_))) { Vec::new() } else { bytes });
    });
    receiver
}

fn wait(child: &mut Child, until: Instant) -> std::io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() >= until {
            return Ok(ended);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What `get` answers.
fn parse_answer(bytes: &[u8]) -> Result<Option<Credentials>, String> {
    // serde's own words could repeat a part of the answer.
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|_| "its answer is no JSON with a Username and a Secret".to_owned())?;
    Ok(match (answer.username.as_str(), answer.secret) {
        (_, secret) if secret.is_empty() => None,
        (TOKEN, secret) => Some(Credentials::Token(secret)),
        (user, password) => Some(Credentials::Password { user: user.to_owned(), password }),
    })
}

/// What `list` answers: an object of users by server.
fn parse_list(bytes: &[u8]) -> Result<Vec<String>, String> {
    let servers: BTreeMap<String, String> =
        serde_json::from_slice(bytes).map_err(|_| "its answer is no JSON with servers and users".to_owned())?;
    Ok(servers.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use proptest::prelude::*;

    fn environment(script: &str) -> (tempfile::TempDir, Environment) {
        let dir = tempfile::tempdir().unwrap();
        let helper = dir.path().join("docker-credential-ours");
        std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let environment = Environment::of(&[("PATH", &path)], dir.path());
        (dir, environment)
    }

    fn reason(script: &str) -> String {
        let (_dir, environment) = environment(script);
        let helper = Helper { patience: Duration::from_millis(300), ..Helper::new(&environment, "ours") };
        helper.get("r.example.com").unwrap_err().to_string()
    }

    #[test]
    fn a_helper_that_misbehaves_is_told_and_its_words_are_not() {
        assert!(reason("exec sleep 100").contains("has not answered"));
        assert!(reason("sleep 2 & echo '{}'").contains("has not answered"), "what is left behind holds the pipe");
        assert!(reason("echo locked; exit 1").ends_with(": locked"));
        assert!(reason("echo no keyring >&2; exit 1").ends_with(": no keyring"));
        assert!(reason("exit 3").contains("exit status: 3"));
        assert!(reason("kill -9 $$").contains("signal: 9"));
        for leaky in [
            "echo '{\"Username\":\"u\",\"Secret\":\"hunter2\"}'; exit 1",
            "echo hunter2",
            "echo '{\"Secret\": hunter2}'",
        ] {
            assert!(!reason(leaky).contains("hunter2"), "{leaky}");
        }
        assert!(reason("head -c 3000000 /dev/zero").contains("too much"));
        let (_dir, environment) = environment("");
        for (name, said) in [("missing", "no such program"), ("../ours", "no name"), ("", "no name")] {
            let error = Helper::new(&environment, name).get("r.example.com").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_secret_that_was_to_be_stored_is_not_repeated() {
        let (_dir, environment) = environment("cat; exit 1");
        let credentials = Credentials::Password { user: "u".into(), password: "hunter2".into() };
        let error = Helper::new(&environment, "ours").store("r.example.com", &credentials).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_is_stored_is_found_listed_and_erased() {
        let (dir, environment) = environment(
            "cd \"$(dirname \"$0\")\"; case $1 in store) cat >kept;; list) echo '{\"r.example.com\":\"u\"}';; erase) rm kept;; \
             get) cat kept 2>/dev/null || { echo credentials not found in native keychain; exit 1; };; esac",
        );
        let helper = Helper::new(&environment, "ours");
        assert_eq!(helper.get("r.example.com").unwrap(), None);
        assert!(!helper.erase("r.example.com").unwrap());
        let credentials = Credentials::Password { user: "u".into(), password: "p\"\\w".into() };
        helper.store("r.example.com", &credentials).unwrap();
        let kept = std::fs::read_to_string(dir.path().join("kept")).unwrap();
        assert_eq!(kept, r#"{"ServerURL":"r.example.com","Username":"u","Secret":"p\"\\w"}"#);
        assert_eq!(helper.get("r.example.com").unwrap(), Some(credentials));
        assert_eq!(helper.list().unwrap(), ["r.example.com"]);
        assert!(helper.erase("r.example.com").unwrap());
        assert_eq!(helper.get("r.example.com").unwrap(), None);
        helper.store("r.example.com", &Credentials::Token("t".into())).unwrap();
        assert_eq!(helper.get("r.example.com").unwrap(), Some(Credentials::Token("t".into())));
    }

    proptest! {
        #[test]
        fn any_answer_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,40}") {
            let _ = (parse_answer(&bytes), parse_list(&bytes), parse_list(text.as_bytes()));
            let answer = serde_json::json!({"Username": text, "Secret": "s"}).to_string();
            prop_assert!(parse_answer(answer.as_bytes()).unwrap().is_some());
        }
    }
}
