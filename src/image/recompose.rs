//! Changing a manifest that somebody else wrote, for a push: other layers, or the other family of media types. What is not about that
//! stays as it is, in its order.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compose::{Form, compose, layers_of};
use super::{Descriptor, Digest, Error, Platform};

/// How the annotations of layers with a table of contents begin, which say nothing of any other blob.
const ABOUT_BLOBS: [&str; 2] = ["io.github.containers.zstd-chunked.", "containerd.io/snapshot/stargz/"];

/// What a manifest says of itself and its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Whose media types it has.
    pub form: Form,
    /// Its own media type.
    pub media_type: String,
    /// Its layers, bottom first.
    pub layers: Vec<Outlined>,
}

/// What a manifest says of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlined {
    /// Its blob.
    pub blob: Descriptor,
    /// `gzip` or `zstd`; empty for none.
    pub compression: &'static str,
    /// Whether it has a table of contents in containers/storage's manner.
    pub is_chunked: bool,
}

/// A layer in the place of one that a manifest has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Its blob.
    pub blob: Descriptor,
    /// `gzip` or `zstd`; empty for none.
    pub compression: &'static str,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
}

fn parse(manifest: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(manifest).map_err(|source| Error::Json { what: "manifest", source })
}

/// The media type of a manifest or index, by what it says of itself, or else by its shape.
pub fn media_type_of(document: &[u8]) -> String {
    let value = parse(document).unwrap_or_default();
    match value["mediaType"].as_str().filter(|kind| !kind.is_empty()) {
        Some(kind) => kind.to_owned(),
        None if value["manifests"].is_array() => "application/vnd.oci.image.index.v1+json".into(),
        None => "application/vnd.oci.image.manifest.v1+json".into(),
    }
}

/// Reads what a manifest says.
///
/// # Errors
/// What is no manifest.
pub fn outline(manifest: &[u8]) -> Result<Outline, Error> {
    let value = parse(manifest)?;
    let media_type = media_type_of(manifest);
    let form = if media_type.contains("docker") { Form::Docker } else { Form::Oci };
    let wrong = |what: &str| Error::Descriptor { what: "a layer".into(), reason: format!("its {what} is none") };
    let layer = |layer: &Value| -> Result<Outlined, Error> {
        let digest = Digest::parse(layer["digest"].as_str().unwrap_or_default())?;
        let size = layer["size"].as_u64().ok_or_else(|| wrong("size"))?;
        let kind = layer["mediaType"].as_str().unwrap_or_default();
        let compression = match kind.rsplit(['.', '+']).next() {
            Some("gzip") => "gzip",
            Some("zstd") => "zstd",
            _ => "",
        };
        let is_chunked = layer["annotations"]["io.github.containers.zstd-chunked.manifest-checksum"].is_string();
        Ok(Outlined { blob: Descriptor { digest, size }, compression, is_chunked })
    };
    let layers = value["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Outline { form, media_type, layers: layers.iter().map(layer).collect::<Result<_, _>>()? })
}

/// Whether this program composed the manifest, so that no registry has it and its layers are as the store keeps them.
pub fn is_own(manifest: &[u8], config: &[u8]) -> bool {
    let Some(layers) = layers_of(manifest) else { return false };
    [Form::Oci, Form::Docker].iter().any(|form| compose(*form, config, &layers).is_ok_and(|own| own == manifest))
}

/// The same manifest in a form, with some of its layers replaced; byte for byte the same where nothing changes.
///
/// # Errors
/// What is no manifest.
pub fn recompose(manifest: &[u8], form: Form, replaced: &[Option<Replacement>]) -> Result<Vec<u8>, Error> {
    let before = outline(manifest)?;
    if before.form == form && replaced.iter().all(Option::is_none) {
        return Ok(manifest.to_vec());
    }
    let mut value = parse(manifest)?;
    let (own, config) = match form {
        Form::Oci => ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"),
        Form::Docker => {
            ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json")
        }
    };
    if before.form != form {
        value["mediaType"] = json!(own);
        value["config"]["mediaType"] = json!(config);
        if form == Form::Docker
            && let Some(fields) = value.as_object_mut()
        {
            for foreign in ["annotations", "subject", "artifactType"] {
                fields.remove(foreign);
            }
        }
    }
    let layers = value["layers"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    for (at, (layer, old)) in layers.iter_mut().zip(&before.layers).enumerate() {
        let new = replaced.get(at).and_then(Option::as_ref);
        let compression = new.map_or(old.compression, |new| new.compression);
        if let Some(new) = new {
            layer["digest"] = json!(new.blob.digest.to_string());
            layer["size"] = json!(new.blob.size);
            annotate(layer, &new.annotations);
        }
        if new.is_some() || before.form != form {
            layer["mediaType"] = json!(layer_type(form, compression));
        }
        if form == Form::Docker
            && let Some(fields) = layer.as_object_mut()
        {
            fields.remove("annotations");
        }
    }
    serde_json::to_vec(&value).map_err(|source| Error::Json { what: "manifest", source })
}

/// Puts what is to be said of a new blob in the place of what was said of the old one.
fn annotate(layer: &mut Value, new: &BTreeMap<String, String>) {
    let mut annotations = layer["annotations"].as_object().cloned().unwrap_or_default();
    annotations.retain(|key, _| !ABOUT_BLOBS.iter().any(|about| key.starts_with(about)));
    annotations.extend(new.iter().map(|(key, value)| (key.clone(), json!(value))));
    match (annotations.is_empty(), layer.as_object_mut()) {
        (true, Some(fields)) => drop(fields.remove("annotations")),
        _ => layer["annotations"] = Value::Object(annotations),
    }
}

fn layer_type(form: Form, compression: &str) -> String {
    let (base, dot) = match form {
        Form::Oci => ("application/vnd.oci.image.layer.v1.tar", '+'),
        Form::Docker => ("application/vnd.docker.image.rootfs.diff.tar", '.'),
    };
    if compression.is_empty() { base.to_owned() } else { format!("{base}{dot}{compression}") }
}

/// An index of manifests that were pushed: each with its platform.
///
/// # Errors
/// None that its parts can cause.
pub fn compose_index(form: Form, manifests: &[(Vec<u8>, Platform)]) -> Result<Vec<u8>, Error> {
    let own = match form {
        Form::Oci => "application/vnd.oci.image.index.v1+json",
        Form::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
    };
    let entry = |(manifest, platform): &(Vec<u8>, Platform)| {
        let mut about = json!({"architecture": platform.architecture, "os": platform.os});
        if let Some(variant) = &platform.variant {
            about["variant"] = json!(variant);
        }
        json!({
            "mediaType": media_type_of(manifest), "digest": Digest::of(manifest).to_string(), "size": manifest.len(), "platform": about,
        })
    };
    let entries: Vec<Value> = manifests.iter().map(entry).collect();
    serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": own, "manifests": entries}))
        .map_err(|source| Error::Json { what: "index", source })
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Source, parse_document};
    use super::*;

    fn manifest() -> Vec<u8> {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        format!(
            r#"{{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
              "config": {{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "{one}", "size": 2}},
              "layers": [
                {{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "{one}", "size": 1}},
                {{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": "{two}", "size": 1,
                  "annotations": {{"mine": "yes", "io.github.containers.zstd-chunked.manifest-checksum": "x"}}}}],
              "annotations": {{"a": "b"}}, "strange": [1, 2]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn what_does_not_change_stays_byte_for_byte() {
        assert_eq!(recompose(&manifest(), Form::Oci, &[None, None]).unwrap(), manifest());
        assert_eq!(recompose(&manifest(), Form::Oci, &[]).unwrap(), manifest());
        let outline = outline(&manifest()).unwrap();
        assert_eq!(
            (outline.form, outline.layers[0].compression, outline.layers[1].is_chunked),
            (Form::Oci, "gzip", true)
        );
    }

    #[test]
    fn a_layer_is_replaced_and_nothing_else() {
        let blob = Descriptor { digest: Digest::of(b"new"), size: 3 };
        let new = Replacement { blob: blob.clone(), compression: "gzip", annotations: BTreeMap::new() };
        let changed = recompose(&manifest(), Form::Oci, &[None, Some(new)]).unwrap();
        let value: Value = serde_json::from_slice(&changed).unwrap();
        assert_eq!(value["layers"][1]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(value["layers"][1]["annotations"], json!({"mine": "yes"}));
        assert_eq!((&value["strange"], &value["annotations"]), (&json!([1, 2]), &json!({"a": "b"})));
        assert_eq!(outline(&changed).unwrap().layers[1].blob, blob);
    }

    #[test]
    fn families_are_changed_as_a_whole() {
        let docker = recompose(&manifest(), Form::Docker, &[]).unwrap();
        let text = String::from_utf8(docker.clone()).unwrap();
        assert!(!text.contains("oci") && !text.contains("annotations"), "{text}");
        assert!(matches!(parse_document(&docker, None), Ok(Document::Manifest(_))));
        assert_eq!(outline(&docker).unwrap().form, Form::Docker);
        let back = recompose(&docker, Form::Oci, &[]).unwrap();
        assert!(!String::from_utf8(back).unwrap().contains("docker"));
    }

    #[test]
    fn own_manifests_are_known_and_indexes_are_understood() {
        let own = compose(Form::Oci, b"{}", &[Source::plain(&Digest::of(b"a"), 1)]).unwrap();
        assert!(is_own(&own, b"{}"));
        assert!(!is_own(&manifest(), b"{}"));
        let platform = Platform::parse("linux/arm/v7").unwrap();
        for form in [Form::Oci, Form::Docker] {
            let index = compose_index(form, &[(own.clone(), platform.clone())]).unwrap();
            let Document::Index(index) = parse_document(&index, None).unwrap() else { panic!() };
            assert_eq!(index.choose(&platform).unwrap().manifest.digest, Digest::of(&own));
        }
    }
}
