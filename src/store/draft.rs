//! A layer of which only the bytes say what it is: what `commit`, `import` and `load` bring.
//!
//! It is written in a directory of its own, locked, and takes its place as soon as its digest is known. After a kill the
//! directory is like that of a killed pull: nobody holds it and no image needs it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cowfs::layer::{Room, index_tar};

use super::bounds::LEAST_PACKED;
use super::layer::{INDEX, TAR};
use super::lock::{self, Kind, Lock};
use super::tee::Tee;
use super::{Error, Layer, Slot, Store, file};
use crate::image::{Algorithm, Digest, Hasher};

/// A whole layer that is not in its place yet.
#[derive(Debug)]
pub struct Draft<'a> {
    store: &'a Store,
    dir: PathBuf,
    diff_id: Digest,
    entries: usize,
    _lock: Lock,
}

impl Store {
    /// Writes down and indexes a layer, an uncompressed tar, as `source` gives it. `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Input`] where `source` fails, [`Error::Unusable`] for what is no tar, or one that is refused; what the file system says.
    pub fn draft(&self, what: &str, source: &mut dyn Read) -> Result<Draft<'_>, Error> {
        let (dir, lock) = self.new_draft_dir()?;
        let written = self.write_draft(what, &dir, source);
        let (diff_id, entries) = written.inspect_err(|_| drop(fs::remove_dir_all(&dir)))?;
        Ok(Draft { store: self, dir, diff_id, entries, _lock: lock })
    }

    fn new_draft_dir(&self) -> Result<(PathBuf, Lock), Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        file::create_dir(&self.layers())?;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let dir = self.layers().join(format!("new-{}-{number}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => {}
                // What a killed process of the same number left; somebody may be removing it just now.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io("create", &dir)(error)),
            }
            // Gone again where a sweep was quicker.
            if let Some(lock) = lock::at_once(&dir, Kind::Exclusive)? {
                return Ok((dir, lock));
            }
        }
    }

    fn write_draft(&self, what: &str, dir: &Path, source: &mut dyn Read) -> Result<(Digest, usize), Error> {
        let path = dir.join(TAR);
        let mut tar = file::create(&path)?;
        let mut input = Remembering { source, failed: None, room: &self.limits.room, uncounted: 0 };
        let mut tee = Tee::new(&mut input, &mut tar, Hasher::new(Algorithm::Sha256));
        let indexed = index_tar(&mut tee, &self.limits);
        let (failed, hasher) = tee.finish();
        if let Some(error) = failed {
            return Err(Error::io("write", &path)(error));
        }
        if let Some(source) = input.failed {
            return Err(Error::Input { what: what.to_owned(), source });
        }
        let index = indexed.map_err(|source| Error::Unusable { what: what.to_owned(), source })?;
        file::sync(&tar).map_err(Error::io("sync", &path))?;
        file::write(&dir.join(INDEX), |file| index.write_to(file))?;
        Ok((hasher.finish(), index.len()))
    }
}

impl Draft<'_> {
    /// What its tar hashes to.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Puts it in its place, unless the very same layer is there already.
    ///
    /// # Errors
    /// What the file system says.
    pub fn publish(self) -> Result<Layer, Error> {
        loop {
            let pending = match self.store.layer(&self.diff_id, &|| ())? {
                Slot::Ready(layer) => return Ok(layer),
                Slot::Absent(pending) => pending,
            };
            // The index last: where it is, the layer is complete.
            for name in [TAR, INDEX] {
                let place = pending.dir().join(name);
                fs::rename(self.dir.join(name), &place).map_err(Error::io("write", &place))?;
            }
            file::sync_dir(pending.dir())?;
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // What cannot be removed is found by the next sweep.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Keeps a reader's error, which would otherwise come back as that of a damaged tar.
struct Remembering<'a> {
    source: &'a mut dyn Read,
    failed: Option<io::Error>,
    /// What is given more by what comes, and how much of that was not enough for a byte yet.
    room: &'a Room,
    uncounted: u64,
}

impl Remembering<'_> {
    /// How it came is not known here: it counts as if it had come well compressed.
    fn earn(&mut self, bytes: usize) {
        self.uncounted += bytes as u64;
        self.room.earn(self.uncounted / LEAST_PACKED);
        self.uncounted %= LEAST_PACKED;
    }
}

impl Read for Remembering<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failed = Some(error);
                    return Err(kind.into());
                }
                Ok(got) => {
                    self.earn(got);
                    return Ok(got);
                }
            }
        }
    }
}
