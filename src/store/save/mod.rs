//! Writing images for other tools: what `docker save` writes, an OCI layout in a tar or a folder, or a folder of skopeo's.
//!
//! What was pulled or loaded goes out as it came, by the very manifest, where the compressed forms of its layers are kept; layers whose forms
//! are not kept are written as plain tars. The same images make the same archive, whenever it is written.

mod blobs;
mod dir;
mod docker;
mod folder;
mod oci;
mod sink;

use std::io::Write;
use std::path::Path;

use super::{Error, Image, Store};
use crate::image::{Digest, Reference};
use folder::{Folder, Purpose};
use sink::Tar;

/// How layers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packing {
    /// In the compressed forms that are kept, else as plain tars.
    #[default]
    Kept,
    /// As plain tars.
    Plain,
    /// Compressed: in the forms that are kept, else by gzip.
    Compressed,
}

/// An image, and the names by which it is written.
pub type Named = (Image, Vec<String>);

impl Store {
    /// Writes images in the form of `docker save`, each with the names that it is to be known by.
    ///
    /// # Errors
    /// [`Error::Output`], and layers that are missing.
    pub fn save_docker(&self, images: &[(Image, Vec<Reference>)], out: impl Write) -> Result<(), Error> {
        let mut tar = Tar::new(out);
        self.docker(images, &mut tar)?;
        tar.finish()
    }

    /// Writes images as an OCI layout in a tar. Returns the digests of their manifests.
    ///
    /// # Errors
    /// [`Error::Output`], and layers that are missing.
    pub fn save_oci(&self, images: &[Named], layers: Packing, out: impl Write) -> Result<Vec<Digest>, Error> {
        let mut tar = Tar::new(out);
        let digests = self.oci(images, layers, &mut tar, None)?;
        tar.finish()?;
        Ok(digests)
    }

    /// Writes images to a folder that is an OCI layout, or becomes one: what is there already stays, but for what has the same name.
    /// Returns the digests of their manifests.
    ///
    /// # Errors
    /// [`Error::Occupied`] for a folder with anything else; what the file system says; layers that are missing. What was there is as it was.
    pub fn save_oci_folder(&self, images: &[Named], layers: Packing, path: &Path) -> Result<Vec<Digest>, Error> {
        let mut folder = Folder::open(path, Purpose::Layout)?;
        let index = folder.read("index.json")?;
        let digests = self.oci(images, layers, &mut folder, index.as_deref())?;
        folder.finish()?;
        Ok(digests)
    }

    /// Writes an image to a folder as skopeo does (`dir:`), in the place of one that is there. Returns the digest of its manifest.
    ///
    /// # Errors
    /// As [`Store::save_oci_folder`].
    pub fn save_dir(
        &self,
        (image, names): &(Image, Vec<Reference>),
        layers: Packing,
        path: &Path,
    ) -> Result<Digest, Error> {
        let mut folder = Folder::open(path, Purpose::Dir)?;
        let digest = self.dir(image, names, layers, &mut folder)?;
        folder.finish()?;
        Ok(digest)
    }
}
