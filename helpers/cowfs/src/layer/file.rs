//! The index as a value and as a file.
//!
//! The file: a header, then three tables of fixed-size records, then a pool of bytes which the records
//! point into; numbers little-endian. Every number is checked when the file is read, so that a
//! [`LayerIndex`] that exists is consistent. It is not compressed: 14,000 entries are about 2 MB.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::room::Held;
use super::{Body, Entry, Meta, Room, Segment, Time};
use crate::bytes::{Put, i64_at, u16_at, u32_at, u64_at};
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"cowfsidx";
const VERSION: u32 = 1;
const HEADER: usize = 40;
const RECORD: usize = 80;
const SEGMENT: usize = 24;
const XATTR: usize = 16;
/// How much is written at once, in bytes.
const BLOCK: usize = 64 << 10;

/// A layer's index: its entries, in the tar's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerIndex {
    tar_bytes: u64,
    records: Vec<Record>,
    segments: Vec<Segment>,
    xattrs: Vec<(Span, Span)>,
    pool: Vec<u8>,
    held: Held,
}

/// A run of bytes in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    at: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    kind: u16,
    xattr_count: u16,
    xattr_first: u32,
    path: Span,
    link: Span,
    meta: Meta,
    size: u64,
    segment_first: u32,
    segment_count: u32,
    device: (u32, u32),
}

mod kind {
    pub const FILE: u16 = 1;
    pub const HARD_LINK: u16 = 2;
    pub const SYMLINK: u16 = 3;
    pub const DIRECTORY: u16 = 4;
    pub const FIFO: u16 = 5;
    pub const CHAR_DEVICE: u16 = 6;
    pub const BLOCK_DEVICE: u16 = 7;
    pub const WHITEOUT: u16 = 8;
    pub const OPAQUE: u16 = 9;
}

/// What does not fit into the format: more than 4 GiB of names and attributes, or 4 billion records.
#[derive(Debug)]
pub(super) struct Full;

impl LayerIndex {
    /// The length of the tar in bytes.
    pub fn tar_bytes(&self) -> u64 {
        self.tar_bytes
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the layer changes nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The entry of this number, counted from 0.
    pub fn get(&self, number: usize) -> Option<Entry<'_>> {
        self.records.get(number).map(|record| self.entry(record))
    }

    /// The entries, in the tar's order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().map(|record| self.entry(record))
    }

    /// The sum of the sizes of the regular files, holes included.
    pub fn content_bytes(&self) -> u64 {
        let sizes = self.records.iter().filter(|r| r.kind == kind::FILE).map(|r| r.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let tables = self.records.len() * size_of::<Record>()
            + self.segments.len() * size_of::<Segment>()
            + self.xattrs.len() * size_of::<(Span, Span)>();
        (tables + self.pool.len()) as u64
    }

    /// An empty one, which grows in this room.
    pub(super) fn within(room: &Room) -> Self {
        Self { held: room.enter(), ..Self::default() }
    }

    /// Whether there is room for it as it is now.
    pub(super) fn fits(&mut self) -> bool {
        let memory = self.memory();
        self.held.grow(memory)
    }

    pub(super) fn set_tar_bytes(&mut self, bytes: u64) {
        self.tar_bytes = bytes;
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) -> std::result::Result<(), Full> {
        let mut record = Record { meta: entry.meta, ..Record::default() };
        record.path = self.keep(entry.path)?;
        record.kind = match &entry.body {
            Body::File { size, segments } => {
                record.size = *size;
                record.segment_first = fit(self.segments.len())?;
                record.segment_count = fit(segments.len())?;
                self.segments.extend_from_slice(segments);
                fit(self.segments.len())?;
                kind::FILE
            }
            Body::HardLink(target) => {
                record.link = self.keep(target)?;
                kind::HARD_LINK
            }
            Body::Symlink(target) => {
                record.link = self.keep(target)?;
                kind::SYMLINK
            }
            Body::Directory => kind::DIRECTORY,
            Body::Fifo => kind::FIFO,
            Body::CharDevice(major, minor) => {
                record.device = (*major, *minor);
                kind::CHAR_DEVICE
            }
            Body::BlockDevice(major, minor) => {
                record.device = (*major, *minor);
                kind::BLOCK_DEVICE
            }
            Body::Whiteout => kind::WHITEOUT,
            Body::Opaque => kind::OPAQUE,
        };
        record.xattr_first = fit(self.xattrs.len())?;
        record.xattr_count = u16::try_from(entry.xattrs.len()).map_err(|_| Full)?;
        for (name, value) in &entry.xattrs {
            let pair = (self.keep(name)?, self.keep(value)?);
            self.xattrs.push(pair);
        }
        self.records.push(record);
        fit(self.records.len()).map(drop)
    }

    fn keep(&mut self, bytes: &[u8]) -> std::result::Result<Span, Full> {
        let span = Span { at: fit(self.pool.len())?, len: fit(bytes.len())? };
        self.pool.extend_from_slice(bytes);
        Ok(span)
    }

    fn span(&self, span: Span) -> &[u8] {
        &self.pool[span.at as usize..][..span.len as usize]
    }

    fn entry(&self, record: &Record) -> Entry<'_> {
        let body = match record.kind {
            kind::FILE => Body::File {
                size: record.size,
                segments: self.segments[record.segment_first as usize..][..record.segment_count as usize].to_vec(),
            },
            kind::HARD_LINK => Body::HardLink(self.span(record.link)),
            kind::SYMLINK => Body::Symlink(self.span(record.link)),
            kind::FIFO => Body::Fifo,
            kind::CHAR_DEVICE => Body::CharDevice(record.device.0, record.device.1),
            kind::BLOCK_DEVICE => Body::BlockDevice(record.device.0, record.device.1),
            kind::WHITEOUT => Body::Whiteout,
            kind::OPAQUE => Body::Opaque,
            // `check` has let no other number through.
            _ => Body::Directory,
        };
        let xattrs = &self.xattrs[record.xattr_first as usize..][..record.xattr_count as usize];
        Entry {
            path: self.span(record.path),
            body,
            meta: record.meta,
            xattrs: xattrs.iter().map(|&(n, v)| (self.span(n), self.span(v))).collect(),
        }
    }

    /// Writes the file's bytes.
    pub fn write_to(&self, w: &mut impl Write) -> io::Result<()> {
        let mut out = Vec::with_capacity(2 * BLOCK);
        out.put(MAGIC);
        out.put_u32(VERSION);
        // The tables have been kept below 2^32 by `fit`.
        out.put_u32(self.records.len() as u32);
        out.put_u32(self.segments.len() as u32);
        out.put_u32(self.xattrs.len() as u32);
        out.put_u64(self.pool.len() as u64);
        out.put_u64(self.tar_bytes);
        // Not all of it is put together in memory before it is written: there is a copy of it there already.
        let mut full = |out: &mut Vec<u8>| match out.len() < BLOCK {
            true => Ok(()),
            false => w.write_all(out).map(|()| out.clear()),
        };
        for record in &self.records {
            record.put(&mut out);
            full(&mut out)?;
        }
        for segment in &self.segments {
            out.put_u64(segment.start);
            out.put_u64(segment.len);
            out.put_u64(segment.tar);
            full(&mut out)?;
        }
        for (name, value) in &self.xattrs {
            name.put(&mut out);
            value.put(&mut out);
            full(&mut out)?;
        }
        w.write_all(&out)?;
        w.write_all(&self.pool)
    }

    /// Reads an index from the file at `path`.
    pub fn open(path: &Path) -> Result<LayerIndex> {
        let bytes = fs::read(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        Self::parse(bytes).map_err(|error| error.in_file(path))
    }

    /// Reads an index from a file's bytes, and checks every number in it.
    pub fn parse(bytes: Vec<u8>) -> Result<LayerIndex> {
        if bytes.get(..8) != Some(MAGIC) {
            return Err(damaged("it does not begin like one"));
        }
        let version = u32_at(&bytes, 8).ok_or_else(|| damaged("it is cut off"))?;
        if version != VERSION {
            return Err(Error::Version { what: "layer index", found: version, known: VERSION });
        }
        let index = Self::tables(bytes).ok_or_else(|| damaged("it is cut off or too long"))?;
        index.check().map_err(damaged)?;
        Ok(index)
    }

    fn tables(mut bytes: Vec<u8>) -> Option<LayerIndex> {
        let records = u32_at(&bytes, 12)? as usize;
        let segments = u32_at(&bytes, 16)? as usize;
        let xattrs = u32_at(&bytes, 20)? as usize;
        let pool = usize::try_from(u64_at(&bytes, 24)?).ok()?;
        let tar_bytes = u64_at(&bytes, 32)?;
        let segments_at = HEADER + records.checked_mul(RECORD)?;
        let xattrs_at = segments_at.checked_add(segments.checked_mul(SEGMENT)?)?;
        let pool_at = xattrs_at.checked_add(xattrs.checked_mul(XATTR)?)?;
        if pool_at.checked_add(pool)? != bytes.len() {
            return None;
        }
        let record = |i| Record::at(&bytes, HEADER + i * RECORD);
        let segment = |i| {
            let at = segments_at + i * SEGMENT;
            Some(Segment { start: u64_at(&bytes, at)?, len: u64_at(&bytes, at + 8)?, tar: u64_at(&bytes, at + 16)? })
        };
        let xattr = |i| {
            let at = xattrs_at + i * XATTR;
            Some((Span::at(&bytes, at)?, Span::at(&bytes, at + 8)?))
        };
        Some(LayerIndex {
            tar_bytes,
            records: (0..records).map(record).collect::<Option<_>>()?,
            segments: (0..segments).map(segment).collect::<Option<_>>()?,
            xattrs: (0..xattrs).map(xattr).collect::<Option<_>>()?,
            pool: bytes.split_off(pool_at),
            held: Held::default(),
        })
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        let inside = |first: u32, count: u32, len: usize| u64::from(first) + u64::from(count) <= len as u64;
        let span = |s: Span| inside(s.at, s.len, self.pool.len());
        if !self.xattrs.iter().all(|&(name, value)| span(name) && span(value)) {
            return Err("an attribute points outside");
        }
        for record in &self.records {
            if !span(record.path) || !span(record.link) {
                return Err("a name points outside");
            }
            if !inside(record.segment_first, record.segment_count, self.segments.len())
                || !inside(record.xattr_first, record.xattr_count.into(), self.xattrs.len())
            {
                return Err("an entry points outside");
            }
            if !(kind::FILE..=kind::OPAQUE).contains(&record.kind) {
                return Err("an entry is of an unknown type");
            }
            if record.meta.mode > 0o7777 || record.meta.mtime.nanos >= 1_000_000_000 {
                return Err("an entry's mode or time is impossible");
            }
            if record.kind == kind::FILE {
                self.check_segments(record)?;
            }
        }
        Ok(())
    }

    fn check_segments(&self, record: &Record) -> std::result::Result<(), &'static str> {
        let pieces = &self.segments[record.segment_first as usize..][..record.segment_count as usize];
        let mut end = 0;
        for piece in pieces {
            let piece_end = piece.start.checked_add(piece.len);
            let tar_end = piece.tar.checked_add(piece.len);
            if piece.len == 0
                || piece.start < end
                || piece_end.is_none_or(|at| at > record.size)
                || tar_end.is_none_or(|at| at > self.tar_bytes)
            {
                return Err("a file's pieces are impossible");
            }
            end = piece.start + piece.len;
        }
        Ok(())
    }
}

impl Span {
    fn put(self, out: &mut Vec<u8>) {
        out.put_u32(self.at);
        out.put_u32(self.len);
    }

    fn at(bytes: &[u8], at: usize) -> Option<Span> {
        Some(Span { at: u32_at(bytes, at)?, len: u32_at(bytes, at + 4)? })
    }
}

impl Record {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.kind);
        out.put_u16(self.xattr_count);
        out.put_u32(self.xattr_first);
        self.path.put(out);
        self.link.put(out);
        out.put_u32(self.meta.mode);
        out.put_u32(self.meta.uid);
        out.put_u32(self.meta.gid);
        out.put_u32(self.meta.mtime.nanos);
        out.put_i64(self.meta.mtime.secs);
        out.put_u64(self.size);
        out.put_u32(self.segment_first);
        out.put_u32(self.segment_count);
        out.put_u32(self.device.0);
        out.put_u32(self.device.1);
        out.put_u64(0);
    }

    fn at(bytes: &[u8], at: usize) -> Option<Record> {
        let word = |offset| u32_at(bytes, at + offset);
        Some(Record {
            kind: u16_at(bytes, at)?,
            xattr_count: u16_at(bytes, at + 2)?,
            xattr_first: word(4)?,
            path: Span::at(bytes, at + 8)?,
            link: Span::at(bytes, at + 16)?,
            meta: Meta {
                mode: word(24)?,
                uid: word(28)?,
                gid: word(32)?,
                mtime: Time { nanos: word(36)?, secs: i64_at(bytes, at + 40)? },
            },
            size: u64_at(bytes, at + 48)?,
            segment_first: word(56)?,
            segment_count: word(60)?,
            device: (word(64)?, word(68)?),
        })
    }
}

fn fit(number: usize) -> std::result::Result<u32, Full> {
    u32::try_from(number).map_err(|_| Full)
}

fn damaged(reason: &'static str) -> Error {
    Error::Damaged { what: "layer index".to_owned(), reason }
}
