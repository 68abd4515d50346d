//! Takes down how files of the lower side looked when the upper side hid them first, where the lower side changes meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fuser::INodeNo;

use super::Union;
use super::nodes::{Id, Nodes, ROOT};
use crate::error::errno;
use crate::serve::view::{Answer, View};
use crate::upper::below::{END, Looks};

use nix::errno::Errno;

/// Opens the file that takes it down. What a server that was killed has not written to its end is ended.
pub(super) fn open(path: &Path) -> Answer<File> {
    let opened = || {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut last = [END];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [END] {
            file.write_all(&[END])?;
        }
        Ok(file)
    };
    opened().map_err(|error| errno(&error))
}

impl<L: View> Union<L> {
    /// How an inode of the lower side looks, by the name under which it is known.
    pub(super) fn looks_of(&self, id: Id) -> Option<Looks> {
        self.below.as_ref()?;
        let (parent, name) = self.lower.names(INodeNo(id)).ok()?.pop()?;
        self.lower.looks(parent, &name)
    }

    /// How what the lower side has under a name looks, in a directory through which that shows.
    pub(super) fn lower_looks(&self, nodes: &Nodes, parent: Id, name: &[u8]) -> Option<Looks> {
        self.below.as_ref()?;
        self.lower.looks(INodeNo(nodes.get(parent)?.lower?), name)
    }

    /// Takes it down, before the upper side hides what has a name in a directory.
    pub(super) fn take_down(&self, nodes: &Nodes, parent: Id, name: &[u8], looks: Option<Looks>) -> Answer<()> {
        let (Some(mut file), Some(looks)) = (self.below.as_ref(), looks) else { return Ok(()) };
        let mut parts = vec![name];
        let mut at = parent;
        while at != ROOT {
            let (above, name) = nodes.upper(at).and_then(|node| node.names.first()).ok_or(Errno::ESTALE)?;
            parts.push(name);
            at = *above;
        }
        parts.reverse();
        // In one piece: a line that is cut off in the middle is none.
        file.write_all(&looks.line(&parts.join(&b'/'))).map_err(|error| errno(&error))
    }
}
