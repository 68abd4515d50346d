//! A list of images, one for each platform, as it is put together here: what becomes an index (OCI image-spec `image-index.md`) or a
//! manifest list (Docker's image manifest v2, schema 2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Digest, Error, Form, MAX_MANIFEST, Platform};

/// A list that can still be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its images, in order.
    pub entries: Vec<Entry>,
    /// What is said of the list itself.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The media type of its manifest.
    pub media_type: String,
    /// Its manifest.
    pub digest: Digest,
    /// How long that is, in bytes.
    pub size: u64,
    /// What it runs on.
    pub on: On,
    /// What is said of it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The ID of the image in the store that it was added as.
    pub image: Option<Digest>,
    /// The complete name, with its digest, by which a registry has it.
    pub source: Option<String>,
}

/// What an image of a list runs on: more than a [`Platform`] can say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`.
    pub variant: Option<String>,
    /// Of Windows.
    pub os_version: Option<String>,
    /// Of Windows.
    #[serde(default)]
    pub os_features: Vec<String>,
    /// Of the processor.
    #[serde(default)]
    pub features: Vec<String>,
}

impl On {
    /// What a platform says.
    pub fn of(platform: &Platform) -> Self {
        Self {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            ..Self::default()
        }
    }

    fn to_json(&self) -> Value {
        let mut value = Map::new();
        value.insert("architecture".into(), json!(self.architecture));
        value.insert("os".into(), json!(self.os));
        for (key, text) in [("os.version", &self.os_version), ("variant", &self.variant)] {
            value.extend(text.as_ref().map(|text| (key.to_owned(), json!(text))));
        }
        for (key, list) in [("os.features", &self.os_features), ("features", &self.features)] {
            if !list.is_empty() {
                value.insert(key.into(), json!(list));
            }
        }
        Value::Object(value)
    }
}

impl List {
    /// Puts an image into the list; one with the same manifest makes room for it.
    pub fn add(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|other| other.digest == entry.digest) {
            Some(same) => *same = entry,
            None => self.entries.push(entry),
        }
    }

    /// Whose form it has of itself: Docker's where all its images have, and nothing is said that Docker's form has no place for.
    pub fn form(&self) -> Form {
        let docker =
            self.entries.iter().all(|entry| entry.media_type.contains("docker") && entry.annotations.is_empty());
        if docker && self.annotations.is_empty() && !self.entries.is_empty() { Form::Docker } else { Form::Oci }
    }

    /// The bytes that a registry is given, on several lines.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than registries and others read.
    pub fn compose(&self, form: Form) -> Result<Vec<u8>, Error> {
        let kind = media_type(form);
        let entry = |entry: &Entry| {
            let mut value = json!({
                "mediaType": entry.media_type,
                "digest": entry.digest.to_string(),
                "size": entry.size,
                "platform": entry.on.to_json(),
            });
            if form == Form::Oci && !entry.annotations.is_empty() {
                value["annotations"] = json!(entry.annotations);
            }
            value
        };
        let manifests: Vec<Value> = self.entries.iter().map(entry).collect();
        let mut value = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        if form == Form::Oci && !self.annotations.is_empty() {
            value["annotations"] = json!(self.annotations);
        }
        let bytes =
            serde_json::to_vec_pretty(&value).map_err(|source| Error::Json { what: "manifest list", source })?;
        match bytes.len() as u64 {
            size if size > MAX_MANIFEST => Err(Error::TooLarge { what: "manifest list", size, limit: MAX_MANIFEST }),
            _ => Ok(bytes),
        }
    }

    /// Reads the images of an index or manifest list, which a registry has as `repository`.
    ///
    /// # Errors
    /// As [`super::parse_document`]; it has to be an index.
    pub fn parse(bytes: &[u8], repository: &str) -> Result<Self, Error> {
        let super::Document::Index(index) = super::parse_document(bytes, None)? else {
            return Err(Error::MediaType("a manifest of a single image".into()));
        };
        let wrong = |source| Error::Json { what: "manifest list", source };
        let value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
        let raw = value["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(&text).collect::<Vec<_>>();
        let entries = index.candidates.into_iter().zip(raw).map(|(candidate, raw)| Entry {
            media_type: text(&raw["mediaType"]).unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".into()),
            source: Some(format!("{repository}@{}", candidate.manifest.digest)),
            digest: candidate.manifest.digest,
            size: candidate.manifest.size,
            on: On {
                os: text(&raw["platform"]["os"]).unwrap_or_default(),
                architecture: text(&raw["platform"]["architecture"]).unwrap_or_default(),
                variant: text(&raw["platform"]["variant"]),
                os_version: text(&raw["platform"]["os.version"]),
                os_features: texts(&raw["platform"]["os.features"]),
                features: texts(&raw["platform"]["features"]),
            },
            annotations: annotations(&raw["annotations"]),
            image: None,
        });
        Ok(Self { entries: entries.collect(), annotations: annotations(&value["annotations"]) })
    }
}

fn annotations(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn media_type(form: Form) -> &'static str {
    match form {
        Form::Oci => "application/vnd.oci.image.index.v1+json",
        Form::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, parse_document};
    use super::*;
    use proptest::prelude::*;

    fn entry(seed: &str, kind: &str) -> Entry {
        Entry {
            media_type: kind.into(),
            digest: Digest::of(seed.as_bytes()),
            size: 3,
            on: On { os: "linux".into(), architecture: "arm64".into(), variant: Some("v8".into()), ..On::default() },
            annotations: BTreeMap::new(),
            image: None,
            source: Some(format!("quay.io/a/b@{}", Digest::of(seed.as_bytes()))),
        }
    }

    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn a_list_of_docker_s_images_has_docker_s_form() {
        let mut list = List::default();
        assert_eq!(list.form(), Form::Oci);
        list.add(entry("a", DOCKER));
        assert_eq!(list.form(), Form::Docker);
        list.add(entry("a", DOCKER));
        assert_eq!(list.entries.len(), 1);
        list.add(entry("b", OCI));
        assert_eq!(list.form(), Form::Oci);
        let composed = list.compose(Form::Docker).unwrap();
        let Document::Index(index) = parse_document(&composed, None).unwrap() else { panic!() };
        assert_eq!(index.candidates[0].platform.as_ref().unwrap().to_string(), "linux/arm64");
    }

    #[test]
    fn what_is_composed_is_parsed() {
        let mut list = List::default();
        list.add(entry("a", OCI));
        list.entries[0].on.os_features = vec!["win32k".into()];
        list.entries[0].on.os_version = Some("10.0".into());
        list.entries[0].annotations.insert("a".into(), "b".into());
        list.annotations.insert("c".into(), "d".into());
        assert_eq!(List::parse(&list.compose(Form::Oci).unwrap(), "quay.io/a/b").unwrap(), list);
    }

    proptest! {
        #[test]
        fn any_document_is_no_panic(text in "\\PC{0,60}", os in "\\PC{0,9}") {
            let _ = List::parse(text.as_bytes(), "quay.io/a");
            let manifest = json!({"mediaType": os, "digest": Digest::of(b"x"), "size": 1, "platform": {"os": os, "os.features": [os, 1]}});
            let text = json!({"schemaVersion": 2, "manifests": [manifest], "annotations": {os: 1}}).to_string();
            let _ = List::parse(text.as_bytes(), "quay.io/a");
        }
    }
}
