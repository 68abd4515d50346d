//! Making an image of layers that are here: what `commit`, `import` and `load` end with.

use super::{Error, Image, Layer, NewImage, Slot, Store, file};
use crate::image::{Config, Digest, Form, MAX_MANIFEST, Platform, Reference, Source, compose, layers_of};

impl Store {
    /// Makes an image of a configuration whose layers are all here, and lets `names` stand for it. `base` is the image that its first
    /// layers are from, where there is one. The caller holds the layers that no image has yet.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`], [`Error::Config`], and those of [`Store::add`].
    pub fn make(&self, config: &[u8], base: Option<&Image>, form: Form, names: &[Reference]) -> Result<Image, Error> {
        let id = Digest::of(config);
        let parsed = Config::parse(config).map_err(|source| Error::Config { image: id.clone(), source })?;
        let layers = self.layers_here(&parsed.diff_ids)?;
        let mut sources = Vec::new();
        if let Some(base) = base.filter(|base| parsed.diff_ids.starts_with(&base.config.diff_ids)) {
            let known = file::read(&self.blob(&base.manifest), MAX_MANIFEST)?.and_then(|manifest| layers_of(&manifest));
            sources = known.filter(|known| known.len() == base.config.diff_ids.len()).unwrap_or_default();
        }
        for layer in &layers[sources.len()..] {
            sources.push(Source::plain(layer.diff_id(), layer.size()?));
        }
        let manifest = compose(form, config, &sources).map_err(|source| Error::Config { image: id.clone(), source })?;
        let new = NewImage {
            names,
            platform: &parsed.platform.clone().unwrap_or_else(Platform::host),
            index: None,
            manifest: &manifest,
            manifest_digest: &Digest::of(&manifest),
            index_digest: None,
            config,
            id: &id,
            layers: &layers.iter().collect::<Vec<_>>(),
        };
        self.add(&new)
    }

    /// Layers that must be here, bottom first. They stay as long as this is held.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`].
    pub fn layers_here(&self, diff_ids: &[Digest]) -> Result<Vec<Layer>, Error> {
        let here = |diff_id: &Digest| match self.layer(diff_id, &|| ())? {
            Slot::Ready(layer) => Ok(layer),
            Slot::Absent(_) => Err(Error::NoSuchLayer(diff_id.clone())),
        };
        diff_ids.iter().map(here).collect()
    }

    /// The bytes of an image's configuration.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] where it has been removed since it was found.
    pub fn config_of(&self, image: &Image) -> Result<Vec<u8>, Error> {
        let gone = || Error::NoSuchImage(image.id.short().to_owned());
        file::read(&self.blob(&image.id), MAX_MANIFEST)?.ok_or_else(gone)
    }
}
