//! What `docker save` writes: each layer as a plain tar in a folder of its own, each configuration, and `manifest.json`.

use std::collections::BTreeMap;
use std::fs::File;

use serde_json::{Value, json};

use super::sink::Sink;
use crate::image::Reference;
use crate::store::{Error, Image, Layer, Store};

impl Store {
    pub(super) fn docker(&self, images: &[(Image, Vec<Reference>)], sink: &mut dyn Sink) -> Result<(), Error> {
        let (mut manifest, mut repositories) = (Vec::new(), BTreeMap::<String, BTreeMap<String, String>>::new());
        for (image, names) in images {
            let layers = self.layers_here(&image.config.diff_ids)?;
            let path = |layer: &Layer| format!("{}/layer.tar", layer.diff_id().hex());
            for layer in &layers {
                let folder = layer.diff_id().hex();
                let size = layer.size()?;
                if sink.wants(&path(layer), size) {
                    sink.directory(folder)?;
                    sink.small(&format!("{folder}/VERSION"), b"1.0")?;
                    sink.small(&format!("{folder}/json"), json!({"id": folder}).to_string().as_bytes())?;
                    let tar = layer.tar();
                    let mut file = File::open(&tar).map_err(Error::io("open", &tar))?;
                    sink.file(&path(layer), size, &mut file)?;
                }
            }
            let config = format!("{}.json", image.id.hex());
            let bytes = self.config_of(image)?;
            if sink.wants(&config, bytes.len() as u64) {
                sink.small(&config, &bytes)?;
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
        sink.small("repositories", json!(repositories).to_string().as_bytes())?;
        sink.small("manifest.json", Value::from(manifest).to_string().as_bytes())
    }
}

/// A name without tag and digest, as people write it.
fn repository(name: &Reference) -> String {
    let familiar = name.familiar();
    let end = name.tag().map_or(familiar.len(), |tag| familiar.len() - tag.len() - 1);
    familiar[..end].to_owned()
}
