//! Layers: found, waited for, or taken in.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cowfs::layer::{LayerIndex, index_tar};

use super::ingest::{self, Job, Partial};
use super::kept;
use super::lock::{self, Kind, Lock};
use super::watch::{Unwatched, Watch};
use super::{Error, Store, file};
use crate::image::{Descriptor, Digest};

/// The tar in its place.
pub(super) const TAR: &str = "layer.tar";
/// The index in its place. It is written last: where it is, the layer is complete.
pub(super) const INDEX: &str = "layer.index";
/// What of it is read before it is here, for a moment.
const SCRATCH: &str = "ahead.new";
/// Where its content has gone, for containers that were started before it was here ([`cowfs::arriving`]).
pub(super) const MOVED: &str = "layer.moved";
/// How the names of parts of blobs end.
pub(super) const PARTIAL: &str = ".partial";
/// The tar while it is being written. Nothing can be resumed from it.
const NEW_TAR: &str = "layer.tar.new";
/// Blobs smaller than this are fetched again rather than left in part, in bytes.
const WORTH_KEEPING: u64 = 1 << 20;

/// Between two attempts to be the one who fetches a layer, when several look at it in the same moment.
const PAUSE: Duration = Duration::from_millis(2);

/// What the store has of a layer.
#[derive(Debug)]
pub enum Slot<'a> {
    /// All of it.
    Ready(Layer),
    /// Not all of it, and whoever holds this is the one to fetch it.
    Absent(Pending<'a>),
}

/// A complete layer, which is not removed as long as this lives.
#[derive(Debug)]
pub struct Layer {
    diff_id: Digest,
    dir: PathBuf,
    _lock: Lock,
}

/// A layer to be taken in. Others who want it wait until this is dropped.
#[derive(Debug)]
pub struct Pending<'a> {
    store: &'a Store,
    diff_id: Digest,
    dir: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Whether a layer is here.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        is_complete(&self.layer_dir(diff_id))
    }

    /// As [`Store::layer`]; `None` where another process is fetching it.
    ///
    /// # Errors
    /// As [`Store::layer`].
    pub fn layer_at_once(&self, diff_id: &Digest) -> Result<Option<Slot<'_>>, Error> {
        let dir = self.layer_dir(diff_id);
        if let Some(lock) = lock::at_once(&dir, Kind::Shared)?
            && is_complete(&dir)
        {
            return Ok(Some(Slot::Ready(Layer { diff_id: diff_id.clone(), dir, _lock: lock })));
        }
        file::create_dir(&dir)?;
        let lock = lock::at_once(&dir, Kind::Exclusive)?.filter(|_| !is_complete(&dir));
        Ok(lock.map(|lock| Slot::Absent(Pending { store: self, diff_id: diff_id.clone(), dir, _lock: lock })))
    }

    /// Finds a layer. Where another process is fetching it, calls `waiting` and waits until that process is done or dead.
    ///
    /// After [`Pending::fill`] has succeeded, drop it and ask again: that gives the [`Layer`].
    ///
    /// # Errors
    /// [`Error::Io`], where the layer's directory cannot be made or locked.
    pub fn layer(&self, diff_id: &Digest, waiting: &dyn Fn()) -> Result<Slot<'_>, Error> {
        let dir = self.layer_dir(diff_id);
        loop {
            if let Some(lock) = lock::wait(&dir, Kind::Shared, waiting)?
                && is_complete(&dir)
            {
                return Ok(Slot::Ready(Layer { diff_id: diff_id.clone(), dir, _lock: lock }));
            }
            file::create_dir(&dir)?;
            // Never waited for: whoever has the layer holds it, shared, until the end of a pull that may be waiting for a layer of ours.
            let Some(lock) = lock::at_once(&dir, Kind::Exclusive)? else {
                thread::sleep(PAUSE);
                continue;
            };
            if !is_complete(&dir) {
                return Ok(Slot::Absent(Pending { store: self, diff_id: diff_id.clone(), dir, _lock: lock }));
            }
        }
    }
}

/// Whether the directory holds a whole layer.
pub(super) fn is_complete(dir: &Path) -> bool {
    dir.join(INDEX).is_file() && dir.join(TAR).is_file()
}

impl Layer {
    /// What its tar hashes to.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its tar.
    pub fn tar(&self) -> PathBuf {
        self.dir.join(TAR)
    }

    /// The size of its tar, in bytes.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn size(&self) -> Result<u64, Error> {
        let tar = self.tar();
        fs::metadata(&tar).map(|metadata| metadata.len()).map_err(Error::io("read", &tar))
    }

    /// Its index; made again from the tar where another version of this program wrote it, or something damaged it.
    pub(super) fn index(&self, limits: &super::Limits) -> Result<LayerIndex, Error> {
        let path = self.dir.join(INDEX);
        if let Ok(index) = LayerIndex::open(&path) {
            return Ok(index);
        }
        let tar = self.tar();
        let reader = File::open(&tar).map_err(Error::io("open", &tar))?;
        let unusable = |source| Error::Layer { layer: self.diff_id.clone(), source };
        let index = index_tar(reader, limits).map_err(unusable)?;
        file::write(&path, |file| index.write_to(file))?;
        Ok(index)
    }
}

impl Pending<'_> {
    /// Where the layer is to be.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn partial(&self, blob: &Descriptor) -> PathBuf {
        self.dir.join(kept::part_name(&blob.digest))
    }

    /// A file without a name, of so many bytes that are not written yet.
    pub(super) fn scratch(&self, bytes: u64) -> Result<File, Error> {
        let path = self.dir.join(SCRATCH);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(Error::io("create", &path))?;
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        file.set_len(bytes).map_err(Error::io("write", &path))?;
        Ok(file)
    }

    /// Takes the place of the tar until that is here, for whoever wants to read of it sooner.
    ///
    /// # Errors
    /// What the file system says.
    pub fn listen(&self) -> Result<OwnedFd, Error> {
        let place = self.dir.join(TAR);
        cowfs::arriving::listen(&place).map_err(Error::io("listen at", &place))
    }

    /// Gives that place up, where the tar has not come.
    pub fn leave(&self) {
        let place = self.dir.join(TAR);
        if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.file_type().is_socket()) {
            // At a socket that stays nobody answers, which is as good as none.
            let _ = fs::remove_file(&place);
        }
    }

    /// How many bytes of the blob an earlier pull left here, from which [`Pending::fill`] goes on: all of them, where the layer has
    /// lost its tar or index and the compressed form was kept.
    pub fn resumable(&self, blob: &Descriptor) -> u64 {
        match (fs::metadata(self.partial(blob)), fs::metadata(self.dir.join(kept::name(&blob.digest)))) {
            (_, Ok(kept)) if kept.len() == blob.size => kept.len(),
            (Ok(partial), _) if partial.len() <= blob.size => partial.len(),
            _ => 0,
        }
    }

    /// Takes the layer in. `source` gives the blob's bytes from `resumed` on, which is what [`Pending::resumable`] said, or 0.
    ///
    /// After an error of the source what arrived is kept for the next pull; after any other nothing is kept.
    ///
    /// # Errors
    /// The source's own error as [`Error::Source`]; else what was wrong with the bytes or with the file system.
    pub fn fill(&self, blob: &Descriptor, resumed: u64, source: &mut (dyn Read + Send)) -> Result<(), Error> {
        self.fill_watched(blob, resumed, source, &Unwatched)
    }

    /// As [`Pending::fill`], with somebody who looks on, and who has the last word.
    ///
    /// # Errors
    /// As [`Pending::fill`], and his.
    pub fn fill_watched(
        &self,
        blob: &Descriptor,
        resumed: u64,
        source: &mut (dyn Read + Send),
        watch: &dyn Watch,
    ) -> Result<(), Error> {
        let filled = self.try_fill(blob, resumed, source, watch);
        match &filled {
            Ok(()) => {}
            Err(Error::Source { .. }) if blob.size >= WORTH_KEEPING && self.resumable(blob) > 0 => {
                file::remove(&self.dir.join(NEW_TAR))?
            }
            Err(_) => self.remove_all_but(watch.keeps())?,
        }
        filled
    }

    fn try_fill(
        &self,
        blob: &Descriptor,
        resumed: u64,
        source: &mut (dyn Read + Send),
        watch: &dyn Watch,
    ) -> Result<(), Error> {
        let keep = self.store.keep && blob.digest != self.diff_id;
        let partial = self.open_partial(blob, resumed, keep)?;
        let new = self.dir.join(NEW_TAR);
        let mut tar = file::create(&new)?;
        watch.begins(File::open(&new).map_err(Error::io("open", &new))?);
        let limits = self.store.limits_for(blob.size);
        let job = Job { blob, diff_id: &self.diff_id, limits: &limits, watch };
        let index = ingest::ingest(&job, partial, source, (&mut tar, &new))?;
        if let Some(moved) = watch.complete(blob)? {
            file::write_bytes(&self.dir.join(MOVED), &moved.to_bytes())?;
        }
        let place = self.dir.join(TAR);
        fs::rename(&new, &place).map_err(Error::io("write", &place))?;
        let form = kept::name(&blob.digest);
        if keep {
            let place = self.dir.join(&form);
            fs::rename(self.partial(blob), &place).map_err(Error::io("write", &place))?;
        }
        file::write(&self.dir.join(INDEX), |file| index.write_to(file))?;
        let kept = [TAR, INDEX, MOVED, form.as_str()];
        self.remove_all_but(if keep { &kept } else { &kept[..3] })?;
        file::sync_dir(&self.dir)
    }

    fn open_partial(&self, blob: &Descriptor, resumed: u64, keep: bool) -> Result<Option<Partial>, Error> {
        let path = self.partial(blob);
        let form = self.dir.join(kept::name(&blob.digest));
        if form.is_file() {
            // Only a file that has just been hashed has that name.
            fs::rename(&form, &path).map_err(Error::io("rename", &form))?;
        }
        if blob.size < WORTH_KEEPING && !keep && resumed == 0 {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(Error::io("create", &path))?;
        file.set_len(resumed).map_err(Error::io("write", &path))?;
        Ok(Some(Partial { file, resumed, path, keep }))
    }

    /// Removes what this or an earlier, killed pull left.
    fn remove_all_but(&self, keep: &[&str]) -> Result<(), Error> {
        for name in file::list(&self.dir)? {
            if !keep.contains(&name.as_str()) {
                file::remove(&self.dir.join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Succeeds only where nothing is in it, which is what is wanted.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Removes a layer's directory, whose exclusive lock the caller holds: the index first, so that what is left is never taken for a layer.
pub(super) fn remove_dir(dir: &Path) -> Result<(), Error> {
    file::remove(&dir.join(INDEX))?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(error)),
        _ => Ok(()),
    }
}
