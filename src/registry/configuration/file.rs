//! One file of `registries.conf`, as text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// What a file says.
#[derive(Debug, Default)]
pub struct File {
    pub search: Option<Vec<String>>,
    pub mode: Option<Mode>,
    pub aliases: BTreeMap<String, String>,
    pub tables: Vec<Table>,
    pub helpers: Option<Vec<String>>,
}

/// What happens to a short name that several registries might mean.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is guessed.
    Enforcing,
    /// All are tried in turn.
    #[default]
    Permissive,
    /// All are tried in turn.
    Disabled,
}

/// A `[[registry]]`.
#[derive(Debug, Clone)]
pub struct Table {
    /// Which names it is about: the beginning of a name, or `*.` and the end of a host name.
    pub prefix: String,
    /// What takes the prefix's place; empty for nothing.
    pub location: String,
    /// Whether plain HTTP and unverified certificates are accepted.
    pub insecure: bool,
    /// Whether nothing may be fetched.
    pub blocked: bool,
    /// To be tried first, in order.
    pub mirrors: Vec<Mirror>,
    /// The file that it is from.
    pub from: PathBuf,
}

/// A `[[registry.mirror]]`.
#[derive(Debug, Clone)]
pub struct Mirror {
    pub location: String,
    pub insecure: bool,
    pub only: Only,
}

/// Which names a mirror is for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Only {
    #[default]
    #[serde(rename = "all")]
    All,
    #[serde(rename = "digest-only")]
    Digests,
    #[serde(rename = "tag-only")]
    Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<String>,
    credential_helpers: Option<Vec<String>>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    registry: Vec<RawTable>,
    registries: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawTable {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<RawMirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawMirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: Option<Only>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no TOML, or a key has the wrong type.
    #[error("{}", .0.message())]
    Toml(#[from] Box<toml::de::Error>),
    /// It is of the first version.
    #[error("it is written in version 1 of the format, which has [registries.search] and the like")]
    Version1,
    /// A value has no meaning.
    #[error("{key} = {value:?}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl File {
    /// Parses a file.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let raw: Raw = toml::from_str(text).map_err(Box::new)?;
        if raw.registries.is_some() {
            return Err(FileError::Version1);
        }
        let mode = match raw.short_name_mode.as_deref() {
            None | Some("") => None,
            Some("enforcing") => Some(Mode::Enforcing),
            Some("permissive") => Some(Mode::Permissive),
            Some("disabled") => Some(Mode::Disabled),
            Some(other) => {
                let reason = "it must be enforcing, permissive or disabled";
                return Err(FileError::Value { key: "short-name-mode", value: other.to_owned(), reason });
            }
        };
        let search = raw.unqualified_search_registries;
        Ok(Self {
            search: search
                .map(|list| list.iter().map(|at| location("unqualified-search-registries", at)).collect())
                .transpose()?,
            mode,
            aliases: raw.aliases,
            tables: raw.registry.into_iter().map(Table::from_raw).collect::<Result<_, _>>()?,
            helpers: raw.credential_helpers,
        })
    }
}

impl Table {
    fn from_raw(raw: RawTable) -> Result<Self, FileError> {
        let place = location("location", &raw.location)?;
        let prefix = if raw.prefix.is_empty() { place.clone() } else { location("prefix", &raw.prefix)? };
        if prefix.is_empty() {
            let reason = "a [[registry]] needs a prefix or a location";
            return Err(FileError::Value { key: "prefix", value: String::new(), reason });
        }
        if place.is_empty() && !prefix.starts_with("*.") && !raw.blocked {
            let reason = "only a prefix that begins with *. can do without a location";
            return Err(FileError::Value { key: "prefix", value: prefix, reason });
        }
        let mirror = |mirror: RawMirror| -> Result<Mirror, FileError> {
            let only =
                if raw.mirror_by_digest_only { Only::Digests } else { mirror.pull_from_mirror.unwrap_or_default() };
            let place = location("location", &mirror.location)?;
            if place.is_empty() {
                return Err(FileError::Value { key: "location", value: place, reason: "a mirror needs one" });
            }
            Ok(Mirror { location: place, insecure: mirror.insecure, only })
        };
        Ok(Self {
            prefix,
            location: place,
            insecure: raw.insecure,
            blocked: raw.blocked,
            mirrors: raw.mirror.into_iter().map(mirror).collect::<Result<_, _>>()?,
            from: PathBuf::new(),
        })
    }
}

/// A registry with or without a path, which must have no scheme.
fn location(key: &'static str, text: &str) -> Result<String, FileError> {
    let trimmed = text.trim_end_matches('/');
    let reason = if trimmed.contains("://") {
        "leave out http:// or https://; for plain HTTP set insecure = true"
    } else if trimmed.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        "it has characters that no registry's name has"
    } else {
        return Ok(trimmed.to_owned());
    };
    Err(FileError::Value { key, value: text.to_owned(), reason })
}
