//! Opening paths that somebody else controls (openat2(2), Linux 5.6).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use crate::{Errno, Result};

/// Opens `path` as if `root` were `/`: no `..`, symbolic link or magic link leads out of it.
///
/// A race with a rename inside the root (`EAGAIN`) is tried again a bounded number of times.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(mode)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    for _ in 0..32 {
        match openat2(root.as_fd(), path, how) {
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

/// A descriptor that only stands for the file at `path` inside `root` (O_PATH), symbolic links followed.
pub fn find_in_root(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    open_in_root(root, path, OFlag::O_PATH, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_dots_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passwd"), "inside").unwrap();
        symlink("/../../passwd", dir.path().join("link")).unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        let fd = open_in_root(&root, Path::new("../link"), OFlag::O_RDONLY, Mode::empty()).unwrap();
        assert_eq!(std::io::read_to_string(std::fs::File::from(fd)).unwrap(), "inside");
        assert_eq!(find_in_root(&root, Path::new("/etc/passwd")).unwrap_err(), Errno::ENOENT);
    }
}
