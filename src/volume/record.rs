//! What a volume was made as.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::options::{self, Looks};

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

    /// Sees that it can be had: of what docker's and podman's driver `local` mounts, an ordinary user can have a folder of his, files in
    /// memory, and a folder that is somebody's inside.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Option`].
    pub fn check(&self) -> Result<(), Error> {
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            return Err(Error::BadName(name.clone()));
        }
        options::check(&self.options)
    }
}

impl Record {
    /// The host's folder that it shows in the place of one of its own.
    pub fn device(&self) -> Option<PathBuf> {
        self.options.get("device").filter(|_| !options::is_memory(&self.options)).map(PathBuf::from)
    }

    /// Whether it can only be read, and whether what is mounted below a device comes along.
    pub fn bind(&self) -> (bool, bool) {
        let has = |wanted: &str| self.options.get("o").is_some_and(|text| text.split(',').any(|word| word == wanted));
        (has("ro"), has("rbind"))
    }

    /// Whose its top is inside, whatever the image has in the place: user and group, where that was asked for.
    pub fn owner(&self) -> Option<(u32, u32)> {
        let looks = options::looks(&self.options).unwrap_or_default();
        (looks.uid.is_some() || looks.gid.is_some()).then(|| (looks.uid.unwrap_or(0), looks.gid.unwrap_or(0)))
    }

    /// What its files in memory are to be like, if that is where they are.
    pub fn memory(&self) -> Option<Looks> {
        options::is_memory(&self.options).then(|| options::looks(&self.options).unwrap_or_default())
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

    proptest::proptest! {
        #[test]
        fn a_name_is_one_file_below_the_folder_of_volumes(text in "\\PC{0,300}") {
            if is_name(&text) {
                let path = std::path::Path::new(&text);
                proptest::prop_assert_eq!(path.components().count(), 1);
                proptest::prop_assert!(text.is_ascii() && text.len() <= LONGEST && !text.starts_with('.') && !text.contains('/'));
            }
        }

        #[test]
        fn any_options_are_no_panic(pairs in proptest::collection::btree_map("(type|device|o|x)", "[a-z0-9=,/:%-]{0,30}", 0..4)) {
            let asked = Asked { options: pairs.clone(), ..Asked::default() };
            if asked.check().is_ok() {
                let record = Record {
                    version: VERSION,
                    name: "x".into(),
                    created: Timestamp::UNIX_EPOCH,
                    anonymous: false,
                    labels: BTreeMap::new(),
                    options: pairs,
                };
                let text = serde_json::to_vec(&record).unwrap();
                proptest::prop_assert_eq!(serde_json::from_slice::<Record>(&text).unwrap(), record.clone());
                proptest::prop_assert!(record.device().is_none_or(|device| device.is_absolute()));
                let _ = (record.owner(), record.memory(), record.bind());
            }
        }

        #[test]
        fn a_damaged_record_is_no_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = serde_json::from_slice::<Record>(&bytes);
        }
    }
}
