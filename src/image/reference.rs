//! Image names: `[domain[:port]/]path[:tag][@digest]`, by the grammar of the distribution project's `reference` package.
//!
//! A name without a domain means `docker.io`, and there one without a slash means `library/`: `debian` is
//! `docker.io/library/debian:latest`. Whether a domain was typed is remembered, because `registries.conf` may say otherwise for
//! a short name.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::{Digest, Error};

/// The registry of names without one.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag of names with neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// What `docker.io` puts before names of one part.
const OFFICIAL: &str = "library/";
/// The longest name of a repository within its registry, in bytes.
const MAX_PATH: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A complete image name: it always has a domain, and a tag or a digest or both.
#[derive(Debug, Clone)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
    short: bool,
}

impl Reference {
    /// Parses what a user types.
    ///
    /// # Errors
    /// [`Error::Reference`] or [`Error::Digest`], saying which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Reference { name: text.chars().take(300).collect(), reason };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.contains("://") {
            return Err(wrong("it is an address"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if let Some(tag) = tag {
            check_tag(tag).map_err(wrong)?;
        }
        let (domain, path) = split_domain(name);
        if domain.is_none() && tag.is_none() && digest.is_none() && is_image_id(path) {
            return Err(wrong("it is an image ID"));
        }
        if let Some(domain) = domain {
            check_registry(domain).map_err(wrong)?;
        }
        check_path(path).map_err(wrong)?;
        let reference = Self::build(domain, path, tag.map(str::to_owned), digest);
        if reference.path.len() > MAX_PATH {
            return Err(wrong("it is longer than 255 bytes"));
        }
        Ok(reference)
    }

    fn build(domain: Option<&str>, path: &str, tag: Option<String>, digest: Option<Digest>) -> Self {
        let short = domain.is_none();
        let domain = match domain {
            None | Some("index.docker.io" | "registry-1.docker.io") => DEFAULT_DOMAIN,
            Some(domain) => domain,
        };
        let official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let path = if official { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        Self { domain: domain.to_owned(), path, tag, digest, short }
    }

    /// The registry: a host name or address, with its port if one was given.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's name within the registry, such as `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, where there is one. With a digest beside it, it is no more than a remark.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest or index, where one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/debian`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Whether no domain was typed, so that `registries.conf` may decide which one is meant.
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// The same name as docker reads it, whatever `registries.conf` says of short ones: that is what `docker://` promises.
    pub fn of_docker(self) -> Self {
        Self { short: false, ..self }
    }

    /// The path as it was typed, without the `library/` that `docker.io` adds.
    pub fn typed_path(&self) -> &str {
        match self.path.strip_prefix(OFFICIAL) {
            Some(rest) if self.domain == DEFAULT_DOMAIN && !rest.contains('/') => rest,
            _ => &self.path,
        }
    }

    /// The same tag and digest in another repository, given as `domain/path`.
    ///
    /// # Errors
    /// As [`Reference::parse`], and where `repository` has no domain, or a tag or digest of its own.
    pub fn in_repository(&self, repository: &str) -> Result<Self, Error> {
        let other = Self::parse(repository)?;
        let wrong = |reason| Error::Reference { name: repository.to_owned(), reason };
        if other.short {
            return Err(wrong("it has no registry"));
        }
        if other.digest.is_some() || split_tag(repository).1.is_some() {
            return Err(wrong("it has a tag or a digest"));
        }
        Ok(Self { tag: self.tag.clone(), digest: self.digest.clone(), ..other })
    }

    /// The same repository and tag, pinned to a digest.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Another tag of the same repository.
    ///
    /// # Errors
    /// [`Error::Reference`] for what cannot be a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        check_tag(tag).map_err(|reason| Error::Reference { name: tag.chars().take(300).collect(), reason })?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// What stands after the name in a request to a registry: the digest, or else the tag.
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }

    /// The name as people write it, which is parsed to the same: `debian:latest`.
    pub fn familiar(&self) -> String {
        let name = if self.domain == DEFAULT_DOMAIN { self.typed_path().to_owned() } else { self.repository() };
        self.with_selectors(name)
    }

    fn with_selectors(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }

    fn identity(&self) -> (&str, &str, Option<&str>, Option<&Digest>) {
        (&self.domain, &self.path, self.tag.as_deref(), self.digest.as_ref())
    }
}

/// Splits off what follows the last colon, unless that colon belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !(tag.contains(']')) => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Splits off a first part that can only be a registry.
fn split_domain(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (Some(first), path)
        }
        _ => (None, name),
    }
}

fn is_image_id(path: &str) -> bool {
    path.len() == 64 && path.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match tag.as_bytes() {
        [] => Err("its tag is empty"),
        bytes if bytes.len() > MAX_TAG => Err("its tag is longer than 128 bytes"),
        [first, rest @ ..] if word(*first) && rest.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-')) => {
            Ok(())
        }
        _ => Err("its tag has characters other than letters, digits, '_', '.' and '-', or begins with '.' or '-'"),
    }
}

/// Whether a text is a registry: `HOST[:PORT]`, where the host may be an IPv6 address in brackets.
///
/// # Errors
/// Which rule it breaks.
pub fn check_registry(domain: &str) -> Result<(), &'static str> {
    let (host, port) = if let Some(rest) = domain.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or("its registry has '[' without ']'")?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("its registry is no IPv6 address");
        }
        let port = match after {
            "" => None,
            after => Some(after.strip_prefix(':').ok_or("its registry has something after ']'")?),
        };
        (None, port)
    } else {
        match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        }
    };
    if let Some(host) = host {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !host.split('.').all(label) {
            return Err("its registry is no host name");
        }
    }
    match port {
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err() => {
            Err("the port of its registry is no number up to 65535")
        }
        _ => Ok(()),
    }
}

/// Whether a text is a repository's name within a registry.
///
/// # Errors
/// Which rule it breaks.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it names a registry but no image");
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err("a part of it is empty");
        }
        if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("it has upper case letters");
        }
        let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        // What stands between the letters and digits; the first and last pieces are what stands before and after all of them.
        let between: Vec<&str> = separators.by_ref().collect();
        let edges = [between.first(), between.last()];
        if edges.iter().flatten().any(|edge| !edge.is_empty()) {
            return Err("a part of it does not begin and end with a letter or digit");
        }
        if !between.iter().all(|gap| matches!(*gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-')) {
            return Err("it has characters other than letters, digits and single '.', '_' or '-' between them");
        }
    }
    Ok(())
}

impl fmt::Display for Reference {
    /// The full name: `docker.io/library/debian:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_selectors(self.repository()))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Two references are equal when they name the same thing, however they were typed.
impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[cfg(test)]
mod tests;
