//! Where something lies in the upper side: a descriptor and a path from there.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::nodes::{Id, Nodes, ROOT};
use crate::serve::view::{Answer, c_string};
use crate::upper::marks::At;

/// The longest path that is given to the kernel at once; its limit is 4096 (`PATH_MAX`).
const LONGEST: usize = 3500;

/// How deep directories may lie.
const DEEPEST: usize = 1 << 20;

/// A file of the upper side.
#[derive(Clone, Debug)]
pub struct Place {
    from: From,
    path: CString,
}

#[derive(Clone, Debug)]
enum From {
    Directory(Arc<OwnedFd>),
    File(Arc<File>),
}

/// A name that was found in a directory.
pub struct Entry {
    /// The directory.
    pub dir: Arc<OwnedFd>,
    pub name: CString,
    /// The type on the host, where the filesystem tells it.
    pub kind: Option<Type>,
}

impl Place {
    /// The root of the upper side.
    pub fn top(top: &Arc<OwnedFd>) -> Place {
        Place { from: From::Directory(top.clone()), path: CString::default() }
    }

    /// A file that is open, which need not have a name.
    pub fn open(file: Arc<File>) -> Place {
        Place { from: From::File(file), path: CString::default() }
    }

    /// What a descriptor of a directory and a name in it lead to.
    pub fn beside(dir: &Arc<OwnedFd>, name: CString) -> Place {
        Place { from: From::Directory(dir.clone()), path: name }
    }

    /// The directory `parent`, or `name` in it. All directories above are in the upper side.
    pub fn of(top: &Arc<OwnedFd>, nodes: &Nodes, parent: Id, name: Option<&[u8]>) -> Answer<Place> {
        let mut parts: Vec<&[u8]> = name.into_iter().collect();
        let mut at = parent;
        while at != ROOT {
            let (above, name) = nodes.upper(at).and_then(|node| node.names.first()).ok_or(Errno::ESTALE)?;
            parts.push(name);
            at = *above;
            if parts.len() > DEEPEST {
                return Err(Errno::ELOOP);
            }
        }
        let mut dir = top.clone();
        let mut path = Vec::with_capacity(64);
        while let Some(part) = parts.pop() {
            if path.len() + part.len() > LONGEST {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                dir = Arc::new(openat(&*dir, &*c_string(&path)?, flags, Mode::empty())?);
                path.clear();
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        Ok(Place { from: From::Directory(dir), path: c_string(&path)? })
    }

    /// The descriptor that the path begins at.
    pub fn dir(&self) -> BorrowedFd<'_> {
        match &self.from {
            From::Directory(dir) => dir.as_fd(),
            From::File(file) => file.as_fd(),
        }
    }

    /// The path; empty for what the descriptor itself stands for.
    pub fn name(&self) -> &CStr {
        &self.path
    }

    /// The path from the root of the upper side, if it is short enough to be one.
    pub fn below(&self, top: &Arc<OwnedFd>) -> Option<&CStr> {
        matches!(&self.from, From::Directory(dir) if Arc::ptr_eq(dir, top)).then_some(&*self.path)
    }

    /// For what wants a path: `.` for a directory that the descriptor itself stands for.
    pub fn path(&self) -> &CStr {
        if self.path.is_empty() { c"." } else { &self.path }
    }

    pub fn at(&self) -> At<'_> {
        At { dir: self.dir(), name: &self.path }
    }

    /// The entries of a directory, without `.` and `..`.
    pub fn list(&self) -> Answer<Vec<Entry>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(self.dir(), self.path(), flags, Mode::empty())?;
        let dir = Arc::new(fd.try_clone().map_err(|_| Errno::EMFILE)?);
        let mut entries = Vec::new();
        for entry in Dir::from_fd(fd)?.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                entries.push(Entry { dir: dir.clone(), name: name.to_owned(), kind: entry.file_type() });
            }
        }
        Ok(entries)
    }
}
