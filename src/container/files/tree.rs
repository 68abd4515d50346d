//! Packing: a file, or a directory with all that is in it, becomes entries of a tar. Walked by descriptors, following no link.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use sys::statx::{Status, statx};

use super::layer::{failed, refuse_whiteout};
use super::read::{self, Type};
use super::{Hidden, View};
use crate::archive::{Entry, Kind, Writer};
use crate::container::error::Told;

/// Writes all that is below the root that `view` shows, without what is mounted on it.
pub fn write(view: &View, hidden: Option<&Hidden>, out: impl Write) -> Result<bool, Told> {
    let mut packing = Packing::new(view, out, None);
    packing.hidden = hidden;
    packing.children(&view.root, &[], &[])?;
    packing.finish()?;
    Ok(true)
}

/// A tar that files are being put into.
pub struct Packing<'a, W: Write> {
    view: &'a View,
    writer: Writer<io::BufWriter<W>>,
    /// Whom everything is said to belong to, in place of its owner.
    owner: Option<(u32, u32)>,
    /// Furniture that is left out.
    hidden: Option<&'a Hidden>,
    /// The first name of each file that has several.
    links: HashMap<(u64, (u32, u32)), Vec<u8>>,
}

impl<'a, W: Write> Packing<'a, W> {
    pub fn new(view: &'a View, out: W, owner: Option<(u32, u32)>) -> Self {
        let writer = Writer::new(io::BufWriter::with_capacity(256 << 10, out));
        Self { view, writer, owner, hidden: None, links: HashMap::new() }
    }

    pub fn finish(self) -> Result<(), Told> {
        self.writer.finish().map(drop).map_err(|error| failed(&error))
    }

    /// Adds what `file` stands for under the name `name`, with all that is below it.
    pub fn add(&mut self, file: &OwnedFd, name: &[u8]) -> Result<(), Told> {
        let refused = |errno| refused(name, errno);
        let status = self.view.status(file, c"").map_err(refused)?;
        self.entry(file, name, &status)?;
        if Type::of(status.mode) == Type::Directory { self.children(file, &[], name) } else { Ok(()) }
    }

    /// Adds what is in the directory at `path` below `top`, under names that begin with `name`.
    fn children(&mut self, top: &OwnedFd, path: &[u8], name: &[u8]) -> Result<(), Told> {
        let open = |path: &[u8]| {
            let path = if path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(path)) };
            sys::path::open_beneath(top, path, OFlag::O_PATH, Mode::empty())
        };
        let gone = |errno| matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP);
        let names = match open(path).and_then(|directory| read::names(self.view, &directory)) {
            Err(errno) if gone(errno) => return Ok(()),
            names => names.map_err(|errno| refused(name, errno))?,
        };
        for child in names {
            let join = |parent: &[u8]| match parent {
                [] => child.as_bytes().to_vec(),
                parent => [parent, b"/", child.as_bytes()].concat(),
            };
            let (path, name) = (join(path), join(name));
            if self.hidden.is_some_and(|hidden| hidden.covers(&path)) {
                continue;
            }
            // Furniture is left out of what becomes a layer, and of nothing else.
            if self.hidden.is_some() {
                refuse_whiteout(&path)?;
            }
            let found = open(&path).and_then(|file| self.view.status(&file, c"").map(|status| (file, status)));
            let (file, status) = match found {
                // Gone since it was listed: the container goes on running.
                Err(errno) if gone(errno) => continue,
                found => found.map_err(|errno| refused(&name, errno))?,
            };
            self.entry(&file, &name, &status)?;
            drop(file);
            if Type::of(status.mode) == Type::Directory {
                self.children(top, &path, &name)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, file: &OwnedFd, name: &[u8], status: &Status) -> Result<(), Told> {
        let (uid, gid) = self.owner.unwrap_or_else(|| (self.view.uid(status.uid), self.view.gid(status.gid)));
        fn plain<'e>(common: Entry<'e>, kind: Kind<'e>, xattrs: &'e [(Vec<u8>, Vec<u8>)]) -> Entry<'e> {
            Entry { kind, xattrs, ..common }
        }
        let common = Entry {
            path: name,
            kind: Kind::Fifo,
            mode: status.mode & 0o7777,
            uid,
            gid,
            mtime: status.mtime,
            xattrs: &[],
        };
        let kind = Type::of(status.mode);
        let written = |done: io::Result<()>| done.map_err(|error| failed(&error));
        if status.nlink > 1 && kind != Type::Directory {
            let number = (status.inode, status.device);
            if let Some(first) = self.links.get(&number) {
                return written(self.writer.entry(&plain(common, Kind::HardLink(first), &[])));
            }
            self.links.insert(number, name.to_vec());
        }
        let reopen = |flags| self.view.reopen(file.as_fd(), flags).map_err(|errno| refused(name, errno));
        let (major, minor) = status.represents;
        written(match kind {
            Type::File => {
                let content = reopen(OFlag::O_RDONLY)?;
                let xattrs = read::attributes(self.view, &content);
                let now = statx(&content, c"").map_err(|errno| refused(name, errno))?;
                read::add_file(&mut self.writer, &plain(common, Kind::File(now.size), &xattrs), content, &now)
            }
            Type::Directory => {
                let xattrs = read::attributes(self.view, reopen(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?);
                self.writer.entry(&plain(common, Kind::Directory, &xattrs))
            }
            Type::Symlink => {
                let target = read::target(file).map_err(|errno| refused(name, errno))?;
                self.writer.entry(&plain(common, Kind::Symlink(&target), &[]))
            }
            Type::Fifo => self.writer.entry(&plain(common, Kind::Fifo, &[])),
            Type::CharDevice => self.writer.entry(&plain(common, Kind::CharDevice(major, minor), &[])),
            Type::BlockDevice => self.writer.entry(&plain(common, Kind::BlockDevice(major, minor), &[])),
            // A tar has no sockets, and one whose program is gone is of no use.
            Type::Socket => Ok(()),
        })
    }
}

fn refused(name: &[u8], errno: Errno) -> Told {
    let name = if name.is_empty() { ".".into() } else { String::from_utf8_lossy(name) };
    Told::refused(format!("cannot read {name}"), errno, None)
}
