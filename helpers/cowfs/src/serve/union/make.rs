//! What is made new: files, directories, links, and files without a name.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode as Permissions, SFlag, makedev, mkdirat, mknodat};
use nix::unistd::{LinkatFlags, linkat, symlinkat};
use sys::statx::{Status, statx};

use super::nodes::{Id, Name as Known, Node, Nodes};
use super::place::Place;
use super::raise::Content;
use super::{Over, Union, work};
use crate::acl::Acl;
use crate::error::errno;
use crate::owners::NOBODY;
use crate::serve::change::{Caller, Mode, Name};
use crate::serve::view::{Answer, Attr, View};
use crate::upper::marks::At;
use crate::upper::record::Record;
use crate::upper::{self, Ownership};

/// The longest name that a file can have.
const NAME_MAX: usize = crate::layer::NAME_MAX;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub mode: Mode,
    pub device: (u32, u32),
    /// Of a symbolic link.
    pub target: &'a [u8],
}

impl From<Mode> for Wish<'_> {
    fn from(mode: Mode) -> Self {
        Wish { mode, device: (0, 0), target: b"" }
    }
}

/// Something to be made.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub record: Record,
    /// Of a symbolic link.
    pub target: &'a [u8],
    /// ACLs that it gets from its directory, where they have to be kept by us: access and default.
    pub acls: [Option<Vec<u8>>; 2],
}

/// A name that something can be made under.
struct Free {
    /// It is a whiteout.
    whiteout: bool,
    /// What the lower directory has under it.
    over: Option<Over>,
}

/// Something that was made.
pub struct Made {
    pub status: Status,
    /// Its type is only recorded.
    pub other: bool,
    pub file: Option<Arc<File>>,
}

impl<L: View> Union<L> {
    /// Makes a file, directory, device, fifo, socket or symbolic link.
    pub(super) fn make(&self, caller: Caller, at: Name<'_>, wish: Wish<'_>) -> Answer<Attr> {
        let mut nodes = self.nodes();
        let parent = at.parent.0;
        self.raise_dir(&mut nodes, parent)?;
        let Free { whiteout, over } = self.free(&mut nodes, parent, at.name)?;
        let new = self.new_in(&mut nodes, caller, parent, wish)?;
        let place = self.place(&nodes, parent, at.name)?;
        let is_dir = new.record.mode & libc::S_IFMT == libc::S_IFDIR;
        let kind = new.record.mode & libc::S_IFMT;
        // What would be another thing without its record must not be seen without it, should the server be killed.
        let in_steps = self.ownership == Ownership::Recorded
            && new.record.must_be_said()
            && !matches!(kind, libc::S_IFREG | libc::S_IFDIR);
        let made = if whiteout || in_steps {
            let fresh = self.work.fresh();
            let mut made = self.make_at(&fresh, &new)?;
            let settled = if !whiteout {
                self.work.settle(&fresh, &place)
            } else if is_dir {
                self.mark_opaque(fresh.at()).and_then(|()| self.exchange_for_whiteout(&fresh, &place))
            } else {
                self.work.settle_over(&fresh, &place)
            };
            settled.inspect_err(|_| self.work.discard(&fresh))?;
            // The rename was a change. An older time in the answer would seem to change later, by itself.
            made.status.ctime = statx(place.dir(), place.name()).map_or(made.status.ctime, |status| status.ctime);
            made
        } else {
            self.make_at(&place, &new)?
        };
        let id = nodes.id_of(made.status.inode);
        let name: Known = at.name.into();
        let node = Node {
            lookups: 1,
            names: vec![(parent, name.clone())].into(),
            inode: made.status.inode,
            kind: new.record.mode & libc::S_IFMT,
            record: Some(super::recorded(&made.status)),
            stands_for_another: made.other,
            no_capabilities: true,
            ..Node::default()
        };
        nodes.insert(id, node);
        if let Some(file) = &made.file {
            nodes.keep_open(id, file);
        }
        self.dir(&mut nodes, parent)?.put(&name, Some(id), is_dir, over);
        Ok(self.shown(id, &made.status))
    }

    /// Makes a file that has no name.
    pub(super) fn make_nameless(&self, caller: Caller, parent: INodeNo, mode: Mode) -> Answer<Attr> {
        let mut nodes = self.nodes();
        self.raise_dir(&mut nodes, parent.0)?;
        let new = self.new_in(&mut nodes, caller, parent.0, mode.into())?;
        // One that had a name and lost it could never get another (linkat(2)).
        let host = if self.ownership == Ownership::Recorded { new.record.on_host() } else { new.record.mode & 0o7777 };
        let file = Arc::new(self.work.nameless(host)?);
        let made = self.furnish(&Place::open(file.clone()), &new, (Some(file.clone()), false))?;
        let id = nodes.id_of(made.status.inode);
        let node = Node {
            lookups: 1,
            inode: made.status.inode,
            kind: libc::S_IFREG,
            record: Some(super::recorded(&made.status)),
            file: Some(file),
            nameless: true,
            no_capabilities: true,
            ..Node::default()
        };
        nodes.insert(id, node);
        self.attr(&mut nodes, id)
    }

    /// Gives an inode one more name.
    pub(super) fn link(&self, inode: INodeNo, at: Name<'_>, wait: bool) -> Answer<Attr> {
        self.raise(inode.0, Content::Attributes, wait)?;
        let mut nodes = self.nodes();
        let (id, parent) = (inode.0, at.parent.0);
        self.raise_dir(&mut nodes, parent)?;
        let Free { whiteout, over } = self.free(&mut nodes, parent, at.name)?;
        let place = self.place(&nodes, parent, at.name)?;
        let target = if whiteout { self.work.fresh() } else { place.clone() };
        self.link_at(&nodes, id, &target)?;
        if whiteout {
            self.work.settle_over(&target, &place).inspect_err(|_| self.work.discard(&target))?;
        }
        let name: Known = at.name.into();
        nodes.named(id, parent, &name);
        nodes.looked_up(id);
        self.dir(&mut nodes, parent)?.put(&name, Some(id), false, over);
        self.attr(&mut nodes, id)
    }

    /// Links the file of an inode to a place where nothing is.
    pub(super) fn link_at(&self, nodes: &Nodes, id: Id, to: &Place) -> Answer<()> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        if node.names.is_empty() {
            let file = node.file.as_ref().ok_or(Errno::ENOENT)?;
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            return linkat(AT_FDCWD, path.as_str(), to.dir(), to.path(), LinkatFlags::AT_SYMLINK_FOLLOW);
        }
        let from = self.place_of(nodes, id)?;
        work::link(&from, to)
    }

    /// What a name that something is to be made under is now. `EEXIST` where it can be seen.
    fn free(&self, nodes: &mut Nodes, parent: Id, name: &[u8]) -> Answer<Free> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if nodes.node(parent)?.nameless {
            return Err(Errno::ENOENT);
        }
        let whiteout = match self.dir(nodes, parent)?.get(name) {
            Some(slot) if !slot.whiteout => return Err(Errno::EEXIST),
            slot => slot.is_some(),
        };
        let over = self.over(nodes, parent, name)?;
        if over.is_some() && !whiteout { Err(Errno::EEXIST) } else { Ok(Free { whiteout, over }) }
    }

    /// What something made in a directory is like.
    fn new_in<'a>(&self, nodes: &mut Nodes, caller: Caller, parent: Id, wish: Wish<'a>) -> Answer<New<'a>> {
        let Wish { mode, device, target } = wish;
        let above = self.record(nodes, parent)?;
        // Whoever furnishes a container that he has no id in gives away next what he has made.
        let uid = self.owners.image_uid(caller.uid).unwrap_or(NOBODY);
        let mut gid = self.owners.image_gid(caller.gid).unwrap_or(NOBODY);
        let kind = mode.mode & libc::S_IFMT;
        let mut permissions = mode.mode & 0o7777;
        if above.mode & libc::S_ISGID != 0 {
            gid = above.gid;
            if kind == libc::S_IFDIR {
                permissions |= libc::S_ISGID;
            }
        }
        let default = if kind == libc::S_IFLNK { None } else { self.default_acl(nodes, parent)? };
        let mut acls = [None, None];
        match default {
            None => permissions &= !(mode.umask & 0o777),
            Some(default) => {
                if let Some(acl) = Acl::parse(&default)? {
                    let (inherited, access) = acl.inherited(permissions);
                    permissions = inherited;
                    acls = [access.map(|acl| acl.to_bytes()), (kind == libc::S_IFDIR).then_some(default)];
                }
            }
        }
        let mode = kind | if kind == libc::S_IFLNK { 0o777 } else { permissions };
        Ok(New { record: Record { uid, gid, mode, device }, target, acls })
    }

    /// The default ACL of a directory of the upper side, as the image numbers users.
    fn default_acl(&self, nodes: &mut Nodes, id: Id) -> Answer<Option<Vec<u8>>> {
        if let Some(known) = &self.dir(nodes, id)?.default_acl {
            return Ok(known.clone());
        }
        let place = self.place_of(nodes, id)?;
        let found = match self.marks.get(place.at(), &self.stored_name(super::xattrs::ACL_DEFAULT)?) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => None,
            found => Some(found?),
        };
        self.dir(nodes, id)?.default_acl = Some(found.clone());
        Ok(found)
    }

    /// Makes something at a place where nothing is.
    pub(super) fn make_at(&self, place: &Place, new: &New<'_>) -> Answer<Made> {
        let made = self.make_bare(place, new)?;
        self.furnish(place, new, made).inspect_err(|_| self.work.discard(place))
    }

    fn make_bare(&self, place: &Place, new: &New<'_>) -> Answer<(Option<Arc<File>>, bool)> {
        let recorded = self.ownership == Ownership::Recorded;
        let Record { mode, device, .. } = new.record;
        let host = Permissions::from_bits_truncate(if recorded { new.record.on_host() } else { mode & 0o7777 });
        match mode & libc::S_IFMT {
            libc::S_IFREG => return Ok((Some(create(place, host)?), false)),
            libc::S_IFDIR => mkdirat(place.dir(), place.path(), host)?,
            libc::S_IFLNK if !recorded || !new.record.must_be_said() => {
                symlinkat(std::ffi::OsStr::new(os(new.target)), place.dir(), place.path())?;
            }
            libc::S_IFLNK => {
                let file = create(place, Permissions::from_bits_truncate(0o600))?;
                std::io::Write::write_all(&mut &*file, new.target).map_err(|error| errno(&error))?;
                return Ok((Some(file), true));
            }
            kind => {
                // A device 0:0 would be a whiteout.
                let possible = !recorded && (kind, device) != (libc::S_IFCHR, (0, 0));
                let number = makedev(device.0.into(), device.1.into());
                let native =
                    possible.then(|| mknodat(place.dir(), place.path(), SFlag::from_bits_truncate(kind), host, number));
                match native {
                    None | Some(Err(Errno::EPERM)) => {
                        return Ok((Some(create(place, Permissions::from_bits_truncate(0o600))?), true));
                    }
                    Some(made) => made?,
                }
            }
        }
        Ok((None, false))
    }

    fn furnish(&self, place: &Place, new: &New<'_>, made: (Option<Arc<File>>, bool)) -> Answer<Made> {
        let (file, other) = made;
        let at = file.as_ref().map_or(place.at(), |file| At::file(&**file));
        if self.ownership == Ownership::Recorded && new.record.must_be_said() || other {
            self.marks.set(at, upper::record::NAME, new.record.to_string().as_bytes())?;
        }
        let mut status = statx(at.dir, at.name)?;
        let Record { uid, gid, mode, .. } = new.record;
        let is_native = self.ownership == Ownership::Native && !other;
        let mut changed = false;
        if is_native {
            if (status.uid, status.gid) != (uid, gid) {
                work::set_owner(place, Some(uid), Some(gid))?;
                changed = true;
            }
            // The host's mkdir(2) takes no set-group-ID bit, and chown(2) takes it away.
            let differs =
                (status.mode ^ mode) & 0o7777 != 0 || (status.uid, status.gid) != (uid, gid) && mode & 0o6000 != 0;
            if differs && mode & libc::S_IFMT != libc::S_IFLNK {
                work::set_mode(place, mode)?;
                changed = true;
            }
        }
        for (name, acl) in [super::xattrs::ACL_ACCESS, super::xattrs::ACL_DEFAULT].into_iter().zip(&new.acls) {
            if let Some(acl) = acl {
                self.marks.set(at, &self.stored_name(name)?, acl)?;
                changed = true;
            }
        }
        if changed {
            status.ctime = statx(at.dir, at.name)?.ctime;
        }
        new.record.apply(&mut status, other);
        Ok(Made { status, other, file: file.filter(|_| !other) })
    }

    /// What an inode of the upper side says of its owner and permissions.
    pub(super) fn record(&self, nodes: &mut Nodes, id: Id) -> Answer<Record> {
        match nodes.node(id)?.record {
            Some(record) => Ok(record),
            None => self.status(nodes, id).map(|status| super::recorded(&status)),
        }
    }
}

fn create(place: &Place, mode: Permissions) -> Answer<Arc<File>> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(Arc::new(openat(place.dir(), place.path(), flags, mode)?.into()))
}

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}
