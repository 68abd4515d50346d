//! Whether a table of contents says what the tar says that it lists: compared entry by entry, as the tar is read.

use cowfs::arriving::{Moved, Piece};
use cowfs::layer::{Body, Entry, LayerIndex};

/// The entry that an eStargz has in its tar and not in its table: the table itself.
const TABLE: &[u8] = b"stargz.index.json";

/// How far a table and a tar say the same, and where in the tar the content lies that was listed.
#[derive(Debug, Default)]
pub struct Agreement {
    next: usize,
    pieces: Vec<Piece>,
}

impl Agreement {
    /// The number of the table's entry that is to come next.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Compares the tar's next entry. Nanoseconds are not compared: eStargz has none.
    ///
    /// # Errors
    /// Its path, escaped, where the table says something else.
    pub fn take(&mut self, listed: &LayerIndex, entry: &Entry<'_>) -> Result<(), String> {
        match listed.get(self.next).filter(|other| same(other, entry)) {
            Some(other) => {
                self.next += 1;
                self.add(&other.body, &entry.body);
                Ok(())
            }
            None if entry.path == TABLE => Ok(()),
            None => Err(shown(entry)),
        }
    }

    /// Where everything has gone, after the tar's last entry.
    ///
    /// # Errors
    /// What the table has more.
    pub fn finish(&self, listed: &LayerIndex) -> Result<Moved, String> {
        match listed.get(self.next) {
            Some(more) => Err(shown(&more)),
            None => Moved::new(listed.tar_bytes(), self.pieces.clone()).ok_or_else(|| "its content".to_owned()),
        }
    }

    /// Where something that was listed lies in the tar, and how much follows it there; `None` for a hole, and for what has not come yet.
    pub fn place(&self, listed: u64) -> Option<(u64, u64)> {
        let at = self.pieces.partition_point(|piece| piece.listed + piece.len <= listed);
        let piece = self.pieces.get(at).filter(|piece| piece.listed <= listed)?;
        let inside = listed - piece.listed;
        Some((piece.tar + inside, piece.len - inside))
    }

    /// Notes where a file's content has gone. What is a hole in the tar is one among the pieces.
    fn add(&mut self, listed: &Body<'_>, real: &Body<'_>) {
        let (Body::File { segments: from, .. }, Body::File { segments: to, .. }) = (listed, real) else { return };
        let Some(begin) = from.first().map(|segment| segment.tar) else { return };
        self.pieces.extend(to.iter().map(|to| Piece { listed: begin + to.start, len: to.len, tar: to.tar }));
    }
}

fn shown(entry: &Entry<'_>) -> String {
    format!("/{}", entry.path.escape_ascii())
}

fn same(one: &Entry<'_>, other: &Entry<'_>) -> bool {
    let bodies = match (&one.body, &other.body) {
        (Body::File { size, .. }, Body::File { size: other, .. }) => size == other,
        (one, other) => one == other,
    };
    // Of those the tar's owner and mode mean nothing.
    let nameless = matches!(one.body, Body::HardLink(_) | Body::Whiteout | Body::Opaque);
    let meta = || {
        let (one, other) = (one.meta, other.meta);
        (one.mode, one.uid, one.gid, one.mtime.secs) == (other.mode, other.uid, other.gid, other.mtime.secs)
    };
    let xattrs = || {
        let (mut one, mut other) = (one.xattrs.clone(), other.xattrs.clone());
        one.sort_unstable();
        other.sort_unstable();
        one == other
    };
    one.path == other.path && bodies && (nameless || (meta() && xattrs()))
}
