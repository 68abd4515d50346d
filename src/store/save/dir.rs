//! skopeo's folders (`dir:`): the manifest, and each blob by the hexadecimal digits of its digest.

use super::Packing;
use super::sink::Sink;
use crate::image::{Digest, Form, Reference};
use crate::store::{Error, Image, Store};

impl Store {
    pub(super) fn dir(
        &self,
        image: &Image,
        names: &[Reference],
        how: Packing,
        sink: &mut dyn Sink,
    ) -> Result<Digest, Error> {
        let going = self.going(image, names, Form::Docker, false, how)?;
        self.write_blobs(image, &going, &|digest| digest.hex().to_owned(), sink)?;
        sink.small("version", b"Directory Transport Version: 1.1\n")?;
        sink.small("manifest.json", &going.manifest)?;
        Ok(going.digest)
    }
}
