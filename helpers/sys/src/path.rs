//! Opening paths that somebody else controls (openat2(2), Linux 5.6).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

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

/// Opens `path` below `directory` without following any link: a link anywhere in it is `ELOOP`, a `..` that leads out `EXDEV`.
///
/// A race with a rename (`EAGAIN`, or `EXDEV` although nothing in `path` leads out) is tried again a bounded number of times.
pub fn open_beneath(directory: impl AsFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .mode(mode)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    // What was found is checked to be beneath once more at the end, when somebody may have moved it away (`complete_walk` in the
    // kernel's fs/namei.c).
    let leads_out = path.components().any(|part| matches!(part, Component::ParentDir | Component::RootDir));
    for _ in 0..32 {
        match openat2(directory.as_fd(), path, how) {
            Err(Errno::EAGAIN) => {}
            Err(Errno::EXDEV) if !leads_out => {}
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
    fn a_directory_that_is_moved_away_meanwhile_does_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (top, inside, outside) = (dir.path().join("top"), dir.path().join("top/sub"), dir.path().join("other"));
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        let handle = std::fs::File::open(&top).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::fs::rename(&inside, &outside).unwrap();
                    std::fs::rename(&outside, &inside).unwrap();
                }
            });
            for _ in 0..20_000 {
                let found = open_beneath(&handle, Path::new("sub/deep"), OFlag::O_PATH, Mode::empty());
                assert!(matches!(found, Ok(_) | Err(Errno::ENOENT | Errno::EAGAIN)), "{found:?}");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

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

    #[test]
    fn beneath_a_directory_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/file"), "there").unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let open = std::fs::File::open(dir.path()).unwrap();
        let try_open = |path: &str| open_beneath(&open, Path::new(path), OFlag::O_RDONLY, Mode::empty()).map(drop);
        assert_eq!(try_open("real/file"), Ok(()));
        assert_eq!(try_open("link/file"), Err(Errno::ELOOP));
        assert_eq!(try_open("../x"), Err(Errno::EXDEV));
        // With O_PATH the last part may be a link, which is then what is opened.
        let link = open_beneath(&open, Path::new("link"), OFlag::O_PATH, Mode::empty());
        let status = nix::sys::stat::fstat(link.unwrap()).unwrap();
        assert_eq!(status.st_mode & libc::S_IFMT, libc::S_IFLNK);
    }
}
