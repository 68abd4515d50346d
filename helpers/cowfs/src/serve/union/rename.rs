//! Renaming, with all that renameat2(2) can.

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::nodes::{Id, Name as Known, Nodes};
use super::raise::Content;
use super::{Child, Over, Union};
use crate::serve::change::{Caller, Mode, Name};
use crate::serve::view::{Answer, View};

/// One side of a rename, when all that is needed is in the upper side.
struct End {
    parent: Id,
    name: Known,
    over: Option<Over>,
}

impl<L: View> Union<L> {
    /// Renames a file or directory.
    pub(super) fn rename(&self, caller: Caller, from: Name<'_>, to: Name<'_>, flags: u32, wait: bool) -> Answer<()> {
        let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
        let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
        if to.name.len() > crate::layer::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.raise_named(from, wait)?;
        if exchange {
            self.raise_named(to, wait)?;
        } else {
            self.raise_linked(to, wait)?;
        }
        let mut nodes = self.nodes();
        for parent in [from.parent.0, to.parent.0] {
            self.raise_dir(&mut nodes, parent)?;
        }
        if nodes.node(to.parent.0)?.nameless {
            return Err(Errno::ENOENT);
        }
        let source = self.child(&mut nodes, from.parent.0, from.name)?.ok_or(Errno::ENOENT)?;
        let target = self.child(&mut nodes, to.parent.0, to.name)?;
        if target.is_some() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        if target.as_ref().is_some_and(|target| target.id() == source.id()) && !exchange {
            // Two names of one file: rename(2) does nothing.
            return Ok(());
        }
        let here = self.end(&nodes, from)?;
        let there = self.end(&nodes, to)?;
        if exchange {
            let target = target.ok_or(Errno::ENOENT)?;
            return self.exchange(&mut nodes, (&here, source.id()), (&there, target.id()));
        }
        self.replace(&mut nodes, (&here, source.id()), &there, target)?;
        if flags.contains(RenameFlags::RENAME_WHITEOUT) {
            drop(nodes);
            let mode = Mode { mode: libc::S_IFCHR, umask: 0 };
            let made = self.make(caller, from, mode.into())?;
            // The kernel is not told of it.
            self.nodes().forget(made.inode.0, 1);
        }
        Ok(())
    }

    fn end(&self, nodes: &Nodes, at: Name<'_>) -> Answer<End> {
        let over = self.over(nodes, at.parent.0, at.name)?;
        Ok(End { parent: at.parent.0, name: at.name.into(), over })
    }

    /// Copies up what is to be moved, a directory with all that is in it.
    fn raise_named(&self, at: Name<'_>, wait: bool) -> Answer<()> {
        let (id, directory) = {
            let mut nodes = self.nodes();
            match self.child_anywhere(&mut nodes, at)? {
                None => return Ok(()),
                Some(child) => (child.id(), self.is_directory(&nodes, &child)?),
            }
        };
        if directory { self.raise_tree(id, wait) } else { self.raise(id, Content::Attributes, wait) }
    }

    /// Copies up what is to be replaced, where that has other names which must know.
    fn raise_linked(&self, at: Name<'_>, wait: bool) -> Answer<()> {
        let child = self.child_anywhere(&mut self.nodes(), at)?;
        match child {
            Some(Child::Lower(attr)) if attr.nlink > 1 && attr.mode & libc::S_IFMT != libc::S_IFDIR => {
                self.raise(attr.inode.0, Content::Attributes, wait)
            }
            _ => Ok(()),
        }
    }

    /// What a name stands for, also in a directory that only the lower side has.
    fn child_anywhere(&self, nodes: &mut Nodes, at: Name<'_>) -> Answer<Option<Child>> {
        if nodes.upper(at.parent.0).is_some() {
            return self.child(nodes, at.parent.0, at.name);
        }
        match self.lower.find(at.parent, at.name) {
            Err(Errno::ENOENT) => Ok(None),
            found => found.map(|attr| Some(Child::Lower(attr))),
        }
    }

    /// Copies a directory up with all that can be seen in it, so that nothing of it is the lower side's any more.
    fn raise_tree(&self, top: Id, wait: bool) -> Answer<()> {
        // What the lower side does not show through, it does not below either.
        if self.nodes().upper(top).is_some_and(|node| node.lower.is_none()) {
            return Ok(());
        }
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let mut waiting = vec![top];
        let mut found = Vec::new();
        while let Some(id) = waiting.pop() {
            let below = {
                let mut nodes = self.nodes();
                self.raise_dir(&mut nodes, id)?;
                self.seen_below(&mut nodes, id)?
            };
            for (child, directory) in below {
                if directory {
                    if self.nodes().upper(child).is_none_or(|node| node.lower.is_some()) {
                        waiting.push(child);
                    }
                } else {
                    self.raise(child, Content::Attributes, wait)?;
                }
            }
            found.push(id);
        }
        // From the bottom up: whatever happens in between, what is not yet closed shows the same through the lower side.
        let mut nodes = self.nodes();
        for id in found.into_iter().rev() {
            if nodes.node(id)?.lower.is_some() {
                self.close(&mut nodes, id)?;
            }
        }
        Ok(())
    }

    /// What can be seen in a directory of the upper side and may not be wholly there: inodes of the lower side, and directories.
    fn seen_below(&self, nodes: &mut Nodes, id: Id) -> Answer<Vec<(Id, bool)>> {
        self.dir(nodes, id)?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        let node = nodes.node(id)?;
        let above = node.dir.as_deref().ok_or(Errno::EIO)?;
        names.extend(above.all().filter(|(_, slot)| slot.directory).map(|(name, _)| name.to_vec()));
        if let Some(lower) = node.lower.map(INodeNo) {
            let handle = self.lower.open_directory(lower)?;
            let listed = self.lower.list(lower, handle, 0, false, &mut |_, name, _| {
                if !matches!(name, b"." | b"..") && above.get(name).is_none() {
                    names.push(name.to_vec());
                }
                false
            });
            self.lower.close_directory(handle);
            listed?;
        }
        let lower = nodes.node(id)?.lower.map(INodeNo);
        let mut below = Vec::new();
        for name in names {
            if let Some(child) = self.child(nodes, id, &name)? {
                if let (Child::Lower(_), Some(lower)) = (&child, lower) {
                    // The kernel may never have asked for it: the lower side must know it until it is copied.
                    self.lower.lookup(lower, &name)?;
                }
                below.push((child.id(), self.is_directory(nodes, &child)?));
            }
        }
        Ok(below)
    }

    /// Lets nothing of the lower side show through a directory any more.
    fn close(&self, nodes: &mut Nodes, id: Id) -> Answer<()> {
        let place = self.place_of(nodes, id)?;
        let before = sys::statx::statx(place.dir(), place.name())?;
        let whiteouts: Vec<Known> =
            self.dir(nodes, id)?.all().filter(|(_, slot)| slot.whiteout).map(|(name, _)| name.clone()).collect();
        self.mark_opaque(place.at())?;
        nodes.node(id)?.lower = None;
        self.dir(nodes, id)?.without_lower();
        for name in whiteouts {
            // The kernel's overlay would list them.
            let place = self.place(nodes, id, &name)?;
            unlinkat(place.dir(), place.path(), UnlinkatFlags::NoRemoveDir).inspect_err(|_| {
                if let Some(dir) = nodes.get_mut(id).and_then(|node| node.dir.as_deref_mut()) {
                    dir.remove(&name, Some(Over { id: 0, directory: false }));
                }
            })?;
        }
        super::work::put_times_back(&place, &before);
        Ok(())
    }

    fn exchange(&self, nodes: &mut Nodes, a: (&End, Id), b: (&End, Id)) -> Answer<()> {
        let places = [self.place(nodes, a.0.parent, &a.0.name)?, self.place(nodes, b.0.parent, &b.0.name)?];
        for (id, place, other) in [(a.1, &places[0], b.0), (b.1, &places[1], a.0)] {
            if nodes.node(id)?.kind == libc::S_IFDIR && other.over.is_some() {
                self.mark_opaque(place.at())?;
            }
        }
        let [from, to] = &places;
        renameat2(from.dir(), from.path(), to.dir(), to.path(), RenameFlags::RENAME_EXCHANGE)?;
        for (end, id) in [(a.0, b.1), (b.0, a.1)] {
            let directory = nodes.node(id)?.kind == libc::S_IFDIR;
            self.dir(nodes, end.parent)?.put(&end.name, Some(id), directory, end.over);
        }
        nodes.unnamed(a.1, a.0.parent, &a.0.name);
        nodes.unnamed(b.1, b.0.parent, &b.0.name);
        nodes.named(a.1, b.0.parent, &b.0.name);
        nodes.named(b.1, a.0.parent, &a.0.name);
        Ok(())
    }

    fn replace(&self, nodes: &mut Nodes, from: (&End, Id), there: &End, target: Option<Child>) -> Answer<()> {
        let (here, id) = from;
        let directory = nodes.node(id)?.kind == libc::S_IFDIR;
        if let Some(target) = &target {
            match (directory, self.is_directory(nodes, target)?) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if !self.is_empty(nodes, target)? => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
            if let Child::Upper(id) = target {
                self.hold_open(nodes, *id)?;
            }
        }
        let source = self.place(nodes, here.parent, &here.name)?;
        let goal = self.place(nodes, there.parent, &there.name)?;
        if directory && there.over.is_some() {
            self.mark_opaque(source.at())?;
        }
        // What lies at the goal in the upper side: nothing, a whiteout, or what is replaced.
        let slot = self.dir(nodes, there.parent)?.get(&there.name);
        if slot.is_none() && there.over.is_some() {
            let looks = self.lower_looks(nodes, there.parent, &there.name);
            self.take_down(nodes, there.parent, &there.name, looks)?;
        }
        let in_the_way = slot.is_some_and(|slot| slot.whiteout != slot.directory) && directory;
        if in_the_way {
            // A directory goes neither over a whiteout nor over a directory with whiteouts in it: they change places.
            renameat2(source.dir(), source.path(), goal.dir(), goal.path(), RenameFlags::RENAME_EXCHANGE)?;
            self.clear(nodes, here, &source).inspect_err(|_| {
                // Whatever is wrong, it must not be half done.
                let back = RenameFlags::RENAME_EXCHANGE;
                let _ = renameat2(source.dir(), source.path(), goal.dir(), goal.path(), back);
            })?;
        } else {
            self.move_away(nodes, here, &source, &goal)?;
        }
        self.dir(nodes, here.parent)?.remove(&here.name, here.over);
        if let Some(target) = &target {
            self.lose_name(nodes, target, there.parent, &there.name);
        }
        self.dir(nodes, there.parent)?.put(&there.name, Some(id), directory, there.over);
        nodes.unnamed(id, here.parent, &here.name);
        nodes.named(id, there.parent, &there.name);
        Ok(())
    }

    /// Takes from the source's place what came there from the goal.
    fn clear(&self, nodes: &Nodes, here: &End, source: &super::place::Place) -> Answer<()> {
        let above = self.place_of(nodes, here.parent)?;
        let fresh = self.work.fresh();
        if here.over.is_some() {
            self.work.whiteout(&self.marks, above.at(), &fresh)?;
            let swapped =
                renameat2(fresh.dir(), fresh.path(), source.dir(), source.path(), RenameFlags::RENAME_EXCHANGE);
            match swapped {
                // Both are links to one whiteout: it is there already.
                Ok(()) => {}
                Err(errno) => {
                    self.work.discard(&fresh);
                    return Err(errno);
                }
            }
        } else {
            self.work.settle(source, &fresh)?;
        }
        self.work.discard(&fresh);
        Ok(())
    }

    /// Renames, and leaves a whiteout where the lower side has the name.
    fn move_away(
        &self,
        nodes: &Nodes,
        here: &End,
        source: &super::place::Place,
        goal: &super::place::Place,
    ) -> Answer<()> {
        if here.over.is_none() {
            return self.work.settle_over(source, goal);
        }
        let above = self.place_of(nodes, here.parent)?;
        let flags = RenameFlags::RENAME_WHITEOUT;
        match renameat2(source.dir(), source.path(), goal.dir(), goal.path(), flags) {
            // Not every filesystem can, nor may every process.
            Err(Errno::EPERM | Errno::EINVAL | Errno::EOPNOTSUPP) => {}
            renamed => return renamed,
        }
        let fresh = self.work.fresh();
        self.work.whiteout(&self.marks, above.at(), &fresh)?;
        self.work.settle_over(source, goal).inspect_err(|_| self.work.discard(&fresh))?;
        self.work.settle(&fresh, source)
    }
}
