//! A container's changes as a layer: a tar with whiteouts (OCI image-spec, layer.md).

use std::collections::HashMap;
use std::io::{self, Write};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use sys::statx::Status;

use super::changes::{self, Change, Changed, refused};
use super::read::{self, Type};
use super::{Base, Hidden, View};
use crate::archive::{Entry, Kind, Writer};
use crate::container::error::Told;

/// What hides a file of a lower layer: this, and its name.
const WHITEOUT: &[u8] = b".wh.";
/// What hides all that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Writes what has changed, as `view` shows it, to `out`. Returns whether there is anything.
///
/// # Errors
/// What cannot be read or cannot be said in a layer, and what the output says.
pub fn write(view: &View, base: &Base, hidden: &Hidden, out: impl Write) -> Result<bool, Told> {
    let changes = changes::find(view, base, hidden)?;
    let mut layer =
        Layer { view, writer: Writer::new(io::BufWriter::with_capacity(256 << 10, out)), links: HashMap::new() };
    let mut any = false;
    for change in changes.iter().filter(|change| !change.implied) {
        any = true;
        refuse_whiteout(&change.path)?;
        layer.add(change)?;
    }
    layer.writer.finish().map_err(|error| failed(&error))?;
    Ok(any)
}

/// In a layer such a name would hide another file, and its own file would be lost.
pub(super) fn refuse_whiteout(path: &[u8]) -> Result<(), Told> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if !name.starts_with(WHITEOUT) {
        return Ok(());
    }
    Err(Told {
        message: format!("cannot keep /{} in an image", String::from_utf8_lossy(path)),
        cause: Some(Box::new(Told::plain("in a layer, a name that begins with `.wh.` hides another file"))),
        hint: Some("remove or rename it in the container; `enter export` keeps such files".into()),
    })
}

struct Layer<'a, W: Write> {
    view: &'a View,
    writer: Writer<W>,
    /// The first name of each file that has several.
    links: HashMap<(u64, (u32, u32)), Vec<u8>>,
}

impl<W: Write> Layer<'_, W> {
    fn add(&mut self, changed: &Changed) -> Result<(), Told> {
        let Some(status) = changed.status.filter(|_| changed.change != Change::Deleted) else {
            let at = changed.path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            let (parent, name) = changed.path.split_at(at);
            return self.mark(&[parent, WHITEOUT, name].concat());
        };
        match self.file(&changed.path, &status) {
            // Removed or replaced since it was found: the container goes on running.
            Err(Fault::Gone) => return Ok(()),
            Err(Fault::Told(told)) => return Err(told),
            Ok(()) => {}
        }
        if changed.opaque { self.mark(&[&changed.path, &b"/"[..], OPAQUE].concat()) } else { Ok(()) }
    }

    /// An empty file that says something by its name.
    fn mark(&mut self, path: &[u8]) -> Result<(), Told> {
        let entry = Entry { path, kind: Kind::File(0), mode: 0o600, uid: 0, gid: 0, mtime: (0, 0), xattrs: &[] };
        self.writer.entry(&entry).map_err(|error| failed(&error))
    }

    fn file(&mut self, path: &[u8], status: &Status) -> Result<(), Fault> {
        let kind = Type::of(status.mode);
        if status.nlink > 1 && kind != Type::Directory {
            let file = (status.inode, status.device);
            if let Some(first) = self.links.get(&file).cloned() {
                return Ok(self.writer.entry(&self.entry(path, Kind::HardLink(&first), status, &[]))?);
            }
            self.links.insert(file, path.to_vec());
        }
        let (major, minor) = status.represents;
        let open = |flags| changes::open(&self.view.root, path, flags).map_err(|errno| fault(path, errno));
        match kind {
            Type::File => {
                let file = open(OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
                let now = self.view.status(&file, c"").map_err(|errno| fault(path, errno))?;
                if Type::of(now.mode) != Type::File {
                    return Err(Fault::Gone);
                }
                let xattrs = read::attributes(self.view, &file);
                let entry = self.entry(path, Kind::File(now.size), &now, &xattrs);
                read::add_file(&mut self.writer, &entry, file, &now)?;
            }
            Type::Directory => {
                let directory = open(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                let xattrs = read::attributes(self.view, &directory);
                self.writer.entry(&self.entry(path, Kind::Directory, status, &xattrs))?;
            }
            Type::Symlink => {
                let target = read::target(open(OFlag::O_PATH)?).map_err(|errno| fault(path, errno))?;
                self.writer.entry(&self.entry(path, Kind::Symlink(&target), status, &[]))?;
            }
            Type::Fifo => self.writer.entry(&self.entry(path, Kind::Fifo, status, &[]))?,
            Type::CharDevice => self.writer.entry(&self.entry(path, Kind::CharDevice(major, minor), status, &[]))?,
            Type::BlockDevice => self.writer.entry(&self.entry(path, Kind::BlockDevice(major, minor), status, &[]))?,
            // A tar has no sockets, and one whose program is gone is of no use.
            Type::Socket => {}
        }
        Ok(())
    }

    fn entry<'a>(
        &self,
        path: &'a [u8],
        kind: Kind<'a>,
        status: &Status,
        xattrs: &'a [(Vec<u8>, Vec<u8>)],
    ) -> Entry<'a> {
        Entry {
            path,
            kind,
            mode: status.mode & 0o7777,
            uid: self.view.uid(status.uid),
            gid: self.view.gid(status.gid),
            mtime: status.mtime,
            xattrs,
        }
    }
}

enum Fault {
    Gone,
    Told(Told),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Told(failed(&error))
    }
}

fn fault(path: &[u8], errno: Errno) -> Fault {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => Fault::Gone,
        errno => Fault::Told(refused(path, errno)),
    }
}

pub(super) fn failed(error: &io::Error) -> Told {
    Told {
        message: "cannot pass the container's files on".into(),
        cause: Some(Box::new(Told::by(error, None))),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_would_hide_another_is_refused() {
        for path in [".wh.passwd", "etc/.wh.passwd", "etc/.wh..wh..opq", ".wh."] {
            let told = refuse_whiteout(path.as_bytes()).unwrap_err();
            assert_eq!(told.message, format!("cannot keep /{path} in an image"));
        }
        for path in ["etc/wh.passwd", "etc/.whale", "etc/x.wh.y", ".wh.d/below"] {
            assert!(refuse_whiteout(path.as_bytes()).is_ok(), "{path}");
        }
    }
}
