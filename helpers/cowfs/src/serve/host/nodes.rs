//! What the kernel remembers of a host directory, and the way back from an inode number to the file.
//!
//! A node holds its parent and its name, not a descriptor: there may be a million of them. Directories are
//! opened on the way (`O_PATH`), and the most recent stay open.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use sys::statx::{Status, statx, statx_unsynced};

use super::numbers::Numbers;
use crate::serve::view::Answer;

/// Directories kept open.
const KEPT_OPEN: usize = 256;

/// How far up a file may lie. The kernel's paths end earlier.
const DEEPEST: usize = 4096;

#[derive(Clone, Debug)]
pub struct Node {
    pub parent: INodeNo,
    pub name: CString,
    /// Shown as an empty directory.
    pub hidden: bool,
    lookups: u64,
}

pub struct Nodes {
    root: Arc<OwnedFd>,
    numbers: Numbers,
    /// Each name of a file is a file of its own.
    pub separate: bool,
    known: Mutex<HashMap<INodeNo, Node>>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    dirs: HashMap<INodeNo, Arc<OwnedFd>>,
    order: VecDeque<INodeNo>,
}

impl Nodes {
    pub fn new(root: OwnedFd) -> Self {
        Nodes {
            root: Arc::new(root),
            numbers: Numbers::default(),
            separate: false,
            known: Mutex::default(),
            open: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<INodeNo, Node>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of what has a name in a directory.
    pub fn number(&self, status: &Status, parent: INodeNo, name: &CStr) -> INodeNo {
        let linked = status.nlink > 1 && status.mode & libc::S_IFMT != libc::S_IFDIR;
        if self.separate && linked {
            self.numbers.of_name(status, parent, name.to_bytes())
        } else {
            self.numbers.of(status)
        }
    }

    /// The number of a directory that is open, or of one that is named by its path.
    pub fn number_of_directory(&self, status: &Status) -> INodeNo {
        self.numbers.of(status)
    }

    /// The mount that a number's file is seen through, where the number says so.
    pub fn mount(&self, number: INodeNo) -> Option<u64> {
        self.numbers.mount(number)
    }

    /// The node of an inode; the kernel never asks for one that it was not given, or has given back.
    pub fn get(&self, number: INodeNo) -> Answer<Node> {
        self.known().get(&number).cloned().ok_or(Errno::ESTALE)
    }

    /// Whether an inode is shown as an empty directory.
    pub fn is_hidden(&self, number: INodeNo) -> bool {
        self.known().get(&number).is_some_and(|node| node.hidden)
    }

    /// Counts a lookup, by which the kernel has come to know an inode under this name.
    pub fn looked_up(&self, number: INodeNo, parent: INodeNo, name: &CString, hidden: bool) {
        if number == INodeNo::ROOT {
            return;
        }
        let mut known = self.known();
        let lookups = known.get(&number).map_or(0, |node| node.lookups);
        known.insert(number, Node { parent, name: name.clone(), hidden, lookups: lookups + 1 });
    }

    /// Counts a lookup of an inode that is known already.
    pub fn hold(&self, number: INodeNo) {
        if let Some(node) = self.known().get_mut(&number) {
            node.lookups += 1;
        }
    }

    /// Takes back as many lookups.
    pub fn forget(&self, number: INodeNo, lookups: u64) {
        let mut known = self.known();
        if let Some(node) = known.get_mut(&number) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                known.remove(&number);
                drop(known);
                self.kept().dirs.remove(&number);
            }
        }
    }

    /// The directory of this number, opened with `O_PATH`.
    pub fn directory(&self, number: INodeNo) -> Answer<Arc<OwnedFd>> {
        let mut way = Vec::new();
        let mut at = number;
        let mut dir = loop {
            if at == INodeNo::ROOT {
                break self.root.clone();
            }
            if let Some(open) = self.kept().dirs.get(&at) {
                break open.clone();
            }
            let node = self.get(at)?;
            way.push((at, node.name));
            at = node.parent;
            if way.len() > DEEPEST {
                return Err(Errno::ELOOP);
            }
        };
        while let Some((number, name)) = way.pop() {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = openat(&*dir, &*name, flags, Mode::empty()).map_err(gone)?;
            if self.numbers.of(&statx(&next, c"").map_err(gone)?) != number {
                return Err(Errno::ESTALE);
            }
            dir = Arc::new(next);
            self.keep(number, &dir);
        }
        Ok(dir)
    }

    fn keep(&self, number: INodeNo, dir: &Arc<OwnedFd>) {
        let mut open = self.kept();
        open.dirs.insert(number, dir.clone());
        open.order.push_back(number);
        while open.order.len() > KEPT_OPEN {
            if let Some(oldest) = open.order.pop_front() {
                open.dirs.remove(&oldest);
            }
        }
    }

    /// The status of a file, and where it is: directory and name.
    pub fn status(&self, number: INodeNo) -> Answer<(Status, Arc<OwnedFd>, CString)> {
        if number == INodeNo::ROOT {
            return Ok((statx(&*self.root, c"")?, self.root.clone(), c"".to_owned()));
        }
        let node = self.get(number)?;
        let dir = self.directory(node.parent)?;
        // What is hidden may be a filesystem whose server must not be asked: it may be this process.
        let found = if node.hidden { statx_unsynced(&*dir, &node.name) } else { statx(&*dir, &node.name) };
        let status = found.map_err(gone)?;
        if self.number(&status, node.parent, &node.name) != number {
            return Err(Errno::ESTALE);
        }
        Ok((status, dir, node.name))
    }
}

/// What was there under a name is no more, or may no more be seen: the kernel looks the name up again.
fn gone(errno: Errno) -> Errno {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP => Errno::ESTALE,
        other => other,
    }
}
