//! Where files of an image go: the entries of a tar, or the files of a folder.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use crate::archive::{Entry, Kind, Writer};
use crate::store::Error;

/// Takes files.
pub trait Sink {
    /// Makes a directory, unless it is there.
    fn directory(&mut self, path: &str) -> Result<(), Error>;

    /// Whether a file of that name, which its content's digest has given it, is to be written: it is not there yet.
    fn wants(&mut self, path: &str, size: u64) -> bool;

    /// Writes a file of `size` bytes.
    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), Error>;

    /// Writes a file that is in memory.
    fn small(&mut self, path: &str, mut bytes: &[u8]) -> Result<(), Error> {
        self.file(path, bytes.len() as u64, &mut bytes)
    }
}

/// A tar that is being written.
pub struct Tar<W: Write> {
    writer: Writer<io::BufWriter<W>>,
    written: BTreeSet<String>,
}

impl<W: Write> Tar<W> {
    /// One that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { writer: Writer::new(io::BufWriter::with_capacity(256 << 10, out)), written: BTreeSet::new() }
    }

    /// Ends it.
    pub fn finish(self) -> Result<(), Error> {
        let flushed = self.writer.finish().and_then(|mut out| out.flush());
        flushed.map_err(Error::Output)
    }
}

impl<W: Write> Sink for Tar<W> {
    fn directory(&mut self, path: &str) -> Result<(), Error> {
        if self.written.insert(path.to_owned()) {
            self.writer.entry(&entry(path, Kind::Directory, 0o755)).map_err(Error::Output)?;
        }
        Ok(())
    }

    fn wants(&mut self, path: &str, _: u64) -> bool {
        self.written.insert(path.to_owned())
    }

    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        self.writer.file(&entry(path, Kind::File(size), 0o644), &mut &mut *content).map_err(Error::Output)
    }
}

/// The same images make the same archive, whenever it is written.
fn entry<'a>(path: &'a str, kind: Kind<'a>, mode: u32) -> Entry<'a> {
    Entry { path: path.as_bytes(), kind, mode, uid: 0, gid: 0, mtime: (0, 0), xattrs: &[] }
}
