//! What the server remembers: the inodes that are in the upper side, where they lie there, and what the kernel holds of them.
//!
//! What is only in the lower side needs nothing here. An inode keeps its number when it is copied up; what is new has the number
//! of its file in the upper side's filesystem, so that a file that was forgotten is found under its old number again,
//! and hard links are one inode, with nothing to remember. The kernel holds an unlinked inode until it forgets it, and until
//! then its file stays open here, so that no other gets its number.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use nix::errno::Errno;

use super::dir::Dir;
use super::names::Names;
use crate::serve::view::Answer;
use crate::upper::record::Record;

/// The number of an inode, in the kernel's eyes and in programs'.
pub type Id = u64;

/// A name, shared by the directory that lists it and the inode that has it.
pub type Name = Arc<[u8]>;

/// The root.
pub const ROOT: Id = 1;

/// The numbers of new inodes: those of the lower side are smaller than this, or have higher bits set.
const NEW: Id = 1 << 47;

/// Files whose own number does not fit below that get numbers in turn from here on.
const FAR: Id = NEW | 1 << 46;

/// An inode of the upper side, or one without a name.
#[derive(Debug, Default)]
pub struct Node {
    /// How many lookups the kernel has not yet forgotten.
    pub lookups: u64,
    /// The names that are known, with their directories.
    pub names: Names,
    /// Its number in the upper side's filesystem; 0 while it is not there.
    pub inode: u64,
    /// Its type as it is seen through the mount, as in `st_mode`.
    pub kind: u32,
    /// What the upper side's file says of itself, once it was asked.
    pub record: Option<Record>,
    /// Its type is only recorded.
    pub stands_for_another: bool,
    /// Of a directory the one in the lower side that shows through, of a file the one that still holds its content.
    pub lower: Option<Id>,
    /// Its file, open.
    pub file: Option<Arc<File>>,
    /// What a directory holds, once it was read.
    pub dir: Option<Box<Dir>>,
    /// It has lost its last name, or never had one.
    pub nameless: bool,
    /// It is known to have no capabilities that a write would have to take away.
    pub no_capabilities: bool,
}

impl Node {
    /// Whether it is in the upper side.
    pub fn is_upper(&self) -> bool {
        self.inode != 0
    }

    /// Whether it can carry extended attributes that are seen through the mount.
    pub fn carries_xattrs(&self) -> bool {
        !self.stands_for_another && matches!(self.kind, libc::S_IFREG | libc::S_IFDIR)
    }
}

/// Something for each of many inodes.
type ById<T> = HashMap<u64, T, BuildHasherDefault<Mixed>>;

/// A hash of a number that nobody chooses: inodes are numbered by filesystems, and every request looks for several.
#[derive(Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        // The table takes its position from the lower bits, and a tag from the upper ones.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Nodes {
    /// Each by itself, so that the table can grow without all of them having to be there twice.
    known: ById<Box<Node>>,
    /// The numbers of inodes that were copied up, by those of their files in the upper side.
    copied: ById<Id>,
    /// Those of new inodes whose files have large numbers, or numbers that are taken.
    far: ById<Id>,
    /// How many of those have been given.
    given: u64,
    /// Inodes that are being copied up.
    pub rising: HashSet<Id>,
    /// How many threads wait for one of them.
    pub awaiting: usize,
    /// Inodes with open files that may be closed, the oldest first.
    open: VecDeque<Id>,
    /// How many files may be open.
    most_open: usize,
}

impl Nodes {
    pub fn new(most_open: usize) -> Nodes {
        Nodes { most_open, ..Nodes::default() }
    }

    pub fn get(&self, id: Id) -> Option<&Node> {
        self.known.get(&id).map(Box::as_ref)
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.known.get_mut(&id).map(Box::as_mut)
    }

    /// A node that must be there: the kernel never asks for one that it was not given, or has given back.
    pub fn node(&mut self, id: Id) -> Answer<&mut Node> {
        self.get_mut(id).ok_or(Errno::ESTALE)
    }

    /// The node of an inode in the upper side.
    pub fn upper(&self, id: Id) -> Option<&Node> {
        self.get(id).filter(|node| node.is_upper())
    }

    pub fn insert(&mut self, id: Id, node: Node) -> &mut Node {
        if node.is_upper() && id != self.new_id(node.inode) {
            self.copied.insert(node.inode, id);
        }
        self.known.entry(id).insert_entry(Box::new(node)).into_mut()
    }

    /// The number of the inode with this file in the upper side.
    pub fn id_of(&mut self, inode: u64) -> Id {
        let copied = self.copied.get(&inode).copied();
        copied.unwrap_or_else(|| self.new_id(inode))
    }

    /// The number of a new inode.
    fn new_id(&mut self, inode: u64) -> Id {
        // One that has got another file since keeps its number, and the filesystem may give that of its former file to the next.
        let is_free = |id: Id| self.known.get(&id).is_none_or(|node| node.inode == inode);
        match self.far.get(&inode) {
            Some(&id) if is_free(id) => return id,
            Some(_) => {
                self.far.remove(&inode);
            }
            None => {}
        }
        if inode < FAR ^ NEW && is_free(NEW | inode) {
            return NEW | inode;
        }
        let next = FAR + self.given;
        self.given += 1;
        self.far.insert(inode, next);
        next
    }

    /// An inode has got another file in the upper side, and keeps its number.
    pub fn moved(&mut self, id: Id, inode: u64) {
        if let Some(node) = self.known.get_mut(&id) {
            self.copied.remove(&node.inode);
            node.inode = inode;
            if id != self.new_id(inode) {
                self.copied.insert(inode, id);
            }
        }
    }

    /// Gives a known inode one name more.
    pub fn named(&mut self, id: Id, parent: Id, name: &Name) {
        if let Some(node) = self.known.get_mut(&id) {
            let there = node.names.iter().any(|(dir, known)| *dir == parent && known == name);
            if !there {
                node.names.push(parent, name.clone());
                node.nameless = false;
            }
        }
    }

    /// Takes a name from an inode.
    pub fn unnamed(&mut self, id: Id, parent: Id, name: &[u8]) {
        if let Some(node) = self.known.get_mut(&id) {
            node.names.remove(parent, name);
        }
    }

    /// The kernel has come to know an inode once more.
    pub fn looked_up(&mut self, id: Id) {
        if let Some(node) = self.known.get_mut(&id) {
            node.lookups += 1;
        }
    }

    /// The kernel has forgotten as many lookups. Returns the number of a file in the upper side that is no more.
    pub fn forget(&mut self, id: Id, lookups: u64) -> Option<u64> {
        let node = self.known.get_mut(&id)?;
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups > 0 || id == ROOT {
            return None;
        }
        if node.nameless {
            let gone = self.known.remove(&id)?;
            self.copied.remove(&gone.inode);
            return (gone.inode != 0).then_some(gone.inode);
        }
        self.let_go(id);
        None
    }

    /// Whether an inode was made here: of such all lookups are counted.
    pub fn is_new(&self, id: Id) -> bool {
        let inode = self.known.get(&id).map(|node| node.inode);
        inode.is_some_and(|inode| id == NEW | inode || self.far.get(&inode) == Some(&id))
    }

    /// Drops a new inode that the kernel does not know.
    pub fn unless_known(&mut self, id: Id) {
        if self.is_new(id) {
            self.let_go(id);
        }
    }

    /// Drops what can be found again: a new inode that the kernel knows no more, and the contents of a directory none of whose
    /// entries it knows. What was copied up keeps its place, and with it its number.
    fn let_go(&mut self, forgotten: Id) {
        let mut waiting = vec![forgotten];
        while let Some(id) = waiting.pop() {
            let Some(node) = self.known.get_mut(&id) else { continue };
            let needed_below = node.dir.as_ref().is_some_and(|dir| dir.is_known_below());
            if node.lookups > 0 || node.nameless || needed_below || id == ROOT {
                continue;
            }
            if !self.is_new(id) {
                // Some of its lookups were not counted: one whose entry was forgotten may be being listed, and positions must stay.
                if let Some(node) = self.known.get_mut(&id).filter(|_| id == forgotten) {
                    node.dir = None;
                }
                continue;
            }
            let Some(node) = self.known.remove(&id) else { continue };
            for (parent, name) in Vec::from(node.names) {
                if let Some(dir) = self.known.get_mut(&parent).and_then(|node| node.dir.as_mut()) {
                    dir.forgotten(&name);
                    waiting.push(parent);
                }
            }
        }
    }

    /// Keeps an inode's file open, as long as not too many others are opened after it.
    pub fn keep_open(&mut self, id: Id, file: &Arc<File>) {
        let Some(node) = self.known.get_mut(&id) else { return };
        node.file = Some(file.clone());
        self.open.push_back(id);
        while self.open.len() > self.most_open {
            let Some(oldest) = self.open.pop_front() else { break };
            if let Some(node) = self.known.get_mut(&oldest)
                && !node.names.is_empty()
            {
                node.file = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_kept_by_another_is_not_given_again() {
        let mut nodes = Nodes::new(16);
        let link = nodes.id_of(7);
        nodes.insert(link, Node { inode: 7, lookups: 1, ..Node::default() });
        assert_eq!(nodes.id_of(7), link);
        // It gets another file, and the next file that is made gets the number of its former one.
        nodes.moved(link, 8);
        assert_eq!(nodes.id_of(8), link);
        let next = nodes.id_of(7);
        assert_ne!(next, link);
        nodes.insert(next, Node { inode: 7, lookups: 1, ..Node::default() });
        assert_eq!((nodes.id_of(7), nodes.is_new(next)), (next, true));
        nodes.forget(next, 1);
        assert_eq!((nodes.get(next).is_none(), nodes.id_of(7)), (true, next));
        // The same with one whose number was given in turn.
        nodes.insert(next, Node { inode: 7, lookups: 1, ..Node::default() });
        nodes.moved(next, 9);
        let third = nodes.id_of(7);
        assert!(third != next && third != link);
        nodes.insert(third, Node { inode: 7, lookups: 1, ..Node::default() });
        assert_eq!((nodes.id_of(7), nodes.id_of(9), nodes.id_of(8)), (third, next, link));
    }
}
