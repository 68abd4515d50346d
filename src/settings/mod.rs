//! What the user prefers, resolved in one place: flags, then `ENTER_*` variables, then `~/.config/enter/config.toml`, then
//! defaults. Reads the environment and that one file; prints nothing, and changes nothing. `commands` call it.
//!
//! [`table`] is the one list of keys. From it come the parsers, the `ENTER_*` names, and enter.toml(5).

mod file;
pub mod lists;
pub mod places;
pub mod programs;
pub mod table;
pub mod values;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use table::{KEYS, Overrides, Settings};

/// Why the settings could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is there and cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Read {
        /// The settings file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: not valid TOML", path.display())]
    Syntax {
        /// The settings file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: NotToml,
    },
    /// No setting has this name.
    #[error("{}, line {line}: unknown key `{key}`", path.display())]
    UnknownKey {
        /// The settings file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        key: String,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A key of the file has a value that it cannot have.
    #[error("{}, line {line}: `{key}` must be {wanted}, not {found}", path.display())]
    Value {
        /// The settings file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Which setting.
        key: &'static str,
        /// What it can be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// Neither `HOME` nor `XDG_DATA_HOME` says where to be.
    #[error("cannot tell where the store is: HOME is not set")]
    NoHome,
    /// An `ENTER_*` variable has a value that it cannot have.
    #[error("the environment variable {name} must be {wanted}, not `{found}`")]
    Variable {
        /// Which variable.
        name: &'static str,
        /// What it can be.
        wanted: String,
        /// What it is.
        found: String,
    },
}

/// The parser's own words, without the drawing of the line that it adds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotToml(pub String);

impl Error {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("mend its permissions, or move it away".into()),
            Self::NoHome => Some("export HOME, or XDG_DATA_HOME for the store alone".into()),
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { .. } => Some(format!("the keys are: {}", names().join(", "))),
            Self::Variable { name, .. } => Some(format!("correct it, or remove it: unset {name}")),
            Self::Syntax { .. } | Self::Value { .. } => Some("see `man enter.toml` for what can stand there".into()),
        }
    }
}

fn names() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

/// Resolves every setting: `flags` first, then this process's environment, then the file, then the defaults.
pub fn load(flags: Overrides) -> Result<Settings, Error> {
    let environment = |name: &str| std::env::var_os(name);
    let from_file = match places::config(environment) {
        Some(path) => file::read(&path)?,
        None => Overrides::default(),
    };
    Ok(flags.or(from_environment(environment)?).or(from_file).or_defaults())
}

/// What the text of a settings file says, without a file.
#[cfg(test)]
pub fn check_file(text: &str) -> Result<Overrides, Error> {
    file::parse("config.toml".as_ref(), text)
}

/// The settings that `ENTER_*` variables make. An empty variable is as good as none.
fn from_environment(environment: impl Fn(&str) -> Option<OsString>) -> Result<Overrides, Error> {
    let mut overrides = Overrides::default();
    for key in KEYS {
        let Some(value) = environment(key.env).filter(|value| !value.is_empty()) else { continue };
        let bad = |value: &OsStr| Error::Variable {
            name: key.env,
            wanted: (key.wanted)(),
            found: value.to_string_lossy().into_owned(),
        };
        let text = value.to_str().ok_or_else(|| bad(&value))?;
        (key.set_text)(&mut overrides, text).ok_or_else(|| bad(&value))?;
    }
    Ok(overrides)
}

#[cfg(test)]
mod tests {
    use super::values::{Count, Network, Storage, When};
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + Copy + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let file = file::parse("/c".as_ref(), "storage = 'fuse'\nnetwork = 'none'\nretries = 9").unwrap();
        let variables = from_environment(environment(&[("ENTER_NETWORK", "host"), ("ENTER_RETRIES", "7")])).unwrap();
        let flags = Overrides { retries: Count::new(1), ..Default::default() };
        let settings = flags.or(variables).or(file).or_defaults();
        assert_eq!(settings.retries.get(), 1);
        assert_eq!(settings.network, Network::Host);
        assert_eq!(settings.storage, Storage::Fuse);
        assert_eq!(settings.color, When::Auto);
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = from_environment(environment(&[("ENTER_STORAGE", "zfs")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable ENTER_STORAGE must be one of auto, overlay, fuse, not `zfs`"
        );
    }

    #[test]
    fn an_empty_variable_counts_for_nothing() {
        let overrides = from_environment(environment(&[("ENTER_STORAGE", "")])).unwrap();
        assert!(overrides.storage.is_none());
    }
}
