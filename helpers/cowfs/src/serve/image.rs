//! An image as a view. Everything but file content is answered from the mapped tree, without a system call.

use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use fuser::{FileHandle, INodeNo};
use nix::errno::Errno;

use super::view::{Answer, Attr, Fill, Reading, Sizes, View, device_number};
use crate::layer::CAPABILITY;
use crate::owners::Owners;
use crate::tree::{Data, Image, Inode, Kind, Names, Tree};

/// An image, with owners translated.
pub struct ImageView {
    image: Image,
    owners: Owners,
    /// Made by the first change to what the image has.
    names: OnceLock<Names>,
}

/// How long the kernel may keep what never changes: as long as it can count.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A damaged tree, or a number that the kernel was never given.
const DAMAGED: Errno = Errno::EIO;

impl ImageView {
    pub fn new(image: Image, owners: Owners) -> Self {
        ImageView { image, owners, names: OnceLock::new() }
    }

    fn tree(&self) -> &Tree {
        self.image.tree()
    }

    /// The kernel's numbers begin with 1, the tree's with 0.
    fn inode(&self, number: INodeNo) -> Answer<Inode> {
        let number = number.0.checked_sub(1).and_then(|n| u32::try_from(n).ok());
        number.and_then(|n| self.tree().inode(n)).ok_or(DAMAGED)
    }

    fn attr(&self, inode: &Inode) -> Attr {
        let (major, minor) = inode.device();
        let (kind, size, blocks) = match inode.kind {
            Kind::File => (libc::S_IFREG, inode.size, inode.blocks().saturating_mul(8)),
            Kind::Directory => (libc::S_IFDIR, 4096, 8),
            Kind::Symlink => (libc::S_IFLNK, inode.size, 0),
            Kind::Fifo => (libc::S_IFIFO, 0, 0),
            Kind::CharDevice => (libc::S_IFCHR, 0, 0),
            Kind::BlockDevice => (libc::S_IFBLK, 0, 0),
        };
        Attr {
            inode: INodeNo(u64::from(inode.number) + 1),
            size,
            blocks,
            atime: inode.mtime,
            mtime: inode.mtime,
            ctime: inode.mtime,
            mode: kind | inode.mode,
            nlink: inode.nlink,
            uid: self.owners.uid(inode.uid),
            gid: self.owners.gid(inode.gid),
            device: device_number(major, minor),
        }
    }
}

impl View for ImageView {
    fn lifetime(&self) -> Duration {
        FOR_EVER
    }

    fn needs_open(&self) -> bool {
        false
    }

    fn has_xattrs(&self) -> bool {
        self.tree().has_xattrs()
    }

    fn has_holes(&self) -> bool {
        self.tree().has_holes()
    }

    fn may_wait(&self, _: INodeNo) -> bool {
        false
    }

    fn lookup(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr> {
        let dir = self.inode(parent)?;
        // The two names are asked for where a file handle is turned into a path (open_by_handle_at(2)).
        let found = match name {
            b"." => Some(dir),
            b".." => self.tree().parent(&dir),
            _ => self.tree().child(&dir, name),
        };
        found.map(|inode| self.attr(&inode)).ok_or(Errno::ENOENT)
    }

    fn forget(&self, _: INodeNo, _: u64) {}

    fn attributes(&self, inode: INodeNo) -> Answer<Attr> {
        self.inode(inode).map(|inode| self.attr(&inode))
    }

    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>> {
        let link = self.inode(inode)?;
        self.tree().target(&link).map(Cow::Borrowed).ok_or(Errno::EINVAL)
    }

    fn open(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }

    fn close(&self, _: FileHandle) {}

    fn read(&self, inode: INodeNo, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()> {
        let Reading { offset, size, .. } = wanted;
        let file = self.inode(inode)?;
        if file.kind != Kind::File {
            return Err(Errno::EINVAL);
        }
        let left = file.size.saturating_sub(offset);
        buffer.resize(usize::try_from(left).map_or(size, |left| left.min(size)), 0);
        let read = if wait {
            self.image.read_at(&file, offset, buffer)
        } else {
            self.image.read_cached(&file, offset, buffer)
        };
        self.image.read_ahead(&file, offset, size as u64, wait);
        read.map(drop).map_err(|error| errno(&error))
    }

    fn open_directory(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }

    fn close_directory(&self, _: FileHandle) {}

    fn list(&self, inode: INodeNo, _: FileHandle, position: u64, _: bool, fill: Fill<'_>) -> Answer<()> {
        let dir = self.inode(inode)?;
        if position == 0 && fill(1, b".", &self.attr(&dir)) {
            return Ok(());
        }
        if position <= 1 {
            let parent = self.tree().parent(&dir).ok_or(DAMAGED)?;
            if fill(2, b"..", &self.attr(&parent)) {
                return Ok(());
            }
        }
        let first = u32::try_from(position.saturating_sub(2)).unwrap_or(u32::MAX);
        for index in first..dir.entry_count() {
            let entry = self.tree().entry(&dir, index).ok_or(DAMAGED)?;
            let inode = self.tree().inode(entry.inode).ok_or(DAMAGED)?;
            if fill(u64::from(index) + 3, entry.name, &self.attr(&inode)) {
                break;
            }
        }
        Ok(())
    }

    fn xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<Cow<'_, [u8]>> {
        let inode = self.inode(inode)?;
        let mut all = self.tree().xattrs(&inode);
        let (_, value) = all.find(|(known, _)| *known == name).ok_or(Errno::ENODATA)?;
        if name == CAPABILITY {
            return Ok(Cow::Owned(self.owners.capability(value)));
        }
        Ok(Cow::Borrowed(value))
    }

    fn xattr_names(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        let inode = self.inode(inode)?;
        let names = self.tree().xattrs(&inode);
        Ok(names.flat_map(|(name, _)| name.iter().chain(b"\0")).copied().collect())
    }

    fn seek(&self, inode: INodeNo, _: FileHandle, offset: u64, hole: bool) -> Answer<u64> {
        let file = self.inode(inode)?;
        if offset >= file.size {
            return Err(Errno::ENXIO);
        }
        let Data::Sparse { first, count } = file.data() else {
            return Ok(if hole { file.size } else { offset });
        };
        let mut at = offset;
        for number in self.image.segments_from(first, count, offset) {
            let piece = self.tree().segment(number).ok_or(DAMAGED)?;
            if piece.start > at {
                return if hole { Ok(at) } else { Ok(piece.start) };
            }
            if !hole {
                return Ok(at);
            }
            at = piece.start.saturating_add(piece.len);
        }
        // Behind the last piece there is only a hole, which ends with the file.
        if hole { Ok(at) } else { Err(Errno::ENXIO) }
    }

    fn sizes(&self) -> Sizes {
        Sizes { bytes: self.tree().allocated_bytes(), files: self.tree().inode_count().into(), ..Sizes::default() }
    }

    fn names(&self, inode: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>> {
        let inode = self.inode(inode)?;
        let names = self.names.get_or_init(|| Names::of(self.tree()));
        let shown = |(parent, name)| (INodeNo(u64::from(parent) + 1), name);
        Ok(names.get(self.tree(), inode.number).into_iter().map(shown).collect())
    }

    fn hold(&self, _: INodeNo) {}
}

/// The system's error number; what has none is a failure of the device.
fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::WouldBlock => Errno::EAGAIN,
        _ => error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    }
}
