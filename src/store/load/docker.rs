//! What `docker save` and `podman save` write: `manifest.json`, a list of images, each a configuration and its layers' tars.

use serde::Deserialize;

use super::names::name;
use super::{Load, Loaded};
use crate::image::{Chosen, Config, Form, Reference};
use crate::store::Error;
use crate::store::bundle::{shown, wrong};

/// The most images of one archive.
pub const MAX_IMAGES: usize = 1000;
/// The most names of all images of one archive.
const MAX_NAMES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

impl Load<'_> {
    /// Takes the images in that were asked for.
    pub fn docker(&self) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::new();
        for (item, names) in self.docker_items()? {
            let config = self.bundle.small(&item.config)?;
            let parsed = Config::parse(&config).map_err(|error| wrong(error.to_string()))?;
            self.check_platform(&parsed)?;
            let layers = item.layers.unwrap_or_default();
            parsed.check_layers(layers.len()).map_err(|error| wrong(error.to_string()))?;
            let mut held = Vec::new();
            for (diff_id, path) in parsed.diff_ids.iter().zip(&layers) {
                held.push(self.bare_layer(path, diff_id)?);
            }
            let image = self.store.make(&config, None, Form::Docker, &names)?;
            loaded.push(Loaded { image, names });
        }
        Ok(loaded)
    }

    /// The names of images by the digest of their configuration, for what is an OCI layout as well; nothing where it cannot be read.
    pub fn docker_names(&self) -> Vec<(String, Vec<Reference>)> {
        let Ok(items) = self.bundle.json::<Vec<Item>>("manifest.json") else { return Vec::new() };
        let names = |tags: Option<Vec<String>>| {
            tags.iter().flatten().take(MAX_NAMES).filter_map(|tag| name(tag).ok()).collect()
        };
        items.into_iter().take(MAX_IMAGES).map(|item| (item.config, names(item.repo_tags))).collect()
    }

    fn docker_items(&self) -> Result<Vec<(Item, Vec<Reference>)>, Error> {
        let items: Vec<Item> = self.bundle.json("manifest.json")?;
        if items.len() > MAX_IMAGES {
            return Err(wrong(format!("it has {} images, and at most {MAX_IMAGES} are accepted", items.len())));
        }
        if items.is_empty() {
            return Err(wrong("it has no images"));
        }
        let names: usize = items.iter().flat_map(|item| &item.repo_tags).map(Vec::len).sum();
        if names > MAX_NAMES {
            return Err(wrong(format!("it has {names} names of images, and at most {MAX_NAMES} are accepted")));
        }
        let named = |item: Item| {
            let names = item.repo_tags.iter().flatten().map(|tag| name(tag)).collect::<Result<Vec<_>, _>>()?;
            Ok((item, names))
        };
        let all = items.into_iter().map(named).collect::<Result<Vec<_>, Error>>()?;
        match &self.wanted.chosen {
            None if self.wanted.single && all.len() > 1 => Err(several(all.len())),
            None => Ok(all),
            Some(Chosen::At(index)) => {
                let count = all.len();
                all.into_iter().nth(*index).map(|one| vec![one]).ok_or_else(|| no_such_index(*index, count))
            }
            Some(Chosen::Name(text)) => {
                let asked = name(text)?;
                let told: Vec<String> = all.iter().flat_map(|(_, names)| names).map(Reference::familiar).collect();
                let found = all.into_iter().find(|(_, names)| names.contains(&asked));
                let found = found.ok_or_else(|| no_such_name(text, &told))?;
                Ok(vec![(found.0, vec![asked])])
            }
        }
    }
}

/// Several images where one was asked for.
pub fn several(count: usize) -> Error {
    wrong(format!(
        "it has {count} images: say which, by a name or :@0 to :@{}, or take all in with `enter load`",
        count - 1
    ))
}

pub fn no_such_index(index: usize, count: usize) -> Error {
    wrong(format!("it has {count} images, counted from 0, and none at {index}"))
}

/// No image is called so; `told` are those that there are.
pub fn no_such_name(text: &str, told: &[String]) -> Error {
    let told: Vec<String> = told.iter().take(20).map(|name| shown(name)).collect();
    let told = if told.is_empty() { "images without a name".to_owned() } else { told.join(", ") };
    wrong(format!("no image in it is called {}, only {told}", shown(text)))
}
