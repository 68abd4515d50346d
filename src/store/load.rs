//! Reading images from an archive: `docker save`'s, or an OCI layout in a tar. Both are hostile.
//!
//! The archive is put beside the store uncompressed, as its parts come in any order, and is gone with its descriptor. Names in it
//! lead nowhere but to its own entries; each layer must hash to what its image's configuration says.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use serde::Deserialize;

use super::decode::Decoder;
use super::{Error, Image, Layer, Slot, Store, file};
use crate::image::{Config, Descriptor, Digest, Document, Form, Hasher, MAX_MANIFEST, Reference, parse_document};

/// How many entries an archive may have.
const MAX_ENTRIES: usize = 100_000;
/// Through how many links a name may lead.
const MAX_LINKS: usize = 8;

/// An image that has been loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names that it got from the archive.
    pub names: Vec<Reference>,
}

impl Store {
    /// Takes all images of an archive in. It may be compressed.
    ///
    /// # Errors
    /// [`Error::Archive`] for what is wrong with it; [`Error::Input`]; what the file system says. Images before the one that failed are there.
    pub fn load(&self, source: impl Read) -> Result<Vec<Loaded>, Error> {
        let archive = Archive::read(self.spool(source)?)?;
        if archive.entries.contains_key("manifest.json") {
            return self.load_docker(&archive);
        }
        if archive.entries.contains_key("index.json") {
            return self.load_oci(&archive);
        }
        Err(wrong("it has neither manifest.json, as docker's have, nor index.json, as OCI's have"))
    }

    /// The archive in a file that has no name, uncompressed.
    fn spool(&self, source: impl Read) -> Result<File, Error> {
        let failed = |source| Error::Input { what: "the archive".into(), source };
        file::create_dir(&self.root)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(nix::libc::O_TMPFILE);
        let mut file = options.open(&self.root).map_err(Error::io("make a file in", &self.root))?;
        let mut decoder = Decoder::new(BufReader::with_capacity(128 << 10, source)).map_err(failed)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => {
                    io::Write::write_all(&mut file, &buffer[..got]).map_err(Error::io("write to", &self.root))?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read", &self.root))?;
        Ok(file)
    }

    fn load_docker(&self, archive: &Archive) -> Result<Vec<Loaded>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Item {
            config: String,
            repo_tags: Option<Vec<String>>,
            layers: Option<Vec<String>>,
        }
        let items: Vec<Item> = archive.json("manifest.json")?;
        let mut loaded = Vec::new();
        for item in items {
            let config = archive.small(&item.config)?;
            let parsed = parse(&config)?;
            let layers = item.layers.unwrap_or_default();
            parsed.check_layers(layers.len()).map_err(|error| wrong(&error.to_string()))?;
            let names = names(item.repo_tags.unwrap_or_default())?;
            let mut held = Vec::new();
            for (diff_id, path) in parsed.diff_ids.iter().zip(&layers) {
                held.push(self.load_layer(archive, path, diff_id, None)?);
            }
            let image = self.make(&config, None, Form::Docker, &names)?;
            loaded.push(Loaded { image, names });
        }
        Ok(loaded)
    }

    fn load_oci(&self, archive: &Archive) -> Result<Vec<Loaded>, Error> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            digest: Digest,
            size: u64,
            annotations: Option<HashMap<String, String>>,
        }
        let index: Index = archive.json("index.json")?;
        let mut loaded = Vec::new();
        for item in index.manifests {
            let bytes = archive.blob(&Descriptor { digest: item.digest, size: item.size })?;
            let document = parse_document(&bytes, None).map_err(|error| wrong(&error.to_string()))?;
            let bytes = match &document {
                Document::Manifest(_) => bytes,
                Document::Index(index) => {
                    let chosen = index.choose(&crate::image::Platform::host());
                    archive.blob(&chosen.map_err(|error| wrong(&error.to_string()))?.manifest)?
                }
            };
            let Document::Manifest(manifest) =
                parse_document(&bytes, None).map_err(|error| wrong(&error.to_string()))?
            else {
                return Err(wrong("an index in it leads to another index"));
            };
            let config = archive.blob(&manifest.config)?;
            let parsed = parse(&config)?;
            parsed.check_layers(manifest.layers.len()).map_err(|error| wrong(&error.to_string()))?;
            let mut held = Vec::new();
            for (diff_id, blob) in parsed.diff_ids.iter().zip(&manifest.layers) {
                held.push(self.load_layer(archive, &path_of(&blob.digest), diff_id, Some(blob))?);
            }
            let annotation = |key| item.annotations.as_ref().and_then(|all| all.get(key)).cloned();
            // What other tools put there: a whole name, or a tag alone, which names nothing here.
            let name = annotation("io.containerd.image.name")
                .or_else(|| annotation("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/'])));
            let names = names(name.into_iter().collect())?;
            let image = self.make(&config, None, Form::Oci, &names)?;
            loaded.push(Loaded { image, names });
        }
        Ok(loaded)
    }

    /// Takes a layer in, unless it is here. It must hash to `diff_id`, and as it lies in the archive to `blob`.
    fn load_layer(
        &self,
        archive: &Archive,
        path: &str,
        diff_id: &Digest,
        blob: Option<&Descriptor>,
    ) -> Result<Layer, Error> {
        if let Slot::Ready(layer) = self.layer(diff_id, &|| ())? {
            return Ok(layer);
        }
        let mut reader = archive.reader(path)?;
        let what = format!("the layer {path}");
        if let Some(blob) = blob {
            let mut hasher = Hasher::new(blob.digest.algorithm());
            let mut buffer = vec![0; 128 << 10];
            loop {
                let got = reader.read(&mut buffer).map_err(|source| Error::Input { what: what.clone(), source })?;
                if got == 0 {
                    break;
                }
                hasher.update(&buffer[..got]);
            }
            let found = hasher.finish();
            if found != blob.digest {
                return Err(Error::Digest { what, expected: blob.digest.clone(), found });
            }
            reader = archive.reader(path)?;
        }
        let input = |source| Error::Input { what: what.clone(), source };
        let mut decoded = Decoder::new(BufReader::with_capacity(128 << 10, reader)).map_err(input)?;
        let draft = self.draft(&what, &mut decoded)?;
        if draft.diff_id() != diff_id {
            return Err(Error::Digest { what, expected: diff_id.clone(), found: draft.diff_id().clone() });
        }
        draft.publish()
    }
}

fn parse(config: &[u8]) -> Result<Config, Error> {
    Config::parse(config).map_err(|error| wrong(&error.to_string()))
}

fn names(texts: Vec<String>) -> Result<Vec<Reference>, Error> {
    let name = |text: String| match Reference::parse(&text) {
        Ok(name) if name.digest().is_none() => Ok(name),
        Ok(_) => Err(wrong(&format!("{text:?} is no name that an image can be given"))),
        Err(error) => Err(wrong(&error.to_string())),
    };
    texts.into_iter().map(name).collect()
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn wrong(reason: &str) -> Error {
    Error::Archive(reason.to_owned())
}

/// A tar whose entries are known by name.
struct Archive {
    file: File,
    entries: HashMap<String, Part>,
}

enum Part {
    /// Where its content lies, and how long it is.
    File(u64, u64),
    /// What it leads to: another entry.
    Link(String),
}

impl Archive {
    fn read(file: File) -> Result<Self, Error> {
        let broken = |error: io::Error| {
            // The reader quotes what it could not read, which may be anything.
            let reason: String = error.to_string().lines().next().unwrap_or_default().chars().take(100).collect();
            wrong(&format!("it is no tar, or a damaged one: {reason}"))
        };
        let length = file.metadata().map_err(broken)?.len();
        let mut entries = HashMap::new();
        let mut tar = tar::Archive::new(&file);
        for entry in tar.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let (kind, at, size) = (entry.header().entry_type(), entry.raw_file_position(), entry.size());
            let Ok(path) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
            let link = entry.link_name_bytes().and_then(|link| String::from_utf8(link.into_owned()).ok());
            let part = match (kind, link) {
                (tar::EntryType::Regular | tar::EntryType::Continuous, _) => {
                    if at.checked_add(size).is_none_or(|end| end > length) {
                        return Err(wrong(&format!("it ends within {path}")));
                    }
                    Part::File(at, size)
                }
                (tar::EntryType::Link, Some(link)) => Part::Link(clean("", &link)),
                (tar::EntryType::Symlink, Some(link)) => Part::Link(clean(&path, &link)),
                _ => continue,
            };
            if entries.len() >= MAX_ENTRIES {
                return Err(wrong(&format!("it has more than {MAX_ENTRIES} entries")));
            }
            entries.insert(clean("", &path), part);
        }
        Ok(Self { file, entries })
    }

    /// An entry's content.
    fn reader(&self, path: &str) -> Result<At<'_>, Error> {
        let mut path = clean("", path);
        for _ in 0..MAX_LINKS {
            match self.entries.get(&path) {
                Some(Part::File(at, size)) => return Ok(At { file: &self.file, at: *at, left: *size }),
                Some(Part::Link(to)) => path.clone_from(to),
                None => return Err(wrong(&format!("{path} is not in it"))),
            }
        }
        Err(wrong(&format!("{path} leads through too many links")))
    }

    /// An entry that is read into memory.
    fn small(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut reader = self.reader(path)?;
        if reader.left > MAX_MANIFEST {
            return Err(wrong(&format!(
                "{path} is {} bytes long, and at most {MAX_MANIFEST} are accepted",
                reader.left
            )));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| Error::Input { what: path.to_owned(), source })?;
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.small(path)?)
            .map_err(|error| wrong(&format!("{path} cannot be understood: {error}")))
    }

    /// A blob of a layout that is read into memory, verified.
    fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let path = path_of(&descriptor.digest);
        let bytes = self.small(&path)?;
        if !descriptor.digest.matches(&bytes) {
            let (what, expected) = (path, descriptor.digest.clone());
            return Err(Error::Digest { what, expected, found: Digest::of(&bytes) });
        }
        Ok(bytes)
    }
}

/// A path within the archive: `link` as it stands in the entry `from`. What leads out of the archive ends at its top.
fn clean(from: &str, link: &str) -> String {
    let base = match from.rsplit_once('/') {
        Some((folder, _)) if !link.starts_with('/') => folder,
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A part of a file, read without moving the file's own position.
struct At<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let got = self.file.read_at(&mut into[..wanted], self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_archive() {
        for (from, link, expected) in [
            ("", "./a/layer.tar", "a/layer.tar"),
            ("a/layer.tar", "../b.tar", "b.tar"),
            ("a/layer.tar", "../../../etc/passwd", "etc/passwd"),
            ("a/layer.tar", "/b", "b"),
        ] {
            assert_eq!(clean(from, link), expected);
        }
    }
}
