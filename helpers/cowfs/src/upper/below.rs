//! How files of the lower side looked when the upper side hid them first: by that is found out later what has changed below meanwhile.
//!
//! The file is a sequence of entries, each ended by a NUL; the last one of a path counts:
//!
//! ```text
//! MODE SIZE INODE LINKS UID GID MTIME CTIME PATH    100644 12 4711 1 1000 1000 1700000000.5 1700000000.5 notes/todo
//! ```
//!
//! MODE is `st_mode` in octal, all else decimal; times are seconds and nanoseconds. PATH is relative to the root, and may hold anything but a
//! NUL. An entry is written before its file is hidden; one without a file is of no meaning.

use std::collections::HashMap;

use sys::statx::Status;

/// What ends an entry.
pub const END: u8 = 0;

/// How a file looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// As in `st_mode`.
    pub mode: u32,
    /// In bytes.
    pub size: u64,
    /// Its number on its filesystem.
    pub inode: u64,
    /// How many names it had.
    pub links: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The last change of its content: seconds, nanoseconds.
    pub mtime: (i64, u32),
    /// The last change of its attributes or names.
    pub ctime: (i64, u32),
}

impl Looks {
    /// Those of a file.
    #[must_use]
    pub fn of(status: &Status) -> Looks {
        let Status { mode, size, inode, nlink, uid, gid, mtime, ctime, .. } = *status;
        Looks { mode, size, inode, links: nlink, uid, gid, mtime, ctime }
    }

    /// Whether a file that looks so `now` is the one that looked so then, and unchanged. A name that it has got or lost elsewhere is no
    /// change of this one.
    #[must_use]
    pub fn is_unchanged(&self, now: &Looks) -> bool {
        let renamed = self.links != now.links;
        Looks { links: now.links, ctime: if renamed { now.ctime } else { self.ctime }, ..*self } == *now
    }

    /// The entry that says so of a path.
    #[must_use]
    pub fn line(&self, path: &[u8]) -> Vec<u8> {
        let Looks { mode, size, inode, links, uid, gid, mtime, ctime } = self;
        let (mtime, ctime) = (format!("{}.{}", mtime.0, mtime.1), format!("{}.{}", ctime.0, ctime.1));
        let mut line = format!("{mode:o} {size} {inode} {links} {uid} {gid} {mtime} {ctime} ").into_bytes();
        line.extend_from_slice(path);
        line.push(END);
        line
    }
}

/// What a file of entries says of each path. What makes no sense says nothing.
#[must_use]
pub fn read(text: &[u8]) -> HashMap<Vec<u8>, Looks> {
    let whole = text.iter().rposition(|byte| *byte == END).map_or(0, |at| at + 1);
    text[..whole].split(|byte| *byte == END).filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<(Vec<u8>, Looks)> {
    let mut words = line.splitn(9, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let time = |text: &str| {
        let (seconds, nanoseconds) = text.split_once('.')?;
        Some((seconds.parse().ok()?, nanoseconds.parse().ok()?))
    };
    let looks = Looks {
        mode: u32::from_str_radix(word()?, 8).ok()?,
        size: word()?.parse().ok()?,
        inode: word()?.parse().ok()?,
        links: word()?.parse().ok()?,
        uid: word()?.parse().ok()?,
        gid: word()?.parse().ok()?,
        mtime: time(word()?)?,
        ctime: time(word()?)?,
    };
    let path = words.next().filter(|path| !path.is_empty())?;
    Some((path.to_vec(), looks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn looks() -> impl Strategy<Value = Looks> {
        let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
        (numbers, any::<(i64, u32)>(), any::<(i64, u32)>()).prop_map(
            |((mode, size, inode, links, uid, gid), mtime, ctime)| Looks {
                mode,
                size,
                inode,
                links,
                uid,
                gid,
                mtime,
                ctime,
            },
        )
    }

    proptest! {
        #[test]
        fn entries_come_back_as_they_were_written(looks in looks(), later in looks(), path in prop::collection::vec(1..=255_u8, 1..40)) {
            let mut text = looks.line(&path);
            prop_assert_eq!(read(&text), HashMap::from([(path.clone(), looks)]));
            text.extend(later.line(&path));
            prop_assert_eq!(read(&text), HashMap::from([(path.clone(), later)]));
            // Cut off, the last one says nothing.
            text.pop();
            prop_assert_eq!(read(&text), HashMap::from([(path, looks)]));
        }

        #[test]
        fn any_bytes_are_entries_or_none(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&text);
        }
    }

    #[test]
    fn another_name_is_no_change_and_anything_else_is() {
        let zero = (0, 0);
        let then = Looks { mode: 0o100_644, size: 1, inode: 2, links: 1, uid: 3, gid: 3, mtime: zero, ctime: zero };
        assert!(then.is_unchanged(&then));
        assert!(then.is_unchanged(&Looks { links: 2, ctime: (5, 0), ..then }));
        assert!(!then.is_unchanged(&Looks { ctime: (5, 0), ..then }));
        assert!(!then.is_unchanged(&Looks { links: 2, ctime: (5, 0), size: 2, ..then }));
        assert!(!then.is_unchanged(&Looks { inode: 9, ..then }));
    }
}
