//! OCI layouts (image-spec, image-layout.md): an index whose entries are images, or indexes of images for several platforms, which may be nested.

use serde::Deserialize;

use super::docker::{MAX_IMAGES, no_such_index, no_such_name, several};
use super::names::{Annotations, annotated, is_called, local};
use super::{Load, Loaded};
use crate::image::{Candidate, Chosen, Descriptor, Digest, Document, Index, Platform, Reference, parse_document};
use crate::store::Error;
use crate::store::bundle::wrong;

/// How deep indexes may lie in each other.
const MAX_DEPTH: usize = 4;

#[derive(Deserialize)]
struct Layout {
    manifests: Vec<Entry>,
}

#[derive(Deserialize, Clone)]
struct Entry {
    digest: Digest,
    size: u64,
    annotations: Option<Annotations>,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize, Clone)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

/// Entries that are one image, and the name that it gets.
type Group = (Vec<Entry>, Option<Reference>);

impl Entry {
    fn platform(&self) -> Option<Platform> {
        let raw = self.platform.as_ref().filter(|raw| !raw.os.is_empty() && !raw.architecture.is_empty())?;
        Some(Platform::new(&raw.os, &raw.architecture, raw.variant.as_deref()))
    }

    fn name(&self) -> Result<Option<Reference>, Error> {
        self.annotations.as_ref().map_or(Ok(None), annotated)
    }

    fn is_called(&self, text: &str) -> bool {
        self.annotations.as_ref().is_some_and(|annotations| is_called(annotations, text))
    }
}

impl Load<'_> {
    /// Takes the images in that were asked for.
    pub fn oci(&self) -> Result<Vec<Loaded>, Error> {
        let groups = self.oci_groups()?;
        let (several, mut refused, mut loaded) = (groups.len() > 1, None, Vec::new());
        let other_names = self.docker_names();
        for (entries, name) in groups {
            let taken = self.oci_image(&entries, name.as_slice(), &other_names);
            match taken {
                Ok(one) => loaded.push(one),
                // Signatures, attestations and other artifacts stand in layouts beside the images that they are about.
                Err(error @ Error::Document(_)) if several => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if loaded.is_empty() => Err(error),
            _ => Ok(loaded),
        }
    }

    /// The entries that are one image each, or one image for several platforms, with the name that it gets.
    fn oci_groups(&self) -> Result<Vec<Group>, Error> {
        let layout: Layout = self.bundle.json("index.json")?;
        let entries = layout.manifests;
        let count = entries.len();
        if count > MAX_IMAGES {
            return Err(wrong(format!("it has {count} images, and at most {MAX_IMAGES} are accepted")));
        }
        let mut groups: Vec<Group> = Vec::new();
        match &self.wanted.chosen {
            Some(Chosen::At(index)) => {
                let entry = entries.into_iter().nth(*index).ok_or_else(|| no_such_index(*index, count))?;
                let name = entry.name()?;
                groups.push((vec![entry], name));
            }
            Some(Chosen::Name(text)) => {
                let (found, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.is_called(text));
                let Some(first) = found.first() else {
                    let told: Vec<String> = others
                        .iter()
                        .flat_map(|entry| entry.name().ok().flatten())
                        .map(|name| name.familiar())
                        .collect();
                    return Err(no_such_name(text, &told));
                };
                let name = first.name()?.or(local(text)?);
                groups.push((found, name));
            }
            None => {
                let mut nameless: Vec<Entry> = Vec::new();
                for entry in entries {
                    let name = entry.name()?;
                    match groups.iter_mut().find(|(_, other)| *other == name) {
                        _ if name.is_none() => nameless.push(entry),
                        Some((entries, _)) => entries.push(entry),
                        None => groups.push((vec![entry], name)),
                    }
                }
                // Without a name, entries for different platforms are one image; those that do not say for which are one each.
                let (platforms, plain): (Vec<_>, Vec<_>) =
                    nameless.into_iter().partition(|entry| entry.platform().is_some());
                groups.extend((!platforms.is_empty()).then_some((platforms, None)));
                groups.extend(plain.into_iter().map(|entry| (vec![entry], None)));
                if self.wanted.single && groups.len() > 1 {
                    return Err(several(groups.len()));
                }
            }
        }
        if groups.is_empty() {
            return Err(wrong("it has no images"));
        }
        Ok(groups)
    }

    fn oci_image(
        &self,
        entries: &[Entry],
        names: &[Reference],
        others: &[(String, Vec<Reference>)],
    ) -> Result<Loaded, Error> {
        let descriptor = |entry: &Entry| Descriptor { digest: entry.digest.clone(), size: entry.size };
        let first = match entries {
            [only] => descriptor(only),
            several => {
                // As an index of them would be read. What stands there twice is there once.
                let candidates =
                    several.iter().map(|entry| Candidate { manifest: descriptor(entry), platform: entry.platform() });
                let index = Index { candidates: candidates.collect() };
                let alike = index.candidates.iter().all(|one| one.manifest.digest == several[0].digest);
                if alike {
                    descriptor(&several[0])
                } else {
                    index.choose(&self.wanted.platform).map_err(Error::Document)?.manifest.clone()
                }
            }
        };
        let blob = |descriptor: &Descriptor| self.bundle.blob(&path_of(&descriptor.digest), descriptor);
        let (mut bytes, mut digest, mut index) = (blob(&first)?, first.digest, None);
        for _ in 0..MAX_DEPTH {
            match parse_document(&bytes, None).map_err(Error::Document)? {
                Document::Manifest(manifest) => {
                    let config = blob(&manifest.config)?;
                    let (image, mut names) = self.image(&super::blob::Found {
                        manifest: (&bytes, &digest),
                        index: index.as_ref().map(|(bytes, digest): &(Vec<u8>, Digest)| (&bytes[..], digest)),
                        parsed: &manifest,
                        config: &config,
                        names,
                        path: &|digest| path_of(digest),
                    })?;
                    if names.is_empty() && self.wanted.chosen.is_none() {
                        let config = path_of(&manifest.config.digest);
                        let others = others.iter().filter(|(path, _)| *path == config).flat_map(|(_, names)| names);
                        names.extend(others.cloned());
                        self.store.tag(&image.id, &names)?;
                    }
                    return Ok(Loaded { image, names });
                }
                Document::Index(inner) => {
                    let chosen = inner.choose(&self.wanted.platform).map_err(Error::Document)?.manifest.clone();
                    let child = blob(&chosen)?;
                    // The outermost is what a registry would offer the image by.
                    index.get_or_insert((bytes, digest));
                    (bytes, digest) = (child, chosen.digest);
                }
            }
        }
        Err(wrong("its indexes lie in each other too deep"))
    }
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
