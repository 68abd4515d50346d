//! The lists that containers/storage keeps of images and layers: JSON, replaced as a whole.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::image::{Digest, MAX_LAYERS, Stored};

/// An image.
#[derive(Debug, Clone, Deserialize)]
pub struct ImageRecord {
    /// Its ID: hexadecimal digits.
    #[serde(deserialize_with = "plain")]
    pub id: String,
    /// The digest of its manifest.
    #[serde(default, deserialize_with = "digest")]
    pub digest: Option<Digest>,
    /// Its names.
    #[serde(default, deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// Its topmost layer.
    pub layer: Option<String>,
    /// What is kept beside it, with digests.
    #[serde(rename = "big-data-digests", default, deserialize_with = "nullable")]
    pub data: HashMap<String, String>,
}

/// A layer.
#[derive(Debug, Clone, Deserialize)]
pub struct LayerRecord {
    /// Its ID there: hexadecimal digits.
    #[serde(deserialize_with = "plain")]
    pub id: String,
    /// The one below it.
    #[serde(default)]
    pub parent: Option<String>,
    /// What its tar hashed to.
    #[serde(rename = "diff-digest", default, deserialize_with = "digest")]
    pub diff_digest: Option<Digest>,
}

/// An ID that can be a file's name.
fn plain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fine = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fine { Ok(text) } else { Err(serde::de::Error::custom("an ID has other characters than letters and digits")) }
}

/// A digest; none where it is empty, or of a kind that is not known here.
fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| Digest::parse(&text).ok()))
}

fn nullable<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `images.json`.
pub fn images(bytes: &[u8]) -> serde_json::Result<Vec<ImageRecord>> {
    serde_json::from_slice(bytes)
}

/// `layers.json`.
pub fn layers(bytes: &[u8]) -> serde_json::Result<Vec<LayerRecord>> {
    serde_json::from_slice(bytes)
}

/// The layers from the bottom up to `top`; `None` where one is missing, or they stand on each other in a circle. No layers for an empty `top`.
pub fn chain(all: Vec<LayerRecord>, top: &str) -> Option<Vec<LayerRecord>> {
    let by_id: HashMap<&str, &LayerRecord> = all.iter().map(|layer| (layer.id.as_str(), layer)).collect();
    let (mut chain, mut next) = (Vec::new(), top);
    while !next.is_empty() {
        let layer = by_id.get(next)?;
        chain.push((*layer).clone());
        if chain.len() > MAX_LAYERS {
            return None;
        }
        next = layer.parent.as_deref().unwrap_or_default();
    }
    chain.reverse();
    Some(chain)
}

/// The file that has what is kept under a key: names that are none of letters and digits alone are encoded.
pub fn file_name(key: &str) -> String {
    if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') && !key.starts_with('.') {
        return key.to_owned();
    }
    format!("={}", BASE64_STANDARD.encode(key))
}

impl ImageRecord {
    /// Whether it is the image that is meant.
    pub fn answers(&self, stored: &Stored) -> bool {
        let by_id = stored.id.as_ref().is_none_or(|id| self.id.starts_with(id.as_str()));
        let by_name = stored.name.as_ref().is_none_or(|name| match name.digest() {
            // What podman has built is its own: localhost/NAME.
            None => self.names.iter().any(|own| {
                *own == name.to_string()
                    || (name.is_short() && own.strip_prefix("localhost/").is_some_and(|own| own == name.familiar()))
            }),
            Some(digest) => {
                let repository = name.repository();
                let here =
                    |own: &String| own.strip_prefix(&repository).is_some_and(|rest| rest.starts_with([':', '@']));
                let text = digest.to_string();
                self.names.iter().any(here)
                    && (self.digest.as_ref() == Some(digest)
                        || self.data.iter().any(|(key, value)| key.starts_with("manifest") && *value == text))
            }
        });
        by_id && by_name
    }

    /// Whether something is kept under a key.
    pub fn has(&self, key: &str) -> bool {
        self.data.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::Transport;

    fn asked(text: &str) -> Stored {
        match Transport::parse(&format!("containers-storage:{text}")).unwrap().unwrap() {
            Transport::ContainersStorage(stored) => stored,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_image_answers_to_its_names_id_and_digests() {
        let (id, digest) = ("ab".repeat(32), format!("sha256:{}", "cd".repeat(32)));
        let text = format!(
            r#"[{{"id":"{id}","digest":"{digest}","names":["docker.io/library/a:1","localhost/b:latest"],"layer":"x",
               "big-data-names":["manifest"],"big-data-digests":{{"manifest":"{digest}"}},"created":"2024"}},{{"id":"ff","names":null}}]"#
        );
        let images = images(text.as_bytes()).unwrap();
        for (text, answers) in [
            ("a:1", true),
            ("localhost/b", true),
            ("b", true),
            ("docker.io/library/b", false),
            ("a:2", false),
            ("@abab", true),
            ("a:1@abab", true),
            ("@abc", false),
            (&format!("a@{digest}"), true),
            (&format!("c@{digest}"), false),
        ] {
            assert_eq!(images[0].answers(&asked(text)), answers, "{text}");
        }
        assert!(images[0].has("manifest") && images[1].names.is_empty());
    }

    #[test]
    fn chains_end() {
        let layers = layers(
            br#"[{"id":"a"},{"id":"b","parent":"a","diff-digest":""},{"id":"c","parent":"b"},{"id":"d","parent":"d"}]"#,
        )
        .unwrap();
        let ids =
            |top| chain(layers.clone(), top).map(|chain| chain.into_iter().map(|layer| layer.id).collect::<String>());
        assert_eq!((ids("c").as_deref(), ids("d"), ids("x"), ids("").as_deref()), (Some("abc"), None, None, Some("")));
    }

    #[test]
    fn files_are_named_as_containers_storage_names_them() {
        assert_eq!(file_name("manifest"), "manifest");
        assert_eq!(file_name("sha256:ab"), "=c2hhMjU2OmFi");
        assert_eq!(file_name("../x"), "=Li4veA==");
        assert!(images(br#"[{"id":"../x"}]"#).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (images(&bytes), layers(&bytes));
        }
    }
}
