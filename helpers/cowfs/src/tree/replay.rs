//! Layers replayed on a tree in memory, as an unpacker applies them to a directory on disk.
//!
//! The rules are those of OCI's image-spec ("Applying Changesets") and, where it is silent, what umoci
//! and containerd do on the merged root: names are resolved through symbolic links of the image, clamped
//! to its root; a directory over a directory takes over its metadata and keeps its content, everything
//! else replaces; a hard link joins whatever inode its target has by then.

use std::collections::{BTreeMap, HashSet};

use crate::error::{Error, Result, shown};
use crate::layer::{Body, Entry, LayerIndex, Meta, Segment, Time};

/// How many steps all paths together may take. A few links suffice to make every path a long way; an image of
/// a million files needs a hundredth of this.
const MAX_STEPS: u64 = 1 << 28;

/// How much memory an image's files may usually take while they are put together, in bytes, from the layers' indexes to the tree: some
/// 340,000 files.
pub const MEMORY: u64 = 136 << 20;

/// What a directory's first names take: the map makes room for eleven at once.
const NAMES: u64 = 280;

/// About what another name of a file takes, in the same places.
const NAME: u64 = 70;

/// About what an inode takes with its first name: here, and once more in the tree's tables.
const INODE: u64 = 220;

/// An inode's number while the tree is being built.
pub type Id = u32;

/// The root's number.
pub const ROOT: Id = 0;

/// How many symbolic links one path may lead through. The kernel's own limit is 40.
const MAX_LINKS: usize = 40;

pub struct Inode<'a> {
    pub meta: Meta,
    pub xattrs: Vec<(&'a [u8], &'a [u8])>,
    pub body: Content<'a>,
}

pub enum Content<'a> {
    File { layer: u32, size: u64, segments: Vec<Segment> },
    Directory { parent: Id, names: BTreeMap<&'a [u8], Id> },
    Symlink(&'a [u8]),
    Fifo,
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
}

/// The tree so far.
pub struct Replay<'a> {
    pub inodes: Vec<Inode<'a>>,
    layer: usize,
    /// The directory that the last entry was in. Tars are sorted, mostly.
    last: Option<(&'a [u8], Id)>,
    steps: u64,
    memory: u64,
    most: u64,
}

/// What to do about directories that are not there.
#[derive(Clone, Copy)]
enum Missing<'s> {
    /// Make them, as of this time.
    Make(Time),
    /// Give up. Links at these paths are not followed, since the layer itself replaces them.
    GiveUp(&'s HashSet<&'s [u8]>),
}

impl<'a> Replay<'a> {
    /// An empty one, which may take `most` bytes of memory.
    pub fn new(most: u64) -> Self {
        Replay { inodes: vec![directory(ROOT, Time::default())], layer: 0, last: None, steps: 0, memory: 0, most }
    }

    /// Lays `index` over what is there.
    pub fn apply(&mut self, index: &'a LayerIndex) -> Result<()> {
        self.last = None;
        if self.layer == 0
            && let Some(first) = index.entries().next()
        {
            self.inodes[ROOT as usize].meta.mtime = first.meta.mtime;
        }
        // Whiteouts hide what is below, wherever in the tar they stand: so they go first.
        if index.entries().any(|e| matches!(e.body, Body::Whiteout | Body::Opaque)) {
            let own = index.entries().filter(replaces_a_link).map(|e| e.path).collect();
            for entry in index.entries() {
                match entry.body {
                    Body::Whiteout => self.remove(entry.path, &own)?,
                    Body::Opaque => self.empty(entry.path, &own)?,
                    _ => {}
                }
            }
        }
        for entry in index.entries() {
            if !matches!(entry.body, Body::Whiteout | Body::Opaque) {
                self.add(entry)?;
            }
        }
        self.layer += 1;
        Ok(())
    }

    fn remove(&mut self, path: &'a [u8], own: &HashSet<&[u8]>) -> Result<()> {
        let (dir, file) = split(path);
        if let Some(dir) = self.walk(dir, Missing::GiveUp(own))? {
            self.names(dir).remove(file);
        }
        Ok(())
    }

    fn empty(&mut self, path: &'a [u8], own: &HashSet<&[u8]>) -> Result<()> {
        if let Some(dir) = self.walk(path, Missing::GiveUp(own))? {
            self.names(dir).clear();
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry<'a>) -> Result<()> {
        if entry.path.is_empty() {
            let root = &mut self.inodes[ROOT as usize];
            (root.meta, root.xattrs) = (entry.meta, entry.xattrs);
            return Ok(());
        }
        let (dir, file) = split(entry.path);
        let parent = self.parent(dir, entry.meta.mtime)?;
        let there = self.names(parent).get(file).copied();
        let content = match entry.body {
            Body::HardLink(target) => {
                let id = self.link_target(entry.path, target)?;
                if there != Some(id) {
                    self.count(NAME, entry.path)?;
                    self.put(parent, file, id);
                }
                return Ok(());
            }
            Body::Directory => {
                if let Some(id) = there
                    && let Inode { body: Content::Directory { .. }, meta, xattrs } = &mut self.inodes[id as usize]
                {
                    (*meta, *xattrs) = (entry.meta, entry.xattrs);
                    return Ok(());
                }
                Content::Directory { parent, names: BTreeMap::new() }
            }
            Body::File { size, segments } => Content::File { layer: self.layer as u32, size, segments },
            Body::Symlink(target) => Content::Symlink(target),
            Body::Fifo => Content::Fifo,
            Body::CharDevice(major, minor) => Content::CharDevice(major, minor),
            Body::BlockDevice(major, minor) => Content::BlockDevice(major, minor),
            Body::Whiteout | Body::Opaque => return Ok(()),
        };
        let inode = Inode { meta: entry.meta, xattrs: entry.xattrs, body: content };
        let id = self.new_inode(inode, entry.path)?;
        self.put(parent, file, id);
        Ok(())
    }

    /// The inode that a hard link is to join.
    fn link_target(&mut self, path: &'a [u8], target: &'a [u8]) -> Result<Id> {
        let nothing = HashSet::new();
        let (dir, file) = split(target);
        let parent = self.walk(dir, Missing::GiveUp(&nothing))?;
        let id = parent.and_then(|dir| self.names(dir).get(file).copied());
        match id {
            None => Err(self.fail(path, format!("a hard link to `{}`, which does not exist", shown(target)))),
            Some(id) if self.is_directory(id) => {
                Err(self.fail(path, format!("a hard link to `{}`, which is a directory", shown(target))))
            }
            Some(id) => Ok(id),
        }
    }

    /// The directory at `path`, made where it is missing.
    fn parent(&mut self, path: &'a [u8], time: Time) -> Result<Id> {
        if let Some((last, id)) = self.last
            && last == path
        {
            return Ok(id);
        }
        let id = self.walk(path, Missing::Make(time))?.unwrap_or(ROOT);
        self.last = Some((path, id));
        Ok(id)
    }

    /// Resolves a directory's path from the root. `None` only where `missing` says to give up.
    fn walk(&mut self, path: &'a [u8], missing: Missing<'_>) -> Result<Option<Id>> {
        let mut at = ROOT;
        let mut links = 0;
        // Where in `path` we are, as long as no link has been followed.
        let mut plain = 0;
        let mut todo: Vec<&'a [u8]> = path.split(|&b| b == b'/').rev().collect();
        while let Some(part) = todo.pop() {
            plain += part.len();
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(self.fail(path, format!("paths of more than {MAX_STEPS} steps altogether")));
            }
            let Content::Directory { parent, names } = &self.inodes[at as usize].body else {
                return Ok(None);
            };
            let next = match part {
                b"" | b"." => Some(at),
                b".." => Some(*parent),
                _ => names.get(part).copied(),
            };
            match next.map(|id| (id, &self.inodes[id as usize].body)) {
                Some((id, Content::Directory { .. })) => at = id,
                Some((_, Content::Symlink(target))) => {
                    if let Missing::GiveUp(own) = missing
                        && links == 0
                        && own.contains(&path[..plain])
                    {
                        return Ok(None);
                    }
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.fail(path, "too many levels of symbolic links".to_owned()));
                    }
                    if target.starts_with(b"/") {
                        at = ROOT;
                    }
                    todo.extend(target.split(|&b| b == b'/').rev());
                }
                _ => match missing {
                    Missing::GiveUp(_) => return Ok(None),
                    Missing::Make(time) => {
                        let id = self.new_inode(directory(at, time), path)?;
                        self.put(at, part, id);
                        at = id;
                    }
                },
            }
            plain += 1;
        }
        Ok(Some(at))
    }

    /// Gives a name in a directory to an inode.
    fn put(&mut self, dir: Id, name: &'a [u8], id: Id) {
        let changes_paths = |inode: &Inode<'_>| matches!(inode.body, Content::Directory { .. } | Content::Symlink(_));
        let before = self.names(dir).insert(name, id);
        if before.is_some_and(|before| changes_paths(&self.inodes[before as usize])) {
            self.last = None;
        }
    }

    fn new_inode(&mut self, inode: Inode<'a>, path: &[u8]) -> Result<Id> {
        let pieces =
            if let Content::File { segments, .. } = &inode.body { segments.len().saturating_sub(1) * 48 } else { 0 };
        let names = if let Content::Directory { .. } = &inode.body { NAMES } else { 0 };
        let attributes: usize = inode.xattrs.iter().map(|(name, value)| 48 + name.len() + value.len()).sum();
        let target = if let Content::Symlink(target) = &inode.body { target.len() } else { 0 };
        self.count(INODE + names + (pieces + attributes + target) as u64, path)?;
        let id = Id::try_from(self.inodes.len()).ok().filter(|&id| id < Id::MAX);
        let id = id.ok_or_else(|| self.fail(path, "more than 4 billion files".to_owned()))?;
        self.inodes.push(inode);
        Ok(id)
    }

    /// Counts memory that is taken until the tree is there.
    pub fn count(&mut self, bytes: u64, path: &[u8]) -> Result<()> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.most {
            return Err(Error::Limit { path: shown(path), what: crate::error::MEMORY, limit: self.most });
        }
        Ok(())
    }

    /// The names in `dir`. Callers have made sure that it is a directory.
    fn names(&mut self, dir: Id) -> &mut BTreeMap<&'a [u8], Id> {
        match &mut self.inodes[dir as usize].body {
            Content::Directory { names, .. } => names,
            _ => unreachable!("inode {dir} was walked to as a directory"),
        }
    }

    fn is_directory(&self, id: Id) -> bool {
        matches!(self.inodes[id as usize].body, Content::Directory { .. })
    }

    fn fail(&self, path: &[u8], reason: String) -> Error {
        Error::Merge { layer: self.layer + 1, path: shown(path), reason }
    }
}

/// Whether an entry makes its path something else than a link that lower layers had there.
fn replaces_a_link(entry: &Entry<'_>) -> bool {
    !matches!(entry.body, Body::Symlink(_) | Body::Whiteout | Body::Opaque)
}

/// A directory that no entry describes.
fn directory<'a>(parent: Id, mtime: Time) -> Inode<'a> {
    Inode {
        meta: Meta { mode: 0o755, uid: 0, gid: 0, mtime },
        xattrs: Vec::new(),
        body: Content::Directory { parent, names: BTreeMap::new() },
    }
}

/// Directory and last component of a clean path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
