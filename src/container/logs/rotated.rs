//! A log file that is renamed when it is full, and of whose older copies only some are kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Error, older};

/// A file that grows until it is full. Nothing is synced: a power cut may cost the last seconds of a log.
#[derive(Debug)]
pub struct Rotated {
    path: PathBuf,
    /// `None` where it could not be made again after a rotation.
    file: Option<File>,
    size: u64,
    max_size: u64,
    max_files: u32,
}

/// What of a batch did not get into the file.
#[derive(Debug)]
pub struct Lost {
    /// How many records.
    pub records: u64,
    /// Why.
    pub reason: io::Error,
}

impl Rotated {
    /// Opens the file, to write behind what it has.
    pub fn open(path: PathBuf, max_size: u64, max_files: u32) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(Error::file("make the folder of", &path))?;
        }
        let (file, size) = open(&path).map_err(Error::file("open", &path))?;
        Ok(Self { path, file: Some(file), size, max_size, max_files })
    }

    /// Whether a batch of this length would make the file longer than it may be.
    #[inline]
    pub fn overflows(&self, length: usize) -> bool {
        self.size + length as u64 > self.max_size
    }

    /// Writes records, each of which ends in a newline, into one file; into a new one if this one has no room for all.
    pub fn append(&mut self, batch: &[u8]) -> Result<(), Lost> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.size > 0 && self.overflows(batch.len()) {
            self.rotate();
        }
        let mut written = 0;
        self.write(batch, &mut written).map_err(|reason| {
            // What was cut off within a record goes again, so that the next record begins a line.
            let kept = memchr::memrchr(b'\n', &batch[..written]).map_or(0, |at| at + 1);
            if let Some(file) = self.file.as_ref().filter(|_| written > kept) {
                let _ = file.set_len(self.size + kept as u64);
            }
            self.size += kept as u64;
            Lost { records: memchr::memchr_iter(b'\n', &batch[kept..]).count() as u64, reason }
        })?;
        self.size += batch.len() as u64;
        Ok(())
    }

    fn write(&mut self, batch: &[u8], written: &mut usize) -> io::Result<()> {
        if self.file.is_none() {
            let (file, size) = open(&self.path)?;
            (self.file, self.size) = (Some(file), size);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        while *written < batch.len() {
            match file.write(&batch[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => *written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Renames this file and those before it, and begins a new one. Who reads one of them goes on reading it.
    fn rotate(&mut self) {
        for age in (1..self.max_files.saturating_sub(1)).rev() {
            let _ = fs::rename(older(&self.path, age), older(&self.path, age + 1));
        }
        let moved =
            if self.max_files > 1 { fs::rename(&self.path, older(&self.path, 1)) } else { fs::remove_file(&self.path) };
        if moved.is_err()
            && let Some(file) = &self.file
        {
            // A log that cannot be put aside must not fill the disk.
            let _ = file.set_len(0);
        }
        // Made again by the next write, which tells where that fails.
        (self.file, self.size) = (None, 0);
    }
}

/// Opens a log file at its end; what a killed writer left of a record becomes a line of its own.
fn open(path: &Path) -> io::Result<(File, u64)> {
    // Not blocking: a fifo would wait for a reader.
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY);
    let mut file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    let mut size = metadata.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
        size += 1;
    }
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(path: &Path) -> Vec<String> {
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        std::iter::once(read(path.to_owned())).chain((1..5).map(|age| read(older(path, age)))).flatten().collect()
    }

    #[test]
    fn full_files_are_renamed_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/log");
        let mut log = Rotated::open(path.clone(), 4, 3).unwrap();
        let reader = File::open(&path).unwrap();
        for record in ["1\n", "2\n", "3\n", "four\n", "5\n", "6\n", "7\n"] {
            log.append(record.as_bytes()).unwrap();
        }
        assert_eq!(contents(&path), ["7\n", "5\n6\n", "four\n"]);
        assert_eq!(io::read_to_string(reader).unwrap(), "1\n2\n");
        drop(log);
        let mut log = Rotated::open(path.clone(), 4, 1).unwrap();
        log.append(b"888\n").unwrap();
        assert_eq!(contents(&path), ["888\n", "5\n6\n", "four\n"]);
    }

    #[test]
    fn what_a_killed_writer_left_of_a_record_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "1\n2").unwrap();
        Rotated::open(path.clone(), 100, 3).unwrap().append(b"3\n").unwrap();
        assert_eq!(contents(&path), ["1\n2\n3\n"]);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(Rotated::open("/dev/null".into(), 100, 3).is_err());
    }

    #[test]
    fn a_file_that_takes_no_more_says_how_much_was_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Rotated::open(path.clone(), 100, 3).unwrap();
        log.append(b"1\n").unwrap();
        log.file = Some(File::open(&path).unwrap());
        assert_eq!(log.append(b"2\n3\n").unwrap_err().records, 2);
        assert_eq!(log.size, 2);
    }
}
