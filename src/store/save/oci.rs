//! OCI layouts (image-spec, image-layout.md).

use serde_json::{Value, json};

use super::sink::Sink;
use super::{Named, Packing};
use crate::image::{Digest, Form, Reference};
use crate::store::{Error, Store};

/// The annotation that names an image.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Store {
    /// Writes a layout. `index` is that of the layout that is there already.
    pub(super) fn oci(
        &self,
        images: &[Named],
        how: Packing,
        sink: &mut dyn Sink,
        index: Option<&[u8]>,
    ) -> Result<Vec<Digest>, Error> {
        let mut index = index.map_or_else(|| Ok(json!({"schemaVersion": 2, "manifests": []})), parse)?;
        sink.directory("blobs")?;
        sink.directory("blobs/sha256")?;
        let mut digests = Vec::new();
        for (image, names) in images {
            let references: Vec<Reference> = names.iter().filter_map(|name| Reference::parse(name).ok()).collect();
            let going = self.going(image, &references, Form::Oci, true, how)?;
            if let Some((digest, ..)) = going.blobs.iter().find(|(digest, ..)| digest.algorithm().name() != "sha256") {
                sink.directory(&format!("blobs/{}", digest.algorithm().name()))?;
            }
            sink.directory(&format!("blobs/{}", going.digest.algorithm().name()))?;
            self.write_blobs(image, &going, &path_of, sink)?;
            let path = path_of(&going.digest);
            if sink.wants(&path, going.manifest.len() as u64) {
                sink.small(&path, &going.manifest)?;
            }
            let names: Vec<Option<&String>> =
                if names.is_empty() { vec![None] } else { names.iter().map(Some).collect() };
            for name in names {
                add(&mut index, &going.digest, going.manifest.len(), name.map(String::as_str));
            }
            digests.push(going.digest);
        }
        sink.small("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        sink.small("index.json", index.to_string().as_bytes())?;
        Ok(digests)
    }
}

/// The index of a layout that is there.
fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let refuse = |reason: &str| Error::Occupied(format!("its index.json {reason}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|_| refuse("cannot be read"))?;
    if value["schemaVersion"] != 2 || !value["manifests"].is_array() {
        return Err(refuse("is no index"));
    }
    Ok(value)
}

/// Puts an image into an index: in the place of one of the same name, or of the same image without a name.
fn add(index: &mut Value, digest: &Digest, size: usize, name: Option<&str>) {
    let mut entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest.to_string(),
        "size": size,
    });
    if let Some(name) = name {
        entry["annotations"] = json!({REF_NAME: name});
    }
    let Some(entries) = index["manifests"].as_array_mut() else { return };
    entries.retain(|other| match (name, other["annotations"][REF_NAME].as_str()) {
        (Some(name), Some(other)) => other != name,
        (None, None) => other["digest"] != entry["digest"],
        _ => true,
    });
    entries.push(entry);
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_keeps_what_has_another_name() {
        let mut index = json!({"schemaVersion": 2, "manifests": []});
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        for (digest, name) in [(&one, Some("a")), (&two, Some("b")), (&one, None), (&one, None), (&two, Some("a"))] {
            add(&mut index, digest, 1, name);
        }
        let told: Vec<(&str, &str)> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["digest"].as_str().unwrap(), entry["annotations"][REF_NAME].as_str().unwrap_or("")))
            .collect();
        let (one, two) = (one.to_string(), two.to_string());
        assert_eq!(told, [(two.as_str(), "b"), (&one, ""), (&two, "a")]);
        assert!(parse(b"{}").is_err() && parse(b"x").is_err());
    }
}
