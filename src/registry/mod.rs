//! Images in registries (OCI distribution-spec): names to places, credentials, TLS, downloads and uploads that go on where they broke off.
//!
//! Everything that a registry says is hostile until a digest proves it. This module prints nothing; it reports through [`Progress`].
//! The commands call [`pull()`] and [`find()`]; both ask the user's container configuration through an [`Environment`].

mod ahead;
mod backoff;
mod blob;
mod bounds;
mod certificates;
mod challenge;
mod configuration;
mod credentials;
mod crew;
mod documents;
mod download;
mod environment;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod login;
mod pace;
mod pages;
mod policy;
mod progress;
mod pull;
mod push;
mod put;
mod reach;
mod refusal;
mod rewrite;
mod rhythm;
mod search;
mod session;
mod signatures;
mod source;
mod tls;
mod token;
mod upload;

use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

pub use ahead::{Job, Start, Told, fill};
pub use configuration::{Configuration, remember};
pub use credentials::{
    Credentials, Forgotten, Keeper, Kept, Place, check_file as check_auth_file, find as credentials,
};
pub use documents::{Fetched, describe, document, manifest_type, referrers};
pub use download::download;
pub use environment::Environment;
pub use error::Error;
pub use login::check as check_login;
pub use pages::Tags;
pub use policy::{change_policy, policy_text};
pub use progress::{LayerEvent, Progress, Silent};
pub use pull::{Policy, PullOptions, find, find_only, pull, pull_or_start};
pub use push::{PushOptions, Pushed, push, push_all, push_list};
pub use reach::Reason;
pub use refusal::Refusal;
pub use search::{Found, MAX_FOUND, SearchOptions, registries, search, tags};
pub use signatures::policy;

/// How downloads behave.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// How many layers are fetched at once.
    pub parallel: usize,
    /// How often something that may succeed later is tried again.
    pub retries: u32,
    /// After how long without a single byte a connection counts as dead.
    pub stall_timeout: Duration,
    /// How long the first retry waits, about; each further one twice as long.
    pub first_wait: Duration,
    /// No retry waits longer than this. A registry that asks for more is not asked again.
    pub longest_wait: Duration,
    /// Hosts that credentials may be sent to although they are for another: where some registry has its tokens made.
    pub token_hosts: Vec<String>,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            parallel: 4,
            retries: 5,
            stall_timeout: Duration::from_secs(30),
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            token_hosts: Vec::new(),
        }
    }
}

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 8 << 20;
/// The most characters of a registry's own words that are passed on.
const MAX_WORDS: usize = 200;

/// Reads a configuration file; `None` where there is none.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    match bounded(path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes);
            text.map(Some).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The bytes of a file that is no longer than a configuration may be. The beginning of a longer one could say another thing than the whole.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

/// Somebody else's words, made short and harmless to a terminal.
fn shorten(text: &str) -> String {
    let mut words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words = words.chars().filter(|c| !c.is_control()).collect();
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
