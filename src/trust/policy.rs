//! `policy.json`: what is required of which images.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::requirement::{Document, Requirement};
use super::{Error, Source};

/// The largest policy that is read, in bytes.
const MAX_POLICY: u64 = 8 << 20;

/// What is required of which images.
#[derive(Debug, Clone)]
pub struct Policy {
    path: PathBuf,
    default: Vec<Requirement>,
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// What a policy requires of one image.
#[derive(Debug)]
pub struct Rules<'a> {
    policy: &'a Policy,
    source: &'a Source,
    scope: String,
    requirements: &'a [Requirement],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    default: Requirements,
    #[serde(default)]
    transports: Unique<Unique<Requirements>>,
}

/// As they stand in the file: at least one, and each makes sense.
struct Requirements(Vec<Requirement>);

impl<'de> Deserialize<'de> for Requirements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let requirements = Vec::<Requirement>::deserialize(deserializer)?;
        if requirements.is_empty() {
            return Err(D::Error::custom("a list of requirements is empty"));
        }
        requirements.iter().try_for_each(Requirement::check).map_err(D::Error::custom)?;
        Ok(Self(requirements))
    }
}

/// An object none of whose keys stands there twice: of two, people see the one, and the program takes the other.
struct Unique<V>(BTreeMap<String, V>);

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Keys<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
                let mut unique = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    if unique.contains_key(&key) {
                        return Err(A::Error::custom(format!("{key:?} stands there twice")));
                    }
                    unique.insert(key, value);
                }
                Ok(Unique(unique))
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

impl Policy {
    /// Reads the first of these files that exists; `None` where none does.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Policy`]: then no image is to be accepted.
    pub fn load(places: &[PathBuf]) -> Result<Option<Self>, Error> {
        for path in places {
            let failed = |source| Error::Read { path: path.clone(), source };
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(failed(error)),
            };
            let mut bytes = Vec::new();
            file.take(MAX_POLICY + 1).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 > MAX_POLICY {
                return Err(failed(ErrorKind::FileTooLarge.into()));
            }
            return Self::parse(path, &bytes).map(Some);
        }
        Ok(None)
    }

    /// Reads one file, which must be there.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = || Error::Read { path: path.to_owned(), source: ErrorKind::NotFound.into() };
        Self::load(&[path.to_owned()])?.ok_or_else(failed)
    }

    /// Reads a policy; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Policy`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|source| Error::Policy { path: path.to_owned(), source })?;
        let scopes = |scopes: Unique<Requirements>| scopes.0.into_iter().map(|(scope, own)| (scope, own.0)).collect();
        Ok(Self {
            path: path.to_owned(),
            default: raw.default.0,
            transports: raw.transports.0.into_iter().map(|(name, own)| (name, scopes(own))).collect(),
        })
    }

    /// What it requires of an image: what stands with the narrowest scope that the image has, or else the default.
    pub fn rules<'a>(&'a self, source: &'a Source) -> Rules<'a> {
        let transport = source.transport();
        let rules =
            |scope: String, requirements: &'a [Requirement]| Rules { policy: self, source, scope, requirements };
        if let Some(own) = self.transports.get(transport) {
            for scope in source.scopes() {
                if let Some(requirements) = own.get(scope) {
                    return rules(format!("in {transport}: {scope:?}"), requirements);
                }
            }
            // Which of them is the image's cannot be told: then all of them are.
            if source.is_somewhere_in(transport)
                && let Some((scope, requirements)) =
                    own.iter().find(|(_, own)| !own.iter().all(Requirement::is_nothing))
            {
                return rules(format!("in {transport}: {scope:?}"), requirements);
            }
            if let Some(requirements) = own.get("") {
                return rules(format!("in {transport}: \"\""), requirements);
            }
        }
        rules("by default".into(), &self.default)
    }
}

impl Rules<'_> {
    /// Whether every image is accepted.
    pub fn accept_anything(&self) -> bool {
        self.requirements.iter().all(Requirement::is_nothing)
    }

    /// Refuses what no signature can help, before any is fetched.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check_first(&self) -> Result<(), Error> {
        self.requirements.iter().try_for_each(|requirement| match requirement.never() {
            Some(reason) => Err(self.refused(reason)),
            None => Ok(()),
        })
    }

    /// Judges the image by the documents that lead to it: its manifest, and the index, where there was one. Who signs an index
    /// vouches for the manifests in it, so that a signature of either is enough.
    ///
    /// # Errors
    /// [`Error::Refused`], and what is wrong with a key of the policy.
    pub fn check(&self, documents: &[Document<'_>]) -> Result<(), Error> {
        for requirement in self.requirements {
            requirement.met(self.source, documents)?.map_err(|reason| self.refused(reason))?;
        }
        Ok(())
    }

    fn refused(&self, reason: String) -> Error {
        Error::Refused {
            image: self.source.name().to_owned(),
            path: self.policy.path.clone(),
            scope: self.scope.clone(),
            reason,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
