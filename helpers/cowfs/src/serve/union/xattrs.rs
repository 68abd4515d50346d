//! Extended attributes, as they are seen through the mount.
//!
//! Those of the user (`user.*`) are the file's own on the host. Others (ACLs, capabilities) are so only where owners are
//! the host's too; else they are kept under a name of ours. What says something to an overlay or to this
//! filesystem is neither shown nor taken.

use std::borrow::Cow;
use std::ffi::CString;

use fuser::INodeNo;
use nix::errno::Errno;

pub(super) use crate::acl::{ACCESS as ACL_ACCESS, DEFAULT as ACL_DEFAULT};
pub(super) use crate::layer::CAPABILITY;

use super::Union;
use super::devices::DEVICE;
use super::nodes::{Id, Nodes};
use super::raise::Content;
use crate::acl::Acl;
use crate::serve::view::{Answer, View, c_string};
use crate::upper::Ownership;

/// What other names are kept under.
const PREFIX: &[u8] = b"user.cowfs.";

/// Owner and group of an inode, where the mount's namespace has no numbers for them.
const OWNER: &[u8] = b"system.cowfs.owner";

/// setxattr(2)
const XATTR_CREATE: i32 = 1;
const XATTR_REPLACE: i32 = 2;

impl<L: View> Union<L> {
    /// The name on the host of an attribute that is seen through the mount.
    pub(super) fn stored_name(&self, name: &[u8]) -> Answer<CString> {
        match self.ownership {
            Ownership::Recorded if !name.starts_with(b"user.") => c_string(&[PREFIX, name].concat()),
            _ => c_string(name),
        }
    }

    pub(super) fn xattr_value(&self, inode: INodeNo, name: &[u8]) -> Answer<Vec<u8>> {
        if name == OWNER && self.squashed {
            return self.owner_text(inode.0);
        }
        if !is_known(name) {
            return Err(if is_reserved(name) { Errno::ENODATA } else { Errno::EOPNOTSUPP });
        }
        let mut nodes = self.nodes();
        let value = match nodes.get(inode.0) {
            Some(node) if node.is_upper() => {
                // Asked before the first write to each file, and at each chown.
                let known_to_have_none = name == CAPABILITY && node.no_capabilities;
                if known_to_have_none || !node.carries_xattrs() {
                    return Err(Errno::ENODATA);
                }
                let place = self.place_or_file(&nodes, inode.0)?;
                match self.marks.get(place.at(), &self.stored_name(name)?) {
                    Err(Errno::EOPNOTSUPP | Errno::ENODATA) => {
                        nodes.node(inode.0)?.no_capabilities |= name == CAPABILITY;
                        return Err(Errno::ENODATA);
                    }
                    value => value?,
                }
            }
            _ => {
                drop(nodes);
                self.lower.xattr(inode, name)?.into_owned()
            }
        };
        self.value_out(name, value)
    }

    fn value_out(&self, name: &[u8], value: Vec<u8>) -> Answer<Vec<u8>> {
        if name == CAPABILITY && self.ownership == Ownership::Recorded {
            return Ok(self.owners.capability(&value));
        }
        if is_acl(name)
            && self.ownership == Ownership::Recorded
            && let Some(acl) = Acl::parse(&value)?
        {
            return Ok(acl.translated(|id| self.owners.uid(id), |id| self.owners.gid(id)).to_bytes());
        }
        Ok(value)
    }

    pub(super) fn xattr_list(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        let nodes = self.nodes();
        let names: Vec<Vec<u8>> = match nodes.get(inode.0) {
            Some(node) if node.is_upper() => {
                if !node.carries_xattrs() {
                    return Ok(Vec::new());
                }
                let place = self.place_or_file(&nodes, inode.0)?;
                self.marks.names(place.at())?
            }
            _ => {
                drop(nodes);
                return self.lower.xattr_names(inode);
            }
        };
        let seen = names.into_iter().filter_map(|name| match name.strip_prefix(PREFIX) {
            Some(kept) if is_known(kept) && !kept.starts_with(b"user.") => Some(kept.to_vec()),
            Some(_) => None,
            None => is_known(&name).then_some(name),
        });
        Ok(seen.flat_map(|name| [&name[..], b"\0"].concat()).collect())
    }

    pub(super) fn set_xattr(
        &self,
        inode: INodeNo,
        name: &[u8],
        value: &[u8],
        flags: i32,
        drops_set_group_id: bool,
    ) -> Answer<()> {
        if name == OWNER && self.squashed {
            return self.set_owner_text(inode, value);
        }
        if name == DEVICE && self.squashed {
            return self.make_device(inode, value);
        }
        self.may_be_set(name)?;
        self.raise(inode.0, Content::Attributes, true)?;
        let mut nodes = self.nodes();
        let place = match self.marked_place(&nodes, inode.0) {
            Err(Errno::EPERM) if name == ACL_ACCESS => {
                return self.set_mode_by_acl(&mut nodes, inode.0, value, drops_set_group_id);
            }
            place => place?,
        };
        let stored = self.stored_name(name)?;
        if flags != 0 {
            match self.marks.get(place.at(), &stored) {
                Ok(_) if flags & XATTR_CREATE != 0 => return Err(Errno::EEXIST),
                Err(Errno::ENODATA) if flags & XATTR_REPLACE != 0 => return Err(Errno::ENODATA),
                Ok(_) | Err(Errno::ENODATA) => {}
                Err(errno) => return Err(errno),
            }
        }
        if is_acl(name) {
            return self.set_acl(&mut nodes, inode.0, name, value, drops_set_group_id);
        }
        let value = if name == CAPABILITY { self.owners.image_capability(value) } else { Cow::Borrowed(value) };
        self.marks.set(place.at(), &stored, &value)?;
        if name == CAPABILITY {
            nodes.node(inode.0)?.no_capabilities = false;
        }
        Ok(())
    }

    fn set_acl(&self, nodes: &mut Nodes, id: Id, name: &[u8], value: &[u8], drops_set_group_id: bool) -> Answer<()> {
        if name == ACL_DEFAULT && nodes.node(id)?.kind != libc::S_IFDIR {
            return if value.len() > 4 { Err(Errno::EACCES) } else { Ok(()) };
        }
        let place = self.marked_place(nodes, id)?;
        let stored = self.stored_name(name)?;
        let acl = Acl::parse(value)?;
        if name == ACL_DEFAULT {
            self.dir(nodes, id)?.default_acl = None;
        }
        let before = self.record(nodes, id)?;
        let mut after = before;
        if name == ACL_ACCESS
            && let Some(acl) = &acl
        {
            after.mode = before.mode & !0o777 | acl.permissions();
            if drops_set_group_id {
                after.mode &= !libc::S_ISGID;
            }
        }
        if self.ownership == Ownership::Native {
            // The host's filesystem does the rest.
            self.marks.set(place.at(), &stored, value)?;
            if drops_set_group_id && before.mode & libc::S_ISGID != 0 {
                super::work::set_mode(&place, after.mode)?;
            }
            nodes.node(id)?.record = None;
            return Ok(());
        }
        let inverse = |id: Option<u32>| id.unwrap_or(u32::MAX);
        let image = |acl: &Acl| {
            acl.translated(|id| inverse(self.owners.image_uid(id)), |id| inverse(self.owners.image_gid(id)))
        };
        let says_more = acl.as_ref().filter(|acl| name == ACL_DEFAULT || acl.equivalent_mode().is_none());
        // A mode is changed first: it changes an ACL that is there.
        if after != before {
            self.change_record(nodes, id, before, after)?;
        }
        let kept = match says_more {
            Some(acl) => self.marks.set(place.at(), &stored, &image(acl).to_bytes()),
            None => match self.marks.remove(place.at(), &stored) {
                Err(Errno::ENODATA) => Ok(()),
                removed => removed,
            },
        };
        kept.inspect_err(|_| {
            if after != before {
                // All of it, or nothing.
                let _ = self.change_record(nodes, id, after, before);
            }
        })
    }

    /// Of a file that can keep no attributes: an ACL that says as much as a mode is one, as cp(1) sets it on what it copies.
    fn set_mode_by_acl(&self, nodes: &mut Nodes, id: Id, value: &[u8], drops_set_group_id: bool) -> Answer<()> {
        let Some(acl) = Acl::parse(value)? else { return Ok(()) };
        let permissions = acl.equivalent_mode().ok_or(Errno::EPERM)?;
        let before = self.record(nodes, id)?;
        let mut after = before;
        after.mode = before.mode & !0o777 | permissions;
        if drops_set_group_id {
            after.mode &= !libc::S_ISGID;
        }
        if after == before { Ok(()) } else { self.change_record(nodes, id, before, after) }
    }

    pub(super) fn remove_xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<()> {
        self.may_be_set(name)?;
        self.raise(inode.0, Content::Attributes, true)?;
        let mut nodes = self.nodes();
        let place = self.marked_place(&nodes, inode.0)?;
        let removed = self.marks.remove(place.at(), &self.stored_name(name)?);
        if is_acl(name) {
            if name == ACL_DEFAULT && nodes.node(inode.0)?.kind == libc::S_IFDIR {
                self.dir(&mut nodes, inode.0)?.default_acl = None;
            }
            nodes.node(inode.0)?.record = nodes.node(inode.0)?.record.filter(|_| self.ownership == Ownership::Recorded);
            // Nothing to remove is as good as removed, for an ACL.
            return if removed == Err(Errno::ENODATA) { Ok(()) } else { removed };
        }
        removed
    }

    /// A place whose file can have attributes.
    fn marked_place(&self, nodes: &Nodes, id: Id) -> Answer<super::place::Place> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        if !node.carries_xattrs() {
            return Err(Errno::EPERM);
        }
        self.place_or_file(nodes, id)
    }

    fn may_be_set(&self, name: &[u8]) -> Answer<()> {
        match name {
            _ if is_reserved(name) => Err(Errno::EPERM),
            _ if is_known(name) => Ok(()),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
}

fn is_acl(name: &[u8]) -> bool {
    name == ACL_ACCESS || name == ACL_DEFAULT
}

/// Whether an attribute says something to an overlay or to this filesystem.
fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"user.overlay.") || name.starts_with(PREFIX)
}

/// Whether files can have an attribute of this name.
fn is_known(name: &[u8]) -> bool {
    let of_the_user = name.len() > 5 && name.starts_with(b"user.");
    (of_the_user && !is_reserved(name)) || name == CAPABILITY || is_acl(name)
}
