//! Images as files of other tools: a tar, or a folder. Both are hostile: names lead nowhere but to what is in them, and nothing that is read
//! into memory is larger than a manifest may be.
//!
//! `load` reads images from them; what each file must hash to is checked there.

mod archive;
mod folder;
mod spool;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Error, Store};
use crate::image::{Descriptor, Digest, MAX_MANIFEST};
use archive::Archive;
use folder::Folder;

/// Files by name.
#[derive(Debug)]
pub enum Bundle {
    /// The entries of a tar.
    Archive(Archive),
    /// The files of a folder.
    Folder(Folder),
}

impl Bundle {
    /// The tar that comes out of `source`, which may be compressed. It is kept in a file without a name, as its parts come in any order.
    ///
    /// # Errors
    /// [`Error::Input`], [`Error::Archive`] for what is no tar; what the file system says.
    pub fn from_stream(store: &Store, source: impl Read) -> Result<Self, Error> {
        Ok(Self::Archive(Archive::read(spool::spool(store, source)?)?))
    }

    /// A file with a tar, or a folder. A tar that is not compressed is read where it is.
    ///
    /// # Errors
    /// As [`Bundle::from_stream`].
    pub fn from_path(store: &Store, path: &Path) -> Result<Self, Error> {
        let failed = Error::io("open", path);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return Err(failed(error)),
        };
        let status = file.metadata().map_err(Error::io("read", path))?;
        if status.is_dir() {
            return Ok(Self::Folder(Folder::new(file)));
        }
        let mut start = [0; 512];
        if status.is_file() && file.read_at(&mut start, 0).is_ok_and(|got| got == start.len()) && spool::is_tar(&start)
        {
            return Ok(Self::Archive(Archive::read(file)?));
        }
        Self::from_stream(store, file)
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Whether there is a file of that name.
    pub fn has(&self, path: &str) -> bool {
        match self {
            Self::Archive(archive) => archive.has(path),
            Self::Folder(folder) => folder.open(path).is_ok(),
        }
    }

    /// A file's content.
    ///
    /// # Errors
    /// [`Error::Archive`] where there is none.
    pub fn reader(&self, path: &str) -> Result<Part<'_>, Error> {
        match self {
            Self::Archive(archive) => archive.reader(path),
            Self::Folder(folder) => folder.open(path),
        }
    }

    /// A file that is read into memory.
    ///
    /// # Errors
    /// [`Error::Archive`] where there is none, or a large one; [`Error::Input`].
    pub fn small(&self, path: &str) -> Result<Vec<u8>, Error> {
        let reader = self.reader(path)?;
        if reader.left > MAX_MANIFEST {
            let size = reader.left;
            return Err(wrong(format!(
                "{} is {size} bytes long, and at most {MAX_MANIFEST} are accepted",
                shown(path)
            )));
        }
        let mut bytes = Vec::new();
        reader
            .take(MAX_MANIFEST)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Input { what: shown(path), source })?;
        Ok(bytes)
    }

    /// A file with JSON.
    ///
    /// # Errors
    /// As [`Bundle::small`], and [`Error::Archive`] for anything but that.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.small(path)?)
            .map_err(|error| wrong(format!("{} cannot be understood: {error}", shown(path))))
    }

    /// A blob that is read into memory, verified.
    ///
    /// # Errors
    /// As [`Bundle::small`], and [`Error::Digest`].
    pub fn blob(&self, path: &str, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let bytes = self.small(path)?;
        if bytes.len() as u64 != descriptor.size {
            let (shown, size, said) = (shown(path), bytes.len(), descriptor.size);
            return Err(wrong(format!("{shown} is {size} bytes long, and {said} are said of it")));
        }
        if !descriptor.digest.matches(&bytes) {
            let (what, expected) = (shown(path), descriptor.digest.clone());
            return Err(Error::Digest { what, expected, found: Digest::of(&bytes) });
        }
        Ok(bytes)
    }
}

/// What is wrong with a bundle.
pub fn wrong(reason: impl Into<String>) -> Error {
    Error::Archive(reason.into())
}

/// Somebody else's words, made short and harmless to a terminal.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Some content: a part of a file, read without moving the file's own position.
#[derive(Debug)]
pub struct Part<'a> {
    file: Held<'a>,
    at: u64,
    left: u64,
}

#[derive(Debug)]
enum Held<'a> {
    Borrowed(&'a File),
    Owned(File),
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let file = match &self.file {
            Held::Borrowed(file) => file,
            Held::Owned(file) => file,
        };
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let got = file.read_at(&mut into[..wanted], self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}
