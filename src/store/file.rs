//! Writing so that a reader sees all of a file or nothing, and a power cut leaves what was there; and what everything in the store reads with.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use super::Error;
use crate::image::{Digest, Hasher};

/// Makes a directory and what is above it, for the user alone.
pub fn create_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

/// Opens a new file for writing, for the user alone; what was there is emptied.
pub fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(Error::io("create", path))
}

/// Writes a file beside its place, syncs it and renames it. Callers hold the lock of its directory.
pub fn write(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let mut name = std::ffi::OsString::from(".new-");
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    let mut file = create(&beside)?;
    let written = write(&mut file).and_then(|()| file.sync_all()).map_err(Error::io("write", &beside));
    let renamed = written.and_then(|()| fs::rename(&beside, path).map_err(Error::io("write", path)));
    if renamed.is_err() {
        // The error that led here is the one to report.
        let _ = fs::remove_file(&beside);
    }
    renamed
}

/// As [`write()`], of bytes.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write(path, |file| file.write_all(bytes))
}

/// Makes renames within a directory last.
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", path))
}

/// Reads a small file; `None` where there is none.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let failed = |error| Err(Error::io("read", path)(error));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return failed(error),
    };
    let mut bytes = Vec::new();
    match file.take(limit + 1).read_to_end(&mut bytes) {
        Err(error) => failed(error),
        Ok(_) if bytes.len() as u64 > limit => failed(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => Ok(Some(bytes)),
    }
}

/// Removes a file that may be gone already.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The names in a directory; none where it does not exist.
pub fn list(path: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("read", path))?;
        // Nothing that the store writes has a name that is not text.
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a file's bytes last.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Fills a buffer as far as the reader goes; tells how far that was.
pub fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The digest of all that a reader has.
pub fn hash(reader: &mut impl Read, mut hasher: Hasher) -> io::Result<Digest> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match fill(reader, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            got => hasher.update(&buffer[..got]),
        }
    }
}

/// A file from a place on, read without moving the file's own position, so that several may read it.
pub struct From<'a> {
    /// The file.
    pub file: &'a File,
    /// Where the next byte is read.
    pub at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(into, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
