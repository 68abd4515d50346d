//! A tar as it is written: ustar headers (POSIX.1-1988), and extended headers (POSIX.1-2001, "pax") for what those cannot say: long
//! or odd names, nanoseconds, large numbers, extended attributes. Files with holes are written as GNU tar's format 1.0 of them, also
//! extended headers: its older type `S` is refused by podman, docker and umoci in an image's layer.

use std::fmt::Write as _;
use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// The largest number that eleven octal digits say.
const LARGEST_SIZE: u64 = 0o777_7777_7777;
/// The largest number that seven octal digits say.
const LARGEST_ID: u32 = 0o777_7777;
/// What a file with holes is called for those who do not know of them.
const SPARSE_NAME: &[u8] = b"GNUSparseFile.0/file";
/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A file with so many bytes.
    File(u64),
    /// A file with holes: its size, and where in it (offset, length) there is content: whole blocks of 512 bytes, but for the last.
    Sparse(u64, &'a [(u64, u64)]),
    /// Another name of an earlier file.
    HardLink(&'a [u8]),
    /// A symbolic link that says this.
    Symlink(&'a [u8]),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
}

/// What is said of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its path, relative; of a directory without the final slash.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind<'a>,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Seconds since 1970, and nanoseconds that are always added.
    pub mtime: (i64, u32),
    /// Extended attributes by name.
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// A tar in the making.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds an entry without content.
    ///
    /// # Errors
    /// What the output says.
    pub fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let map = match entry.kind {
            Kind::Sparse(real, pieces) => sparse_map(real, pieces),
            _ => Vec::new(),
        };
        let size = match entry.kind {
            Kind::File(size) => size,
            Kind::Sparse(_, pieces) => map.len() as u64 + pieces.iter().map(|piece| piece.1).sum::<u64>(),
            _ => 0,
        };
        let records = records(entry, size);
        if !records.is_empty() {
            let mut header = Header::new(b'x', b"./PaxHeaders/entry");
            header.octal(Field::Size, records.len() as u64);
            header.octal(Field::Mode, 0o644);
            self.out.write_all(&header.finish())?;
            self.out.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.out.write_all(&Header::of(entry, size).finish())?;
        self.out.write_all(&map)
    }

    /// Adds a file with its content. A reader that ends too early, as where a file shrinks meanwhile, is made up for with zeroes.
    ///
    /// # Errors
    /// What the output and `content` say.
    pub fn file(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        self.entry(entry)?;
        if let Kind::File(size) = entry.kind {
            self.content(size, content)?;
            self.pad(size)?;
        }
        Ok(())
    }

    /// Adds so many bytes of content. Those of an entry are followed by [`Writer::pad`].
    ///
    /// # Errors
    /// As [`Writer::file`].
    pub fn content(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let copied = io::copy(&mut content.take(size), &mut self.out)?;
        if copied < size {
            io::copy(&mut io::repeat(0).take(size - copied), &mut self.out)?;
        }
        Ok(())
    }

    /// Fills up the last block of an entry's content.
    ///
    /// # Errors
    /// What the output says.
    pub fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or_default();
        self.out.write_all(&[0; BLOCK][..rest])
    }

    /// Ends the tar.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The map that the content of a file with holes begins with: lines of decimal numbers, filled up to whole blocks
/// (GNU tar's manual, "PAX Format, Version 1.0").
fn sparse_map(real: u64, pieces: &[(u64, u64)]) -> Vec<u8> {
    // A map ends with an empty piece at the file's end, by which readers know a hole there.
    let end = pieces.last().is_none_or(|(at, len)| at + len < real).then_some((real, 0));
    let mut map = format!("{}\n", pieces.len() + usize::from(end.is_some()));
    for (at, len) in pieces.iter().copied().chain(end) {
        // Writing to a String does not fail.
        let _ = writeln!(map, "{at}\n{len}");
    }
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

enum Field {
    Mode,
    Uid,
    Gid,
    Size,
    Mtime,
    Major,
    Minor,
}

struct Header {
    bytes: [u8; BLOCK],
}

impl Header {
    fn new(kind: u8, path: &[u8]) -> Self {
        let mut bytes = [0; BLOCK];
        let length = path.len().min(100);
        bytes[..length].copy_from_slice(&path[..length]);
        bytes[156] = kind;
        bytes[257..265].copy_from_slice(b"ustar\x0000");
        let mut header = Self { bytes };
        for field in [Field::Mode, Field::Uid, Field::Gid, Field::Size, Field::Mtime, Field::Major, Field::Minor] {
            header.octal(field, 0);
        }
        header
    }

    fn of(entry: &Entry<'_>, size: u64) -> Self {
        let (kind, link): (u8, &[u8]) = match entry.kind {
            Kind::File(_) | Kind::Sparse(..) => (b'0', b""),
            Kind::HardLink(target) => (b'1', target),
            Kind::Symlink(target) => (b'2', target),
            Kind::CharDevice(..) => (b'3', b""),
            Kind::BlockDevice(..) => (b'4', b""),
            Kind::Directory => (b'5', b""),
            Kind::Fifo => (b'6', b""),
        };
        // Who does not know of holes finds a file by a name that tells of them, and not one of the right name with wrong content.
        let path = if matches!(entry.kind, Kind::Sparse(..)) { SPARSE_NAME.to_vec() } else { full_path(entry) };
        let mut header = Self::new(kind, &path);
        let length = link.len().min(100);
        header.bytes[157..157 + length].copy_from_slice(&link[..length]);
        header.octal(Field::Mode, u64::from(entry.mode & 0o7777));
        header.octal(Field::Uid, u64::from(if entry.uid > LARGEST_ID { 0 } else { entry.uid }));
        header.octal(Field::Gid, u64::from(if entry.gid > LARGEST_ID { 0 } else { entry.gid }));
        header.octal(Field::Size, if size > LARGEST_SIZE { 0 } else { size });
        let seconds = u64::try_from(entry.mtime.0).unwrap_or(0);
        header.octal(Field::Mtime, if seconds > LARGEST_SIZE { 0 } else { seconds });
        if let Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) = entry.kind {
            header.octal(Field::Major, u64::from(major));
            header.octal(Field::Minor, u64::from(minor));
        }
        header
    }

    fn octal(&mut self, field: Field, value: u64) {
        let (at, digits) = match field {
            Field::Mode => (100, 7),
            Field::Uid => (108, 7),
            Field::Gid => (116, 7),
            Field::Size => (124, 11),
            Field::Mtime => (136, 11),
            Field::Major => (329, 7),
            Field::Minor => (337, 7),
        };
        let text = format!("{value:0digits$o}");
        self.bytes[at..at + digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    }

    fn finish(&mut self) -> [u8; BLOCK] {
        self.bytes[148..156].fill(b' ');
        let sum: u32 = self.bytes.iter().map(|byte| u32::from(*byte)).sum();
        self.bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes
    }
}

/// Directories end in a slash.
fn full_path(entry: &Entry<'_>) -> Vec<u8> {
    let mut path = entry.path.to_vec();
    if entry.kind == Kind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// The extended header's records; none where the plain header says all.
fn records(entry: &Entry<'_>, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let path = full_path(entry);
    // Old readers take a name for text of some encoding; an extended header's is UTF-8.
    if let Kind::Sparse(real, _) = entry.kind {
        record(&mut out, b"GNU.sparse.major", b"1");
        record(&mut out, b"GNU.sparse.minor", b"0");
        record(&mut out, b"GNU.sparse.name", &path);
        record(&mut out, b"GNU.sparse.realsize", real.to_string().as_bytes());
    } else if path.len() > 100 || !path.is_ascii() {
        record(&mut out, b"path", &path);
    }
    if let Kind::HardLink(link) | Kind::Symlink(link) = entry.kind
        && (link.len() > 100 || !link.is_ascii())
    {
        record(&mut out, b"linkpath", link);
    }
    if size > LARGEST_SIZE {
        record(&mut out, b"size", size.to_string().as_bytes());
    }
    for (name, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if id > LARGEST_ID {
            record(&mut out, name, id.to_string().as_bytes());
        }
    }
    let (seconds, nanos) = entry.mtime;
    if nanos != 0 || u64::try_from(seconds).map_or(true, |seconds| seconds > LARGEST_SIZE) {
        record(&mut out, b"mtime", time(seconds, nanos).as_bytes());
    }
    for (name, value) in entry.xattrs {
        record(&mut out, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    out
}

/// `[-]SECONDS[.FRACTION]`.
fn time(seconds: i64, nanos: u32) -> String {
    let (sign, seconds, nanos) = match (seconds < 0, nanos) {
        (false, nanos) => ("", i128::from(seconds), nanos),
        (true, 0) => ("-", -i128::from(seconds), 0),
        (true, nanos) => ("-", -i128::from(seconds) - 1, 1_000_000_000 - nanos),
    };
    let text = format!("{sign}{seconds}.{nanos:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use cowfs::layer::{Body, index_tar};
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Entry<'_> =
        Entry { path: b"file", kind: Kind::File(0), mode: 0o644, uid: 0, gid: 0, mtime: (0, 0), xattrs: &[] };

    fn index(tar: &[u8]) -> cowfs::layer::LayerIndex {
        index_tar(tar, &cowfs::layer::Limits::default()).unwrap()
    }

    #[test]
    fn files_with_holes_are_what_they_were() {
        let pieces: Vec<(u64, u64)> = (0..60).map(|number| (number * 10_240, 512)).collect();
        let mut writer = Writer::new(Vec::new());
        writer.entry(&Entry { kind: Kind::Sparse(1 << 40, &pieces), ..PLAIN }).unwrap();
        let size = 60 * 512;
        writer.content(size, &mut io::repeat(b'x')).unwrap();
        writer.pad(size).unwrap();
        writer.entry(&Entry { path: b"next", ..PLAIN }).unwrap();
        let tar = writer.finish().unwrap();
        let index = index(&tar);
        let entries: Vec<_> = index.entries().collect();
        let Body::File { size, segments } = &entries[0].body else { panic!("{entries:?}") };
        assert_eq!((*size, segments.len(), entries[1].path), (1 << 40, 60, &b"next"[..]));
        assert_eq!(entries[0].path, b"file");
        // Old GNU's type is none that others take in a layer.
        assert_eq!((tar[156], tar[1024 + 156]), (b'x', b'0'));
    }

    #[test]
    fn what_ends_too_early_is_filled_up() {
        let mut writer = Writer::new(Vec::new());
        writer.file(&Entry { kind: Kind::File(1000), ..PLAIN }, &mut &b"short"[..]).unwrap();
        assert_eq!(index(&writer.finish().unwrap()).content_bytes(), 1000);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(
            names in proptest::collection::vec("[a-zé ]{1,40}", 1..6),
            mode in 0u32..0o10000,
            ids in (0u32..u32::MAX, 0u32..u32::MAX),
            mtime in (-10_000_000_000_i64..100_000_000_000, 0u32..1_000_000_000),
            value in proptest::collection::vec(any::<u8>(), 0..200),
            content in proptest::collection::vec(any::<u8>(), 0..1200),
        ) {
            let path = names.join("/");
            let xattrs = [(b"user.note".to_vec(), value.clone())];
            let entry = Entry {
                path: path.as_bytes(), kind: Kind::File(content.len() as u64), mode, uid: ids.0, gid: ids.1, mtime, xattrs: &xattrs,
            };
            let mut writer = Writer::new(Vec::new());
            writer.file(&entry, &mut &content[..]).unwrap();
            writer.entry(&Entry { path: b"link", kind: Kind::Symlink(path.as_bytes()), ..entry }).unwrap();
            let tar = writer.finish().unwrap();
            let index = index(&tar);
            let entries: Vec<_> = index.entries().collect();
            prop_assert_eq!(entries[0].path, path.as_bytes());
            let meta = entries[0].meta;
            prop_assert_eq!((meta.mode, meta.uid, meta.gid), (mode, ids.0, ids.1));
            prop_assert_eq!((meta.mtime.secs, meta.mtime.nanos), mtime);
            prop_assert_eq!(&entries[0].xattrs, &vec![(&b"user.note"[..], &value[..])]);
            if let Body::File { segments, .. } = &entries[0].body && let Some(piece) = segments.first() {
                prop_assert_eq!(&tar[piece.tar as usize..][..piece.len as usize], &content[..]);
            }
            prop_assert_eq!(&entries[1].body, &Body::Symlink(path.as_bytes()));
        }
    }
}
