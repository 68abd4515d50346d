//! The compressed forms of layers, kept beside the tars that they hold: as they came from a registry or an archive, or as they
//! were made for a push. They make a push or an archive of what was pulled give back the very digests.
//!
//! `layers/HEX/blob-HEX of the form` has been hashed before it got that name. Nothing needs it: whoever wants one and finds none
//! fetches or makes it again, so that these are the first to go when space is wanted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::layer::{self, PARTIAL};
use super::lock::{self, Kind};
use super::{Error, Layer, Pruned, Store, file, space};
use crate::image::{Algorithm, Descriptor, Digest, Hasher, MAX_MANIFEST};

/// How the names of compressed forms, and of parts of them, begin.
const PREFIX: &str = "blob-";

/// A compressed form that the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The layer whose tar it holds.
    pub diff_id: Digest,
    /// What the file hashes to.
    pub digest: Digest,
    /// The file.
    pub path: PathBuf,
    /// How long it is, in bytes.
    pub size: u64,
    /// When it was last written or read for a push.
    pub used: SystemTime,
}

/// A compressed form that is being written. It is gone if this is dropped before [`Keeping::finish`].
pub struct Keeping {
    dir: PathBuf,
    beside: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    finished: bool,
}

impl Store {
    /// A manifest, an index or a configuration that the store has, byte for byte as it was received; `None` where it is not here.
    ///
    /// # Errors
    /// [`Error::Digest`] where something damaged it; what the file system says.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let Some(bytes) = file::read(&self.blob(digest), MAX_MANIFEST)? else { return Ok(None) };
        if !digest.matches(&bytes) {
            let what = "a document of the store".to_owned();
            return Err(Error::Digest { what, expected: digest.clone(), found: Digest::of(&bytes) });
        }
        Ok(Some(bytes))
    }

    /// All compressed forms that are kept, of whole layers, the one that was not used for longest first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn compressed(&self) -> Result<Vec<Kept>, Error> {
        let mut all = Vec::new();
        for name in file::list(&self.layers())? {
            let dir = self.layers().join(&name);
            if let Some(diff_id) = digest_of(&name).filter(|_| layer::is_complete(&dir)) {
                all.extend(forms(&dir, &diff_id)?);
            }
        }
        all.sort_by(|one, other| one.used.cmp(&other.used).then_with(|| one.digest.cmp(&other.digest)));
        Ok(all)
    }

    /// Throws away some of the compressed forms that are kept. A push that reads one goes on reading it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn drop_compressed(&self, which: &dyn Fn(&Kept) -> bool) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        for kept in self.compressed()?.iter().filter(|kept| which(kept)) {
            // Whoever has it exclusively is taking the layer in again, from this very file perhaps.
            let Some(_lock) = lock::at_once(&self.layer_dir(&kept.diff_id), Kind::Shared)? else { continue };
            pruned.freed += space::of_file(&kept.path);
            file::remove(&kept.path)?;
            pruned.layers += 1;
        }
        Ok(pruned)
    }

    /// Removes what killed pushes left of forms that they were making in whole layers.
    pub(super) fn collect_parts(&self) -> Result<u64, Error> {
        let mut freed = 0;
        for name in file::list(&self.layers())? {
            let dir = self.layers().join(name);
            let Some(_lock) = lock::at_once(&dir, Kind::Exclusive)?.filter(|_| layer::is_complete(&dir)) else {
                continue;
            };
            for part in file::list(&dir)?.iter().filter(|name| name.ends_with(PARTIAL)) {
                let part = dir.join(part);
                freed += space::of_file(&part);
                file::remove(&part)?;
            }
        }
        Ok(freed)
    }
}

impl Layer {
    /// The file that hashes to `digest` and holds this layer, if it is kept: a compressed form, or the tar itself.
    pub fn compressed(&self, digest: &Digest) -> Option<PathBuf> {
        let path = if digest == self.diff_id() { self.tar() } else { self.dir().join(name(digest)) };
        path.is_file().then_some(path)
    }

    /// All compressed forms of it that are kept.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forms(&self) -> Result<Vec<Kept>, Error> {
        forms(self.dir(), self.diff_id())
    }

    /// Begins to write a compressed form down.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&self) -> Result<Keeping, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let beside = self.dir().join(format!("{PREFIX}new-{}-{number}{PARTIAL}", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let file = file.map_err(Error::io("create", &beside))?;
        let (dir, hasher) = (self.dir().to_owned(), Hasher::new(Algorithm::Sha256));
        Ok(Keeping { dir, beside, file, hasher, size: 0, finished: false })
    }
}

impl Keeping {
    /// How many bytes it has so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts it in its place, under the digest of what was written.
    ///
    /// # Errors
    /// What the file system says; then nothing is kept.
    pub fn finish(mut self) -> Result<Descriptor, Error> {
        file::sync(&self.file).map_err(Error::io("sync", &self.beside))?;
        let digest = std::mem::replace(&mut self.hasher, Hasher::new(Algorithm::Sha256)).finish();
        let place = self.dir.join(name(&digest));
        fs::rename(&self.beside, &place).map_err(Error::io("write", &place))?;
        self.finished = true;
        file::sync_dir(&self.dir)?;
        Ok(Descriptor { digest, size: self.size })
    }

    /// As [`Keeping::finish`], if what was written has this digest; as [`Keeping::detach`] if it has not.
    ///
    /// # Errors
    /// As those.
    pub fn finish_as(self, expected: &Digest) -> Result<(Descriptor, File), Error> {
        if self.hasher.clone().finish() != *expected {
            return self.detach();
        }
        let path = self.dir.join(name(expected));
        let descriptor = self.finish()?;
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        Ok((descriptor, file))
    }

    /// The digest of what was written, and the open file, which ends with its last descriptor: for a form that is used once.
    ///
    /// # Errors
    /// What the file system says.
    pub fn detach(mut self) -> Result<(Descriptor, File), Error> {
        let digest = std::mem::replace(&mut self.hasher, Hasher::new(Algorithm::Sha256)).finish();
        let mut file = self.file.try_clone().map_err(Error::io("read", &self.beside))?;
        io::Seek::rewind(&mut file).map_err(Error::io("read", &self.beside))?;
        Ok((Descriptor { digest, size: self.size }, file))
    }
}

impl Write for Keeping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed is found by the next prune.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// The name of a form in its layer's directory.
pub(super) fn name(digest: &Digest) -> String {
    format!("{PREFIX}{}", digest.hex())
}

/// The name of a part of a form.
pub(super) fn part_name(digest: &Digest) -> String {
    format!("{PREFIX}{}{PARTIAL}", digest.hex())
}

pub(super) fn digest_of(hex: &str) -> Option<Digest> {
    let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

pub(super) fn forms(dir: &Path, diff_id: &Digest) -> Result<Vec<Kept>, Error> {
    let mut forms = Vec::new();
    for name in file::list(dir)? {
        let Some(digest) = name.strip_prefix(PREFIX).and_then(digest_of) else { continue };
        let path = dir.join(&name);
        // Gone where somebody else has just dropped it.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let used = [metadata.modified(), metadata.accessed()].into_iter().flatten().max().unwrap_or(UNIX_EPOCH);
        forms.push(Kept { diff_id: diff_id.clone(), digest, path, size: metadata.len(), used });
    }
    Ok(forms)
}
