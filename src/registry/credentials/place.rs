//! What a login is for: a registry, or the part of one below a path.

use std::fmt;

use crate::image::{DEFAULT_DOMAIN, Error, Reference, check_path, check_registry};

/// What helpers and Docker's own file call Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// A registry (`quay.io`), or a namespace or repository of one (`quay.io/team`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    domain: String,
    path: String,
}

impl Place {
    /// Reads what a user types: `HOST[:PORT][/PATH]`. A scheme and a slash at the end do no harm; all of Docker Hub's names are one.
    ///
    /// # Errors
    /// [`Error::Reference`], saying which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Registry { name: text.chars().take(300).collect(), reason };
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let (host, path) = bare.trim_end_matches('/').split_once('/').unwrap_or((bare.trim_end_matches('/'), ""));
        check_registry(host).map_err(wrong)?;
        let domain = common(host);
        // What Docker's file calls Docker Hub has a version in the place of a path.
        let path = if domain == DEFAULT_DOMAIN && matches!(path, "v1" | "v2") { "" } else { path };
        if !path.is_empty() {
            check_path(path).map_err(wrong)?;
        }
        Ok(Self { domain: domain.to_owned(), path: path.to_owned() })
    }

    /// The repository of an image.
    pub fn of(reference: &Reference) -> Self {
        Self { domain: reference.domain().to_owned(), path: reference.path().to_owned() }
    }

    /// The registry alone.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it is a part of a registry.
    pub fn is_part(&self) -> bool {
        !self.path.is_empty()
    }

    /// Itself and all that it lies in, the narrowest first: `host/a/b`, `host/a`, `host`.
    pub fn keys(&self) -> Vec<String> {
        let mut key = self.to_string();
        let mut keys = vec![key.clone()];
        while let Some((shorter, _)) = key.rsplit_once('/') {
            key = shorter.to_owned();
            keys.push(key.clone());
        }
        keys
    }

    /// How Docker's own file and its helpers call it.
    pub fn docker_key(&self) -> String {
        if self.domain == DEFAULT_DOMAIN && !self.is_part() { HUB.to_owned() } else { self.to_string() }
    }

    /// The names that a credential helper may know the registry by.
    pub fn server_names(&self) -> Vec<String> {
        match self.domain.as_str() {
            DEFAULT_DOMAIN => vec![HUB.to_owned(), DEFAULT_DOMAIN.to_owned()],
            domain => vec![domain.to_owned()],
        }
    }

    /// Whether a key of a file is this very place, however it is written there.
    pub fn is_meant_by(&self, key: &str) -> bool {
        key == self.to_string() || (!self.is_part() && host_of(key) == self.domain)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.domain),
            path => write!(f, "{}/{path}", self.domain),
        }
    }
}

/// The host of a key that Docker wrote. Keys with a path but no scheme are for that repository alone.
pub fn host_of(key: &str) -> &str {
    let rest = match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.strip_suffix("/v1/").or_else(|| key.strip_suffix("/v1")).unwrap_or(key),
    };
    common(rest)
}

fn common(host: &str) -> &str {
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { DEFAULT_DOMAIN } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_typed_is_read() {
        for (typed, place) in [
            ("quay.io", "quay.io"),
            ("quay.io/", "quay.io"),
            ("https://quay.io/team", "quay.io/team"),
            ("quay.io/team/tool", "quay.io/team/tool"),
            ("registry", "registry"),
            ("localhost:5000", "localhost:5000"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
        ] {
            assert_eq!(Place::parse(typed).unwrap().to_string(), place, "{typed}");
        }
        for typed in
            ["", "/", "https://", "a b", "quay.io:x", "quay.io/Team", "quay.io/team:1", "quay.io//x", "-x", "a@b"]
        {
            assert!(Place::parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn keys_are_compared_as_hosts() {
        let hub = Place::parse("docker.io").unwrap();
        for key in ["docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"] {
            assert!(hub.is_meant_by(key), "{key}");
        }
        assert_eq!(hub.docker_key(), "https://index.docker.io/v1/");
        let team = Place::parse("quay.io/team").unwrap();
        assert!(team.is_meant_by("quay.io/team") && !team.is_meant_by("quay.io"));
        assert!(!Place::parse("quay.io").unwrap().is_meant_by("quay.io/team"));
        assert_eq!(team.keys(), ["quay.io/team", "quay.io"]);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_stable(text in "\\PC{0,40}") {
            if let Ok(place) = Place::parse(&text) {
                prop_assert_eq!(&Place::parse(&place.to_string()).unwrap(), &place);
                prop_assert!(place.is_meant_by(&place.docker_key()));
            }
            host_of(&text);
        }
    }
}
