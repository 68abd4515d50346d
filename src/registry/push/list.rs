//! A push of a list of images: those in the store go as any push does, the others from the registry that has them, byte for byte.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use serde::Deserialize;

use super::{Push, PushOptions, Pushed, with_push};
use crate::image::{Descriptor, Digest, Entry, Form, Hasher, List, MAX_LAYERS, Reference, media_type_of};
use crate::registry::blob::BlobReader;
use crate::registry::session::Session;
use crate::registry::source::Source;
use crate::registry::{Error, Progress, Refusal};
use crate::store::{self, Store};

/// The blobs of a manifest, whatever it is of.
#[derive(Deserialize)]
struct Needs {
    config: Need,
    layers: Vec<Need>,
}

#[derive(Deserialize)]
struct Need {
    digest: Digest,
    size: u64,
}

/// Pushes a list, and with `all` everything that it is of. `form` is that of the list; its own without it.
///
/// # Errors
/// As [`super::push`]; and what a registry says from which an image is to be copied.
pub fn push_list(
    store: &Store,
    list: &List,
    (all, form): (bool, Option<Form>),
    destination: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, Error> {
    with_push(store, destination, options, progress, |push| {
        let mut list = list.clone();
        for entry in list.entries.iter_mut().filter(|_| all) {
            send(push, entry)?;
        }
        let unusable = |source| Error::Metadata { image: destination.familiar(), source };
        push.name(&list.compose(form.unwrap_or_else(|| list.form())).map_err(unusable)?)
    })
}

/// Makes the registry have one image, and the list say what it has there: an image that was made here is compressed on the way.
fn send(push: &Push<'_>, entry: &mut Entry) -> Result<(), Error> {
    let image = entry.image.as_ref().map(|id| push.store.by_id(id)).transpose()?.flatten();
    let manifest = match (image, &entry.source) {
        (Some(image), _) => push.image(&image, None)?,
        (None, Some(source)) => copy(push, &Reference::parse(source)?, entry)?,
        (None, None) => {
            let gone = entry.image.as_ref().unwrap_or(&entry.digest);
            return Err(store::Error::NoSuchImage(gone.to_string()).into());
        }
    };
    entry.media_type = media_type_of(&manifest);
    entry.digest = Digest::of(&manifest);
    entry.size = manifest.len() as u64;
    push.session.put_manifest(&manifest, &entry.media_type, &entry.digest.to_string()).map(drop)
}

/// Copies what a manifest needs from another repository, and returns the manifest. What it is of is nobody's concern here.
fn copy(push: &Push<'_>, source: &Reference, entry: &Entry) -> Result<Vec<u8>, Error> {
    let http = push.session.http;
    let mut attempts = Vec::new();
    for endpoint in http.configuration.endpoints(source)? {
        let copied = Session::new(http, &endpoint).and_then(|from| {
            let manifest = from.manifest(None)?;
            let source = |source| Error::Metadata {
                image: entry.digest.to_string(),
                source: crate::image::Error::Json { what: "manifest", source },
            };
            let needs: Needs = serde_json::from_slice(&manifest.bytes).map_err(source)?;
            if needs.layers.len() > MAX_LAYERS {
                let source = crate::image::Error::Layers(needs.layers.len());
                return Err(Error::Metadata { image: entry.digest.to_string(), source });
            }
            let mut blobs: Vec<Descriptor> = Vec::new();
            for need in needs.layers.into_iter().chain([needs.config]) {
                let blob = Descriptor { digest: need.digest, size: need.size };
                if !blobs.contains(&blob) {
                    blobs.push(blob);
                }
            }
            http.progress.pushing(push.destination, &blobs);
            blobs.iter().try_for_each(|blob| copy_blob(push, &from, blob))?;
            Ok(manifest.bytes)
        });
        match copied {
            Ok(manifest) => return Ok(manifest),
            Err(error @ (Error::GivenUp | Error::Refusal(_) | Error::Store(_))) => return Err(error),
            Err(error) => attempts.push(error),
        }
    }
    Err(Error::of_all(&source.familiar(), attempts))
}

fn copy_blob(push: &Push<'_>, from: &Session<'_>, blob: &Descriptor) -> Result<(), Error> {
    if push.session.has_blob(blob)? {
        return Ok(());
    }
    let reference = &from.endpoint.reference;
    if reference.domain() == push.session.endpoint.reference.domain()
        && push.session.mount_blob(blob, &[reference.path().to_owned()])?
    {
        return Ok(());
    }
    let file: Arc<dyn Source> = Arc::new(fetch(push, from, blob)?);
    push.session.put_blob(blob, &file, &[]).map(drop)
}

/// Fetches a blob into a file without a name, verified.
fn fetch(push: &Push<'_>, from: &Session<'_>, blob: &Descriptor) -> Result<File, Error> {
    let mut file = push.store.scratch()?;
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let mut reader = BlobReader::new(from, blob, 0)?.take(blob.size);
    let mut buffer = vec![0; 64 << 10];
    let failed = |error: io::Error| match error.downcast::<Error>() {
        Ok(own) => own,
        Err(source) => Refusal::Source { source }.into(),
    };
    loop {
        let got = reader.read(&mut buffer).map_err(failed)?;
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
        file.write_all(&buffer[..got]).map_err(failed)?;
    }
    let found = hasher.finish();
    if found != blob.digest {
        let (host, image, expected) = (from.host(), from.image(), blob.digest.clone());
        return Err(Error::Digest { host, image, what: "a part", expected, found });
    }
    Ok(file)
}
