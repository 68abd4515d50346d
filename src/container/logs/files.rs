//! The files of a log for those who read: opened in order, whatever the writer renames meanwhile.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::entry::Entry;
use super::{Error, LONGEST, older};

/// No record of ours is longer: each byte of a piece may take six in JSON. What is longer is skipped.
const LONGEST_RECORD: usize = 8 * LONGEST;
/// How much is read at once.
const BLOCK: usize = 128 << 10;

/// Where a log's files are, and how its records are written.
#[derive(Clone, Debug)]
pub struct Files {
    pub(in crate::container) path: PathBuf,
    pub(in crate::container) json: bool,
    pub(in crate::container) max_files: u32,
}

impl Files {
    /// Reads one record.
    pub fn entry<'a>(&self, line: &'a [u8]) -> Option<Entry<'a>> {
        if self.json { Entry::of_json(line) } else { Entry::of_k8s(line) }
    }

    /// All files, the oldest first.
    ///
    /// The newest is opened first: a file that is renamed meanwhile is then met twice, and not missed.
    pub fn open(&self) -> Result<Vec<Lines>, Error> {
        let ages = (1..self.max_files).map(|age| older(&self.path, age));
        let mut files: Vec<Lines> = Vec::new();
        for (path, is_newest) in std::iter::once((self.path.clone(), true)).chain(ages.map(|path| (path, false))) {
            match Lines::open(&path) {
                Ok(lines) if files.iter().any(|other| other.identity == lines.identity) => {}
                Ok(lines) => files.push(lines),
                // Between a rotation and the next write there is none.
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_newest => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::file("open", path)(error)),
            }
        }
        files.reverse();
        Ok(files)
    }

    /// The file that the writer went on in after `current`, if it did; and whether there were others between the two, which are gone.
    pub fn after(&self, current: &Lines) -> Result<Option<(Lines, bool)>, Error> {
        let mut files = self.open()?;
        match files.iter().position(|file| file.identity == current.identity) {
            Some(at) if at + 1 < files.len() => Ok(Some((files.swap_remove(at + 1), false))),
            Some(_) => Ok(None),
            // So much was written meanwhile that `current` is no longer kept.
            // Where one file is kept, each new one comes after one that is gone, which `current` still has.
            None => Ok((!files.is_empty()).then(|| (files.swap_remove(0), self.max_files > 1))),
        }
    }
}

/// The lines of a file that may still grow.
#[derive(Debug)]
pub struct Lines {
    pub(super) file: File,
    /// Device and inode.
    identity: (u64, u64),
    buffer: Vec<u8>,
    /// What of the buffer is yet to be given away.
    rest: std::ops::Range<usize>,
    /// How much is to be read still; all that comes, where it is to be followed.
    limit: u64,
    skipping: bool,
}

impl Lines {
    fn open(path: &std::path::Path) -> io::Result<Self> {
        // Not blocking, as it might be a fifo.
        let file = std::fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { file, identity, buffer: Vec::new(), rest: 0..0, limit: u64::MAX, skipping: false })
    }

    /// How long the file is now.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Begins at a byte, which begins a line, and where `follow` is not set, ends where the file ends now.
    pub fn begin(&mut self, offset: u64, follow: bool) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.limit = if follow { u64::MAX } else { self.length()?.saturating_sub(offset) };
        Ok(())
    }

    /// Gives each line that is there now to `each`, without its newline.
    pub fn each<E: From<io::Error>>(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.buffer[self.rest.clone()]) {
                let line = self.rest.start..self.rest.start + end;
                self.rest.start = line.end + 1;
                if !std::mem::take(&mut self.skipping) {
                    each(&self.buffer[line])?;
                }
            }
            if self.rest.len() > LONGEST_RECORD {
                (self.rest, self.skipping) = (0..0, true);
            }
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    /// What follows the last newline.
    pub fn unfinished(&self) -> &[u8] {
        if self.skipping { &[] } else { &self.buffer[self.rest.clone()] }
    }

    /// Reads on behind what is left.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        self.buffer.resize(LONGEST_RECORD + BLOCK, 0);
        let room = &mut self.buffer[self.rest.end..];
        let room_length = usize::try_from(self.limit).map_or(room.len(), |limit| room.len().min(limit));
        let length = loop {
            match self.file.read(&mut room[..room_length]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.rest.end += length;
        if self.limit != u64::MAX {
            self.limit -= length as u64;
        }
        Ok(length)
    }
}
