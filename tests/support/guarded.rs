//! A real registry that wants a name and a password, and that may be pushed to; plain HTTP on a port of 127.0.0.1.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::wait_until;

/// Who may come in.
pub const USER: &str = "alice";
/// With this password.
pub const PASSWORD: &str = "open:se same";

/// A running docker-registry with htpasswd.
#[derive(Debug)]
pub struct Guarded {
    folder: tempfile::TempDir,
    /// `127.0.0.1:PORT`.
    pub address: String,
    server: Child,
}

impl Guarded {
    /// Starts one, with nothing in it.
    pub fn start() -> Self {
        Self::start_with("auth: { htpasswd: { realm: test, path: {folder}/users } }")
    }

    /// Starts one that lets everybody in.
    pub fn open() -> Self {
        Self::start_with("")
    }

    fn start_with(auth: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("enter-guarded.").tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        let users =
            Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]).output().expect("htpasswd of apache2-utils");
        std::fs::write(folder.path().join("users"), users.stdout).expect("a file in the temporary folder");
        let auth = auth.replace("{folder}", &path);
        let config = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage:\n  filesystem: {{ rootdirectory: {path}/storage }}\n  delete: {{ enabled: true }}\n\
             http:\n  addr: 127.0.0.1:0\n{auth}\n"
        );
        std::fs::write(folder.path().join("config.yml"), config).expect("a file in the temporary folder");
        let log = folder.path().join("log");
        let output = std::fs::File::create(&log).expect("a file in the temporary folder");
        let server = Command::new("timeout")
            .args(["600", "docker-registry", "serve"])
            .arg(folder.path().join("config.yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a copy of a file"))
            .stderr(output)
            .spawn()
            .expect("docker-registry starts");
        let port = wait_until("docker-registry", || port(&log));
        Self { folder, address: format!("127.0.0.1:{port}"), server }
    }

    /// What `registries.conf` is to say of it.
    pub fn configuration(&self) -> String {
        format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", self.address)
    }
}

fn port(log: &Path) -> Option<u16> {
    let log = std::fs::read_to_string(log).ok()?;
    let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // timeout(1) passes it on; SIGKILL would leave the registry behind.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.server.id()).expect("a process id"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        drop(self.server.wait());
    }
}
