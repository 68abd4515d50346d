//! An index made from a list of entries: of a layer whose table of contents is here before its tar is.
//!
//! Names, links, owners and limits are judged as those of a tar are, by the same code. Only where content lies is not known: each
//! file gets a place of its own in a space that exists nowhere, one behind the other in the list's order.

use super::file::LayerIndex;
use super::name::{self, Name};
use super::scan::{MEMORY, check_symlink, entry};
use super::{Body, Entry, Limits, Meta, Segment, may_be_shown};
use crate::error::{Error, Result, shown};

/// What a list says of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Its path, neither cleaned nor checked.
    pub path: &'a [u8],
    /// What it is.
    pub what: What<'a>,
    /// Owner, mode and time.
    pub meta: Meta,
    /// Extended attributes; those that may not be shown are left out.
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// What an entry of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A regular file of so many bytes.
    File(u64),
    /// Another name of the file at this path.
    HardLink(&'a [u8]),
    /// A symbolic link with this target.
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

/// An index in the making.
#[derive(Debug)]
pub struct Listing<'a> {
    index: LayerIndex,
    limits: &'a Limits,
    next: u64,
}

impl<'a> Listing<'a> {
    /// An empty one.
    pub fn new(limits: &'a Limits) -> Self {
        Listing { index: LayerIndex::within(&limits.room), limits, next: 0 }
    }

    /// Adds an entry. Returns where its content begins; `None` for what has none, or is no part of an image.
    ///
    /// # Errors
    ///
    /// What [`Limits`] and [`super::index_tar`] forbid.
    pub fn add(&mut self, item: &Item<'_>) -> Result<Option<u64>> {
        self.try_add(item).map_err(|error| error.about(item.path))
    }

    fn try_add(&mut self, item: &Item<'_>) -> Result<Option<u64>> {
        let limits = self.limits;
        let limit = |what, limit: u64| Error::Limit { path: shown(item.path), what, limit };
        let Meta { mode, uid, gid, mtime } = item.meta;
        // The highest number means "no such user" to the kernel.
        if uid == u32::MAX || gid == u32::MAX {
            return Err(entry("its owner is out of range"));
        }
        if mtime.nanos >= 1_000_000_000 {
            return Err(entry("its time is malformed"));
        }
        let name = name::classify(item.path, limits)?;
        let (mut place, link);
        place = None;
        let body = match item.what {
            What::File(size) => {
                if size > limits.file_bytes {
                    return Err(limit("bytes in a file", limits.file_bytes));
                }
                let tar = self.next;
                let end = tar.checked_add(size).filter(|end| *end <= limits.tar_bytes);
                self.next = end.ok_or_else(|| limit("bytes in a layer", limits.tar_bytes))?;
                let segments = if size == 0 { Vec::new() } else { vec![Segment { start: 0, len: size, tar }] };
                place = Some(tar).filter(|_| size > 0);
                Body::File { size, segments }
            }
            What::HardLink(target) => {
                link = name::clean(target, limits)?;
                Body::HardLink(&link)
            }
            What::Symlink(target) => {
                check_symlink(target, limits)?;
                Body::Symlink(target)
            }
            What::Directory => Body::Directory,
            What::Fifo => Body::Fifo,
            What::CharDevice(major, minor) => Body::CharDevice(major, minor),
            What::BlockDevice(major, minor) => Body::BlockDevice(major, minor),
        };
        let (path, body) = match name {
            Name::Plain(path) => (path, body),
            Name::Whiteout(path) => (path, Body::Whiteout),
            Name::Opaque(path) => (path, Body::Opaque),
            Name::Ignored => return Ok(None),
        };
        if path.is_empty() && !matches!(body, Body::Directory | Body::Opaque) {
            return Err(entry("the root can only be a directory"));
        }
        if self.index.len() >= limits.entries {
            return Err(limit("entries in a layer", limits.entries as u64));
        }
        let xattrs: Vec<_> = item.xattrs.iter().filter(|(name, _)| may_be_shown(name)).collect();
        if xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > limits.xattr_bytes {
            return Err(limit("bytes of extended attributes", limits.xattr_bytes as u64));
        }
        let xattrs = xattrs.into_iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let meta = Meta { mode: mode & 0o7777, uid, gid, mtime };
        let full = |_| Error::Limit { path: shown(item.path), what: "bytes of names", limit: u32::MAX.into() };
        self.index.push(&Entry { path: &path, body, meta, xattrs }).map_err(full)?;
        if !self.index.fits() {
            return Err(limit(MEMORY, limits.room.limit()));
        }
        Ok(place)
    }

    /// How many bytes all contents take together.
    pub fn content_bytes(&self) -> u64 {
        self.next
    }

    /// The index, which says of its tar that it has `length` bytes.
    pub fn finish(mut self, length: u64) -> LayerIndex {
        self.index.set_tar_bytes(length);
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const META: Meta = Meta { mode: 0o100_644, uid: 1, gid: 2, mtime: super::super::Time { secs: 5, nanos: 0 } };

    fn add(listing: &mut Listing<'_>, path: &str, what: What<'_>) -> Result<Option<u64>> {
        listing.add(&Item { path: path.as_bytes(), what, meta: META, xattrs: &[] })
    }

    #[test]
    fn contents_lie_one_behind_the_other() {
        let limits = Limits::default();
        let mut listing = Listing::new(&limits);
        assert_eq!(add(&mut listing, "a/", What::Directory).unwrap(), None);
        assert_eq!(add(&mut listing, "a/one", What::File(10)).unwrap(), Some(0));
        assert_eq!(add(&mut listing, "a/none", What::File(0)).unwrap(), None);
        assert_eq!(add(&mut listing, "../a/two", What::File(7)).unwrap(), Some(10));
        assert_eq!(add(&mut listing, "a/.wh.gone", What::File(0)).unwrap(), None);
        assert_eq!(listing.content_bytes(), 17);
        let index = listing.finish(99);
        let entries: Vec<_> = index.entries().collect();
        assert_eq!(index.tar_bytes(), 99);
        assert_eq!((entries[3].path, entries[3].meta.mode), (&b"a/two"[..], 0o644));
        assert_eq!((entries[4].path, &entries[4].body), (&b"a/gone"[..], &Body::Whiteout));
    }

    #[test]
    fn what_a_tar_may_not_say_a_list_may_not_either() {
        let limits = Limits { entries: 1, tar_bytes: 100, ..Limits::default() };
        let mut listing = Listing::new(&limits);
        for (path, what) in [
            ("", What::File(1)),
            ("a\0b", What::Directory),
            ("link", What::Symlink(b"")),
            ("long", What::File(101)),
            ("longer", What::File(u64::MAX)),
        ] {
            assert!(add(&mut listing, path, what).is_err(), "{path}");
        }
        let nobody = Meta { uid: u32::MAX, ..META };
        assert!(listing.add(&Item { path: b"a", what: What::Directory, meta: nobody, xattrs: &[] }).is_err());
        add(&mut listing, "a", What::Directory).unwrap();
        assert!(add(&mut listing, "b", What::Directory).unwrap_err().to_string().contains("entries"));
    }

    proptest! {
        #[test]
        fn any_list_makes_an_index_that_can_be_read_again(
            list in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..12), 0_u8..7, any::<u64>()), 0..20)
        ) {
            let limits = Limits::default();
            let mut listing = Listing::new(&limits);
            for (path, kind, number) in &list {
                let what = match kind {
                    0 => What::File(*number),
                    1 => What::HardLink(path),
                    2 => What::Symlink(path),
                    3 => What::Directory,
                    4 => What::Fifo,
                    5 => What::CharDevice(1, 3),
                    _ => What::File(*number % 1000),
                };
                let _ = listing.add(&Item { path, what, meta: META, xattrs: &[] });
            }
            let index = listing.finish(1 << 62);
            let mut bytes = Vec::new();
            index.write_to(&mut bytes).unwrap();
            prop_assert_eq!(LayerIndex::parse(bytes).unwrap(), index);
        }
    }
}
