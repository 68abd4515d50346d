//! A copy of what a container has written, exact to the marks of either driver: for a container that is to begin as another is.
//!
//! Done as root of a user namespace in which all owners have numbers. The container that is copied does not run, or is held, so that nothing changes
//! meanwhile; what it holds is hostile all the same, and no link in it is followed.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink,
};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Whence, lseek};
use uidmap::Maps;

use super::folder::name;
use super::sweep::in_user_namespace;

/// In the work directory of cowfs: attributes by inode numbers, where the filesystem has none of its own.
const SIDECAR: &str = "attributes";

/// The most that is copied by one system call.
const AT_ONCE: u64 = 1 << 30;

/// Copies the upper side of the container in the folder `from` to that in the folder `to`, where it is empty; all of it is on the disk then.
///
/// # Errors
/// What cannot be copied, and why. What was copied until then stays.
pub fn upper(from: &Path, to: &Path, maps: &Maps) -> io::Result<()> {
    if from.join(name::WORK).join(SIDECAR).exists() {
        return Err(io::Error::other("its filesystem has no attributes of files, by which a copy would be as it is"));
    }
    in_user_namespace(maps, || {
        let mut copy = Copy { linked: HashMap::new() };
        copy.directory(&from.join(name::UPPER), &to.join(name::UPPER))?;
        copy.home(&from.join(name::HOME), &to.join(name::HOME))?;
        let top = File::open(to)?;
        nix::unistd::syncfs(&top).map_err(io::Error::from)
    })
}

/// A copy on its way.
struct Copy {
    /// Where a file with several names was copied to, by its device and number.
    linked: HashMap<(u64, u64), PathBuf>,
}

/// Copies the home that lies in the container's folder `from`, if there is one, to the folder `to`, which has none; all of it is on the disk then.
///
/// # Errors
/// As [`upper`].
pub fn home(from: &Path, to: &Path, maps: &Maps) -> io::Result<()> {
    in_user_namespace(maps, || {
        let mut copy = Copy { linked: HashMap::new() };
        copy.home(&from.join(name::HOME), &to.join(name::HOME))?;
        nix::unistd::syncfs(&File::open(to)?).map_err(io::Error::from)
    })
}

impl Copy {
    /// Copies a home that is not the host's as it is, but for what is there while it is shown alone.
    fn home(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let is_there = |part: &str, kind: fn(&fs::FileType) -> bool| {
            from.join(part).symlink_metadata().is_ok_and(|found| kind(&found.file_type()))
        };
        if !from.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        if from.join(name::WORK).join(SIDECAR).exists() {
            return Err(io::Error::other(
                "its filesystem has no attributes of files, by which a copy would be as it is",
            ));
        }
        fs::DirBuilder::new().mode(0o700).create(to)?;
        for part in [name::UPPER, super::home::OWN] {
            if is_there(part, fs::FileType::is_dir) {
                fs::create_dir(to.join(part))?;
                self.directory(&from.join(part), &to.join(part))?;
            }
        }
        for part in [super::home::BELOW, super::home::OF, super::home::FRESH] {
            if is_there(part, fs::FileType::is_file) {
                self.file(&from.join(part), &to.join(part))?;
            }
        }
        Ok(())
    }

    /// Copies what is in a directory, and then what that is itself.
    fn directory(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut waiting = vec![(from.to_owned(), to.to_owned())];
        let mut made = Vec::new();
        while let Some((from, to)) = waiting.pop() {
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                let (source, target) = (entry.path(), to.join(entry.file_name()));
                if entry.file_type()?.is_dir() {
                    fs::create_dir(&target)?;
                    waiting.push((source, target));
                } else {
                    self.file(&source, &target)?;
                }
            }
            made.push((from, to));
        }
        // Those within come first: a time, or a lack of permissions, is the last that a directory gets.
        for (from, to) in made.iter().rev() {
            let status = from.symlink_metadata()?;
            attributes(from, to)?;
            chown(to, Some(status.uid()), Some(status.gid()))?;
            fs::set_permissions(to, fs::Permissions::from_mode(status.mode() & 0o7777))?;
            times(to, &status)?;
        }
        Ok(())
    }

    /// Copies anything but a directory.
    fn file(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let status = from.symlink_metadata()?;
        let kind = status.file_type();
        if status.nlink() > 1 {
            if let Some(first) = self.linked.get(&(status.dev(), status.ino())) {
                return fs::hard_link(first, to);
            }
            self.linked.insert((status.dev(), status.ino()), to.to_owned());
        }
        if kind.is_symlink() {
            symlink(fs::read_link(from)?, to)?;
        } else if kind.is_file() {
            content(from, to, status.len())?;
        } else {
            let bits = if kind.is_fifo() {
                SFlag::S_IFIFO
            } else if kind.is_socket() {
                SFlag::S_IFSOCK
            } else if kind.is_char_device() {
                SFlag::S_IFCHR
            } else {
                SFlag::S_IFBLK
            };
            mknod(to, bits, Mode::from_bits_truncate(0o600), status.rdev())?;
        }
        attributes(from, to)?;
        lchown(to, Some(status.uid()), Some(status.gid()))?;
        if !kind.is_symlink() {
            fs::set_permissions(to, fs::Permissions::from_mode(status.mode() & 0o7777))?;
        }
        times(to, &status)
    }
}

/// Copies what a file holds, shared where the filesystem can do that; holes stay holes.
fn content(from: &Path, to: &Path, size: u64) -> io::Result<()> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let source = OpenOptions::new().read(true).custom_flags(flags).open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    fill(&source, &target, size)
}

/// Copies so much of what a file holds into an empty one, shared where the filesystem can do that; holes stay holes.
///
/// # Errors
/// Those of lseek(2) and copy_file_range(2).
pub(super) fn fill(source: &File, target: &File, size: u64) -> io::Result<()> {
    target.set_len(size)?;
    let mut at = 0;
    while at < size {
        let begin = match seek(source, at, Whence::SeekData) {
            // Nothing but a hole follows.
            Err(Errno::ENXIO) => break,
            begin => begin?,
        };
        let end = seek(source, begin, Whence::SeekHole)?.min(size);
        at = begin;
        while at < end {
            let length = usize::try_from((end - at).min(AT_ONCE)).unwrap_or(usize::MAX);
            match sys::copy_range::copy_range(source, at, target, at, length)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                copied => at += copied as u64,
            }
        }
    }
    Ok(())
}

fn seek(file: &File, at: u64, whence: Whence) -> Result<u64, Errno> {
    let at = i64::try_from(at).map_err(|_| Errno::EFBIG)?;
    lseek(file, at, whence).and_then(|found| u64::try_from(found).map_err(|_| Errno::EINVAL))
}

fn attributes(from: &Path, to: &Path) -> io::Result<()> {
    let names = match sys::xattr::names(from) {
        Err(Errno::EOPNOTSUPP) => return Ok(()),
        names => names?,
    };
    for name in names.split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(io::Error::other)?;
        // This machine's own, which every file gets anew.
        if name.to_bytes().starts_with(b"security.") && name != c"security.capability" {
            continue;
        }
        sys::xattr::set_itself(to, name, &sys::xattr::get(from, name)?)?;
    }
    Ok(())
}

fn times(path: &Path, status: &Metadata) -> io::Result<()> {
    let accessed = TimeSpec::new(status.atime(), status.atime_nsec());
    let modified = TimeSpec::new(status.mtime(), status.mtime_nsec());
    let cwd = nix::fcntl::AT_FDCWD;
    Ok(utimensat(cwd, path, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_what_it_is_made_of() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sub/deep")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("sub/file"), "content").unwrap();
        fs::hard_link(from.join("sub/file"), from.join("other")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        sys::xattr::set(&from.join("sub"), c"user.overlay.opaque", b"y").unwrap();
        let sparse = File::create(from.join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o640)).unwrap();
        mknod(&from.join("fifo"), SFlag::S_IFIFO, Mode::from_bits_truncate(0o600), 0).unwrap();
        Copy { linked: HashMap::new() }.directory(&from, &to).unwrap();

        let status = |path: &str| to.join(path).symlink_metadata().unwrap();
        assert_eq!(fs::read(to.join("other")).unwrap(), b"content");
        assert_eq!(status("other").ino(), status("sub/file").ino());
        assert_eq!(status("other").mode() & 0o7777, 0o640);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(sys::xattr::get(&to.join("sub"), c"user.overlay.opaque").unwrap(), b"y");
        assert_eq!((status("sparse").len(), status("sparse").blocks()), (1 << 30, 0));
        assert!(status("fifo").file_type().is_fifo() && status("sub/deep").is_dir());
        let modified = |path: PathBuf| path.metadata().unwrap().modified().unwrap();
        assert_eq!(modified(to.join("sub")), modified(from.join("sub")));
    }
}
