//! Writing images to an archive: `docker save`'s, or an OCI layout in a tar.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Error, Image, Layer, Store};
use crate::archive::{Entry, Kind, Writer};
use crate::image::{Digest, Form, Reference, Source, compose};

impl Store {
    /// Writes images in the form of `docker save`, each with the names that it is to be known by.
    ///
    /// # Errors
    /// [`Error::Output`], and layers that are missing.
    pub fn save_docker(&self, images: &[(Image, Vec<Reference>)], out: impl Write) -> Result<(), Error> {
        let mut save = Save::new(out);
        let (mut manifest, mut repositories) = (Vec::new(), BTreeMap::<String, BTreeMap<String, String>>::new());
        for (image, names) in images {
            let layers = self.layers_here(&image.config.diff_ids)?;
            let path = |layer: &Layer| format!("{}/layer.tar", layer.diff_id().hex());
            for layer in &layers {
                let folder = layer.diff_id().hex();
                if save.is_new(folder) {
                    save.directory(folder)?;
                    save.small(&format!("{folder}/VERSION"), b"1.0")?;
                    save.small(&format!("{folder}/json"), json!({"id": folder}).to_string().as_bytes())?;
                    save.layer(&path(layer), layer)?;
                }
            }
            let config = format!("{}.json", image.id.hex());
            if save.is_new(&config) {
                save.small(&config, &self.config_of(image)?)?;
            }
            for name in names {
                if let (Some(tag), Some(top)) = (name.tag(), layers.last()) {
                    let tags = repositories.entry(repository(name)).or_default();
                    tags.insert(tag.to_owned(), top.diff_id().hex().to_owned());
                }
            }
            manifest.push(json!({
                "Config": config,
                "RepoTags": names.iter().map(Reference::familiar).collect::<Vec<_>>(),
                "Layers": layers.iter().map(path).collect::<Vec<_>>(),
            }));
        }
        save.small("repositories", json!(repositories).to_string().as_bytes())?;
        save.small("manifest.json", Value::from(manifest).to_string().as_bytes())?;
        save.finish()
    }

    /// Writes images as an OCI layout.
    ///
    /// # Errors
    /// [`Error::Output`], and layers that are missing.
    pub fn save_oci(&self, images: &[(Image, Vec<Reference>)], out: impl Write) -> Result<(), Error> {
        let mut save = Save::new(out);
        save.small("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        save.directory("blobs")?;
        save.directory("blobs/sha256")?;
        let mut manifests = Vec::new();
        for (image, names) in images {
            let layers = self.layers_here(&image.config.diff_ids)?;
            let mut sources = Vec::new();
            for layer in &layers {
                sources.push(Source::plain(layer.diff_id(), layer.size()?));
                let blob = blob(layer.diff_id());
                if save.is_new(&blob) {
                    save.layer(&blob, layer)?;
                }
            }
            let config = self.config_of(image)?;
            let manifest = compose(Form::Oci, &config, &sources)
                .map_err(|source| Error::Config { image: image.id.clone(), source })?;
            for bytes in [&config, &manifest] {
                let blob = blob(&Digest::of(bytes));
                if save.is_new(&blob) {
                    save.small(&blob, bytes)?;
                }
            }
            let names: Vec<Option<&Reference>> =
                if names.is_empty() { vec![None] } else { names.iter().map(Some).collect() };
            for name in names {
                let mut entry = json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": Digest::of(&manifest).to_string(),
                    "size": manifest.len(),
                });
                if let Some(name) = name {
                    entry["annotations"] = json!({"org.opencontainers.image.ref.name": name.to_string()});
                }
                manifests.push(entry);
            }
        }
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        save.small("index.json", index.to_string().as_bytes())?;
        save.finish()
    }
}

/// A name without tag and digest, as people write it.
fn repository(name: &Reference) -> String {
    let familiar = name.familiar();
    let end = name.tag().map_or(familiar.len(), |tag| familiar.len() - tag.len() - 1);
    familiar[..end].to_owned()
}

fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

struct Save<W: Write> {
    writer: Writer<io::BufWriter<W>>,
    written: BTreeSet<String>,
}

impl<W: Write> Save<W> {
    fn new(out: W) -> Self {
        Self { writer: Writer::new(io::BufWriter::with_capacity(256 << 10, out)), written: BTreeSet::new() }
    }

    /// Whether this is the first time that it is asked for.
    fn is_new(&mut self, path: &str) -> bool {
        self.written.insert(path.to_owned())
    }

    fn directory(&mut self, path: &str) -> Result<(), Error> {
        self.writer.entry(&entry(path, Kind::Directory, 0o755)).map_err(Error::Output)
    }

    fn small(&mut self, path: &str, mut bytes: &[u8]) -> Result<(), Error> {
        let size = bytes.len() as u64;
        self.writer.file(&entry(path, Kind::File(size), 0o644), &mut bytes).map_err(Error::Output)
    }

    fn layer(&mut self, path: &str, layer: &Layer) -> Result<(), Error> {
        let tar = layer.tar();
        let mut file = File::open(&tar).map_err(Error::io("open", &tar))?;
        let size = layer.size()?;
        self.writer.file(&entry(path, Kind::File(size), 0o644), &mut file).map_err(Error::Output)
    }

    fn finish(self) -> Result<(), Error> {
        self.writer.finish().map(drop).map_err(Error::Output)
    }
}

/// The same images make the same archive, whenever it is written.
fn entry<'a>(path: &'a str, kind: Kind<'a>, mode: u32) -> Entry<'a> {
    Entry { path: path.as_bytes(), kind, mode, uid: 0, gid: 0, mtime: (0, 0), xattrs: &[] }
}
