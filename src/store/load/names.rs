//! What images are called in archives: by a whole name, by a name as docker shortens it, or by a tag alone.

use std::collections::HashMap;

use crate::image::Reference;
use crate::store::Error;
use crate::store::bundle::wrong;

/// The annotation of an index's entry that names the image, for the one whom the image-spec is for.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The same of containerd and docker: always a whole name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Annotations of an index's entry.
pub type Annotations = HashMap<String, String>;

/// A name that an image can be given.
pub fn name(text: &str) -> Result<Reference, Error> {
    match Reference::parse(text) {
        Ok(name) if name.digest().is_none() => Ok(name),
        Ok(_) => Err(wrong(format!("{text:?} is no name that an image can be given"))),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The name that an entry of an index gives to its image; none is an answer too.
///
/// A tag alone, or a name without a registry, is this machine's own: `localhost/TAG:latest`, as podman has it.
pub fn annotated(annotations: &Annotations) -> Result<Option<Reference>, Error> {
    if let Some(whole) = annotations.get(CONTAINERD_NAME).filter(|text| !text.is_empty()) {
        return name(whole).map(Some);
    }
    match annotations.get(REF_NAME).filter(|text| !text.is_empty()) {
        Some(text) => local(text),
        None => Ok(None),
    }
}

/// What the text of an annotation, or behind the colon of `oci:`, names. The image-spec allows more than names of images have; such a text
/// names nothing here.
pub fn local(text: &str) -> Result<Option<Reference>, Error> {
    match Reference::parse(text) {
        Ok(name) if name.digest().is_some() => Ok(None),
        Ok(name) if name.is_short() && !text.contains('/') => Ok(Reference::parse(&format!("localhost/{text}")).ok()),
        Ok(name) => Ok(Some(name)),
        Err(_) => Ok(None),
    }
}

/// Whether an entry is the one that was asked for by `text`.
pub fn is_called(annotations: &Annotations, text: &str) -> bool {
    let told = [REF_NAME, CONTAINERD_NAME].into_iter().filter_map(|key| annotations.get(key));
    let asked = Reference::parse(text).ok();
    told.into_iter().any(|told| told == text || (asked.is_some() && Reference::parse(told).ok() == asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(pairs: &[(&str, &str)]) -> Option<String> {
        let annotations = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        annotated(&annotations).unwrap().map(|name| name.to_string())
    }

    #[test]
    fn names_are_understood_in_all_their_spellings() {
        for (pairs, expected) in [
            (&[(REF_NAME, "v1")][..], Some("localhost/v1:latest")),
            (&[(REF_NAME, "tool:v1")], Some("localhost/tool:v1")),
            (&[(REF_NAME, "quay.io/team/tool:v1")], Some("quay.io/team/tool:v1")),
            (&[(REF_NAME, "team/tool:v1")], Some("docker.io/team/tool:v1")),
            (
                &[(REF_NAME, "latest"), (CONTAINERD_NAME, "docker.io/library/busybox:latest")],
                Some("docker.io/library/busybox:latest"),
            ),
            (&[(REF_NAME, "a/../b")], None),
            (&[(REF_NAME, "")], None),
            (&[], None),
        ] {
            assert_eq!(called(pairs).as_deref(), expected, "{pairs:?}");
        }
        assert!(annotated(&HashMap::from([(CONTAINERD_NAME.to_owned(), "A B".to_owned())])).is_err());
    }

    #[test]
    fn an_entry_is_found_by_its_text_or_by_the_name_that_it_means() {
        let annotations = HashMap::from([(REF_NAME.to_owned(), "docker.io/library/a:1".to_owned())]);
        assert!(is_called(&annotations, "docker.io/library/a:1") && is_called(&annotations, "a:1"));
        assert!(!is_called(&annotations, "a:2"));
    }
}
