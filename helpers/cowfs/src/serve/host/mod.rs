//! A host directory as a view.
//!
//! The host's files may change at any time, so the kernel is told to ask again after a second, and cached
//! content is dropped when size or time have changed. What the user may not do outside, this process may
//! not do either, and says so; with two exceptions, without which no package could be installed in a copy
//! of the host: a directory that may not be entered shows its owner and mode, and is empty; an empty file
//! that may not be read is read as empty.

mod nodes;
mod numbers;

pub use numbers::Numbers;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use fuser::{FileHandle, INodeNo};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statvfs::fstatvfs;
use sys::statx::{Status, statx, statx_unsynced};

use super::file;
use super::view::{Answer, Attr, Fill, Reading, Sizes, View, c_string};
use crate::host::{HostDir, Mounts};
use crate::layer::{CAPABILITY, may_be_shown};
use crate::owners::Owners;
use crate::upper::below::Looks;
use nodes::Nodes;

/// A host directory, with owners translated.
pub struct HostView {
    nodes: Nodes,
    owners: Owners,
    /// Inodes that are shown as empty directories.
    excluded: HashSet<INodeNo>,
    mounts: RwLock<Mounts>,
    handles: Mutex<HashMap<FileHandle, Arc<Handle>>>,
    next_handle: AtomicU64,
}

/// What the container has open.
enum Handle {
    File(OwnedFd),
    /// An empty file that may not be read.
    Empty,
    /// The names as they were when the directory was opened.
    Names(Vec<CString>),
}

impl HostView {
    /// `separate`: each name of a file is a file of its own, as it is where one of them is changed elsewhere and the others are not.
    pub fn new(dir: HostDir, owners: Owners, separate: bool) -> std::io::Result<Self> {
        let mut nodes = Nodes::new(dir.root);
        nodes.separate = separate;
        let number = |path: &PathBuf| statx(nix::fcntl::AT_FDCWD, &c_string(path.as_os_str().as_bytes())?);
        let excluded =
            dir.excluded.iter().filter_map(|path| number(path).ok()).map(|s| nodes.number_of_directory(&s)).collect();
        Ok(HostView {
            nodes,
            owners,
            excluded,
            mounts: RwLock::new(Mounts::now()?),
            handles: Mutex::default(),
            next_handle: AtomicU64::new(1),
        })
    }

    /// Whether files seen through this mount are shown. A mount that is new is looked up first.
    fn shows_mount(&self, mount: u64) -> bool {
        if self.mounts.read().unwrap_or_else(PoisonError::into_inner).shows(mount) {
            return true;
        }
        let Ok(now) = Mounts::now() else { return false };
        let shown = now.shows(mount);
        *self.mounts.write().unwrap_or_else(PoisonError::into_inner) = now;
        shown
    }

    /// Attributes of what was found under a name, and whether its content is hidden.
    fn found(&self, status: &Status, parent: INodeNo, name: &CStr) -> Answer<(Attr, bool)> {
        let number = self.nodes.number(status, parent, name);
        let hidden = !self.shows_mount(status.mount) || self.excluded.contains(&number);
        if hidden && !is(status, libc::S_IFDIR) {
            return Err(Errno::ENOENT);
        }
        Ok((self.attr(number, status), hidden))
    }

    fn attr(&self, number: INodeNo, status: &Status) -> Attr {
        let attr = Attr::of(number, status, &self.owners);
        let alone = self.nodes.separate && !is(status, libc::S_IFDIR);
        if alone { Attr { nlink: attr.nlink.min(1), ..attr } } else { attr }
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<FileHandle, Arc<Handle>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, handle: Handle) -> FileHandle {
        let number = FileHandle(self.next_handle.fetch_add(1, Ordering::Relaxed));
        self.handles().insert(number, Arc::new(handle));
        number
    }

    fn handle(&self, number: FileHandle) -> Answer<Arc<Handle>> {
        self.handles().get(&number).cloned().ok_or(Errno::EBADF)
    }

    fn names(&self, inode: INodeNo) -> Answer<Vec<CString>> {
        if self.nodes.is_hidden(inode) {
            return Ok(Vec::new());
        }
        let dir = self.nodes.directory(inode)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut open = match openat(&*dir, ".", flags, Mode::empty()) {
            Err(Errno::EACCES | Errno::EPERM) => return Ok(Vec::new()),
            other => Dir::from_fd(other?)?,
        };
        let mut names = Vec::new();
        for entry in open.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A path to a file that xattr(7) functions take, where it may have attributes.
    fn xattr_path(&self, inode: INodeNo) -> Answer<(PathBuf, Arc<OwnedFd>)> {
        let (status, dir, name) = self.nodes.status(inode)?;
        if !(is(&status, libc::S_IFREG) || is(&status, libc::S_IFDIR)) || self.nodes.is_hidden(inode) {
            return Err(Errno::ENODATA);
        }
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        path.push(Path::new(OsStr::from_bytes(if name.is_empty() { b"." } else { name.as_bytes() })));
        Ok((path, dir))
    }
}

impl View for HostView {
    fn lifetime(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn needs_open(&self) -> bool {
        true
    }

    fn has_xattrs(&self) -> bool {
        true
    }

    fn may_wait(&self, inode: INodeNo) -> bool {
        let slow = |mount| self.mounts.read().unwrap_or_else(PoisonError::into_inner).is_slow(mount);
        self.nodes.mount(inode).is_some_and(slow)
    }

    fn lookup(&self, parent: INodeNo, name: &[u8]) -> Answer<Attr> {
        match name {
            // Asked for where a file handle is turned into a path (open_by_handle_at(2)).
            b"." | b".." => {
                let number = match parent {
                    INodeNo::ROOT => INodeNo::ROOT,
                    _ if name == b".." => self.nodes.get(parent)?.parent,
                    _ => parent,
                };
                let attr = self.attributes(number)?;
                if let Ok(node) = self.nodes.get(number) {
                    self.nodes.looked_up(number, node.parent, &node.name, node.hidden);
                }
                return Ok(attr);
            }
            _ if self.nodes.is_hidden(parent) => return Err(Errno::ENOENT),
            _ => {}
        }
        let name = c_string(name)?;
        let dir = self.nodes.directory(parent)?;
        // Where this leads into a mounted network filesystem, it is enough to know that; its server, which may
        // not answer, is asked later, when nobody else has to wait for it.
        let found = if self.may_wait(parent) { statx(&*dir, &name) } else { statx_unsynced(&*dir, &name) };
        let status = match found {
            Err(Errno::EACCES) => return Err(Errno::ENOENT),
            other => other?,
        };
        let (attr, hidden) = self.found(&status, parent, &name)?;
        self.nodes.looked_up(attr.inode, parent, &name, hidden);
        Ok(attr)
    }

    fn forget(&self, inode: INodeNo, lookups: u64) {
        self.nodes.forget(inode, lookups);
    }

    fn attributes(&self, inode: INodeNo) -> Answer<Attr> {
        let (status, ..) = self.nodes.status(inode)?;
        Ok(self.attr(inode, &status))
    }

    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>> {
        let (_, dir, name) = self.nodes.status(inode)?;
        Ok(Cow::Owned(readlinkat(&*dir, &*name)?.into_vec()))
    }

    fn open(&self, inode: INodeNo) -> Answer<FileHandle> {
        let (status, dir, name) = self.nodes.status(inode)?;
        if !is(&status, libc::S_IFREG) {
            return Err(Errno::EINVAL);
        }
        // Should the name have become a pipe meanwhile, nobody is to wait for it.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = match openat(&*dir, &*name, flags, Mode::empty()) {
            Err(Errno::EACCES) if status.size == 0 => return Ok(self.keep(Handle::Empty)),
            Err(Errno::ENOENT | Errno::ELOOP) => return Err(Errno::ESTALE),
            other => other?,
        };
        let parent = self.nodes.get(inode)?.parent;
        if self.nodes.number(&statx(&file, c"")?, parent, &name) != inode {
            return Err(Errno::ESTALE);
        }
        Ok(self.keep(Handle::File(file)))
    }

    fn close(&self, handle: FileHandle) {
        self.handles().remove(&handle);
    }

    fn read(&self, _: INodeNo, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()> {
        let Reading { handle, offset, size } = wanted;
        let handle = self.handle(handle)?;
        let Handle::File(file) = &*handle else { return Ok(()) };
        buffer.resize(size, 0);
        if !wait {
            let length = file::read_cached(file, offset, buffer)?;
            // Less than was asked for may be the end of the file, as mostly it is, or of what is in memory.
            let to_the_end = || Ok::<_, Errno>(length > 0 && offset + length as u64 >= statx(file, c"")?.size);
            if length < size && !to_the_end()? {
                return Err(Errno::EAGAIN);
            }
            buffer.truncate(length);
            return Ok(());
        }
        let filled = file::read(file, offset, buffer)?;
        buffer.truncate(filled);
        Ok(())
    }

    fn open_directory(&self, inode: INodeNo) -> Answer<FileHandle> {
        self.names(inode).map(|names| self.keep(Handle::Names(names)))
    }

    fn close_directory(&self, handle: FileHandle) {
        self.handles().remove(&handle);
    }

    fn list(&self, inode: INodeNo, handle: FileHandle, position: u64, looked_up: bool, fill: Fill<'_>) -> Answer<()> {
        let handle = self.handle(handle)?;
        let Handle::Names(names) = &*handle else { return Err(Errno::EBADF) };
        if position == 0 && fill(1, b".", &self.attributes(inode)?) {
            return Ok(());
        }
        if position <= 1 {
            let parent = if inode == INodeNo::ROOT { INodeNo::ROOT } else { self.nodes.get(inode)?.parent };
            if fill(2, b"..", &self.attributes(parent)?) {
                return Ok(());
            }
        }
        let first = usize::try_from(position.saturating_sub(2)).unwrap_or(usize::MAX);
        if first >= names.len() {
            return Ok(());
        }
        let dir = self.nodes.directory(inode)?;
        for (index, name) in names.iter().enumerate().skip(first) {
            // What has vanished since, or may not be looked at, is left out.
            let Ok((attr, hidden)) = statx_unsynced(&*dir, name).and_then(|status| self.found(&status, inode, name))
            else {
                continue;
            };
            if fill(index as u64 + 3, name.to_bytes(), &attr) {
                break;
            }
            if looked_up {
                self.nodes.looked_up(attr.inode, inode, name, hidden);
            }
        }
        Ok(())
    }

    fn xattr(&self, inode: INodeNo, name: &[u8]) -> Answer<Cow<'_, [u8]>> {
        let (path, _dir) = self.xattr_path(inode)?;
        let value = match sys::xattr::get(&path, &c_string(name)?) {
            Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) => return Err(Errno::ENODATA),
            other => other?,
        };
        Ok(Cow::Owned(if name == CAPABILITY { self.owners.capability(&value) } else { value }))
    }

    fn xattr_names(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        let (path, _dir) = match self.xattr_path(inode) {
            Err(Errno::ENODATA) => return Ok(Vec::new()),
            other => other?,
        };
        let all = match sys::xattr::names(&path) {
            Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) => return Ok(Vec::new()),
            other => other?,
        };
        let shown = |name: &&[u8]| may_be_shown(name.strip_suffix(b"\0").unwrap_or(name));
        Ok(all.split_inclusive(|&b| b == 0).filter(shown).flatten().copied().collect())
    }

    fn seek(&self, _: INodeNo, handle: FileHandle, offset: u64, hole: bool) -> Answer<u64> {
        let handle = self.handle(handle)?;
        let Handle::File(file) = &*handle else { return Err(Errno::ENXIO) };
        file::seek(file, offset, hole)
    }

    fn sizes(&self) -> Sizes {
        let root = self.nodes.directory(INodeNo::ROOT).and_then(|root| fstatvfs(&*root));
        root.map_or(Sizes::default(), |fs| Sizes {
            bytes: fs.blocks().saturating_sub(fs.blocks_free()).saturating_mul(fs.fragment_size()),
            files: fs.files().saturating_sub(fs.files_free()),
            ..Sizes::default()
        })
    }

    fn names(&self, inode: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>> {
        // Other hard links may be anywhere on the host.
        let node = self.nodes.get(inode)?;
        Ok(vec![(node.parent, node.name.into_bytes())])
    }

    fn hold(&self, inode: INodeNo) {
        self.nodes.hold(inode);
    }

    fn looks(&self, parent: INodeNo, name: &[u8]) -> Option<Looks> {
        let dir = self.nodes.directory(parent).ok()?;
        statx(&*dir, &c_string(name).ok()?).ok().map(|status| Looks::of(&status))
    }
}

/// Whether a file is of this type (`S_IFREG`, …).
fn is(status: &Status, kind: u32) -> bool {
    status.mode & libc::S_IFMT == kind
}
