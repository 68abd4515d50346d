//! Unlinking, and removing directories.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::nodes::{Id, Name as Known, Node, Nodes};
use super::place::Place;
use super::raise::Content;
use super::{Child, Over, Union};
use crate::serve::change::Name;
use crate::serve::view::{Answer, View};
use crate::upper::OPAQUE;
use crate::upper::marks::At;

impl<L: View> Union<L> {
    /// Removes a name that is no directory's.
    pub(super) fn unlink(&self, at: Name<'_>, wait: bool) -> Answer<()> {
        let parent = at.parent.0;
        let mut nodes = self.nodes();
        if nodes.upper(parent).is_some()
            && let Some(Child::Lower(attr)) = self.child(&mut nodes, parent, at.name)?
            && attr.nlink > 1
        {
            // Its other names must not go on to say that there is this one.
            drop(nodes);
            self.raise(attr.inode.0, Content::Attributes, wait)?;
            nodes = self.nodes();
        }
        self.raise_dir(&mut nodes, parent)?;
        let child = self.child(&mut nodes, parent, at.name)?.ok_or(Errno::ENOENT)?;
        if let Child::Lower(attr) = &child
            && attr.nlink > 1
        {
            // The directory was the lower side's until now.
            drop(nodes);
            self.raise(attr.inode.0, Content::Attributes, wait)?;
            return self.unlink(at, wait);
        }
        if self.is_directory(&nodes, &child)? {
            return Err(Errno::EISDIR);
        }
        self.take_away(&mut nodes, at, &child)
    }

    /// Removes a directory in which nothing can be seen.
    pub(super) fn remove_directory(&self, at: Name<'_>) -> Answer<()> {
        let parent = at.parent.0;
        let mut nodes = self.nodes();
        self.raise_dir(&mut nodes, parent)?;
        let child = self.child(&mut nodes, parent, at.name)?.ok_or(Errno::ENOENT)?;
        if !self.is_directory(&nodes, &child)? {
            return Err(Errno::ENOTDIR);
        }
        if !self.is_empty(&mut nodes, &child)? {
            return Err(Errno::ENOTEMPTY);
        }
        self.take_away(&mut nodes, at, &child)
    }

    /// Takes a name away that may be taken. A whiteout is left if the lower side has it, too.
    fn take_away(&self, nodes: &mut Nodes, at: Name<'_>, child: &Child) -> Answer<()> {
        let parent = at.parent.0;
        let over = self.over(nodes, parent, at.name)?;
        let place = self.place(nodes, parent, at.name)?;
        let above = self.place_of(nodes, parent)?;
        match child {
            Child::Lower(_) => {
                self.take_down(nodes, parent, at.name, self.lower_looks(nodes, parent, at.name))?;
                self.work.whiteout(&self.marks, above.at(), &place)?;
            }
            Child::Upper(id) => {
                self.hold_open(nodes, *id)?;
                if self.is_directory(nodes, child)? {
                    self.take_directory_away(nodes, *id, above.at(), &place, over)?;
                } else if over.is_some() {
                    let fresh = self.work.fresh();
                    self.work.whiteout(&self.marks, above.at(), &fresh)?;
                    self.work.settle_over(&fresh, &place).inspect_err(|_| self.work.discard(&fresh))?;
                } else {
                    unlinkat(place.dir(), place.path(), UnlinkatFlags::NoRemoveDir)?;
                }
            }
        }
        let name: Known = at.name.into();
        self.dir(nodes, parent)?.remove(&name, over);
        self.lose_name(nodes, child, parent, at.name);
        Ok(())
    }

    /// Takes an empty directory from its place, with the whiteouts that may be in it. What is left there is a whiteout if the lower
    /// side has the name, else nothing.
    fn take_directory_away(
        &self,
        nodes: &mut Nodes,
        id: Id,
        above: At<'_>,
        place: &Place,
        over: Option<Over>,
    ) -> Answer<()> {
        let has_whiteouts = self.dir(nodes, id)?.has_whiteouts();
        if over.is_none() && !has_whiteouts {
            return unlinkat(place.dir(), place.path(), UnlinkatFlags::RemoveDir);
        }
        let fresh = self.work.fresh();
        if over.is_none() {
            self.work.settle(place, &fresh)?;
        } else {
            self.work.whiteout(&self.marks, above, &fresh)?;
            let exchanged =
                renameat2(fresh.dir(), fresh.path(), place.dir(), place.path(), RenameFlags::RENAME_EXCHANGE);
            exchanged.inspect_err(|_| self.work.discard(&fresh))?;
        }
        self.work.discard(&fresh);
        Ok(())
    }

    /// Puts a directory from the work directory into the place of a whiteout.
    pub(super) fn exchange_for_whiteout(&self, fresh: &Place, place: &Place) -> Answer<()> {
        renameat2(fresh.dir(), fresh.path(), place.dir(), place.path(), RenameFlags::RENAME_EXCHANGE)?;
        self.work.discard(fresh);
        Ok(())
    }

    /// Nothing of the lower side is to be seen in a directory.
    pub(super) fn mark_opaque(&self, at: At<'_>) -> Answer<()> {
        self.marks.set(at, OPAQUE, b"y")
    }

    pub(super) fn is_directory(&self, nodes: &Nodes, child: &Child) -> Answer<bool> {
        Ok(match child {
            Child::Lower(attr) => attr.mode & libc::S_IFMT == libc::S_IFDIR,
            Child::Upper(id) => nodes.get(*id).ok_or(Errno::ESTALE)?.kind == libc::S_IFDIR,
        })
    }

    /// Whether nothing is to be seen in a directory.
    pub(super) fn is_empty(&self, nodes: &mut Nodes, child: &Child) -> Answer<bool> {
        let lower = match child {
            Child::Lower(attr) => Some(attr.inode.0),
            Child::Upper(id) => {
                if self.dir(nodes, *id)?.has_files() {
                    return Ok(false);
                }
                nodes.get(*id).and_then(|node| node.lower)
            }
        };
        let Some(lower) = lower else { return Ok(true) };
        let hidden = match child {
            Child::Upper(id) => nodes.get(*id).and_then(|node| node.dir.as_deref()),
            Child::Lower(_) => None,
        };
        let mut empty = true;
        let lower = INodeNo(lower);
        let handle = match self.lower.open_directory(lower) {
            Err(errno) if self.has_vanished(errno) => return Ok(true),
            handle => handle?,
        };
        let listed = self.lower.list(lower, handle, 0, false, &mut |_, name, _| {
            let seen = !matches!(name, b"." | b"..") && hidden.is_none_or(|dir| dir.get(name).is_none());
            empty &= !seen;
            seen
        });
        self.lower.close_directory(handle);
        listed.map(|()| empty)
    }

    /// Keeps open what is about to lose a name, if the kernel knows it: its number must not be given to another file, and it
    /// can still be used.
    pub(super) fn hold_open(&self, nodes: &mut Nodes, id: Id) -> Answer<()> {
        let node = nodes.node(id)?;
        if node.names.len() > 1 || node.file.is_some() {
            return Ok(());
        }
        let place = self.place_of(nodes, id)?;
        let node = nodes.node(id)?;
        let flags = match node.kind {
            libc::S_IFREG if !node.stands_for_another => OFlag::O_RDWR,
            libc::S_IFDIR => OFlag::O_RDONLY | OFlag::O_DIRECTORY,
            _ => OFlag::O_PATH,
        };
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened: OwnedFd = openat(place.dir(), place.path(), flags, Mode::empty())?;
        node.file = Some(Arc::new(opened.into()));
        Ok(())
    }

    /// An inode has lost a name.
    pub(super) fn lose_name(&self, nodes: &mut Nodes, child: &Child, parent: Id, name: &[u8]) {
        match child {
            Child::Lower(attr) => {
                let node = Node { kind: attr.mode & libc::S_IFMT, nameless: true, ..Node::default() };
                nodes.insert(attr.inode.0, node);
            }
            Child::Upper(id) => {
                nodes.unnamed(*id, parent, name);
                let Some(node) = nodes.get_mut(*id) else { return };
                if !node.names.is_empty() {
                    return;
                }
                let links = node.file.as_ref().and_then(|file| sys::statx::statx(&**file, c"").ok());
                // A directory that is still there with a link or two is not: it is in nobody's list any more.
                node.nameless = node.kind == libc::S_IFDIR || links.is_none_or(|status| status.nlink == 0);
                if node.nameless && node.kind == libc::S_IFDIR {
                    node.dir = None;
                    node.lower = None;
                }
                if node.nameless && node.lookups == 0 && nodes.is_new(*id) {
                    self.forgotten(nodes.forget(*id, 0));
                }
            }
        }
    }

    /// A file of the upper side is no more.
    pub(super) fn forgotten(&self, inode: Option<u64>) {
        if let Some(inode) = inode {
            self.marks.forget(inode);
        }
    }
}
