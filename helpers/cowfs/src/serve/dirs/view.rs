//! Several directories as a view: what the kernel asks, and what a union above them does.

use std::borrow::Cow;
use std::os::unix::ffi::OsStringExt;
use std::sync::PoisonError;
use std::time::Duration;

use fuser::{FileHandle, INodeNo};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::statvfs::fstatvfs;

use super::DirsView;
use super::look::{is_mark, look, path};
use crate::acl;
use crate::layer::may_be_shown;
use crate::serve::file;
use crate::serve::view::{Answer, Attr, Fill, Reading, Sizes, View, c_string};

impl View for DirsView {
    fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn needs_open(&self) -> bool {
        false
    }

    fn has_xattrs(&self) -> bool {
        true
    }

    fn may_wait(&self, _: INodeNo) -> bool {
        self.slow
    }

    fn lookup(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr> {
        let dir = self.dir(parent)?;
        // The two names are asked for where a file handle is turned into a path (open_by_handle_at(2)).
        match name {
            b"." => return self.attributes(parent),
            b".." => return self.attributes(dir.parent),
            _ => {}
        }
        let listing = self.listing(&dir)?;
        let index = listing.index(name).ok_or(Errno::ENOENT)?;
        self.look(&dir, listing, index)?.map(|found| found.attr).ok_or(Errno::ENOENT)
    }

    fn forget(&self, _: INodeNo, _: u64) {}

    fn attributes(&self, inode: INodeNo) -> Answer<Attr> {
        if inode != INodeNo::ROOT {
            return self.known(inode, |found| found.attr);
        }
        let dir = self.dir(inode)?;
        let looked = look(&self.layers[0], c"")?.ok_or(Errno::ESTALE)?;
        let mut attr = self.attr(inode, &looked);
        if dir.layers.len() > 1 && attr.nlink > 1 {
            attr.nlink = 2 + self.listing(&dir)?.directories;
        }
        Ok(attr)
    }

    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>> {
        let (size, only_recorded) = self.known(inode, |found| (found.attr.size, found.stands_for_another))?;
        if only_recorded {
            let mut target = vec![
                0;
                usize::try_from(size)
                    .map_or(libc::PATH_MAX as usize, |size| size.min(libc::PATH_MAX as usize))
            ];
            let length = file::read(&*self.open_file(inode)?, 0, &mut target)?;
            target.truncate(length);
            return Ok(Cow::Owned(target));
        }
        let (dir, name) = self.way_to(inode)?;
        Ok(Cow::Owned(readlinkat(&*dir, &*name)?.into_vec()))
    }

    fn open(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }

    fn close(&self, _: FileHandle) {}

    fn read(&self, inode: INodeNo, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()> {
        let Reading { offset, size, .. } = wanted;
        let attr = self.known(inode, |found| found.attr)?;
        if attr.mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno::EINVAL);
        }
        let left = attr.size.saturating_sub(offset);
        let size = usize::try_from(left).map_or(size, |left| left.min(size));
        if size == 0 {
            return Ok(());
        }
        let open = self.open_file(inode)?;
        buffer.resize(size, 0);
        let length = if wait { file::read(&open, offset, buffer)? } else { file::read_cached(&open, offset, buffer)? };
        if !wait && length < size {
            return Err(Errno::EAGAIN);
        }
        buffer.truncate(length);
        Ok(())
    }

    fn open_directory(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }

    fn close_directory(&self, _: FileHandle) {}

    fn list(&self, inode: INodeNo, _: FileHandle, position: u64, _: bool, fill: Fill<'_>) -> Answer<()> {
        let dir = self.dir(inode)?;
        if position == 0 && fill(1, b".", &self.attributes(inode)?) {
            return Ok(());
        }
        if position <= 1 && fill(2, b"..", &self.attributes(dir.parent)?) {
            return Ok(());
        }
        let listing = self.listing(&dir)?;
        let first = usize::try_from(position.saturating_sub(2)).unwrap_or(usize::MAX);
        for index in first..listing.len() {
            if let Some(found) = self.look(&dir, listing, index)?
                && fill(index as u64 + 3, listing.name(index), &found.attr)
            {
                break;
            }
        }
        Ok(())
    }

    fn xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<Cow<'_, [u8]>> {
        if is_mark(name) || !self.has_any_xattr(inode)? {
            return Err(Errno::ENODATA);
        }
        let (dir, file) = self.way_to(inode)?;
        match sys::xattr::get(&path(&dir, &file), &c_string(name)?) {
            Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) => Err(Errno::ENODATA),
            other => Ok(Cow::Owned(other?)),
        }
    }

    fn xattr_names(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        if !self.has_any_xattr(inode)? {
            return Ok(Vec::new());
        }
        let (dir, file) = self.way_to(inode)?;
        let all = match sys::xattr::names(&path(&dir, &file)) {
            Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) => return Ok(Vec::new()),
            other => other?,
        };
        let is_acl = |name: &[u8]| self.acls && (name == acl::ACCESS || name == acl::DEFAULT);
        let shown = |name: &&[u8]| (may_be_shown(name) || is_acl(name)) && !is_mark(name);
        let names = all.split(|&b| b == 0).filter(shown);
        Ok(names.flat_map(|name| name.iter().chain(b"\0")).copied().collect())
    }

    fn seek(&self, inode: INodeNo, _: FileHandle, offset: u64, hole: bool) -> Answer<u64> {
        file::seek(&*self.open_file(inode)?, offset, hole)
    }

    fn sizes(&self) -> Sizes {
        fstatvfs(&*self.layers[0]).map_or(Sizes::default(), |fs| Sizes {
            bytes: fs.blocks().saturating_sub(fs.blocks_free()).saturating_mul(fs.fragment_size()),
            files: fs.files().saturating_sub(fs.files_free()),
            ..Sizes::default()
        })
    }

    fn names(&self, inode: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>> {
        if inode == INodeNo::ROOT {
            return Ok(Vec::new());
        }
        let known = || {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            links.get(&inode).cloned().unwrap_or_default()
        };
        let attr = self.known(inode, |found| found.attr)?;
        let mut names = known();
        if attr.nlink > 1 && attr.mode & libc::S_IFMT != libc::S_IFDIR {
            // Some may be hidden by layers above, or not be in this layer: then all others are known in the end.
            if names.len() < attr.nlink as usize && self.all_seen.get().is_none() {
                self.look_at_all(&self.dir(INodeNo::ROOT)?)?;
                let _ = self.all_seen.set(());
                names = known();
            }
            return Ok(names);
        }
        let (dir, index) = self.place(inode)?;
        Ok(vec![(dir.number, self.listing(&dir)?.name(index).to_vec())])
    }

    fn hold(&self, _: INodeNo) {}

    fn counts_directories(&self) -> bool {
        self.counts
    }
}
