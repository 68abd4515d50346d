//! From a name to the places where it is looked for.

use super::file::{Mode, Only, Table};
use super::{Configuration, Error};
use crate::image::{DEFAULT_DOMAIN, Reference};

/// One place where an image may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name to ask for there.
    pub reference: Reference,
    /// Whether plain HTTP and unverified certificates are accepted from it.
    pub insecure: bool,
    /// Whether it stands in for another registry.
    pub is_mirror: bool,
}

impl Configuration {
    /// The complete names that a name may mean, the likeliest first. Only a short name can mean several.
    ///
    /// # Errors
    /// An alias or search registry that is none.
    pub fn candidates(&self, reference: &Reference) -> Result<Vec<Reference>, Error> {
        if !reference.is_short() {
            return Ok(vec![reference.clone()]);
        }
        let typed = reference.typed_path();
        if let Some(repository) = self.aliases.get(typed) {
            return Ok(vec![reference.in_repository(repository)?]);
        }
        let search = match self.search.as_deref() {
            None | Some([]) => return Ok(vec![reference.clone()]),
            Some(search) => search,
        };
        search.iter().map(|registry| Ok(reference.in_repository(&format!("{registry}/{typed}"))?)).collect()
    }

    /// Among which of several names its user has to choose, as far as somebody can be asked; nothing where the name is clear, or where
    /// all are to be tried without asking.
    ///
    /// # Errors
    /// As [`Configuration::candidates`].
    pub fn choices(&self, reference: &Reference) -> Result<Vec<Reference>, Error> {
        let candidates = self.candidates(reference)?;
        Ok(if candidates.len() > 1 && self.mode != Mode::Disabled { candidates } else { Vec::new() })
    }

    /// The names to try in turn where nobody can be asked.
    ///
    /// # Errors
    /// [`Error::ShortName`] where the configuration forbids to guess; as [`Configuration::candidates`].
    pub(in crate::registry) fn guesses(&self, reference: &Reference) -> Result<Vec<Reference>, Error> {
        let candidates = self.candidates(reference)?;
        if self.mode == Mode::Enforcing && candidates.len() > 1 {
            return Err(Error::ShortName {
                name: reference.typed_path().to_owned(),
                candidates: candidates.iter().map(Reference::to_string).collect(),
            });
        }
        Ok(candidates)
    }

    /// Where a complete name is looked for: the mirrors of its registry in order, then the registry itself.
    ///
    /// # Errors
    /// [`Error::Blocked`], and a location that makes no name.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Error> {
        let insecure = |configured| self.all_insecure.unwrap_or(configured);
        let own =
            |configured| Endpoint { reference: reference.clone(), insecure: insecure(configured), is_mirror: false };
        let Some((table, length)) = self.table(reference) else { return Ok(vec![own(false)]) };
        if table.blocked {
            return Err(Error::Blocked { registry: table.prefix.clone(), path: table.from.clone() });
        }
        let repository = reference.repository();
        let rest = repository.get(length..).unwrap_or_default();
        let at = |location: &str, configured, is_mirror| -> Result<Endpoint, Error> {
            let reference = reference.in_repository(&format!("{location}{rest}"))?;
            Ok(Endpoint { reference, insecure: insecure(configured), is_mirror })
        };
        let pinned = reference.digest().is_some();
        let suits = |only| match only {
            Only::All => true,
            Only::Digests => pinned,
            Only::Tags => !pinned,
        };
        let mirrors = table.mirrors.iter().filter(|mirror| suits(mirror.only));
        let mut endpoints: Vec<Endpoint> =
            mirrors.map(|mirror| at(&mirror.location, mirror.insecure, true)).collect::<Result<_, _>>()?;
        endpoints.push(if table.location.is_empty() {
            own(table.insecure)
        } else {
            at(&table.location, table.insecure, false)?
        });
        Ok(endpoints)
    }

    /// Whether plain HTTP and unverified certificates are accepted from a registry as a whole, as for a login.
    ///
    /// # Errors
    /// [`Error::Blocked`].
    pub fn is_insecure_registry(&self, registry: &str) -> Result<bool, Error> {
        let table = self.table_of(registry).map(|(table, _)| table);
        if let Some(table) = table.filter(|table| table.blocked) {
            return Err(Error::Blocked { registry: table.prefix.clone(), path: table.from.clone() });
        }
        Ok(self.all_insecure.unwrap_or_else(|| table.is_some_and(|table| table.insecure)))
    }

    /// The table with the longest prefix that a name begins with, and how much of the name that is, in bytes.
    fn table(&self, reference: &Reference) -> Option<(&Table, usize)> {
        self.table_of(&reference.to_string())
    }

    fn table_of(&self, name: &str) -> Option<(&Table, usize)> {
        let matches = self.tables.values().filter_map(|table| Some((table, match_length(&table.prefix, name)?)));
        matches.max_by_key(|(table, length)| (*length, !table.prefix.starts_with("*.")))
    }

    /// Whether a host that is no registry of the image's own, such as one that blobs are redirected to, is configured to be insecure.
    pub fn is_insecure_host(&self, host: &str) -> bool {
        if let Some(all) = self.all_insecure {
            return all;
        }
        let locations = self.tables.values().flat_map(|table| {
            let mirrors = table.mirrors.iter().map(|mirror| (mirror.location.as_str(), mirror.insecure));
            mirrors.chain([(table.location.as_str(), table.insecure)])
        });
        locations.filter(|(_, insecure)| *insecure).any(|(location, _)| location.split('/').next() == Some(host))
    }
}

/// How many bytes of a name a prefix covers; `None` where it does not, or ends in the middle of a part.
pub(super) fn match_length(prefix: &str, name: &str) -> Option<usize> {
    let length = match prefix.strip_prefix('*') {
        // `*.example.com/path`: any host below example.com, at any depth, and then the rest as it stands.
        Some(suffix) => {
            let host = name.split('/').next()?;
            let suffix_host = suffix.split('/').next()?;
            let start =
                host.strip_suffix(suffix_host).or_else(|| host.rsplit_once(':')?.0.strip_suffix(suffix_host))?;
            if start.is_empty() || !name[start.len()..].starts_with(suffix) {
                return None;
            }
            start.len() + suffix.len()
        }
        None => name.starts_with(prefix).then_some(prefix.len())?,
    };
    let boundary = name[length..].is_empty() || name[length..].starts_with(['/', ':', '@']);
    boundary.then_some(length)
}

/// The host that serves the registry of a name: Docker Hub's is not called as the names say.
pub fn api_host(domain: &str) -> &str {
    if domain == DEFAULT_DOMAIN { "registry-1.docker.io" } else { domain }
}
