//! The union as a view: what the kernel asks.

use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use fuser::{FileHandle, INodeNo};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::statvfs::fstatvfs;

use super::make::Wish;
use super::nodes::{Id, ROOT};
use super::xattrs::CAPABILITY;
use super::{Child, Union};
use crate::serve::change::{Caller, Change};
use crate::serve::file;
use crate::serve::view::{Answer, Attr, Fill, Reading, Sizes, View, Writing};
use crate::serve::wire;
use crate::upper::marks::At;

/// Positions in a listing from here on are the lower directory's.
const LOWER: u64 = 1 << 62;

/// Of a directory whose lower side is there no more. Other lower directories may well be opened as 0.
const VANISHED: FileHandle = FileHandle(u64::MAX);

impl<L: View> Union<L> {
    /// What the lower side says, with owners as the mount's namespace numbers them.
    fn lower_attr(&self, attr: Attr) -> Attr {
        Attr { uid: self.owners.uid(attr.uid), gid: self.owners.gid(attr.gid), ..attr }
    }

    fn is_upper(&self, id: Id) -> bool {
        self.nodes().upper(id).is_some()
    }

    /// The directory that a directory is in.
    fn parent_of(&self, id: Id) -> Answer<Id> {
        if id == ROOT {
            return Ok(ROOT);
        }
        if let Some(node) = self.nodes().get(id) {
            return Ok(node.names.first().map_or(ROOT, |(parent, _)| *parent));
        }
        Ok(self.lower.find(INodeNo(id), b"..")?.inode.0)
    }

    fn list_merged(&self, id: Id, handle: FileHandle, position: u64, looked_up: bool, fill: Fill<'_>) -> Answer<()> {
        if position == 0 && fill(1, b".", &self.attributes(INodeNo(id))?) {
            return Ok(());
        }
        if position <= 1 {
            let parent = self.parent_of(id)?;
            if fill(2, b"..", &self.attributes(INodeNo(parent))?) {
                return Ok(());
            }
        }
        let mut nodes = self.nodes();
        let mut next = position;
        while next < LOWER {
            let some = self.dir(&mut nodes, id)?.listed_from(next).take(LISTED_AT_ONCE);
            let names: Vec<(u64, super::Name)> = some.map(|(at, name)| (at, name.clone())).collect();
            let Some((last, _)) = names.last() else { break };
            next = last + 1;
            for (at, name) in names {
                let Some(Child::Upper(child)) = self.child(&mut nodes, id, &name)? else { continue };
                let attr = self.attr(&mut nodes, child)?;
                let full = fill(at + 1, &name, &attr);
                if looked_up && !full {
                    nodes.looked_up(child);
                } else {
                    // If it was met for this list alone it need not be known any longer.
                    nodes.unless_known(child);
                }
                if full {
                    return Ok(());
                }
            }
        }
        let Some(lower) = nodes.node(id)?.lower.filter(|_| handle != VANISHED) else { return Ok(()) };
        self.dir(&mut nodes, id)?;
        let mut failed = Ok(());
        let mut held_twice = Vec::new();
        let from = position.saturating_sub(LOWER).max(2);
        self.lower.list(INodeNo(lower), handle, from, looked_up, &mut |next, name, attr| {
            if matches!(name, b"." | b"..") {
                return false;
            }
            let slot = nodes.get(id).and_then(|node| node.dir.as_ref()).and_then(|dir| dir.get(name));
            let Some(slot) = slot else { return fill(LOWER + next, name, &self.lower_attr(*attr)) };
            if slot.over.is_none() && !slot.whiteout {
                // Listed already: the lower side, which changes meanwhile, has come to have the name, too.
                held_twice.push(attr.inode);
                return false;
            }
            let seen = match self.child(&mut nodes, id, name) {
                Ok(Some(Child::Upper(child))) => self.attr(&mut nodes, child).map(|attr| (child, attr)),
                Ok(_) => {
                    held_twice.push(attr.inode);
                    return false;
                }
                Err(errno) => Err(errno),
            };
            let (child, shown) = match seen {
                Ok(seen) => seen,
                Err(errno) => {
                    failed = Err(errno);
                    return true;
                }
            };
            let full = fill(LOWER + next, name, &shown);
            if !looked_up || full {
                nodes.unless_known(child);
                return full;
            }
            nodes.looked_up(child);
            if child != attr.inode.0 {
                held_twice.push(attr.inode);
            }
            false
        })?;
        if looked_up {
            // The lower side has counted lookups that the kernel never made.
            held_twice.into_iter().for_each(|inode| self.lower.forget(inode, 1));
        }
        failed
    }
}

/// Names that are taken from a directory's list at once: about as many as fit into a reply.
const LISTED_AT_ONCE: usize = 128;

impl<L: View> View for Union<L> {
    fn lifetime(&self) -> Duration {
        self.lower.lifetime()
    }

    fn needs_open(&self) -> bool {
        self.lower.needs_open()
    }

    fn has_xattrs(&self) -> bool {
        true
    }

    fn may_wait(&self, inode: INodeNo) -> bool {
        self.lower.may_wait(inode) && !self.is_upper(inode.0)
    }

    fn backing(&self, inode: INodeNo) -> Option<Arc<File>> {
        let mut nodes = self.nodes();
        let file = self.source(&mut nodes, inode.0).ok()?.ok()?;
        // What a write takes from a file is taken here, and so writes must come by.
        let plain = self.record(&mut nodes, inode.0).ok()?.mode & 0o6000 == 0;
        let capability = self.marks.get(At::file(&*file), &self.stored_name(CAPABILITY).ok()?);
        (plain && capability == Err(Errno::ENODATA)).then_some(file)
    }

    fn writing(&self) -> Option<Writing> {
        Some(Writing { writeback: self.writeback })
    }

    fn lookup(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr> {
        let mut nodes = self.nodes();
        if nodes.upper(parent.0).is_none() {
            if nodes.get(parent.0).is_some_and(|node| node.nameless) {
                return Err(Errno::ENOENT);
            }
            drop(nodes);
            return self.lower.lookup(parent, name).map(|attr| self.lower_attr(attr));
        }
        let found = match name {
            b"." => Some(Child::Upper(parent.0)),
            b".." => {
                drop(nodes);
                let above = self.parent_of(parent.0)?;
                nodes = self.nodes();
                Some(Child::Upper(above))
            }
            _ if name.len() > crate::layer::NAME_MAX => return Err(Errno::ENAMETOOLONG),
            _ => self.child(&mut nodes, parent.0, name)?,
        };
        match found {
            None => Err(Errno::ENOENT),
            Some(Child::Upper(id)) => {
                let attr = self.attr(&mut nodes, id)?;
                nodes.looked_up(id);
                if let Some(lower) = nodes.node(id)?.lower {
                    self.lower.hold(INodeNo(lower));
                }
                Ok(attr)
            }
            Some(Child::Lower(_)) => {
                let lower = nodes.node(parent.0)?.lower.ok_or(Errno::EIO)?;
                drop(nodes);
                self.lower.lookup(INodeNo(lower), name).map(|attr| self.lower_attr(attr))
            }
        }
    }

    fn forget(&self, inode: INodeNo, lookups: u64) {
        let gone = self.nodes().forget(inode.0, lookups);
        self.forgotten(gone);
        self.lower.forget(inode, lookups);
    }

    fn attributes(&self, inode: INodeNo) -> Answer<Attr> {
        let mut nodes = self.nodes();
        if nodes.upper(inode.0).is_some() {
            return self.attr(&mut nodes, inode.0);
        }
        let gone = nodes.get(inode.0).is_some_and(|node| node.nameless);
        drop(nodes);
        let attr = self.lower_attr(self.lower.attributes(inode)?);
        Ok(if gone { Attr { nlink: 0, ..attr } } else { attr })
    }

    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>> {
        let nodes = self.nodes();
        let Some(node) = nodes.upper(inode.0) else {
            drop(nodes);
            return self.lower.target(inode);
        };
        if node.kind != libc::S_IFLNK {
            return Err(Errno::EINVAL);
        }
        let place = self.place_of(&nodes, inode.0)?;
        if node.stands_for_another {
            let file = super::content::open(&place)?;
            let size = usize::try_from(sys::statx::statx(&file, c"")?.size).unwrap_or(0).min(4096);
            let mut target = Vec::new();
            let whole = Reading { handle: FileHandle(0), offset: 0, size };
            self.read_file(&file, whole, true, &mut target)?;
            return Ok(Cow::Owned(target));
        }
        // By the descriptor of one that is open for its number alone, an empty path.
        let target = readlinkat(place.dir(), place.name())?;
        Ok(Cow::Owned(std::os::unix::ffi::OsStringExt::into_vec(target)))
    }

    fn open(&self, inode: INodeNo) -> Answer<FileHandle> {
        let source = self.source(&mut self.nodes(), inode.0)?;
        match source {
            Ok(_) => Ok(FileHandle(0)),
            Err(lower) => self.lower.open(lower),
        }
    }

    fn close(&self, handle: FileHandle) {
        if handle.0 != 0 {
            self.lower.close(handle);
        }
    }

    fn read(&self, inode: INodeNo, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()> {
        let source = self.source(&mut self.nodes(), inode.0)?;
        match source {
            Ok(file) => self.read_file(&file, wanted, wait, buffer),
            Err(lower) => self.lower.read(lower, wanted, wait, buffer),
        }
    }

    fn open_directory(&self, inode: INodeNo) -> Answer<FileHandle> {
        let lower = match self.nodes().get(inode.0) {
            Some(node) if node.nameless => return Ok(FileHandle(0)),
            Some(node) => node.lower,
            None => Some(inode.0),
        };
        let Some(lower) = lower else { return Ok(FileHandle(0)) };
        match self.lower.open_directory(INodeNo(lower)) {
            Err(errno) if self.has_vanished(errno) && self.is_upper(inode.0) => Ok(VANISHED),
            handle => handle,
        }
    }

    fn close_directory(&self, handle: FileHandle) {
        if handle.0 != 0 && handle != VANISHED {
            self.lower.close_directory(handle);
        }
    }

    fn list(&self, inode: INodeNo, handle: FileHandle, position: u64, looked_up: bool, fill: Fill<'_>) -> Answer<()> {
        match self.nodes().get(inode.0) {
            Some(node) if node.nameless => return Ok(()),
            Some(node) if node.is_upper() => {}
            _ => {
                let shown = &mut |next: u64, name: &[u8], attr: &Attr| fill(next, name, &self.lower_attr(*attr));
                return self.lower.list(inode, handle, position, looked_up, shown);
            }
        }
        self.list_merged(inode.0, handle, position, looked_up, fill)
    }

    fn xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<Cow<'_, [u8]>> {
        self.xattr_value(inode, name).map(Cow::Owned)
    }

    fn xattr_names(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        self.xattr_list(inode)
    }

    fn seek(&self, inode: INodeNo, handle: FileHandle, offset: u64, hole: bool) -> Answer<u64> {
        if self.writeback {
            // What the kernel has collected and not yet written is not to be taken for a hole: then all is data.
            return Err(Errno::ENOSYS);
        }
        let source = self.source(&mut self.nodes(), inode.0)?;
        match source {
            Ok(file) => file::seek(&*file, offset, hole),
            Err(lower) => self.lower.seek(lower, handle, offset, hole),
        }
    }

    fn sizes(&self) -> Sizes {
        fstatvfs(&*self.top).map_or(Sizes::default(), |fs| Sizes {
            bytes: fs.blocks().saturating_mul(fs.fragment_size()),
            free: fs.blocks_free().saturating_mul(fs.fragment_size()),
            available: fs.blocks_available().saturating_mul(fs.fragment_size()),
            files: fs.files(),
            free_files: fs.files_free(),
        })
    }

    fn names(&self, inode: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>> {
        let nodes = self.nodes();
        match nodes.get(inode.0) {
            Some(node) => Ok(node.names.iter().map(|(parent, name)| (INodeNo(*parent), name.to_vec())).collect()),
            None => self.lower.names(inode),
        }
    }

    fn hold(&self, inode: INodeNo) {
        self.nodes().looked_up(inode.0);
    }

    fn change(&self, caller: Caller, change: &Change<'_>, wait: bool, out: &mut Vec<u8>) -> Answer<()> {
        let entry = |out: &mut Vec<u8>, attr: Attr| wire::put_entry(out, &attr, self.lifetime());
        if !wait && self.takes_long(change) {
            return Err(Errno::EAGAIN);
        }
        match *change {
            Change::Make { at, mode, device } => entry(out, self.make(caller, at, Wish { device, ..mode.into() })?),
            Change::Directory { at, mode } => entry(out, self.make(caller, at, mode.into())?),
            Change::Symlink { at, target } => {
                let mode = crate::serve::change::Mode { mode: libc::S_IFLNK | 0o777, umask: 0 };
                entry(out, self.make(caller, at, Wish { target, ..mode.into() })?);
            }
            Change::Nameless { parent, mode } => {
                entry(out, self.make_nameless(caller, parent, mode)?);
                wire::put_opened(out, FileHandle(0), fuser::FopenFlags::FOPEN_KEEP_CACHE);
            }
            Change::Link { inode, at } => entry(out, self.link(inode, at, wait)?),
            Change::Unlink { at } => self.unlink(at, wait)?,
            Change::RemoveDirectory { at } => self.remove_directory(at)?,
            Change::Rename { from, to, flags } => self.rename(caller, from, to, flags, wait)?,
            Change::Set { inode, attributes } => {
                wire::put_attr(out, &self.set(caller, inode, &attributes, wait)?, self.lifetime());
            }
            Change::Write { inode, offset, data, drops_set_id } => {
                wire::put_written(out, self.write(inode.0, offset, data, drops_set_id, wait)? as u32);
            }
            Change::Allocate { extent, mode } => self.allocate(extent, mode)?,
            Change::CopyRange { from, to, offset } => wire::put_written(out, self.copy_range(from, to, offset)?),
            Change::Sync { inode, data_only } => self.sync(inode.0, data_only)?,
            Change::SyncDirectory { inode } => self.sync_directory(inode.0)?,
            Change::SetXattr { inode, name, value, flags, drops_set_group_id } => {
                self.set_xattr(inode, name, value, flags, drops_set_group_id)?;
            }
            Change::RemoveXattr { inode, name } => self.remove_xattr(inode, name)?,
        }
        Ok(())
    }
}

impl<L: View> Union<L> {
    /// Whether a change is one that others should not have to wait for, whatever it is about: syncing, large copies.
    fn takes_long(&self, change: &Change<'_>) -> bool {
        let absent = |id: Id| self.nodes().upper(id).is_none();
        match change {
            Change::Sync { .. } | Change::SyncDirectory { .. } => self.durability != super::Durability::Volatile,
            Change::Allocate { .. } | Change::CopyRange { .. } => true,
            Change::SetXattr { inode, .. } | Change::RemoveXattr { inode, .. } => absent(inode.0),
            _ => false,
        }
    }
}
