//! What can go wrong between here and a registry, and what the user can do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::configuration::FileError;
use super::reach::Reason;
use super::refusal::Refusal;
use crate::image::Digest;

/// A pull or a push that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer's table of contents cannot be used: the layer cannot be read before it is here.
    #[error("the table of contents of layer {layer} cannot be used")]
    Table {
        /// The blob's digest.
        layer: Digest,
        /// Why.
        #[source]
        source: crate::store::Unfit,
    },
    /// Somebody else is fetching the image, or some of its layers.
    #[error("another process is fetching this")]
    FetchedElsewhere,
    /// A configuration file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A `registries.conf` cannot be used.
    #[error("the registry configuration {} cannot be used", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// A file with credentials is no JSON.
    #[error("the credentials file {} cannot be read", path.display())]
    AuthFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// An entry of such a file is no `user:password` in base64.
    #[error("the entry {key:?} of {} is damaged", path.display())]
    AuthEntry {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
    },
    /// A credential helper failed.
    #[error("the credential helper {program} failed for {server}: {reason}")]
    Helper {
        /// The program.
        program: String,
        /// The registry that it was asked about.
        server: String,
        /// What it said.
        reason: String,
    },
    /// A certificate or key of `certs.d` cannot be used.
    #[error("cannot use the certificate {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up at all.
    #[error("cannot set up TLS for {host}")]
    Tls {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A proxy variable holds no address.
    #[error("the proxy {proxy:?} cannot be used")]
    Proxy {
        /// Without any password.
        proxy: String,
    },
    /// A short name that the configuration forbids to guess about.
    #[error("{name} could be an image of several registries")]
    ShortName {
        /// As typed.
        name: String,
        /// Complete names.
        candidates: Vec<String>,
    },
    /// The configuration forbids this registry.
    #[error("the registry {registry} is blocked by {}", path.display())]
    Blocked {
        /// The prefix that is blocked.
        registry: String,
        /// The file that says so.
        path: PathBuf,
    },
    /// The image is not here, and may not be fetched.
    #[error("{image} is not in the store, and nothing is fetched with the pull policy `never`")]
    NotHere {
        /// As typed.
        image: String,
    },
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] crate::image::Error),
    /// The image's metadata cannot be accepted.
    #[error("{image} cannot be used")]
    Metadata {
        /// Its name.
        image: String,
        /// Why.
        #[source]
        source: crate::image::Error,
    },
    /// The image is for another machine.
    #[error("{image} is an image for {found}, not for {wanted}")]
    Platform {
        /// Its name.
        image: String,
        /// What its configuration says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// A registry does not take what it is sent.
    #[error(transparent)]
    Refusal(Box<Refusal>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// No connection, or it broke.
    #[error("cannot reach {host}: {reason}")]
    Reach {
        /// `host[:port]`.
        host: String,
        /// In what way.
        reason: Reason,
        /// Where an authority for this host would be put.
        certificate: Option<PathBuf>,
        /// The proxy in use, without any password.
        proxy: Option<String>,
        /// The error below.
        #[source]
        source: Option<Cause>,
    },
    /// The registry has no such image.
    #[error("no such image: {image} ({host} does not know it{})", quote(said))]
    NotFound {
        /// The name that was asked for.
        image: String,
        /// `host[:port]`.
        host: String,
        /// The registry's words.
        said: String,
    },
    /// The registry has the image, but not one of its parts.
    #[error("{host} does not have {what}, which {image} needs")]
    Missing {
        /// `host[:port]`.
        host: String,
        /// The part.
        what: String,
        /// The image.
        image: String,
    },
    /// The registry wants to know who asks, or does not accept the answer.
    #[error("{host} refuses to give out {image} {}{}", if *known { "with the credentials that are stored" } else { "without a login" }, quote(said))]
    Unauthorized {
        /// `host[:port]`.
        host: String,
        /// The image.
        image: String,
        /// Whether there were credentials.
        known: bool,
        /// The host that credentials were not sent to, because they are for another.
        withheld: Option<String>,
        /// The registry's words.
        said: String,
    },
    /// The registry knows who asks, and says no.
    #[error("{host} denies access to {image}{}", quote(said))]
    Denied {
        /// `host[:port]`.
        host: String,
        /// The image.
        image: String,
        /// Whether there were credentials.
        known: bool,
        /// The registry's words.
        said: String,
    },
    /// Too many requests.
    #[error("{host} limits how often it may be asked{}{}", wait.map_or(String::new(), |wait| format!(", and wants {} s of rest", wait.as_secs())), quote(said))]
    RateLimited {
        /// `host[:port]`.
        host: String,
        /// How long it wants not to be asked.
        wait: Option<Duration>,
        /// The registry's words.
        said: String,
    },
    /// Any other answer that is no success.
    #[error("{host} answered {status} when asked for {what}{}", quote(said))]
    Status {
        /// `host[:port]`.
        host: String,
        /// What was asked for.
        what: String,
        /// `500 Internal Server Error`.
        status: String,
        /// The registry's words.
        said: String,
    },
    /// An answer that cannot be.
    #[error("{host} gave a wrong answer when asked for {what}: {reason}")]
    Answer {
        /// `host[:port]`.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects to where it must not: {reason}")]
    Redirect {
        /// `host[:port]`.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a mirror nor the registry, or none of the registries that a short name may mean, could give it.
    #[error("{image} could not be fetched from any of {} places: {}", attempts.len(), listed(attempts))]
    Nowhere {
        /// As typed.
        image: String,
        /// What went wrong in each, in the order in which they were tried.
        attempts: Vec<Error>,
    },
    /// A manifest or configuration that is not what its digest names.
    #[error("{what} of {image} should have the digest {expected}, but what {host} sent has {found}")]
    Digest {
        /// `host[:port]`.
        host: String,
        /// The image.
        image: String,
        /// Which part.
        what: &'static str,
        /// By the name or the index.
        expected: Digest,
        /// What was received.
        found: Digest,
    },
    /// The policy refuses the image, or cannot be used.
    #[error(transparent)]
    Trust(#[from] crate::trust::Error),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no folder for credentials.
    #[error("there is no place for credentials{}", missing.as_ref().map_or(String::new(), |dir| format!(": the folder {} of XDG_RUNTIME_DIR does not exist", dir.display())))]
    NoPlace {
        /// What the environment names and is not there.
        missing: Option<PathBuf>,
    },
    /// Credentials for a part of a registry cannot be kept by what keeps those of whole registries.
    #[error("{keeper} keeps credentials for whole registries, and not for {place}")]
    PartOfRegistry {
        /// The part.
        place: String,
        /// Who was to keep them.
        keeper: String,
    },
    /// The registry does not accept these credentials.
    #[error("{registry} does not accept this user name and password{}", quote(said))]
    Login {
        /// The registry.
        registry: String,
        /// The registry's words.
        said: String,
    },
    /// The registry has its tokens made by a host that must not see the credentials.
    #[error("the credentials for {registry} were not sent to {realm}, which hands out its tokens")]
    ForeignRealm {
        /// The registry.
        registry: String,
        /// That host.
        realm: String,
    },
    /// Another layer has failed; its error is the one to show.
    #[error("it was given up")]
    GivenUp,
}

/// The innermost error below one of the HTTP library, whose outer ones only repeat what is said already.
#[derive(Debug)]
pub struct Cause(pub(super) Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut innermost: &dyn std::error::Error = &*self.0;
        while let Some(inner) = super::reach::below(innermost) {
            innermost = inner;
        }
        f.write_str(&super::shorten(&innermost.to_string()))
    }
}

impl std::error::Error for Cause {}

/// One after the other, numbered.
fn listed(attempts: &[Error]) -> String {
    let numbered = attempts.iter().enumerate().map(|(at, error)| format!("({}) {}", at + 1, with_causes(error)));
    numbered.collect::<Vec<_>>().join("; ")
}

/// An error and its causes on one line, for a list has no room for lines of their own.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

/// What a user calls a registry when logging in.
pub(super) fn login(host: &str) -> &str {
    if host == "registry-1.docker.io" { crate::image::DEFAULT_DOMAIN } else { host }
}

/// Somebody else's words after ours.
pub(super) fn quote(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said:?}") }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(Box::new(refusal))
    }
}

impl Error {
    /// What went wrong in all the places where something was looked for, one after the other.
    pub(super) fn of_all(image: &str, mut attempts: Vec<Self>) -> Self {
        let all_alike = attempts.iter().all(|error| matches!(error, Self::NotFound { .. }));
        match attempts.pop() {
            Some(only) if attempts.is_empty() || all_alike => only,
            last => Self::Nowhere { image: image.to_owned(), attempts: attempts.into_iter().chain(last).collect() },
        }
    }

    /// A failure to take a layer in, which may be the failure to fetch it.
    pub(super) fn of_fill(error: crate::store::Error) -> Self {
        match error {
            crate::store::Error::Source { layer, source } => match source.downcast::<Self>() {
                Ok(own) => own,
                Err(source) => crate::store::Error::Source { layer, source }.into(),
            },
            other => other.into(),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name(error) => return error.hint(),
            Self::Table { .. } | Self::FetchedElsewhere => return None,
            Self::Metadata { source: artifact @ crate::image::Error::Artifact(_), image } => {
                return artifact.hint().map(|hint| hint.replace("NAME", image));
            }
            Self::Metadata { source, .. } => return source.hint(),
            Self::Store(error) => return error.hint(),
            Self::Trust(error) => return error.hint(),
            Self::Refusal(refusal) => return refusal.hint(),
            Self::Read { .. } => "mend its permissions, or move it away".into(),
            Self::Configuration { .. } => "see containers-registries.conf(5) for what can stand there".into(),
            Self::AuthFile { .. } | Self::AuthEntry { .. } => "log in again, or move the file away".into(),
            Self::Helper { .. } => {
                "see whether it works by itself, or remove it from credHelpers and credsStore".into()
            }
            Self::Certificate { .. } => {
                "see containers-certs.d(5): *.crt for authorities, *.cert with *.key for yourself, all in PEM format"
                    .into()
            }
            Self::Tls { .. } => "see whether the .cert and .key in certs.d belong together".into(),
            Self::Proxy { .. } => "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or unset it".into(),
            Self::ShortName { candidates, .. } => format!("give the complete name, one of: {}", candidates.join(", ")),
            Self::Blocked { path, .. } => format!("remove blocked = true from {} if it should not be", path.display()),
            Self::NotHere { image } => format!("fetch it first: enter pull {image}"),
            Self::Platform { found, .. } => format!("if that is what you want, say so: --platform {found}"),
            Self::Reach { host, reason, certificate, proxy, .. } => {
                return reason.hint(host, certificate.as_deref(), proxy.as_deref());
            }
            Self::NotFound { .. } => "see whether name and tag are right, or log in if it is private".into(),
            Self::Missing { .. } => {
                "the image was pushed only in part, or partly removed: push it again, or tell who runs the registry"
                    .into()
            }
            Self::Unauthorized { withheld: Some(realm), host, .. } => {
                format!(
                    "your credentials for {host} were not sent to {realm}, which hands out its tokens; if you trust it, add it to token-hosts in the settings"
                )
            }
            Self::Unauthorized { host, known: false, .. } => {
                format!("log in with enter login {}; or the image does not exist", login(host))
            }
            Self::Unauthorized { host, .. } => format!("log in again, with enter login {}", login(host)),
            Self::Denied { host, known: false, .. } => {
                format!("log in with enter login {}; or the image does not exist", login(host))
            }
            Self::Denied { .. } => "ask whoever owns the image for access, or log in as somebody else".into(),
            Self::RateLimited { host, .. } => format!(
                "try again later; some registries allow more after a login (enter login {}), or configure a mirror",
                login(host)
            ),
            Self::Status { .. } => "this is the registry's fault: try again later".into(),
            Self::Answer { .. } | Self::Digest { .. } | Self::Redirect { .. } => {
                "the registry, or something on the way to it such as a proxy, is faulty or lies: tell who runs it"
                    .into()
            }
            Self::Nowhere { attempts, .. } => return attempts.iter().find_map(Self::hint),
            Self::Write { .. } => "see whose file and folder it is with ls -l, and whether there is room".into(),
            Self::NoPlace { .. } => "make the folder or unset XDG_RUNTIME_DIR, or name a file with --authfile".into(),
            Self::PartOfRegistry { .. } => "log in to the registry as a whole, or name a file with --authfile".into(),
            Self::Login { .. } => {
                "see whether both are right; some registries want an access token in the place of the password".into()
            }
            Self::ForeignRealm { realm, .. } => {
                format!("if you trust {realm}, add it to token-hosts in the settings")
            }
            Self::GivenUp => return None,
        })
    }
}
