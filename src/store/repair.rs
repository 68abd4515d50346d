//! Mending what [`Store::verify`] has found, without hurting who uses it.
//!
//! What is fetched again goes into a store of its own below this one, [`Shadow`], that borrows what is whole by hard links, and is put in
//! place by a rename when it has been proved: a container that runs from the damaged file keeps the one that it has open.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::layer::{INDEX, TAR};
use super::lock::{self, Kind, Lock};
use super::{Error, Slot, Store, file, kept, trees};
use crate::image::{Descriptor, Digest};

/// How the directories of shadows begin.
pub(super) const PREFIX: &str = "repair-";

/// A store beside the damaged one, for as long as a repair takes.
#[derive(Debug)]
pub struct Shadow<'a> {
    of: &'a Store,
    store: Store,
    _lock: Lock,
}

impl Store {
    /// Makes a shadow, empty.
    ///
    /// # Errors
    /// What the file system says.
    pub fn shadow(&self) -> Result<Shadow<'_>, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let root = self.root.join(format!("{PREFIX}{}-{number}", std::process::id()));
            file::create_dir(&root)?;
            // Gone again where a prune was quicker.
            if let Some(lock) = lock::at_once(&root, Kind::Exclusive)? {
                let store = Store { root, ..self.clone() }.keeping_compressed(false);
                return Ok(Shadow { of: self, store, _lock: lock });
            }
        }
    }

    /// Removes the shadows of repairs that were killed; returns the bytes freed.
    pub(super) fn collect_shadows(&self) -> Result<u64, Error> {
        let mut freed = 0;
        for name in file::list(&self.root)?.iter().filter(|name| name.starts_with(PREFIX)) {
            let dir = self.root.join(name);
            if let Some(_lock) = lock::at_once(&dir, Kind::Exclusive)? {
                freed += super::space::of_tree(&dir);
                fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
            }
        }
        Ok(freed)
    }

    /// Makes a layer's index again, of its tar, which must be whole.
    ///
    /// # Errors
    /// What the file system says.
    pub fn mend_index(&self, diff_id: &Digest) -> Result<(), Error> {
        let dir = self.layer_dir(diff_id);
        let Some(_lock) = lock::wait(&dir, Kind::Exclusive, &|| ())? else {
            return Err(Error::NoSuchLayer(diff_id.clone()));
        };
        let tar = dir.join(TAR);
        let reader = fs::File::open(&tar).map_err(Error::io("open", &tar))?;
        let unusable = |source| Error::Layer { layer: diff_id.clone(), source };
        let index = cowfs::layer::index_tar(reader, &self.limits_of_ours()).map_err(unusable)?;
        file::write(&dir.join(INDEX), |file| index.write_to(file))?;
        file::sync_dir(&dir)
    }

    /// Makes an image's tree again, of its layers' indexes, which must be whole. It may be missing afterwards: then it is made at the next start.
    ///
    /// # Errors
    /// As [`Store::mend`].
    pub fn mend_tree(&self, id: &Digest) -> Result<(), Error> {
        let tree = self.image_dir(id).join(trees::TREE);
        {
            let _lock = self.lock_images()?;
            file::remove(&tree)?;
        }
        if let Some(image) = self.by_id(id)? {
            self.mend(&image)?;
        }
        Ok(())
    }

    /// Throws away a layer that no image needs, if nobody is at work on it.
    ///
    /// # Errors
    /// Damaged records; what the file system says.
    pub fn drop_layer(&self, diff_id: &Digest) -> Result<(), Error> {
        self.collect(&[diff_id.clone()].into())?;
        Ok(())
    }

    /// Throws away a compressed form that is damaged. Whoever wants it fetches or makes it again.
    ///
    /// # Errors
    /// What the file system says.
    pub fn drop_form(&self, path: &Path) -> Result<(), Error> {
        file::remove(path)
    }
}

impl Shadow<'_> {
    /// The store to fetch into.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Lends it whole layers, which need not be fetched.
    ///
    /// # Errors
    /// What the file system says.
    pub fn lend(&self, layers: &[Digest]) -> Result<(), Error> {
        for diff_id in layers {
            let (from, to) = (self.of.layer_dir(diff_id), self.store.layer_dir(diff_id));
            file::create_dir(&to)?;
            for name in [TAR, INDEX] {
                match fs::hard_link(from.join(name), to.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(Error::io("link to", &from.join(name))(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes a layer in from its own compressed forms, those but for the damaged ones. `false` where none will do.
    ///
    /// # Errors
    /// What the file system says.
    pub fn unpack(&self, diff_id: &Digest, damaged: &[PathBuf]) -> Result<bool, Error> {
        for form in kept::forms(&self.of.layer_dir(diff_id), diff_id)? {
            if damaged.contains(&form.path) {
                continue;
            }
            let Ok(mut source) = fs::File::open(&form.path) else { continue };
            let source: &mut (dyn Read + Send) = &mut source;
            let Slot::Absent(pending) = self.store.layer(diff_id, &|| ())? else { return Ok(true) };
            let blob = Descriptor { digest: form.digest, size: form.size };
            match pending.fill(&blob, 0, source) {
                Ok(()) => return Ok(true),
                Err(error) if error.is_about_room() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Puts a layer of the shadow in the place of the damaged one; `false` where the shadow does not have it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn adopt_layer(&self, diff_id: &Digest) -> Result<bool, Error> {
        let (from, to) = (self.store.layer_dir(diff_id), self.of.layer_dir(diff_id));
        if !super::layer::is_complete(&from) {
            return Ok(false);
        }
        let _lock = loop {
            file::create_dir(&to)?;
            if let Some(lock) = lock::wait(&to, Kind::Exclusive, &|| ())? {
                break lock;
            }
        };
        // The index last: where it is, the layer is complete.
        for name in [TAR, INDEX] {
            let place = to.join(name);
            fs::rename(from.join(name), &place).map_err(Error::io("write", &place))?;
        }
        file::sync_dir(&to)?;
        Ok(true)
    }

    /// Puts a document of the shadow in the place of the damaged one; `false` where the shadow does not have it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn adopt_document(&self, digest: &Digest) -> Result<bool, Error> {
        let Some(bytes) = self.store.document(digest)? else { return Ok(false) };
        let _lock = self.of.lock_images()?;
        let place = self.of.blob(digest);
        file::write_bytes(&place, &bytes)?;
        file::sync_dir(&place.with_file_name(""))?;
        Ok(true)
    }
}

impl Shadow<'_> {
    /// Puts an image's record of the shadow in the place of the damaged one; `false` where the shadow does not have it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn adopt_record(&self, id: &Digest) -> Result<bool, Error> {
        let Some(record) = self.store.record(id)? else { return Ok(false) };
        for digest in [Some(&record.id), Some(&record.manifest), record.index.as_ref()].into_iter().flatten() {
            self.adopt_document(digest)?;
        }
        let _lock = self.of.lock_images()?;
        self.of.write_record(&record)?;
        Ok(true)
    }
}

impl Drop for Shadow<'_> {
    fn drop(&mut self) {
        // What cannot be removed is found by the next prune.
        let _ = fs::remove_dir_all(&self.store.root);
    }
}
