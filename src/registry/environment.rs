//! Where the user's and the system's container configuration lies, and the few variables that say so.
//!
//! The one place of this module that reads the process's environment; everything else is given an [`Environment`], so that tests
//! have their own.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Credentials;

/// The variables that are looked at, and the directories that follow from them.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: BTreeMap<&'static str, String>,
    etc: PathBuf,
    policy: Option<PathBuf>,
    runtime: Option<PathBuf>,
    tls_verify: Option<bool>,
    certificates: Option<PathBuf>,
    given: Option<(String, Credentials)>,
}

/// Every variable that this module heeds. Proxy variables are also read in lower case, which then goes first (as curl has it).
const VARIABLES: &[&str] = &[
    "ALL_PROXY",
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_REGISTRIES_CONF_DIR",
    "DOCKER_CONFIG",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "REGISTRY_AUTH_FILE",
    "REQUEST_METHOD",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let variable = |name: &&'static str| Some((*name, std::env::var(name).ok().filter(|value| !value.is_empty())?));
        let variables: BTreeMap<_, _> = VARIABLES.iter().filter_map(variable).collect();
        // What a login through PAM would have named.
        let uid = nix::unistd::getuid();
        let usual = PathBuf::from(format!("/run/user/{uid}"));
        let is_ours = || std::fs::metadata(&usual).is_ok_and(|folder| folder.is_dir() && folder.uid() == uid.as_raw());
        let named = variables.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = named.or_else(|| is_ours().then(|| usual.clone()));
        Self { variables, etc: "/etc".into(), runtime, policy: None, tls_verify: None, certificates: None, given: None }
    }

    /// One with nothing in it but what is given: variables, and what stands for `/etc`.
    pub fn of(variables: &[(&'static str, &str)], etc: &Path) -> Self {
        let variables: BTreeMap<_, _> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let runtime = variables.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            variables,
            etc: etc.to_owned(),
            runtime,
            policy: None,
            tls_verify: None,
            certificates: None,
            given: None,
        }
    }

    /// The same with another file of credentials, in place of all others.
    #[must_use]
    pub fn with_auth_file(mut self, path: &Path) -> Self {
        self.variables.insert("REGISTRY_AUTH_FILE", path.to_string_lossy().into_owned());
        self
    }

    /// The same, where every registry, or none, is asked for a certificate that somebody trusted has signed, whatever `registries.conf` says.
    #[must_use]
    pub fn with_tls_verify(self, verify: bool) -> Self {
        Self { tls_verify: Some(verify), ..self }
    }

    /// The same with the certificates of one folder in place of those of `certs.d`.
    #[must_use]
    pub fn with_certificates(self, folder: &Path) -> Self {
        Self { certificates: Some(folder.to_owned()), ..self }
    }

    /// Whether certificates are to be verified, where the user has said so.
    pub fn tls_verify(&self) -> Option<bool> {
        self.tls_verify
    }

    /// The folder that was given in the place of `certs.d`.
    pub fn certificates(&self) -> Option<&Path> {
        self.certificates.as_deref()
    }

    /// The folder of the user's session: `$XDG_RUNTIME_DIR`, or where that would be.
    pub fn runtime_dir(&self) -> Option<PathBuf> {
        self.runtime.clone()
    }

    /// The same, with a `policy.json` that was named, if one was.
    pub fn with_policy(self, policy: Option<PathBuf>) -> Self {
        Self { policy, ..self }
    }

    /// The `policy.json` that was named.
    pub fn named_policy(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// Where a `policy.json` is looked for: the user's, then the system's.
    pub fn policies(&self) -> Vec<PathBuf> {
        let system = self.etc.join("containers/policy.json");
        self.config_home().map(|config| config.join("containers/policy.json")).into_iter().chain([system]).collect()
    }

    /// The same with credentials for one registry, in the place of whatever is kept for it.
    pub fn with_credentials(self, domain: &str, credentials: Credentials) -> Self {
        Self { given: Some((domain.to_owned(), credentials)), ..self }
    }

    /// The credentials that were given for a registry.
    pub fn given_credentials(&self, domain: &str) -> Option<&Credentials> {
        self.given.as_ref().filter(|(own, _)| own == domain).map(|(_, credentials)| credentials)
    }

    /// A variable; `None` where it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable that holds a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// The system's configuration: `/etc`.
    pub fn etc(&self) -> &Path {
        &self.etc
    }

    /// The user's home, where there is one.
    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }

    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.path("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")))
    }

    /// `$XDG_CACHE_HOME`, or `~/.cache`.
    pub fn cache_home(&self) -> Option<PathBuf> {
        self.path("XDG_CACHE_HOME").or_else(|| Some(self.home()?.join(".cache")))
    }

    /// The proxy for requests of a scheme, as its variable gives it.
    ///
    /// `HTTP_PROXY` is not believed where `REQUEST_METHOD` is set: there it comes from a client's header (httpoxy, CVE-2016-5385).
    pub fn proxy(&self, scheme: &str) -> Option<&str> {
        let own = match scheme {
            "https" => self.get("https_proxy").or_else(|| self.get("HTTPS_PROXY")),
            _ => self
                .get("http_proxy")
                .or_else(|| self.get("HTTP_PROXY").filter(|_| self.get("REQUEST_METHOD").is_none())),
        };
        own.or_else(|| self.get("all_proxy")).or_else(|| self.get("ALL_PROXY"))
    }

    /// Which hosts no proxy is used for.
    pub fn no_proxy(&self) -> Option<&str> {
        self.get("no_proxy").or_else(|| self.get("NO_PROXY"))
    }
}
