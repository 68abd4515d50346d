//! Devices that are made as data, where the kernel lets nobody make one (mknod(2) in a user namespace).
//!
//! Whoever pretends that a program may, asks for one by an attribute of the directory that it is to be in.

use fuser::INodeNo;
use libc::{S_IFBLK, S_IFCHR, S_IFMT};
use nix::errno::Errno;

use super::Union;
use super::make::Wish;
use crate::serve::change::{Caller, Mode, Name};
use crate::serve::view::{Answer, View};

/// Set on a directory to `UID GID MODE MAJOR:MINOR NAME`, the mode in octal digits, makes a device in it.
///
/// Nobody may have asked the kernel for the name before: it would go on saying that there is nothing. A name that nobody knows, and
/// then a rename, are the way.
pub(super) const DEVICE: &[u8] = b"system.cowfs.device";

impl<L: View> Union<L> {
    pub(super) fn make_device(&self, parent: INodeNo, value: &[u8]) -> Answer<()> {
        let Asked { owner: (uid, gid), mode, device, name } = Asked::parse(value).ok_or(Errno::EINVAL)?;
        let wish = Wish { mode: Mode { mode, umask: 0 }, device, target: b"" };
        let made = self.make(Caller { uid: 0, gid: 0 }, Name { parent, name }, wish)?;
        let owned = self.set_owner_text(made.inode, format!("{uid} {gid}").as_bytes());
        // The kernel has not been told of it.
        self.forget(made.inode, 1);
        owned
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Asked<'v> {
    owner: (u32, u32),
    mode: u32,
    device: (u32, u32),
    name: &'v [u8],
}

impl<'v> Asked<'v> {
    fn parse(value: &'v [u8]) -> Option<Self> {
        let mut words = value.splitn(5, |byte| *byte == b' ');
        let mut next = || std::str::from_utf8(words.next()?).ok();
        let (uid, gid, mode, device) = (next()?, next()?, next()?, next()?);
        let name = words.next()?;
        let (major, minor) = device.split_once(':')?;
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let is_device = matches!(mode & S_IFMT, S_IFCHR | S_IFBLK) && mode & !(S_IFMT | 0o7777) == 0;
        let is_name = !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0);
        (is_device && is_name).then_some(Self {
            owner: (uid.parse().ok()?, gid.parse().ok()?),
            mode,
            device: (major.parse().ok()?, minor.parse().ok()?),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_a_device_with_a_name() {
        let asked = Asked { owner: (0, 5), mode: 0o20620, device: (136, 3), name: b"a b" };
        assert_eq!(Asked::parse(b"0 5 20620 136:3 a b"), Some(asked));
        for wrong in
            ["0 5 20620 136:3", "0 5 100620 136:3 x", "0 5 20620 136:3 ..", "0 5 20620 136 x", "0 5 20620 1:3 a/b", ""]
        {
            assert_eq!(Asked::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
