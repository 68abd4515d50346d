//! A lower side and a writable directory above it, shown as one filesystem.
//!
//! Everything that is written goes into the upper side ([`crate::upper`] has its form). Nobody else changes it, so what
//! a directory of it holds is read once and then known: most lookups, and all that find nothing, need no system call.
//! What only the lower side has is answered by the lower side's own view, and takes no memory here.
//!
//! One lock guards what is known, and the names in the upper side with it. Nothing slow is done under it: content is copied up
//! before ([`raise`]), and files are read, written and synced by their descriptors without it.

mod attributes;
mod below;
mod content;
mod devices;
mod dir;
mod make;
mod names;
mod nodes;
mod place;
mod raise;
mod remove;
mod rename;
mod view;
mod work;
mod xattrs;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use sys::statx::Status;

use super::view::{Answer, Attr, View, device_pair};
use super::{Durability, Upper};
use crate::owners::Owners;
use crate::upper::marks::{At, Marks};
use crate::upper::record::Record;
use crate::upper::{self, Found, Ownership};
use dir::{Dir, Over};
use nodes::{Id, Name, Node, Nodes, ROOT};
use place::Place;
use work::Work;

/// The filesystem.
pub struct Union<L> {
    lower: L,
    /// The upper side's root.
    top: Arc<OwnedFd>,
    work: Work,
    marks: Marks,
    ownership: Ownership,
    durability: Durability,
    writeback: bool,
    /// Takes down how files of the lower side looked; `None` where those never change.
    below: Option<File>,
    owners: Owners,
    /// The mount's namespace has one id only, and every owner is shown as that.
    squashed: bool,
    nodes: Mutex<Nodes>,
    /// Something has been copied up.
    risen: Condvar,
}

/// A name in the union.
enum Child {
    /// An inode of the upper side.
    Upper(Id),
    /// One that only the lower side has.
    Lower(Attr),
}

impl Child {
    fn id(&self) -> Id {
        match self {
            Child::Upper(id) => *id,
            Child::Lower(attr) => attr.inode.0,
        }
    }
}

impl<L: View> Union<L> {
    /// Above `lower`. What a server that was killed has left in the work directory is removed.
    pub fn new(lower: L, upper: &Upper, owners: Owners) -> Answer<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = open(&upper.upper, flags, Mode::empty())?;
        let marks = Marks::find(&upper.work)?;
        let work = Work::open(&upper.work, &marks, &top)?;
        // Half of the descriptors are for what must stay open: files without names.
        let most_open = getrlimit(Resource::RLIMIT_NOFILE).map_or(512, |(now, _)| (now / 2).clamp(16, 8192)) as usize;
        let squashed = owners.is_squashed();
        let union = Union {
            lower,
            top: Arc::new(top),
            work,
            marks,
            ownership: upper.ownership,
            durability: upper.durability,
            writeback: upper.writeback,
            below: upper.below.as_deref().map(below::open).transpose()?,
            owners,
            squashed,
            nodes: Mutex::new(Nodes::new(most_open)),
            risen: Condvar::new(),
        };
        union.begin()?;
        Ok(union)
    }

    /// The root, which is always in the upper side.
    fn begin(&self) -> Answer<()> {
        let at = At::file(&*self.top);
        if self.ownership == Ownership::Recorded && self.marks.get(at, upper::record::NAME) == Err(Errno::ENODATA) {
            // A new upper side: its root looks like the lower one's. From then on it always says what it is, so that this happens once.
            let attr = self.lower.attributes(INodeNo::ROOT)?;
            self.imitate(&Place::top(&self.top), &attr)?;
            self.marks.set(at, upper::record::NAME, recorded_below(&attr).to_string().as_bytes())?;
        }
        let Found::File(status, _) = upper::look(&self.marks, self.ownership, at)? else { return Err(Errno::EIO) };
        let lower = if self.is_opaque(at)? { None } else { Some(ROOT) };
        let root = Node { lookups: 1, inode: status.inode, kind: libc::S_IFDIR, lower, ..Node::default() };
        self.nodes().insert(ROOT, root);
        Ok(())
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_opaque(&self, at: At<'_>) -> Answer<bool> {
        match self.marks.get(at, upper::OPAQUE) {
            Ok(value) => Ok(value == b"y"),
            Err(Errno::ENODATA) => Ok(self.is_of_fuse_overlayfs(at)),
            Err(errno) => Err(errno),
        }
    }

    /// Whether it is an opaque directory that fuse-overlayfs has left.
    fn is_of_fuse_overlayfs(&self, at: At<'_>) -> bool {
        self.ownership == Ownership::Native
            && matches!(self.marks.get(at, upper::OPAQUE_OF_FUSE), Ok(value) if value == b"y")
    }

    /// What `name` in a directory of the upper side stands for. `None`: nothing.
    fn child(&self, nodes: &mut Nodes, parent: Id, name: &[u8]) -> Answer<Option<Child>> {
        let dir = self.dir(nodes, parent)?;
        let Some(slot) = dir.get(name) else {
            return self.lower_child(nodes, parent, name).map(|found| found.map(Child::Lower));
        };
        if slot.whiteout {
            return Ok(None);
        }
        if let Some(id) = slot.id.filter(|id| nodes.get(*id).is_some()) {
            return Ok(Some(Child::Upper(id)));
        }
        self.meet(nodes, parent, name, slot.over).map(|id| Some(Child::Upper(id)))
    }

    /// What the lower directory that shows through has under a name.
    fn lower_child(&self, nodes: &Nodes, parent: Id, name: &[u8]) -> Answer<Option<Attr>> {
        let Some(lower) = nodes.get(parent).and_then(|node| node.lower) else { return Ok(None) };
        match self.lower.find(INodeNo(lower), name) {
            Ok(attr) => Ok(Some(attr)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) if self.has_vanished(errno) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Whether an error says that a directory of a lower side that changes meanwhile is there no more: nothing shows through then.
    fn has_vanished(&self, errno: Errno) -> bool {
        self.below.is_some() && errno == Errno::ESTALE
    }

    /// What the lower directory that shows through has under a name, for a directory's list.
    fn over(&self, nodes: &Nodes, parent: Id, name: &[u8]) -> Answer<Option<Over>> {
        let found = self.lower_child(nodes, parent, name)?;
        Ok(found.map(|attr| Over { id: attr.inode.0, directory: attr.mode & libc::S_IFMT == libc::S_IFDIR }))
    }

    /// Looks at a file of the upper side for the first time.
    fn meet(&self, nodes: &mut Nodes, parent: Id, name: &[u8], over: Option<Over>) -> Answer<Id> {
        let place = self.place(nodes, parent, name)?;
        let Found::File(status, other) = upper::look(&self.marks, self.ownership, place.at())? else {
            return Err(Errno::EIO);
        };
        let kind = status.mode & libc::S_IFMT;
        let mut id = nodes.id_of(status.inode);
        let mut lower = None;
        if kind == libc::S_IFDIR {
            if let Some(over) = over.filter(|over| over.directory)
                && !self.is_opaque(place.at())?
            {
                (id, lower) = (over.id, Some(over.id));
                // It must stay known to the lower side for as long as this runs, whatever the kernel forgets.
                if let Some(above) = nodes.get(parent).and_then(|node| node.lower)
                    && nodes.get(id).is_none()
                {
                    self.lower.lookup(INodeNo(above), name)?;
                }
            }
        } else if kind == libc::S_IFREG && !other && status.blocks * 512 < status.size {
            lower = self.content_of(place.at())?;
        }
        let name: Name = name.into();
        if nodes.get(id).is_none() {
            let record = Some(recorded(&status));
            let node = Node { inode: status.inode, kind, record, stands_for_another: other, lower, ..Node::default() };
            nodes.insert(id, node);
        }
        nodes.named(id, parent, &name);
        self.dir(nodes, parent)?.found(&name, id);
        Ok(id)
    }

    /// The lower file that holds the content of a file whose attributes alone were copied up.
    fn content_of(&self, at: At<'_>) -> Answer<Option<Id>> {
        match self.marks.get(at, upper::METACOPY) {
            Err(Errno::ENODATA) => return Ok(None),
            found => found?,
        };
        let path = self.marks.get(at, upper::REDIRECT)?;
        let mut id = INodeNo::ROOT;
        for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            // Looked up and never forgotten: it must stay known to the lower side for as long as this runs.
            id = self.lower.lookup(id, part).map_err(|_| Errno::EIO)?.inode;
        }
        Ok(Some(id.0))
    }

    /// The contents of a directory of the upper side, read if they have not been.
    fn dir<'n>(&self, nodes: &'n mut Nodes, id: Id) -> Answer<&'n mut Dir> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        if node.dir.is_none() {
            let dir = if node.nameless { Dir::new(Some(0)) } else { self.read_dir(nodes, id)? };
            nodes.node(id)?.dir = Some(Box::new(dir));
        }
        nodes.node(id)?.dir.as_deref_mut().ok_or(Errno::EIO)
    }

    fn read_dir(&self, nodes: &Nodes, id: Id) -> Answer<Dir> {
        let lower = nodes.get(id).and_then(|node| node.lower);
        let below = match lower {
            Some(lower) => match self.lower.attributes(INodeNo(lower)) {
                Err(errno) if self.has_vanished(errno) => Some(0),
                found => found?.nlink.checked_sub(2),
            },
            None => Some(0),
        };
        let mut dir = Dir::new(below);
        let place = self.place_of(nodes, id)?;
        let has_marked_whiteouts = matches!(self.marks.get(place.at(), upper::OPAQUE), Ok(value) if value == b"x");
        for entry in place.list()? {
            let name: Name = entry.name.to_bytes().into();
            if &*name == upper::OPAQUE_FILE && self.is_of_fuse_overlayfs(place.at()) {
                continue;
            }
            let over = self.over(nodes, id, &name)?;
            let at = At { dir: entry.dir.as_fd(), name: &entry.name };
            let whiteout = match entry.kind {
                Some(nix::dir::Type::CharacterDevice) | None => upper::look(&self.marks, self.ownership, at)?,
                Some(nix::dir::Type::File) if has_marked_whiteouts => upper::look(&self.marks, self.ownership, at)?,
                Some(kind) => {
                    dir.put(&name, None, kind == nix::dir::Type::Directory, over);
                    continue;
                }
            };
            match whiteout {
                // One without anything below it is of no use, and must still not be seen.
                Found::Whiteout => dir.remove(&name, Some(over.unwrap_or(Over { id: 0, directory: false }))),
                Found::File(status, _) => dir.put(&name, None, status.mode & libc::S_IFMT == libc::S_IFDIR, over),
            }
        }
        Ok(dir)
    }

    /// The place of a name in a directory of the upper side.
    fn place(&self, nodes: &Nodes, parent: Id, name: &[u8]) -> Answer<Place> {
        Place::of(&self.top, nodes, parent, Some(name))
    }

    /// The place of an inode in the upper side.
    fn place_of(&self, nodes: &Nodes, id: Id) -> Answer<Place> {
        if id == ROOT {
            return Ok(Place::top(&self.top));
        }
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        match (node.names.first(), &node.file) {
            (Some((parent, name)), _) => Place::of(&self.top, nodes, *parent, Some(name)),
            (None, Some(file)) => Ok(Place::open(file.clone())),
            (None, None) => Err(Errno::ESTALE),
        }
    }

    /// What an inode of the upper side is, as it is seen through the mount.
    fn status(&self, nodes: &mut Nodes, id: Id) -> Answer<Status> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        let (record, other, file) = (node.record, node.stands_for_another, node.file.clone());
        let place = match file {
            Some(file) => Place::open(file),
            None => self.place_of(nodes, id)?,
        };
        let Some(record) = record.filter(|_| self.ownership == Ownership::Recorded || other) else {
            let Found::File(status, other) = upper::look(&self.marks, self.ownership, place.at())? else {
                return Err(Errno::EIO);
            };
            let node = nodes.node(id)?;
            (node.record, node.stands_for_another) = (Some(recorded(&status)), other);
            return Ok(status);
        };
        let mut status = sys::statx::statx(place.dir(), place.name())?;
        record.apply(&mut status, other);
        Ok(status)
    }

    /// The attributes of an inode of the upper side.
    fn attr(&self, nodes: &mut Nodes, id: Id) -> Answer<Attr> {
        let mut status = self.status(nodes, id)?;
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        let (is_merged, nameless, lower) =
            (node.kind == libc::S_IFDIR && node.lower.is_some(), node.nameless, node.lower);
        if is_merged {
            // One link cannot be counted by the lower side: that says that nobody knows, as on btrfs.
            status.nlink = self.dir(nodes, id)?.directories.map_or(1, |count| count + 2);
        }
        if nameless {
            status.nlink = 0;
        } else if let (Some(lower), libc::S_IFREG) = (lower, status.mode & libc::S_IFMT) {
            status.blocks = self.lower.attributes(INodeNo(lower)).map_or(status.blocks, |attr| attr.blocks);
        }
        Ok(self.shown(id, &status))
    }

    fn shown(&self, id: Id, status: &Status) -> Attr {
        let attr = Attr::of(INodeNo(id), status, &self.owners);
        let uncounted = attr.mode & libc::S_IFMT == libc::S_IFDIR && !self.lower.counts_directories();
        if uncounted { Attr { nlink: attr.nlink.min(1), ..attr } } else { attr }
    }
}

/// What a status that was interpreted says of owner and type.
fn recorded(status: &Status) -> Record {
    Record { uid: status.uid, gid: status.gid, mode: status.mode, device: status.represents }
}

/// What an inode of the lower side, which is asked for owners as the image numbers them, says of them and its type.
fn recorded_below(attr: &Attr) -> Record {
    Record { uid: attr.uid, gid: attr.gid, mode: attr.mode, device: device_pair(attr.device) }
}
