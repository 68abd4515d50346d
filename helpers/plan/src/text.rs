//! Paths, arguments and environment as Linux has them: bytes that are nearly always UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A string of bytes without NUL. In JSON: a string where it is UTF-8, else an array of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(OsString);

impl Text {
    /// As a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// As an operating-system string.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// As bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<T: Into<OsString>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl From<Text> for PathBuf {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    String(String),
    Bytes(Vec<u8>),
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Form::deserialize(deserializer)? {
            Form::String(text) => text.into_bytes(),
            Form::Bytes(bytes) => bytes,
        };
        if bytes.contains(&0) {
            return Err(D::Error::custom("a NUL byte"));
        }
        Ok(Self(OsString::from_vec(bytes)))
    }
}

/// What a file holds: any bytes, as in the rules of a time zone. In JSON as [`Text`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content(Vec<u8>);

impl Content {
    /// As bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Vec<u8>>> From<T> for Content {
    fn from(content: T) -> Self {
        Self(content.into())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Form::deserialize(deserializer).map(|form| match form {
            Form::String(text) => Self(text.into_bytes()),
            Form::Bytes(bytes) => Self(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_without_nul_survive_json(bytes in proptest::collection::vec(1_u8.., 0..40)) {
            let text = Text(OsString::from_vec(bytes));
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn a_files_content_may_hold_any_byte(bytes in proptest::collection::vec(0_u8.., 0..40)) {
            let content = Content(bytes);
            let json = serde_json::to_string(&content).unwrap();
            prop_assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
        }
    }

    #[test]
    fn nul_is_refused() {
        assert!(serde_json::from_str::<Text>("\"a\\u0000b\"").is_err());
        assert!(serde_json::from_str::<Text>("[97, 0]").is_err());
    }
}
