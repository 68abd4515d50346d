//! Compressing a layer for somebody who wants it so: gzip, zstd, or zstd with a table of contents. `registry` and `store` call it.
//!
//! The same layer at the same level always makes the same bytes, on however many threads: it is cut into pieces by its content alone, and
//! each piece is compressed by itself. What was made once is kept with the layer ([`super::kept`]) and found again.

mod chunked;
mod gzip;
mod ordered;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::{Error, Layer, file};
use crate::image::{Descriptor, Digest, Hasher};

/// How much of a tar is compressed as one piece.
const PIECE: u64 = 2 << 20;
/// The largest record of a form that is read.
const MAX_RECORD: u64 = 64 << 10;

/// In which way a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// RFC 1952; what everybody can read.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// zstd, each file by itself, with a table of contents, so that parts of it can be fetched.
    ZstdChunked,
}

impl Compression {
    /// As it is written in flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::ZstdChunked => "zstd:chunked",
        }
    }

    /// The levels that there are.
    pub fn levels(self) -> std::ops::RangeInclusive<i32> {
        match self {
            Self::Gzip => 1..=9,
            Self::Zstd | Self::ZstdChunked => 1..=22,
        }
    }

    fn usual_level(self) -> i32 {
        match self {
            Self::Gzip => 6,
            Self::Zstd | Self::ZstdChunked => 3,
        }
    }

    /// The end of its media type: `+gzip`.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A layer in a compressed form.
#[derive(Debug)]
pub struct Encoded {
    /// What it is: the tar of a layer can turn out not to have what a table of contents can say.
    pub compression: Compression,
    /// Its digest and size.
    pub blob: Descriptor,
    /// What its descriptor has to say about it.
    pub annotations: BTreeMap<String, String>,
    /// Its bytes.
    pub file: File,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    version: u32,
    digest: Digest,
    size: u64,
    annotations: BTreeMap<String, String>,
    compression: String,
}

/// The version of [`Record`], and of what the same input is compressed to.
const VERSION: u32 = 1;

impl Layer {
    /// Gives the layer in a compressed form, made now unless it is kept. It is kept from then on, if `keep`.
    ///
    /// # Errors
    /// [`Error::Digest`] where the layer is damaged; what the file system says.
    pub fn encode(&self, how: Compression, level: Option<i32>, keep: bool) -> Result<Encoded, Error> {
        let level = level.unwrap_or_else(|| how.usual_level());
        let record_path = self.dir().join(format!("made-{}-{level}", how.name().replace(':', "-")));
        if let Some(found) = self.made(&record_path) {
            return Ok(found);
        }
        let mut keeping = self.keep()?;
        let (compression, annotations) = self.write_encoded(how, level, &mut keeping)?;
        if !keep {
            let (blob, file) = keeping.detach()?;
            return Ok(Encoded { compression, blob, annotations, file });
        }
        let blob = keeping.finish()?;
        let record = Record {
            version: VERSION,
            digest: blob.digest.clone(),
            size: blob.size,
            annotations: annotations.clone(),
            compression: compression.name().to_owned(),
        };
        let bytes =
            serde_json::to_vec(&record).map_err(|source| Error::Record { path: record_path.clone(), source })?;
        // Several may do this at once; the record is the same.
        file::write_bytes(&record_path, &bytes)?;
        let path = self.dir().join(super::kept::name(&blob.digest));
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        Ok(Encoded { compression, blob, annotations, file })
    }

    /// What was made before, if all of it is still there.
    fn made(&self, record: &std::path::Path) -> Option<Encoded> {
        let bytes = file::read(record, MAX_RECORD).ok()??;
        let record: Record = serde_json::from_slice(&bytes).ok().filter(|record: &Record| record.version == VERSION)?;
        let file = File::open(self.compressed(&record.digest)?).ok()?;
        let all = [Compression::Gzip, Compression::Zstd, Compression::ZstdChunked];
        let compression = all.into_iter().find(|compression| compression.name() == record.compression)?;
        let blob = Descriptor { digest: record.digest, size: record.size };
        let is_whole = file.metadata().ok()?.len() == blob.size;
        is_whole.then_some(Encoded { compression, blob, annotations: record.annotations, file })
    }

    fn write_encoded(
        &self,
        how: Compression,
        level: i32,
        out: &mut dyn Write,
    ) -> Result<(Compression, BTreeMap<String, String>), Error> {
        let path = self.tar();
        let tar = File::open(&path).map_err(Error::io("open", &path))?;
        let failed = |error| Error::io("compress", &path)(error);
        std::thread::scope(|scope| {
            // What is damaged here is not sent to others under a new digest.
            let hashed = scope.spawn(|| {
                let mut from_start = file::From { file: &tar, at: 0 };
                file::hash(&mut from_start, Hasher::new(self.diff_id().algorithm()))
            });
            let written = match how {
                Compression::Gzip => gzip::write(&tar, level, out).map(|()| (how, BTreeMap::new())),
                Compression::Zstd => write_zstd(&tar, level, out).map(|()| (how, BTreeMap::new())),
                Compression::ZstdChunked => match scan::scan(&tar) {
                    Ok(Some(entries)) => {
                        chunked::write(&tar, &entries, level, out).map(|annotations| (how, annotations))
                    }
                    Ok(None) => write_zstd(&tar, level, out).map(|()| (Compression::Zstd, BTreeMap::new())),
                    Err(error) => Err(error),
                },
            };
            let found = hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)?;
            if found != *self.diff_id() {
                let what = format!("the layer {}", self.diff_id().short());
                return Err(Error::Digest { what, expected: self.diff_id().clone(), found });
            }
            written.map_err(failed)
        })
    }
}

/// A part of a file.
fn read(file: &File, at: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// One zstd frame, which says how much it holds and has a checksum.
fn frame(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.include_checksum(true)?;
    compressor.compress(bytes)
}

/// A frame for each piece, so that a reader too can do several at once.
fn write_zstd(tar: &File, level: i32, out: &mut dyn Write) -> io::Result<()> {
    let size = tar.metadata()?.len();
    // Not even nothing is a stream without a frame.
    let count = size.div_ceil(PIECE).max(1);
    let make = |at: usize| {
        let from = at as u64 * PIECE;
        frame(&read(tar, from, PIECE.min(size - from))?, level)
    };
    ordered::run(usize::try_from(count).map_err(io::Error::other)?, make, |frame| out.write_all(&frame))
}

#[cfg(test)]
mod tests;
