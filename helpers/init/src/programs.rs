//! A directory in memory with this program itself, under the names by which it is `sudo` and `su`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};
use plan::Text;
use sys::mount::Attributes;

use crate::failure::{Doing, Result};
use crate::place::Places;

/// In `linux/capability.h`.
const SETGID: u32 = 6;
const SETUID: u32 = 7;

/// `VFS_CAP_REVISION_2` and `VFS_CAP_FLAGS_EFFECTIVE`: the process has them at once. The kernel adds whose namespace they hold in.
const REVISION_2: u32 = 0x0200_0000;
const AT_ONCE: u32 = 1;

/// `security.capability` (capabilities(7)): CAP_SETUID and CAP_SETGID.
fn capabilities() -> Vec<u8> {
    let permitted: u32 = (1 << SETGID) | (1 << SETUID);
    [REVISION_2 | AT_ONCE, permitted, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Mounts it at `target`. `owner`: root, and the group that may run it.
pub fn show(places: &Places<'_>, target: &Path, names: &[Text], owner: (Uid, Gid)) -> Result<()> {
    let Some((first, more)) = names.split_first() else { return Ok(()) };
    let doing = "show this program at";
    let options = [(c"mode", Some(c"0755")), (c"size", Some(c"8m"))];
    let writable = Attributes { no_dev: true, ..Attributes::default() };
    let mount = sys::mount::new_filesystem(c"tmpfs", &options, writable).doing(doing, target.display())?;
    let (root_uid, root_gid) = places.owner;
    // It is found by O_PATH, through which it cannot be given away otherwise.
    let given = fchownat(&mount, c"", Some(root_uid), Some(root_gid), AtFlags::AT_EMPTY_PATH);
    given.doing(doing, target.display())?;
    copy(&mount, first.as_path(), owner).doing(doing, target.display())?;
    for name in more {
        symlinkat(first.as_path(), &mount, name.as_path()).doing(doing, target.display())?;
        let given = fchownat(&mount, name.as_path(), Some(root_uid), Some(root_gid), AtFlags::AT_SYMLINK_NOFOLLOW);
        given.doing(doing, target.display())?;
    }
    let sealed = Attributes { read_only: true, ..writable };
    sys::mount::set_attributes(mount.as_fd(), sealed, false).doing(doing, target.display())?;
    let place = places.own_directory(target)?;
    sys::mount::attach(mount.as_fd(), place.as_fd()).doing(doing, target.display())
}

/// Writes this program into a directory.
fn copy(directory: &OwnedFd, name: &Path, owner: (Uid, Gid)) -> io::Result<()> {
    let own = open("/proc/self/exe", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(directory, name, flags, Mode::from_bits_truncate(0o700))?;
    io::copy(&mut File::from(own), &mut &File::from(file.try_clone()?))?;
    fchown(&file, Some(owner.0), Some(owner.1))?;
    fchmod(&file, Mode::from_bits_truncate(0o550))?;
    match sys::xattr::set_of(&file, c"security.capability", &capabilities()) {
        // Where there is one id only it has no use for them, and the kernel may know none.
        Err(Errno::EOPNOTSUPP | Errno::EPERM) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
