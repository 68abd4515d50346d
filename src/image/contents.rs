//! Where a layer's table of contents is, by the annotations in its manifest: what makes it possible to read files of a layer that is not here.
//!
//! Two forms are common. eStargz (stargz-snapshotter, docs/estargz.md) has it in the last member of the gzip, in front of a footer of a
//! fixed length; zstd:chunked (containers/storage, pkg/chunked) in a skippable frame, whose place the manifest says. The manifest is
//! verified by its digest, and holds the table's: so the table can be trusted as much as the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Descriptor, Digest};

/// The table of an eStargz layer: its digest.
const STARGZ: &str = "containerd.io/snapshot/stargz/toc.digest";
/// What the names begin with that a zstd:chunked layer has; the second are those of podman up to 4.3.
const CHUNKED: [&str; 2] = ["io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."];
/// The digest of the table, compressed.
const CHECKSUM: &str = "manifest-checksum";
/// Where it is: offset, length, length when decompressed, and form.
const POSITION: &str = "manifest-position";

/// A layer's table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// In the tar that the last gzip member in front of the footer holds.
    Stargz {
        /// Of the table itself.
        digest: Digest,
    },
    /// In a zstd frame.
    Chunked {
        /// Of the frame.
        digest: Digest,
        /// Where in the blob it begins, in bytes.
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
    },
}

/// Reads where the tables of a manifest's layers are, in the layers' order. What makes no sense counts as none.
pub fn contents(manifest: &[u8]) -> Vec<Option<Contents>> {
    #[derive(Deserialize)]
    struct Manifest {
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    struct Layer {
        size: u64,
        digest: Digest,
        #[serde(default)]
        annotations: Option<BTreeMap<String, String>>,
    }
    let Ok(Manifest { layers }) = serde_json::from_slice(manifest) else { return Vec::new() };
    let of = |layer: Layer| of(&Descriptor { digest: layer.digest, size: layer.size }, &layer.annotations?);
    layers.into_iter().map(of).collect()
}

fn of(blob: &Descriptor, annotations: &BTreeMap<String, String>) -> Option<Contents> {
    let digest = |key: &str| Digest::parse(annotations.get(key)?).ok();
    for prefix in CHUNKED {
        let Some(digest) = digest(&format!("{prefix}{CHECKSUM}")) else { continue };
        let mut numbers =
            annotations.get(&format!("{prefix}{POSITION}"))?.split(':').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let (offset, length, _, form) = (next()?, next()?, next()?, next()?);
        let inside = offset.checked_add(length).is_some_and(|end| end <= blob.size);
        return (inside && length > 0 && form == 1).then_some(Contents::Chunked { digest, offset, length });
    }
    digest(STARGZ).map(|digest| Contents::Stargz { digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn one(annotations: serde_json::Value) -> Option<Contents> {
        let layer = json!({"digest": Digest::of(b"blob"), "size": 1000, "annotations": annotations});
        contents(json!({"layers": [layer]}).to_string().as_bytes()).pop().flatten()
    }

    #[test]
    fn both_forms_are_known_and_nonsense_is_none() {
        let digest = Digest::of(b"table");
        assert_eq!(one(json!({STARGZ: digest})), Some(Contents::Stargz { digest: digest.clone() }));
        let named = |prefix: &str, place: &str| {
            one(json!({format!("{prefix}{CHECKSUM}"): digest, format!("{prefix}{POSITION}"): place}))
        };
        for prefix in CHUNKED {
            let found = Contents::Chunked { digest: digest.clone(), offset: 900, length: 50 };
            assert_eq!(named(prefix, "900:50:4000:1"), Some(found));
        }
        let chunked = |place: &str| named(CHUNKED[0], place);
        for place in
            ["", "900:101:4000:1", "900:50:4000:2", "-1:50:4000:1", "900:50", "900:0:0:1", "18446744073709551615:2:1:1"]
        {
            assert_eq!(chunked(place), None, "{place}");
        }
        assert_eq!(one(json!({})), None);
        assert_eq!(one(json!(null)), None);
        assert_eq!(one(json!({STARGZ: "sha256:no"})), None);
        assert_eq!(contents(b"{}"), []);
    }

    proptest! {
        #[test]
        fn any_place_is_inside_or_none(place in "[0-9:-]{0,40}") {
            let digest = Digest::of(b"table");
            if let Some(Contents::Chunked { offset, length, .. }) = one(
                json!({format!("{}{CHECKSUM}", CHUNKED[0]): digest, format!("{}{POSITION}", CHUNKED[0]): place})
            ) {
                prop_assert!(offset + length <= 1000);
            }
        }
    }
}
