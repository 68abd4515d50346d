//! The FUSE side: takes requests from `fuser` and answers them from a [`View`].

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyXattr, Request,
};
use nix::errno::Errno;

use super::view::View;
use crate::layer::may_be_shown;

/// A read-only filesystem that shows a view.
pub struct Filesystem<V> {
    view: V,
    /// The kernel can do without being asked to open files or directories that need no opening.
    skips_open: bool,
    skips_opendir: bool,
}

impl<V: View> Filesystem<V> {
    pub fn new(view: V) -> Self {
        Filesystem { view, skips_open: false, skips_opendir: false }
    }
}

/// Inode numbers are never used again for another file, so there is one generation of each.
const GENERATION: Generation = Generation(0);

thread_local! {
    /// What a thread reads file content into. It grows to the largest request and is used again.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn number(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno as i32)
}

/// Attributes that say "no such name" and may be kept: the kernel reads inode 0 so.
fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

impl<V: View> fuser::Filesystem for Filesystem<V> {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What a kernel does not know costs speed, not correctness; so each is asked for by itself.
        let mut wanted = vec![
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_EXPORT_SUPPORT,
            InitFlags::FUSE_ASYNC_DIO,
        ];
        if self.view.needs_open() {
            wanted.push(InitFlags::FUSE_AUTO_INVAL_DATA);
        } else {
            wanted.push(InitFlags::FUSE_NO_OPEN_SUPPORT);
            wanted.push(InitFlags::FUSE_NO_OPENDIR_SUPPORT);
        }
        for flag in wanted {
            // The error only names what was refused.
            let _ = config.add_capabilities(flag);
        }
        let has = |flag| !self.view.needs_open() && config.capabilities().contains(flag);
        self.skips_open = has(InitFlags::FUSE_NO_OPEN_SUPPORT);
        self.skips_opendir = has(InitFlags::FUSE_NO_OPENDIR_SUPPORT);
        // Sizes the kernel's requests for reading too: 1 MiB is the most that it grants.
        let _ = config.set_max_write(1 << 20);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let lifetime = self.view.lifetime();
        match self.view.lookup(parent.0, name.as_bytes()) {
            Ok(attr) => reply.entry(&lifetime, &attr, GENERATION),
            Err(Errno::ENOENT) => reply.entry(&lifetime, &nothing(), GENERATION),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        self.view.forget(inode.0, lookups);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.view.attributes(inode.0) {
            Ok(attr) => reply.attr(&self.view.lifetime(), &attr),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        match self.view.target(inode.0) {
            Ok(target) => reply.data(&target),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if self.skips_open {
            return reply.error(fuser::Errno::ENOSYS);
        }
        match self.view.open(inode.0) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_KEEP_CACHE),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.view.close(handle.0);
        reply.ok();
    }

    /// Nothing is ever written, so closing needs nothing; the kernel asks no more after this answer.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            match self.view.read(inode.0, handle.0, offset, size as usize, buffer) {
                Ok(()) => reply.data(buffer),
                Err(errno) => reply.error(number(errno)),
            }
        });
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if self.skips_opendir {
            return reply.error(fuser::Errno::ENOSYS);
        }
        let flags = if self.view.needs_open() {
            FopenFlags::empty()
        } else {
            FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR
        };
        match self.view.open_directory(inode.0) {
            Ok(handle) => reply.opened(FileHandle(handle), flags),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.view.close_directory(handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, inode: INodeNo, handle: FileHandle, position: u64, mut reply: ReplyDirectory) {
        let mut fill =
            |next, name: &[u8], attr: &FileAttr| reply.add(attr.ino, next, attr.kind, OsStr::from_bytes(name));
        match self.view.list(inode.0, handle.0, position, false, &mut fill) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        position: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let lifetime = self.view.lifetime();
        let mut fill = |next, name: &[u8], attr: &FileAttr| {
            reply.add(attr.ino, next, OsStr::from_bytes(name), &lifetime, attr, GENERATION)
        };
        match self.view.list(inode.0, handle.0, position, true, &mut fill) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let sizes = self.view.sizes();
        reply.statfs(sizes.bytes.div_ceil(4096), 0, 0, sizes.files, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, _: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if !self.view.has_xattrs() {
            return reply.error(fuser::Errno::ENOSYS);
        }
        // `ls -l` asks every file for its SELinux label, unless the first one says that there are none here.
        if !may_be_shown(name.as_bytes()) {
            return reply.error(fuser::Errno::EOPNOTSUPP);
        }
        match self.view.xattr(inode.0, name.as_bytes()) {
            Ok(value) => answer_xattr(&value, size, reply),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn listxattr(&self, _: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        if !self.view.has_xattrs() {
            return reply.error(fuser::Errno::ENOSYS);
        }
        match self.view.xattr_names(inode.0) {
            Ok(names) => answer_xattr(&names, size, reply),
            Err(errno) => reply.error(number(errno)),
        }
    }

    fn lseek(&self, _: &Request, inode: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let found = match (u64::try_from(offset), whence) {
            (Ok(offset), libc::SEEK_DATA) => self.view.seek(inode.0, handle.0, offset, false),
            (Ok(offset), libc::SEEK_HOLE) => self.view.seek(inode.0, handle.0, offset, true),
            _ => Err(Errno::EINVAL),
        };
        match found {
            Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
            Err(errno) => reply.error(number(errno)),
        }
    }
}

/// Size 0 asks how much there is; a size too small is an error.
fn answer_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    if size == 0 {
        reply.size(value.len() as u32);
    } else if value.len() > size as usize {
        reply.error(fuser::Errno::ERANGE);
    } else {
        reply.data(value);
    }
}

/// For views whose content never changes: as long as the kernel can count.
pub const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
