//! Owner, group, mode and device number of a file that belongs, on the host, to somebody else.
//!
//! An ordinary user can neither give a file away nor make a device. So a file of the upper side belongs to the user on the
//! host, and says in one extended attribute, `user.cowfs.stat`, what it is to those who see it through the mount:
//!
//! ```text
//! UID GID MODE            0 42 100640
//! UID GID MODE MAJOR:MINOR    0 6 60660 8:1
//! ```
//!
//! UID and GID are decimal, in the ids of the image (the container's). MODE is `st_mode` in octal, type included. What has
//! another type than the file itself is kept in an empty regular file, or, for a symbolic link, in one that holds
//! the target. A file without the attribute belongs to 0:0, and has the type and permissions that it has on the host.

use std::fmt;

use sys::statx::Status;

/// The attribute that holds a record.
pub const NAME: &std::ffi::CStr = c"user.cowfs.stat";

/// What a file is to those who see it through the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner, as the image numbers users.
    pub uid: u32,
    /// The group, as the image numbers groups.
    pub gid: u32,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Of a device its number: major, minor.
    pub device: (u32, u32),
}

impl Record {
    /// Reads the attribute. `None` where nobody could have written it so.
    pub fn parse(value: &[u8]) -> Option<Record> {
        let text = std::str::from_utf8(value).ok()?;
        let mut words = text.split(' ');
        let mut decimal = || number(words.next()?, 10);
        let (uid, gid) = (decimal()?, decimal()?);
        let mode = number(words.next()?, 8)?;
        let kind = mode & libc::S_IFMT;
        let is_device = kind == libc::S_IFCHR || kind == libc::S_IFBLK;
        let device = match words.next() {
            Some(pair) if is_device => {
                let (major, minor) = pair.split_once(':')?;
                (number(major, 10)?, number(minor, 10)?)
            }
            None if !is_device => (0, 0),
            _ => return None,
        };
        let known =
            is_device || matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK | libc::S_IFIFO | libc::S_IFSOCK);
        let whole = known && mode & !(libc::S_IFMT | 0o7777) == 0 && words.next().is_none();
        whole.then_some(Record { uid, gid, mode, device })
    }

    /// What a file is that says nothing: `mode` as the host has it.
    pub fn silent(mode: u32) -> Record {
        Record { uid: 0, gid: 0, mode, device: (0, 0) }
    }

    /// Puts what is recorded in the place of what the host says. `only_recorded`: so is the type, and the host's file is empty or holds
    /// a link's target.
    pub fn apply(&self, status: &mut Status, only_recorded: bool) {
        if only_recorded && self.mode & libc::S_IFMT != libc::S_IFLNK {
            (status.size, status.blocks) = (0, 0);
        }
        (status.uid, status.gid, status.mode, status.represents) = (self.uid, self.gid, self.mode, self.device);
    }

    /// The permissions that a file with this record has on the host: no set-id bits, which would be the user's own, and
    /// always what the user needs to read and write it.
    pub fn on_host(&self) -> u32 {
        let own = if self.mode & libc::S_IFMT == libc::S_IFDIR { 0o700 } else { 0o600 };
        self.mode & 0o777 | own
    }

    /// Whether a file with the permissions [`Record::on_host`] has to say anything.
    pub fn must_be_said(&self) -> bool {
        let kind = self.mode & libc::S_IFMT;
        let itself = matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK);
        let permissions = kind != libc::S_IFLNK && self.mode & 0o7777 != self.on_host();
        (self.uid, self.gid) != (0, 0) || !itself || permissions
    }
}

/// A number without sign, blanks or needless zeroes.
fn number(digits: &str, radix: u32) -> Option<u32> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    plain.then(|| u32::from_str_radix(digits, radix).ok())?
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:o}", self.uid, self.gid, self.mode)?;
        match self.mode & libc::S_IFMT {
            libc::S_IFCHR | libc::S_IFBLK => write!(f, " {}:{}", self.device.0, self.device.1),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back_as_they_were_written(
            uid: u32,
            gid: u32,
            permissions in 0..0o10000_u32,
            kind in prop::sample::select(vec![libc::S_IFREG, libc::S_IFDIR, libc::S_IFLNK, libc::S_IFIFO, libc::S_IFSOCK, libc::S_IFCHR]),
            device: (u32, u32),
        ) {
            let device = if kind == libc::S_IFCHR { device } else { (0, 0) };
            let record = Record { uid, gid, mode: kind | permissions, device };
            prop_assert_eq!(Record::parse(record.to_string().as_bytes()), Some(record));
        }

        #[test]
        fn nothing_else_is_one(value in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Some(record) = Record::parse(&value) {
                prop_assert_eq!(record.to_string().into_bytes(), value);
            }
        }
    }

    #[test]
    fn the_usual_file_says_nothing() {
        assert!(!Record::silent(libc::S_IFREG | 0o644).must_be_said());
        assert!(!Record::silent(libc::S_IFLNK | 0o777).must_be_said());
        assert!(Record::silent(libc::S_IFREG | 0o444).must_be_said(), "the user must be able to write it");
        assert!(Record::silent(libc::S_IFREG | 0o4755).must_be_said());
        assert!(Record::silent(libc::S_IFIFO | 0o644).must_be_said());
        assert_eq!(Record::silent(libc::S_IFDIR | 0o1555).on_host(), 0o755);
    }
}
