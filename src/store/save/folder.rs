//! A folder that images are written to. Blobs are there before what names them, and what names them is replaced in one step; where it fails,
//! what is new is taken away again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::sink::Sink;
use crate::image::MAX_MANIFEST;
use crate::store::{Error, file};

/// What a folder is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An OCI layout, which may have other images.
    Layout,
    /// One image of skopeo's.
    Dir,
}

/// The folder.
pub struct Folder {
    root: PathBuf,
    purpose: Purpose,
    /// Whether it was made for this.
    made: bool,
    /// What was written that was not there, to be taken away again where this is not finished.
    new: Vec<PathBuf>,
    /// What names blobs, written beside its place.
    last: Vec<(PathBuf, PathBuf)>,
    written: BTreeSet<String>,
    finished: bool,
}

impl Folder {
    /// The folder at `path`, which is made where there is none.
    pub fn open(path: &Path, purpose: Purpose) -> Result<Self, Error> {
        let made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                let mut names = fs::read_dir(path).map_err(Error::io("read", path))?;
                let own = match purpose {
                    Purpose::Layout => path.join("index.json").is_file() && path.join("oci-layout").is_file(),
                    Purpose::Dir => {
                        fs::read(path.join("version")).is_ok_and(|text| text.starts_with(b"Directory Transport"))
                    }
                };
                if names.next().is_some() && !own {
                    let what = if purpose == Purpose::Layout { "an OCI layout" } else { "an image" };
                    return Err(Error::Occupied(format!("{} has other files, and is not {what}", path.display())));
                }
                false
            }
            Err(error) => return Err(Error::io("create", path)(error)),
        };
        let root = path.to_owned();
        Ok(Self { root, purpose, made, new: Vec::new(), last: Vec::new(), written: BTreeSet::new(), finished: false })
    }

    /// A small file that was there.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        file::read(&self.root.join(name), MAX_MANIFEST)
    }

    /// Puts what names blobs in its place.
    pub fn finish(mut self) -> Result<(), Error> {
        for (beside, place) in &self.last {
            fs::rename(beside, place).map_err(Error::io("write", place))?;
        }
        self.finished = true;
        if self.purpose == Purpose::Dir && !self.made {
            self.remove_others()?;
        }
        file::sync_dir(&self.root)
    }

    /// Removes the blobs of the image that was there before.
    fn remove_others(&self) -> Result<(), Error> {
        for name in file::list(&self.root)? {
            let digits = name.split('.').next().unwrap_or_default();
            let is_blob = matches!(digits.len(), 64 | 128) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_blob && !self.written.contains(&name) {
                file::remove(&self.root.join(name))?;
            }
        }
        Ok(())
    }
}

impl Sink for Folder {
    fn directory(&mut self, path: &str) -> Result<(), Error> {
        let path = self.root.join(path);
        match fs::create_dir(&path) {
            Ok(()) => self.new.push(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
        Ok(())
    }

    fn wants(&mut self, path: &str, size: u64) -> bool {
        let there =
            fs::symlink_metadata(self.root.join(path)).is_ok_and(|status| status.is_file() && status.len() == size);
        self.written.insert(path.to_owned()) && !there
    }

    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        let place = self.root.join(path);
        let mut name = std::ffi::OsString::from(format!(".new-{}-", std::process::id()));
        name.push(place.file_name().unwrap_or_default());
        let beside = place.with_file_name(name);
        let failed = |source| Error::io("write", &place)(source);
        self.new.push(beside.clone());
        let mut file = File::create(&beside).map_err(Error::io("create", &beside))?;
        let copied = io::copy(&mut content.take(size), &mut file).map_err(failed)?;
        if copied != size {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        file::sync(&file).map_err(failed)?;
        if matches!(path, "index.json" | "manifest.json" | "version" | "oci-layout") {
            self.last.push((beside, place));
            return Ok(());
        }
        let replaces = place.symlink_metadata().is_ok();
        fs::rename(&beside, &place).map_err(failed)?;
        self.new.pop();
        if !replaces {
            self.new.push(place);
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The error that led here is the one to report.
        for path in self.new.iter().rev() {
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
        if self.made {
            let _ = fs::remove_dir(&self.root);
        }
    }
}
