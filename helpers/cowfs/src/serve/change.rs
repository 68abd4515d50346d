//! Requests that change the filesystem, as they come from the kernel (include/uapi/linux/fuse.h).

use fuser::INodeNo;

use super::view::device_pair;
use super::wire::{Request, opcode};
use crate::bytes::{u32_at, u64_at};
use crate::layer::Time;

/// On whose behalf a request is made, in the ids of the mount's user namespace.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
}

/// Permissions of what is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Type and permissions, as in `st_mode`; the umask is not yet applied.
    pub mode: u32,
    pub umask: u32,
}

/// A directory, and a name in it.
#[derive(Clone, Copy, Debug)]
pub struct Name<'r> {
    pub parent: INodeNo,
    pub name: &'r [u8],
}

/// A time to be set.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Now,
    At(Time),
}

/// Attributes to be set; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<When>,
    pub mtime: Option<When>,
    /// Set-id bits go, as after a write by somebody without CAP_FSETID.
    pub drops_set_id: bool,
}

impl Attributes {
    /// Whether nothing is to be set.
    pub fn is_empty(&self) -> bool {
        let owner = self.uid.is_none() && self.gid.is_none();
        let times = self.atime.is_none() && self.mtime.is_none();
        owner && times && self.mode.is_none() && self.size.is_none() && !self.drops_set_id
    }
}

/// A range of a file.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub inode: INodeNo,
    pub offset: u64,
    pub length: u64,
}

/// A request that changes something.
#[derive(Clone, Copy, Debug)]
pub enum Change<'r> {
    /// A file, device, fifo or socket.
    Make {
        at: Name<'r>,
        mode: Mode,
        device: (u32, u32),
    },
    Directory {
        at: Name<'r>,
        mode: Mode,
    },
    Symlink {
        at: Name<'r>,
        target: &'r [u8],
    },
    /// A file without a name, in the filesystem of this directory.
    Nameless {
        parent: INodeNo,
        mode: Mode,
    },
    Link {
        inode: INodeNo,
        at: Name<'r>,
    },
    Unlink {
        at: Name<'r>,
    },
    RemoveDirectory {
        at: Name<'r>,
    },
    Rename {
        from: Name<'r>,
        to: Name<'r>,
        flags: u32,
    },
    Set {
        inode: INodeNo,
        attributes: Attributes,
    },
    Write {
        inode: INodeNo,
        offset: u64,
        data: &'r [u8],
        drops_set_id: bool,
    },
    Allocate {
        extent: Extent,
        mode: i32,
    },
    CopyRange {
        from: Extent,
        to: INodeNo,
        offset: u64,
    },
    Sync {
        inode: INodeNo,
        data_only: bool,
    },
    SyncDirectory {
        inode: INodeNo,
    },
    SetXattr {
        inode: INodeNo,
        name: &'r [u8],
        value: &'r [u8],
        flags: i32,
        drops_set_group_id: bool,
    },
    RemoveXattr {
        inode: INodeNo,
        name: &'r [u8],
    },
}

/// Bits of `valid` in SETATTR.
mod valid {
    pub const MODE: u32 = 1;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const ATIME_NOW: u32 = 1 << 7;
    pub const MTIME_NOW: u32 = 1 << 8;
    pub const KILL_SUIDGID: u32 = 1 << 11;
}

/// `FUSE_WRITE_KILL_SUIDGID`
const WRITE_KILL_SUIDGID: u32 = 1 << 2;
/// `FUSE_FSYNC_FDATASYNC`
const FDATASYNC: u32 = 1;
/// The length of `fuse_setxattr_in` before Linux 5.13, and since then, where FUSE_SETXATTR_EXT is agreed on.
pub const XATTR_HEAD: usize = 8;
/// See [`XATTR_HEAD`].
pub const XATTR_HEAD_LONG: usize = 16;
/// `FUSE_SETXATTR_ACL_KILL_SGID`
const ACL_KILL_SGID: u32 = 1;

impl<'r> Change<'r> {
    /// `None` where the request changes nothing, `Some(None)` where it is malformed. `xattr_head`: the length of what comes before
    /// the name in SETXATTR.
    pub fn parse(request: &Request<'r>, xattr_head: usize) -> Option<Option<Change<'r>>> {
        let known = matches!(
            request.opcode,
            opcode::MKNOD
                | opcode::MKDIR
                | opcode::SYMLINK
                | opcode::TMPFILE
                | opcode::LINK
                | opcode::UNLINK
                | opcode::RMDIR
                | opcode::RENAME
                | opcode::RENAME2
                | opcode::SETATTR
                | opcode::WRITE
                | opcode::FALLOCATE
                | opcode::COPY_FILE_RANGE
                | opcode::FSYNC
                | opcode::FSYNCDIR
                | opcode::SETXATTR
                | opcode::REMOVEXATTR
        );
        known.then(|| Change::known(request, xattr_head))
    }

    fn known(request: &Request<'r>, xattr_head: usize) -> Option<Change<'r>> {
        let Request { inode, body, .. } = *request;
        let word = |at| u32_at(body, at);
        let long = |at| u64_at(body, at);
        let at = |skip| Some(Name { parent: inode, name: request.name(skip)? });
        Some(match request.opcode {
            opcode::MKNOD => {
                let mode = Mode { mode: word(0)?, umask: word(8)? };
                Change::Make { at: at(16)?, mode, device: device_pair(word(4)?) }
            }
            opcode::MKDIR => {
                let mode = Mode { mode: libc::S_IFDIR | (word(0)? & 0o7777), umask: word(4)? };
                Change::Directory { at: at(8)?, mode }
            }
            opcode::SYMLINK => {
                let at = at(0)?;
                Change::Symlink { at, target: request.name(at.name.len() + 1)? }
            }
            opcode::TMPFILE => Change::Nameless { parent: inode, mode: Mode { mode: word(4)?, umask: word(8)? } },
            opcode::LINK => Change::Link { inode: INodeNo(long(0)?), at: at(8)? },
            opcode::UNLINK => Change::Unlink { at: at(0)? },
            opcode::RMDIR => Change::RemoveDirectory { at: at(0)? },
            opcode::RENAME | opcode::RENAME2 => {
                let (skip, flags) = if request.opcode == opcode::RENAME { (8, 0) } else { (16, word(8)?) };
                let from = at(skip)?;
                let name = request.name(skip + from.name.len() + 1)?;
                Change::Rename { from, to: Name { parent: INodeNo(long(0)?), name }, flags }
            }
            opcode::SETATTR => Change::Set { inode, attributes: attributes(body)? },
            opcode::WRITE => Change::Write {
                inode,
                offset: long(8)?,
                data: body.get(40..)?.get(..word(16)? as usize)?,
                drops_set_id: word(20)? & WRITE_KILL_SUIDGID != 0,
            },
            opcode::FALLOCATE => Change::Allocate {
                extent: Extent { inode, offset: long(8)?, length: long(16)? },
                mode: word(24)?.cast_signed(),
            },
            opcode::COPY_FILE_RANGE => Change::CopyRange {
                from: Extent { inode, offset: long(8)?, length: long(40)? },
                to: INodeNo(long(16)?),
                offset: long(32)?,
            },
            opcode::FSYNC => Change::Sync { inode, data_only: word(8)? & FDATASYNC != 0 },
            opcode::FSYNCDIR => Change::SyncDirectory { inode },
            opcode::SETXATTR => {
                let name = request.name(xattr_head)?;
                let value = body.get(xattr_head + name.len() + 1..)?.get(..word(0)? as usize)?;
                let drops_set_group_id = xattr_head > XATTR_HEAD && word(8)? & ACL_KILL_SGID != 0;
                Change::SetXattr { inode, name, value, flags: word(4)?.cast_signed(), drops_set_group_id }
            }
            _ => Change::RemoveXattr { inode, name: request.name(0)? },
        })
    }
}

fn attributes(body: &[u8]) -> Option<Attributes> {
    let valid = u32_at(body, 0)?;
    let has = |bit| valid & bit != 0;
    let word = |bit, at| if has(bit) { u32_at(body, at).map(Some) } else { Some(None) };
    let when = |bit, now, secs, nanos| {
        Some(match (has(bit), has(now)) {
            (_, true) => Some(When::Now),
            (true, false) => {
                Some(When::At(Time { secs: u64_at(body, secs)?.cast_signed(), nanos: u32_at(body, nanos)? }))
            }
            (false, false) => None,
        })
    };
    // The last field: what is shorter is no such request.
    u32_at(body, 84)?;
    Some(Attributes {
        mode: word(valid::MODE, 68)?,
        uid: word(valid::UID, 76)?,
        gid: word(valid::GID, 80)?,
        size: if has(valid::SIZE) { Some(u64_at(body, 16)?) } else { None },
        atime: when(valid::ATIME, valid::ATIME_NOW, 32, 56)?,
        mtime: when(valid::MTIME, valid::MTIME_NOW, 40, 60)?,
        drops_set_id: has(valid::KILL_SUIDGID),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::view::device_number;

    fn request(opcode: u32, body: &[u8]) -> Request<'_> {
        Request { opcode, unique: 1, inode: INodeNo(7), caller: Caller { uid: 0, gid: 0 }, body }
    }

    #[test]
    fn two_names_are_told_apart() {
        let body = [&9_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &[0; 4], b"from\0to\0"].concat();
        let parsed = Change::parse(&request(opcode::RENAME2, &body), 8).flatten();
        let Some(Change::Rename { from, to, flags: 1 }) = parsed else { panic!("{parsed:?}") };
        assert_eq!((from.parent.0, from.name, to.parent.0, to.name), (7, &b"from"[..], 9, &b"to"[..]));
    }

    #[test]
    fn a_write_that_is_shorter_than_it_says_is_none() {
        let mut body = vec![0; 40];
        body[16] = 4;
        body.extend_from_slice(b"abc");
        assert!(Change::parse(&request(opcode::WRITE, &body), 8).unwrap().is_none());
        body.push(b'd');
        assert!(matches!(
            Change::parse(&request(opcode::WRITE, &body), 8),
            Some(Some(Change::Write { data: b"abcd", .. }))
        ));
        assert!(Change::parse(&request(opcode::LOOKUP, b"a\0"), 8).is_none());
    }

    #[test]
    fn device_numbers_come_back() {
        for pair in [(0, 0), (8, 1), (0xfff, 0xf_ffff), (1, 0x12345)] {
            assert_eq!(device_pair(device_number(pair.0, pair.1)), pair);
        }
    }
}
