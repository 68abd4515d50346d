//! Looks things up in a tree file, in place.
//!
//! Opening checks the header and the length of the tables and nothing else, so it is quick for any size;
//! every later access is checked against the tables' bounds, and damage shows as `None`, never as a panic.

use std::cmp::Ordering;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use sys::mmap::Mapping;

use super::format::{self, inode};
use crate::bytes::{i64_at, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::layer::{Segment, Time};

/// A resolved tree.
#[derive(Debug)]
pub struct Tree {
    bytes: Bytes,
    layers: Table,
    inodes: Table,
    entries: Table,
    segments: Table,
    xattrs: Table,
    pool: Range<usize>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mapping),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(mapping) => mapping,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Table {
    at: usize,
    count: u32,
    size: usize,
}

impl Table {
    /// Where record `number` begins.
    fn record(&self, number: u32) -> Option<usize> {
        (number < self.count).then(|| self.at + number as usize * self.size)
    }
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    CharDevice,
    BlockDevice,
}

/// One inode, copied out of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    /// Its number in the tree; the root is 0.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
    /// Permissions with set-id and sticky bits.
    pub mode: u32,
    /// How many names it has; of a directory 2 and one for each directory in it.
    pub nlink: u32,
    /// The owner, as the image numbers users.
    pub uid: u32,
    /// The group, as the image numbers groups.
    pub gid: u32,
    /// Of a file or of a link's target, in bytes; else 0.
    pub size: u64,
    /// Time of the last change of the content.
    pub mtime: Time,
    /// How many extended attributes it has.
    pub xattr_count: u32,
    owner: u32,
    data: u64,
    count: u32,
    xattr_first: u32,
    flags: u32,
}

/// Where a file's content lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// In one piece: from this byte of the tar on.
    Whole(u64),
    /// In pieces with holes between them: see [`Tree::segment`].
    Sparse {
        /// The first piece.
        first: u32,
        /// How many there are.
        count: u32,
    },
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'t> {
    /// The name.
    pub name: &'t [u8],
    /// The inode that it stands for.
    pub inode: u32,
}

impl Inode {
    /// The device number of a device, (major, minor).
    pub fn device(&self) -> (u32, u32) {
        match self.kind {
            Kind::CharDevice | Kind::BlockDevice => (self.owner, self.data as u32),
            _ => (0, 0),
        }
    }

    /// The layer that holds a file's content, counted from 0 at the bottom.
    pub fn layer(&self) -> usize {
        self.owner as usize
    }

    /// Where a file's content lies in its layer's tar.
    pub fn data(&self) -> Data {
        if self.flags & inode::SPARSE != 0 {
            Data::Sparse { first: self.data as u32, count: self.count }
        } else {
            Data::Whole(self.data)
        }
    }

    /// How many blocks of 4096 bytes a file holds, without holes.
    pub fn blocks(&self) -> u64 {
        match self.data() {
            Data::Whole(_) => self.size.div_ceil(4096),
            Data::Sparse { .. } => u64::from(self.flags >> 1),
        }
    }

    /// The number of entries in a directory.
    pub fn entry_count(&self) -> u32 {
        if self.kind == Kind::Directory { self.count } else { 0 }
    }
}

impl Tree {
    /// Maps the tree file at `path`, which nobody may change from now on.
    pub fn open(path: &Path) -> Result<Tree> {
        let failed = |action| move |source| Error::File { action, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        let mapping = Mapping::of(&file).map_err(|errno| failed("map")(errno.into()))?;
        Self::new(Bytes::Mapped(mapping)).map_err(|error| error.in_file(path))
    }

    /// A tree from the bytes of its file.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Tree> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Tree> {
        if bytes.get(..8) != Some(format::MAGIC) {
            return Err(damaged("it does not begin like one"));
        }
        let version = u32_at(&bytes, 8).ok_or_else(|| damaged("it is cut off"))?;
        if version != format::VERSION {
            return Err(Error::Version { what: "tree", found: version, known: format::VERSION });
        }
        Self::tables(bytes).ok_or_else(|| damaged("it is cut off or too long"))
    }

    fn tables(bytes: Bytes) -> Option<Tree> {
        let mut counts = (0..).map(|i| u32_at(&bytes, format::COUNTS_AT + 4 * i));
        let mut end = format::HEADER;
        let mut table = |size: usize| {
            let (at, count) = (end, counts.next()??);
            end = at.checked_add(size.checked_mul(count as usize)?)?;
            Some(Table { at, count, size })
        };
        let layers = table(format::LAYER)?;
        let inodes = table(format::INODE)?;
        let entries = table(format::ENTRY)?;
        let segments = table(format::SEGMENT)?;
        let xattrs = table(format::XATTR)?;
        let pool = table(1)?;
        let whole = end == bytes.len() && inodes.count > 0;
        let pool = pool.at..end;
        whole.then_some(Tree { bytes, layers, inodes, entries, segments, xattrs, pool })
    }

    /// The root directory.
    pub fn root(&self) -> Option<Inode> {
        self.inode(0)
    }

    /// The number of inodes. They are numbered from 0.
    pub fn inode_count(&self) -> u32 {
        self.inodes.count
    }

    /// Whether any inode has extended attributes.
    pub fn has_xattrs(&self) -> bool {
        self.xattrs.count > 0
    }

    /// Whether any file may have holes.
    pub fn has_holes(&self) -> bool {
        u32_at(&self.bytes, format::FLAGS_AT).is_none_or(|flags| flags & format::NO_HOLES == 0)
    }

    /// The bytes that all files hold, without holes, in whole blocks of 4096.
    pub fn allocated_bytes(&self) -> u64 {
        u64_at(&self.bytes, format::ALLOCATED_AT).unwrap_or(0)
    }

    /// The lengths of the layers' tars, bottom first.
    pub fn tar_lengths(&self) -> impl Iterator<Item = u64> {
        (0..self.layers.count).map_while(|i| u64_at(&self.bytes, self.layers.record(i)?))
    }

    /// The inode of this number.
    pub fn inode(&self, number: u32) -> Option<Inode> {
        let at = self.inodes.record(number)?;
        let record = self.bytes.get(at..at + format::INODE)?;
        let word = |offset| u32_at(record, offset);
        let mode = word(inode::MODE)?;
        Some(Inode {
            number,
            kind: match mode & libc::S_IFMT {
                libc::S_IFREG => Kind::File,
                libc::S_IFDIR => Kind::Directory,
                libc::S_IFLNK => Kind::Symlink,
                libc::S_IFIFO => Kind::Fifo,
                libc::S_IFCHR => Kind::CharDevice,
                libc::S_IFBLK => Kind::BlockDevice,
                _ => return None,
            },
            mode: mode & 0o7777,
            nlink: word(inode::NLINK)?,
            uid: word(inode::UID)?,
            gid: word(inode::GID)?,
            size: u64_at(record, inode::SIZE)?,
            mtime: Time { secs: i64_at(record, inode::MTIME)?, nanos: word(inode::MTIME_NANOS)?.min(999_999_999) },
            xattr_count: word(inode::XATTR_COUNT)?,
            owner: word(inode::OWNER)?,
            data: u64_at(record, inode::DATA)?,
            count: word(inode::COUNT)?,
            xattr_first: word(inode::XATTR_FIRST)?,
            flags: word(inode::FLAGS)?,
        })
    }

    /// Entry `index` of a directory. They are sorted by name.
    pub fn entry(&self, dir: &Inode, index: u32) -> Option<DirEntry<'_>> {
        if index >= dir.entry_count() {
            return None;
        }
        let at = self.entries.record(u32::try_from(dir.data).ok()?.checked_add(index)?)?;
        Some(DirEntry { name: self.span(at)?, inode: u32_at(&self.bytes, at + 8)? })
    }

    /// The number that a directory's first entry has among all entries.
    pub(super) fn first_entry(&self, dir: &Inode) -> Option<u32> {
        u32::try_from(dir.data).ok()
    }

    /// All entries of a directory, sorted by name.
    pub fn entries(&self, dir: &Inode) -> impl Iterator<Item = DirEntry<'_>> {
        let dir = *dir;
        (0..dir.entry_count()).map_while(move |i| self.entry(&dir, i))
    }

    /// What `name` in a directory stands for.
    pub fn child(&self, dir: &Inode, name: &[u8]) -> Option<Inode> {
        let (mut low, mut high) = (0, dir.entry_count());
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(dir, middle)?;
            match entry.name.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return self.inode(entry.inode),
            }
        }
        None
    }

    /// The directory that a directory lies in; the root lies in itself.
    pub fn parent(&self, dir: &Inode) -> Option<Inode> {
        (dir.kind == Kind::Directory).then(|| self.inode(dir.owner))?
    }

    /// What is at `path`, seen from the root. No link is followed; `..` is a name like any other.
    pub fn lookup(&self, path: &[u8]) -> Option<Inode> {
        let mut parts = path.split(|&b| b == b'/').filter(|part| !matches!(*part, b"" | b"."));
        parts.try_fold(self.root()?, |dir, part| self.child(&dir, part))
    }

    /// The target of a symbolic link.
    pub fn target(&self, link: &Inode) -> Option<&[u8]> {
        if link.kind != Kind::Symlink {
            return None;
        }
        self.pooled(usize::try_from(link.data).ok()?, usize::try_from(link.size).ok()?)
    }

    /// A piece of a sparse file's content, of the numbers that [`Inode::data`] gives.
    pub fn segment(&self, number: u32) -> Option<Segment> {
        let at = self.segments.record(number)?;
        Some(Segment {
            start: u64_at(&self.bytes, at)?,
            len: u64_at(&self.bytes, at + 8)?,
            tar: u64_at(&self.bytes, at + 16)?,
        })
    }

    /// The extended attributes of an inode: names with their prefix, and values.
    pub fn xattrs(&self, inode: &Inode) -> impl Iterator<Item = (&[u8], &[u8])> {
        let first = inode.xattr_first;
        (0..inode.xattr_count).map_while(move |i| {
            let at = self.xattrs.record(first.checked_add(i)?)?;
            Some((self.span(at)?, self.span(at + 8)?))
        })
    }

    /// Bytes of the pool that offset and length at `at` point to.
    fn span(&self, at: usize) -> Option<&[u8]> {
        let (start, len) = (u32_at(&self.bytes, at)?, u32_at(&self.bytes, at + 4)?);
        self.pooled(start as usize, len as usize)
    }

    fn pooled(&self, start: usize, len: usize) -> Option<&[u8]> {
        self.bytes.get(self.pool.clone())?.get(start..start.checked_add(len)?)
    }
}

fn damaged(reason: &'static str) -> Error {
    Error::Damaged { what: "tree".to_owned(), reason }
}
