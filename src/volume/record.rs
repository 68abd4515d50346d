//! What a volume was made as.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;

/// The version of [`Record`]'s form.
pub const VERSION: u32 = 1;

/// The longest name: that of a file.
const LONGEST: usize = 255;

/// What a volume was made as; `volume.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `VERSION`.
    pub version: u32,
    /// Its name; 64 hex digits where nobody gave it one.
    pub name: String,
    /// When.
    pub created: Timestamp,
    /// It was made for one container, and goes with that.
    pub anonymous: bool,
    /// The user's.
    pub labels: BTreeMap<String, String>,
    /// `volume create --opt`, as typed.
    pub options: BTreeMap<String, String>,
}

/// What a new volume is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Without one it gets 64 hex digits.
    pub name: Option<String>,
    /// It is made for one container.
    pub anonymous: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver `local`.
    pub options: BTreeMap<String, String>,
}

impl Asked {
    /// A volume of this name.
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// One for a single container.
    pub fn anonymous() -> Self {
        Self { anonymous: true, ..Self::default() }
    }

    /// Sees that it can be had: of what docker's and podman's driver `local` mounts, an ordinary user can have a folder of his.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Option`].
    pub fn check(&self) -> Result<(), Error> {
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            return Err(Error::BadName(name.clone()));
        }
        let refused = |key: &str, value: &str, reason: &str, hint: &str| Error::Option {
            option: format!("{key}={value}"),
            reason: reason.into(),
            hint: hint.into(),
        };
        for (key, value) in &self.options {
            match (key.as_str(), value.as_str()) {
                ("type", "none" | "bind") | ("device", _) => {}
                ("type", "tmpfs") => {
                    let hint = "give each container its own: --mount type=tmpfs,target=PATH";
                    return Err(refused(key, value, "what is in memory ends with the container that has it", hint));
                }
                ("type", _) => {
                    let hint =
                        "mount it as root, and make a volume of the folder: --opt type=none,device=/FOLDER,o=bind";
                    return Err(refused(key, value, "only root may mount that", hint));
                }
                ("o", options) => {
                    let known = |option: &&str| matches!(*option, "bind" | "rbind" | "ro" | "rw" | "");
                    if let Some(option) = options.split(',').find(|option| !known(option)) {
                        let hint =
                            "known are bind, rbind, ro and rw; limits and owners need root or a filesystem of its own";
                        return Err(refused("o", option, "it is not known", hint));
                    }
                }
                _ => return Err(refused(key, value, "it is not known", "known are type, device and o")),
            }
        }
        let (device, bind) = (self.options.get("device"), self.options.keys().any(|key| key == "type" || key == "o"));
        match device {
            Some(device) if !device.starts_with('/') => {
                Err(refused("device", device, "it is no whole path", "name a folder by its path from / on"))
            }
            None if bind => {
                Err(refused("type", "none", "there is no device to show", "name a folder with --opt device=/FOLDER"))
            }
            _ => Ok(()),
        }
    }
}

impl Record {
    /// The host's folder that it shows in the place of one of its own.
    pub fn device(&self) -> Option<PathBuf> {
        self.options.get("device").map(PathBuf::from)
    }

    /// Whether it can only be read, and whether what is mounted below a device comes along.
    pub fn bind(&self) -> (bool, bool) {
        let has = |wanted: &str| self.options.get("o").is_some_and(|text| text.split(',').any(|word| word == wanted));
        (has("ro"), has("rbind"))
    }
}

/// Whether a text can be a volume's name: docker's rule.
pub fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for name in ["data", "a", "1", "my.vol_x-2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "a/b", "a b", "a\n", "ä", &"x".repeat(256)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_only_root_may_mount_is_refused() {
        let asked = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Asked { options, ..Asked::default() }.check()
        };
        assert!(asked(&[]).is_ok() && asked(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]).is_ok());
        for options in [
            &[("type", "nfs"), ("device", ":/x")][..],
            &[("type", "tmpfs"), ("device", "tmpfs")],
            &[("o", "size=1g"), ("device", "/x")],
            &[("o", "bind")],
            &[("device", "relative")],
            &[("colour", "red")],
        ] {
            let error = asked(options).unwrap_err();
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
        }
    }
}
