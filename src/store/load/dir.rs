//! skopeo's folders (`dir:`): `manifest.json`, the manifest as it came; each blob by the hexadecimal digits of its digest; and for several
//! platforms, `HEX.manifest.json` for each that an index leads to.

use super::blob::Found;
use super::{Load, Loaded};
use crate::image::{Digest, Document, parse_document};
use crate::store::Error;
use crate::store::bundle::wrong;

impl Load<'_> {
    /// Takes the image in.
    pub fn dir(&self) -> Result<Loaded, Error> {
        let top = self.bundle.small("manifest.json")?;
        let top_digest = Digest::of(&top);
        let index;
        let (bytes, digest, parsed) = match parse_document(&top, None).map_err(Error::Document)? {
            Document::Manifest(manifest) => {
                index = None;
                (top, top_digest, manifest)
            }
            Document::Index(inner) => {
                let chosen = inner.choose(&self.wanted.platform).map_err(Error::Document)?.manifest.clone();
                let child = self.bundle.blob(&format!("{}.manifest.json", chosen.digest.hex()), &chosen)?;
                let Document::Manifest(manifest) = parse_document(&child, None).map_err(Error::Document)? else {
                    return Err(wrong("an index in it leads to another index"));
                };
                index = Some((top, top_digest));
                (child, chosen.digest, manifest)
            }
        };
        let path = |digest: &Digest| digest.hex().to_owned();
        let config = self.bundle.blob(&path(&parsed.config.digest), &parsed.config)?;
        let (image, names) = self.image(&Found {
            manifest: (&bytes, &digest),
            index: index.as_ref().map(|(bytes, digest)| (&bytes[..], digest)),
            parsed: &parsed,
            config: &config,
            names: &[],
            path: &path,
        })?;
        Ok(Loaded { image, names })
    }
}
