//! Taking images in from elsewhere than a registry: an archive or a folder of docker's, an OCI layout, or a folder of skopeo's. All are hostile:
//! each blob must hash to what its manifest says, and each layer to what its image's configuration says.
//!
//! What a manifest describes is kept as it came, compressed forms of layers included, so that an image that goes on from here keeps its digests.

mod blob;
mod dir;
mod docker;
mod names;
mod oci;

use super::bundle::{Bundle, wrong};
use super::{Error, Image, Store};
use crate::image::{Chosen, Platform, Reference};

/// An image that has been loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names that it got from the archive.
    pub names: Vec<Reference>,
}

/// How images are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// By `docker save`.
    Docker,
    /// By the Open Container Initiative.
    Oci,
    /// By skopeo, in one folder.
    Dir,
}

/// What of an archive or a folder is taken in.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What the image is to run on, where there are several.
    pub platform: Platform,
    /// Whether an image for another platform is refused, as the user has said which it must be.
    pub strictly: bool,
    /// Which of several images; `None` for all.
    pub chosen: Option<Chosen>,
    /// Whether more than one image is refused, where none was chosen.
    pub single: bool,
    /// How it must be written; `None` for any way.
    pub layout: Option<Layout>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { platform: Platform::host(), strictly: false, chosen: None, single: false, layout: None }
    }
}

impl Store {
    /// Takes images in.
    ///
    /// # Errors
    /// [`Error::Archive`] and [`Error::Damaged`] for what is wrong with them; [`Error::Input`]; what the file system says. Images before the
    /// one that failed are there.
    pub fn load(&self, bundle: &Bundle, wanted: &Wanted) -> Result<Vec<Loaded>, Error> {
        let load = Load { store: self, bundle, wanted };
        let loaded = match wanted.layout.map_or_else(|| bundle.layout(), Ok)? {
            Layout::Docker => load.docker(),
            Layout::Oci => load.oci(),
            Layout::Dir => load.dir().map(|loaded| vec![loaded]),
        };
        loaded.map_err(|error| match error {
            // Whole, and too large for what is allowed.
            Error::Layer { ref source, .. } if source.is_too_many_files() || source.is_too_long() => error,
            error @ (Error::Digest { .. } | Error::Size { .. } | Error::Decompress { .. } | Error::Layer { .. }) => {
                Error::Damaged(Box::new(error))
            }
            Error::Source { layer, source } => Error::Input { what: format!("layer {layer}"), source },
            error => error,
        })
    }
}

impl Bundle {
    /// How the images in it are written down.
    ///
    /// # Errors
    /// [`Error::Archive`] where it has none.
    pub fn layout(&self) -> Result<Layout, Error> {
        // What current versions of docker write is both; the layout says more.
        if self.has("index.json") && (self.has("oci-layout") || !self.has("manifest.json")) {
            return Ok(Layout::Oci);
        }
        if self.has("manifest.json") {
            return match self.json("manifest.json")? {
                serde_json::Value::Array(_) => Ok(Layout::Docker),
                _ => Ok(Layout::Dir),
            };
        }
        Err(wrong(if self.has("repositories") {
            "it is of a version of docker before 1.10, whose images have no digests"
        } else {
            "it has neither manifest.json, as docker's have, nor index.json, as OCI's have"
        }))
    }
}

/// One load.
struct Load<'a> {
    store: &'a Store,
    bundle: &'a Bundle,
    wanted: &'a Wanted,
}
