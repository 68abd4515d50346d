//! Setting attributes: mode, owner, size and times.

use fuser::INodeNo;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::nodes::{Id, Nodes, ROOT};
use super::place::Place;
use super::raise::Content;
use super::xattrs::{ACL_ACCESS, CAPABILITY};
use super::{Union, recorded_below, work};
use crate::acl::Acl;
use crate::serve::change::{Attributes, Caller, When};
use crate::serve::view::{Answer, Attr, View};
use crate::upper::record::Record;
use crate::upper::{self, Ownership};

impl<L: View> Union<L> {
    /// Sets attributes of an inode, and returns them all.
    pub(super) fn set(&self, caller: Caller, inode: INodeNo, wanted: &Attributes, wait: bool) -> Answer<Attr> {
        let id = inode.0;
        if wanted.is_empty() {
            return self.chown_to_nobody_else(caller, id, wait);
        }
        self.raise(id, wanted.size.map_or(Content::Attributes, Content::UpTo), wait)?;
        let mut nodes = self.nodes();
        if let Some(size) = wanted.size {
            if nodes.node(id)?.stands_for_another {
                return Err(Errno::EINVAL);
            }
            let file = self.file_in(&mut nodes, id)?;
            nix::unistd::ftruncate(&*file, i64::try_from(size).map_err(|_| Errno::EFBIG)?)?;
        }
        let before = self.record(&mut nodes, id)?;
        let mut after = before;
        let image = |id: Option<u32>, inverse: &dyn Fn(u32) -> Option<u32>| match id {
            Some(id) => inverse(id).map(Some).ok_or(Errno::EOVERFLOW),
            None => Ok(None),
        };
        let uid = image(wanted.uid, &|id| self.owners.image_uid(id))?;
        let gid = image(wanted.gid, &|id| self.owners.image_gid(id))?;
        if let Some(mode) = wanted.mode {
            after.mode = before.mode & libc::S_IFMT | mode & 0o7777;
        }
        let is_file = before.mode & libc::S_IFMT != libc::S_IFDIR;
        let is_given = (uid, gid) != (None, None) && is_file;
        if is_given || wanted.drops_set_id && before.mode & libc::S_IFMT == libc::S_IFREG {
            after.mode = without_set_id(after.mode);
        }
        (after.uid, after.gid) = (uid.unwrap_or(before.uid), gid.unwrap_or(before.gid));
        if is_file && ((uid, gid) != (None, None) || wanted.size.is_some()) {
            self.drop_capabilities(&mut nodes, id)?;
        }
        if after != before || uid.is_some() || gid.is_some() || wanted.mode.is_some() {
            self.change_record(&mut nodes, id, before, after)?;
        }
        if wanted.atime.is_some() || wanted.mtime.is_some() {
            let place = self.place_or_file(&nodes, id)?;
            work::set_times(&place, &time(wanted.atime), &time(wanted.mtime))?;
        }
        self.attr(&mut nodes, id)
    }

    /// A request for nothing is what the kernel makes of chown(2) with -1 for both, which takes set-id bits away all the same; and of a
    /// write, before that is asked for by itself. It has not asked whether the caller may do the former: so only the owner and root can.
    fn chown_to_nobody_else(&self, caller: Caller, id: Id, wait: bool) -> Answer<Attr> {
        let (before, after) = {
            let mut nodes = self.nodes();
            let before = match nodes.upper(id) {
                Some(_) => self.record(&mut nodes, id)?,
                None => recorded_below(&self.lower.attributes(INodeNo(id))?),
            };
            (before, Record { mode: without_set_id(before.mode), ..before })
        };
        let caller = self.owners.image_uid(caller.uid);
        if after != before && (caller == Some(0) || caller == Some(before.uid)) {
            self.raise(id, Content::Attributes, wait)?;
            self.drop_set_id(id)?;
        }
        self.attributes(INodeNo(id))
    }

    /// The best way to a file: by its descriptor, if it is open.
    pub(super) fn place_or_file(&self, nodes: &Nodes, id: Id) -> Answer<Place> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        match &node.file {
            // One that was opened for its number alone can do nothing else.
            Some(file) if node.kind == libc::S_IFREG && !node.stands_for_another => Ok(Place::open(file.clone())),
            _ => self.place_of(nodes, id),
        }
    }

    /// Changes owner, group or permissions.
    pub(super) fn change_record(&self, nodes: &mut Nodes, id: Id, before: Record, after: Record) -> Answer<()> {
        let place = self.place_or_file(nodes, id)?;
        let other = nodes.node(id)?.stands_for_another;
        if after.mode & 0o777 != before.mode & 0o777 {
            self.adjust_acl(nodes, &place, id, after.mode)?;
        }
        if self.ownership == Ownership::Native && !other {
            self.change_host(&place, before, after)?;
            nodes.node(id)?.record = None;
            return Ok(());
        }
        let is_link = after.mode & libc::S_IFMT == libc::S_IFLNK;
        if is_link && !other && after.must_be_said() {
            return self.write_link_down(nodes, id, &place, after);
        }
        let mode_changes = !other && !is_link && after.on_host() != before.on_host();
        // The order matters to a server that is killed in between: nothing is ever more open than before and after.
        if mode_changes {
            work::set_mode(&place, after.on_host())?;
        }
        if after.must_be_said() || other || id == ROOT {
            self.marks.set(place.at(), upper::record::NAME, after.to_string().as_bytes())?;
        } else if before.must_be_said() {
            match self.marks.remove(place.at(), upper::record::NAME) {
                Err(Errno::ENODATA) => {}
                removed => removed?,
            }
        } else if !mode_changes {
            // As chmod(2) and chown(2) that change nothing do: the change time says that they were called.
            work::set_owner(&place, None, None)?;
        }
        nodes.node(id)?.record = Some(after);
        Ok(())
    }

    fn change_host(&self, place: &Place, before: Record, after: Record) -> Answer<()> {
        let changed = |before: u32, after: u32| (before != after).then_some(after);
        let (uid, gid) = (changed(before.uid, after.uid), changed(before.gid, after.gid));
        if (uid, gid) != (None, None) {
            work::set_owner(place, uid, gid)?;
        }
        if after.mode & libc::S_IFMT == libc::S_IFLNK {
            return Ok(());
        }
        // chown(2) takes set-id bits away, and may take more of them than it should.
        work::set_mode(place, after.mode)
    }

    /// A symbolic link has no attributes on the host: one that must say something becomes a file that holds its target.
    fn write_link_down(&self, nodes: &mut Nodes, id: Id, place: &Place, record: Record) -> Answer<()> {
        let target = nix::fcntl::readlinkat(place.dir(), place.path())?;
        let status = sys::statx::statx(place.dir(), place.name())?;
        let new = super::make::New {
            record,
            target: std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str()),
            acls: [None, None],
        };
        let names = nodes.node(id)?.names.clone();
        let first = self.work.fresh();
        let made = self.make_at(&first, &new)?;
        work::keep_times(&first, &status)?;
        for (parent, name) in names.iter().skip(1) {
            let fresh = self.work.fresh();
            let goal = self.place(nodes, *parent, name)?;
            work::link(&first, &fresh)?;
            self.work.settle_over(&fresh, &goal)?;
        }
        self.work.settle_over(&first, place).inspect_err(|_| self.work.discard(&first))?;
        nodes.moved(id, made.status.inode);
        let node = nodes.node(id)?;
        (node.record, node.stands_for_another, node.file) = (Some(record), true, None);
        Ok(())
    }

    /// An access ACL follows the mode. (The host's filesystem does so for one that it knows.)
    fn adjust_acl(&self, nodes: &mut Nodes, place: &Place, id: Id, mode: u32) -> Answer<()> {
        let node = nodes.node(id)?;
        if self.ownership == Ownership::Native || node.stands_for_another || node.kind == libc::S_IFLNK {
            return Ok(());
        }
        let name = self.stored_name(ACL_ACCESS)?;
        let value = match self.marks.get(place.at(), &name) {
            Err(Errno::ENODATA) => return Ok(()),
            value => value?,
        };
        if let Some(mut acl) = Acl::parse(&value)? {
            acl.chmod(mode);
            self.marks.set(place.at(), &name, &acl.to_bytes())?;
        }
        Ok(())
    }

    /// What a write, a truncation or a chown takes from a file.
    pub(super) fn drop_capabilities(&self, nodes: &mut Nodes, id: Id) -> Answer<()> {
        let node = nodes.node(id)?;
        if node.no_capabilities || node.stands_for_another || node.kind != libc::S_IFREG {
            return Ok(());
        }
        let place = self.place_or_file(nodes, id)?;
        let name = self.stored_name(CAPABILITY)?;
        match self.marks.remove(place.at(), &name) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
            // An ordinary user may not remove it from his own file, also where there is nothing to remove.
            Err(Errno::EPERM) if self.marks.get(place.at(), &name) == Err(Errno::ENODATA) => {}
            removed => removed?,
        }
        nodes.node(id)?.no_capabilities = true;
        Ok(())
    }

    /// After a write by somebody without CAP_FSETID.
    pub(super) fn drop_set_id(&self, id: Id) -> Answer<()> {
        let mut nodes = self.nodes();
        let before = self.record(&mut nodes, id)?;
        let after = Record { mode: without_set_id(before.mode), ..before };
        if after == before { Ok(()) } else { self.change_record(&mut nodes, id, before, after) }
    }

    /// What an inode says of its owner, where nothing of it is squashed, as text: `UID GID MODE`.
    pub(super) fn owner_text(&self, id: Id) -> Answer<Vec<u8>> {
        let mut nodes = self.nodes();
        let Record { uid, gid, mode, .. } = if nodes.upper(id).is_some() {
            self.record(&mut nodes, id)?
        } else {
            recorded_below(&self.lower.attributes(INodeNo(id))?)
        };
        Ok(format!("{uid} {gid} {mode:o}").into_bytes())
    }

    /// Records an owner, where the mount's namespace has no number for him: `UID GID`, -1 for what stays.
    pub(super) fn set_owner_text(&self, inode: INodeNo, value: &[u8]) -> Answer<()> {
        let text = std::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
        let (uid, gid) = text.split_once(' ').ok_or(Errno::EINVAL)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| Errno::EINVAL);
        let (uid, gid) = (number(uid)?, number(gid)?);
        self.raise(inode.0, Content::Attributes, true)?;
        let mut nodes = self.nodes();
        let before = self.record(&mut nodes, inode.0)?;
        let mut after = before;
        let stays = |wanted: u32, is: u32| if wanted == u32::MAX { is } else { wanted };
        (after.uid, after.gid) = (stays(uid, before.uid), stays(gid, before.gid));
        if before.mode & libc::S_IFMT != libc::S_IFDIR {
            after.mode = without_set_id(before.mode);
            self.drop_capabilities(&mut nodes, inode.0)?;
        }
        self.change_record(&mut nodes, inode.0, before, after)
    }
}

/// A mode after a write or chown by somebody who may not keep the bits: set-group-ID without execution by the group means something else.
fn without_set_id(mode: u32) -> u32 {
    let group = if mode & libc::S_IXGRP == 0 { 0 } else { libc::S_ISGID };
    if mode & libc::S_IFMT == libc::S_IFDIR { mode } else { mode & !(libc::S_ISUID | group) }
}

fn time(when: Option<When>) -> TimeSpec {
    match when {
        None => TimeSpec::UTIME_OMIT,
        Some(When::Now) => TimeSpec::UTIME_NOW,
        Some(When::At(time)) => TimeSpec::new(time.secs, time.nanos.into()),
    }
}
