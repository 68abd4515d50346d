//! Writes the tree file from the replayed layers.

use super::MAX_LAYERS;
use super::format::{self, inode};
use super::replay::{Content, Id, Inode, MEMORY, ROOT, Replay};
use crate::bytes::Put;
use crate::error::{Error, Result};
use crate::layer::{LayerIndex, Segment};

/// Merges layers, bottom first, and returns the bytes of the tree file. Content is not touched: the tree
/// says in which layer's tar each file lies, and where.
///
/// # Errors
///
/// [`Error::Merge`] where an unpacker would fail too: a hard link to nothing or to a directory, a loop of
/// symbolic links on the way to an entry, more than [`MAX_LAYERS`] layers.
pub fn merge(layers: &[LayerIndex]) -> Result<Vec<u8>> {
    merge_within(layers, MEMORY)
}

/// As [`merge`], with another limit for the memory that it takes, in bytes.
///
/// # Errors
///
/// As [`merge`].
pub fn merge_within(layers: &[LayerIndex], most: u64) -> Result<Vec<u8>> {
    if layers.len() > MAX_LAYERS {
        return Err(fail(layers.len(), format!("more than {MAX_LAYERS} layers")));
    }
    let mut replay = Replay::new(most);
    for index in layers {
        replay.count(index.memory(), b"/")?;
        replay.apply(index)?;
    }
    let tars = layers.iter().map(LayerIndex::tar_bytes);
    let full = || fail(layers.len(), "more than 4 GiB of names and attributes".to_owned());
    Writer::new(&replay.inodes).bytes(tars).ok_or_else(full)
}

fn fail(layer: usize, reason: String) -> Error {
    Error::Merge { layer, path: "/".to_owned(), reason }
}

/// No number has been given yet.
const NONE: u32 = u32::MAX;

struct Writer<'r, 'a> {
    from: &'r [Inode<'a>],
    /// The inodes that are reachable, in the order of their numbers: directory by directory, so that what
    /// is listed together lies together.
    order: Vec<Id>,
    /// The number of each inode, and how many names it has.
    number: Vec<u32>,
    links: Vec<u32>,
}

impl<'r, 'a> Writer<'r, 'a> {
    fn new(from: &'r [Inode<'a>]) -> Self {
        let mut this = Writer { from, order: vec![ROOT], number: vec![NONE; from.len()], links: vec![0; from.len()] };
        this.number[ROOT as usize] = 0;
        this.links[ROOT as usize] = 2;
        let mut next = 0;
        while let Some(&dir) = this.order.get(next) {
            next += 1;
            let Content::Directory { names, .. } = &from[dir as usize].body else { continue };
            for &child in names.values() {
                let at = child as usize;
                if this.number[at] == NONE {
                    this.number[at] = this.order.len() as u32;
                    this.order.push(child);
                }
                if matches!(from[at].body, Content::Directory { .. }) {
                    // Its name in its parent, its own `.`, and its `..` in the parent.
                    this.links[at] += 2;
                    this.links[dir as usize] += 1;
                } else {
                    this.links[at] += 1;
                }
            }
        }
        this
    }

    /// `None` where a table outgrows the format.
    fn bytes(&self, tars: impl ExactSizeIterator<Item = u64>) -> Option<Vec<u8>> {
        let mut tables = Tables::default();
        for &id in &self.order {
            self.inode(id, &mut tables)?;
        }
        let counts = [
            tars.len(),
            self.order.len(),
            tables.entries.len() / format::ENTRY,
            tables.segments.len() / format::SEGMENT,
            tables.xattrs.len() / format::XATTR,
            tables.pool.len(),
        ];
        let mut out =
            Vec::with_capacity(format::HEADER + tables.inodes.len() + tables.entries.len() + tables.pool.len());
        out.put(format::MAGIC);
        out.put_u32(format::VERSION);
        for count in counts {
            out.put_u32(u32::try_from(count).ok()?);
        }
        out.put_u32(if tables.has_holes { 0 } else { format::NO_HOLES });
        out.put_u64(tables.allocated);
        for bytes in tars {
            out.put_u64(bytes);
        }
        // Each is dropped as soon as it has been copied.
        for table in [tables.inodes, tables.entries, tables.segments, tables.xattrs, tables.pool] {
            out.put(&table);
        }
        Some(out)
    }

    fn inode(&self, id: Id, tables: &mut Tables) -> Option<()> {
        let inode = &self.from[id as usize];
        let (mut size, mut owner, mut data, mut count, mut flags) = (0, 0, 0, 0, 0);
        let kind = match &inode.body {
            Content::File { layer, size: bytes, segments } => {
                (size, owner) = (*bytes, *layer);
                match segments[..] {
                    [Segment { start: 0, len, tar }] if len == size => data = tar,
                    [] if size == 0 => {}
                    _ => {
                        flags = inode::SPARSE;
                        tables.has_holes = true;
                        data = (tables.segments.len() / format::SEGMENT) as u64;
                        count = u32::try_from(segments.len()).ok()?;
                    }
                }
                let blocks = segments.iter().map(|s| s.len.div_ceil(4096)).fold(0, u64::saturating_add);
                tables.allocated = tables.allocated.saturating_add(blocks.saturating_mul(4096));
                if flags == inode::SPARSE {
                    segments.iter().for_each(|segment| tables.segment(segment));
                    flags |= (blocks.min(inode::MOST_BLOCKS) as u32) << 1;
                }
                libc::S_IFREG
            }
            Content::Directory { parent, names } => {
                owner = self.number[*parent as usize];
                data = (tables.entries.len() / format::ENTRY) as u64;
                count = u32::try_from(names.len()).ok()?;
                for (name, &child) in names {
                    tables.entry(name, self.number[child as usize])?;
                }
                libc::S_IFDIR
            }
            Content::Symlink(target) => {
                size = target.len() as u64;
                data = u64::from(tables.keep(target)?.0);
                libc::S_IFLNK
            }
            Content::Fifo => libc::S_IFIFO,
            Content::CharDevice(major, minor) => {
                (owner, data) = (*major, u64::from(*minor));
                libc::S_IFCHR
            }
            Content::BlockDevice(major, minor) => {
                (owner, data) = (*major, u64::from(*minor));
                libc::S_IFBLK
            }
        };
        let xattr_first = u32::try_from(tables.xattrs.len() / format::XATTR).ok()?;
        for (name, value) in &inode.xattrs {
            tables.xattr(name, value)?;
        }
        let out = &mut tables.inodes;
        // The kernel gives every symbolic link this mode, whatever a tar says of it (symlink(7)).
        let mode = if kind == libc::S_IFLNK { 0o777 } else { inode.meta.mode };
        out.put_u32(kind | mode);
        out.put_u32(self.links[id as usize]);
        out.put_u32(inode.meta.uid);
        out.put_u32(inode.meta.gid);
        out.put_u64(size);
        out.put_i64(inode.meta.mtime.secs);
        out.put_u32(inode.meta.mtime.nanos);
        out.put_u32(owner);
        out.put_u64(data);
        out.put_u32(count);
        out.put_u32(xattr_first);
        out.put_u32(inode.xattrs.len() as u32);
        out.put_u32(flags);
        Some(())
    }
}

#[derive(Default)]
struct Tables {
    inodes: Vec<u8>,
    entries: Vec<u8>,
    segments: Vec<u8>,
    xattrs: Vec<u8>,
    pool: Vec<u8>,
    allocated: u64,
    has_holes: bool,
}

impl Tables {
    fn keep(&mut self, bytes: &[u8]) -> Option<(u32, u32)> {
        let span = (u32::try_from(self.pool.len()).ok()?, u32::try_from(bytes.len()).ok()?);
        self.pool.put(bytes);
        Some(span)
    }

    fn entry(&mut self, name: &[u8], number: u32) -> Option<()> {
        let (at, len) = self.keep(name)?;
        self.entries.put_u32(at);
        self.entries.put_u32(len);
        self.entries.put_u32(number);
        Some(())
    }

    fn segment(&mut self, segment: &Segment) {
        self.segments.put_u64(segment.start);
        self.segments.put_u64(segment.len);
        self.segments.put_u64(segment.tar);
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        for part in [name, value] {
            let (at, len) = self.keep(part)?;
            self.xattrs.put_u32(at);
            self.xattrs.put_u32(len);
        }
        Some(())
    }
}
