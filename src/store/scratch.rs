//! A file without a name, for what passes through: it is gone when it is closed, and when this process is killed.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, Store, file};

impl Store {
    /// An empty file on the store's file system, to be written and read again.
    ///
    /// # Errors
    /// What the file system says.
    pub fn scratch(&self) -> Result<File, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        file::create_dir(&self.layers())?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // As what a killed commit leaves, which the next sweep removes: it has this name for a moment only.
        let path = self.layers().join(format!("new-{}-scratch-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let opened = options.open(&path).map_err(Error::io("create", &path))?;
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn it_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (mut one, other) = (store.scratch().unwrap(), store.scratch().unwrap());
        one.write_all(b"x").unwrap();
        one.rewind().unwrap();
        let mut read = Vec::new();
        one.read_to_end(&mut read).unwrap();
        assert_eq!((read.as_slice(), other.metadata().unwrap().len()), (&b"x"[..], 0));
        assert_eq!(fs::read_dir(store.layers()).unwrap().count(), 0);
    }
}
