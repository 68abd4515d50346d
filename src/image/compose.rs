//! Manifests that this program writes, for images that it has made or loaded.
//!
//! A layer is described as the uncompressed tar that the store has; where an image was pulled, its layers keep the descriptions that their
//! registry gave, so that a push finds them there.

use serde_json::{Value, json};

use super::{Digest, Error};

/// Which family a manifest belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// OCI image-spec.
    #[default]
    Oci,
    /// Docker's image manifest v2, schema 2.
    Docker,
}

/// A layer as a manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    digest: Digest,
    size: u64,
    /// `gzip` or `zstd`; empty for none.
    compression: &'static str,
}

impl Source {
    /// A layer as the store has it.
    pub fn plain(diff_id: &Digest, size: u64) -> Self {
        Self { digest: diff_id.clone(), size, compression: "" }
    }

    /// A layer compressed by gzip.
    pub fn gzip(digest: &Digest, size: u64) -> Self {
        Self { digest: digest.clone(), size, compression: "gzip" }
    }

    fn describe(&self, form: Form) -> Value {
        let kind = match (form, self.compression) {
            (Form::Oci, "") => "application/vnd.oci.image.layer.v1.tar".to_owned(),
            (Form::Oci, compression) => format!("application/vnd.oci.image.layer.v1.tar+{compression}"),
            (Form::Docker, "") => "application/vnd.docker.image.rootfs.diff.tar".to_owned(),
            (Form::Docker, compression) => format!("application/vnd.docker.image.rootfs.diff.tar.{compression}"),
        };
        json!({"mediaType": kind, "digest": self.digest.to_string(), "size": self.size})
    }
}

/// The layers of a manifest, as far as they can stand in another one; `None` where one of them cannot.
pub fn layers_of(manifest: &[u8]) -> Option<Vec<Source>> {
    let value: Value = serde_json::from_slice(manifest).ok()?;
    let layers = value.get("layers")?.as_array()?;
    let source = |layer: &Value| {
        let kind = layer.get("mediaType")?.as_str()?;
        let compression = match kind.rsplit(['.', '+']).next()? {
            "gzip" => "gzip",
            "zstd" => "zstd",
            "tar" => "",
            _ => return None,
        };
        let digest = Digest::parse(layer.get("digest")?.as_str()?).ok()?;
        Some(Source { digest, size: layer.get("size")?.as_u64()?, compression })
    };
    layers.iter().map(source).collect()
}

/// The bytes of a manifest.
///
/// # Errors
/// None that its parts can cause: every one of them has been checked.
pub fn compose(form: Form, config: &[u8], layers: &[Source]) -> Result<Vec<u8>, Error> {
    let (own, kind) = match form {
        Form::Oci => ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"),
        Form::Docker => {
            ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json")
        }
    };
    let layers: Vec<Value> = layers.iter().map(|layer| layer.describe(form)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": own,
        "config": {"mediaType": kind, "digest": Digest::of(config).to_string(), "size": config.len()},
        "layers": layers,
    });
    serde_json::to_vec(&manifest).map_err(|source| Error::Json { what: "manifest", source })
}

#[cfg(test)]
mod tests {
    use super::super::{Document, parse_document};
    use super::*;

    #[test]
    fn what_is_composed_is_parsed_and_layers_keep_their_descriptions() {
        let layers =
            [Source::plain(&Digest::of(b"a"), 1), Source { digest: Digest::of(b"b"), size: 2, compression: "gzip" }];
        for form in [Form::Oci, Form::Docker] {
            let manifest = compose(form, b"{}", &layers).unwrap();
            let Document::Manifest(parsed) = parse_document(&manifest, None).unwrap() else { panic!() };
            assert_eq!((parsed.config.digest, parsed.layers.len()), (Digest::of(b"{}"), 2));
            assert_eq!(layers_of(&manifest).unwrap(), layers);
        }
    }
}
