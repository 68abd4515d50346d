//! The upper side of a container's root, as it lies in its folder: what a name in it stands for, whichever driver wrote it.
//!
//! It is hostile, as far as a container can bring it about: nothing here follows a link. The `fuse` driver's form is described in
//! `cowfs::upper`; the kernel's has whiteouts, opaque directories, and nothing else that is not what it seems.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

pub use cowfs::upper::Found;
pub use cowfs::upper::marks::At;
use cowfs::upper::marks::Marks;
use cowfs::upper::{self, METACOPY, OPAQUE, Ownership, REDIRECT, WHITEOUT};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use sys::statx::{Status, statx};

use super::folder::name;
use super::record::Storage;

/// The longest target of a link (PATH_MAX), in bytes.
const LONGEST_TARGET: u64 = 4096;

/// What a container has written.
#[derive(Debug)]
pub struct Upper {
    top: OwnedFd,
    marks: Marks,
    storage: Storage,
}

/// Where the content of a regular file is.
#[derive(Debug)]
pub enum Content {
    /// In itself.
    Own(File),
    /// In a file of the lower side, at this path from its root on.
    Lower(Vec<u8>),
}

/// What each name is shown to.
type Visit<'v> = &'v mut dyn FnMut(&[u8], At<'_>, Result<Found, Errno>);

/// The same, until it says that it is enough.
pub type VisitWhile<'v> = &'v mut dyn FnMut(&[u8], At<'_>, Result<Found, Errno>) -> bool;

impl Upper {
    /// Opens that of the container in a folder.
    ///
    /// # Errors
    /// Where it is not there, or is closed to this process.
    pub fn open(folder: &Path, storage: Storage) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(&folder.join(name::UPPER), flags, Mode::empty())?;
        let marks = match storage {
            Storage::Overlay => Marks::Files,
            Storage::Fuse => Marks::of(&folder.join(name::WORK)),
        };
        Ok(Self { top, marks, storage })
    }

    /// Opens a directory that is nothing but that, with whatever lies in it.
    ///
    /// # Errors
    /// Where it is not there, or is closed to this process.
    pub fn plain(directory: &Path) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(directory, flags, Mode::empty())?;
        Ok(Self { top, marks: Marks::Files, storage: Storage::Overlay })
    }

    /// Its topmost directory, found by O_PATH.
    pub fn top(&self) -> &OwnedFd {
        &self.top
    }

    /// What its files are marked with.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Shows everything in it to `visit`: where it is, and what it stands for. What cannot be listed is left out.
    pub fn visit(&self, visit: &mut dyn FnMut(At<'_>, Result<Found, Errno>)) {
        self.walk(&mut |_, at, found| visit(at, found));
    }

    /// What a name is.
    ///
    /// # Errors
    /// Those of statx(2); `EIO` where its record is damaged.
    pub fn look(&self, at: At<'_>) -> Result<Found, Errno> {
        match self.storage {
            Storage::Fuse => upper::look(&self.marks, Ownership::Recorded, at),
            Storage::Overlay => {
                let status = statx(at.dir, at.name)?;
                Ok(if self.is_whiteout(at, &status) { Found::Whiteout } else { Found::File(status, false) })
            }
        }
    }

    /// Whether what is there, which looks like `status` on the host, says that the lower side's file is gone.
    pub fn is_whiteout(&self, at: At<'_>, status: &Status) -> bool {
        match status.mode & libc::S_IFMT {
            libc::S_IFCHR => status.represents == (0, 0),
            libc::S_IFREG => status.size == 0 && self.marks.get(at, WHITEOUT).is_ok(),
            _ => false,
        }
    }

    /// Whether nothing of the lower side shows through a directory.
    pub fn is_opaque(&self, at: At<'_>) -> bool {
        self.marks.get(at, OPAQUE).is_ok_and(|value| value == b"y")
    }

    /// Says that the lower side's file of a name is gone, where nothing has the name.
    ///
    /// # Errors
    /// Those of mknodat(2), openat(2) and setxattr(2).
    pub fn put_whiteout(&self, directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        match mknodat(directory, name, SFlag::S_IFCHR, Mode::empty(), 0) {
            // It is a file with a mark where no device 0:0 can be made, and its directory says that there are such.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::EINVAL) => {}
            Err(Errno::EEXIST) => return Ok(()),
            made => return made,
        }
        if self.marks.get(At::file(directory), OPAQUE).is_err() {
            self.marks.set(At::file(directory), OPAQUE, b"x")?;
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(directory, name, flags, Mode::from_bits_truncate(0o600))?;
        self.marks.set(At::file(&file), WHITEOUT, b"")
    }

    /// Lets the lower side show through a directory again.
    ///
    /// # Errors
    /// Those of setxattr(2).
    pub fn clear_opaque(&self, directory: &OwnedFd) -> Result<(), Errno> {
        match self.is_opaque(At::file(directory)) {
            // There may be whiteouts in it that are files.
            true => self.marks.set(At::file(directory), OPAQUE, b"x"),
            false => Ok(()),
        }
    }

    /// Removes what is no directory.
    ///
    /// # Errors
    /// Those of unlinkat(2).
    pub fn remove(&self, directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let status = statx(directory, name);
        unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
        if let Ok(status) = status.as_ref()
            && status.nlink == 1
        {
            self.marks.forget(status.inode);
        }
        Ok(())
    }

    /// What a symbolic link says. `recorded`: its type is.
    ///
    /// # Errors
    /// Those of readlinkat(2), openat(2) and read(2).
    pub fn target(&self, at: At<'_>, recorded: bool) -> Result<Vec<u8>, Errno> {
        if !recorded {
            return nix::fcntl::readlinkat(at.dir, at.name).map(OsStringExt::into_vec);
        }
        let mut target = Vec::new();
        let read = self.open_file(at)?.take(LONGEST_TARGET).read_to_end(&mut target);
        read.map(|_| target).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    /// Where the content of a regular file is.
    ///
    /// # Errors
    /// Those of openat(2); `EIO` where it is said to be elsewhere and not where.
    pub fn content(&self, at: At<'_>) -> Result<Content, Errno> {
        if self.storage == Storage::Fuse && self.marks.get(at, METACOPY).is_ok() {
            let path = self.marks.get(at, REDIRECT).map_err(|_| Errno::EIO)?;
            return Ok(Content::Lower(path));
        }
        self.open_file(at).map(Content::Own)
    }

    /// Whether a regular file holds its content itself.
    pub fn is_whole(&self, at: At<'_>) -> bool {
        self.storage != Storage::Fuse || self.marks.get(at, METACOPY).is_err()
    }

    /// Bytes of all files that are here. Those with several names count once; what the user may not look into does not count.
    pub fn bytes(&self) -> u64 {
        self.bytes_until(Instant::now() + Duration::from_secs(u32::MAX.into())).0
    }

    /// The same, as far as it can be counted until then, and whether that is all.
    pub fn bytes_until(&self, end: Instant) -> (u64, bool) {
        let (mut bytes, mut linked, mut all) = (0, HashSet::new(), true);
        self.walk_while(&mut |_, at, found| {
            all = Instant::now() < end;
            let Ok(Found::File(status, _)) = found else { return all };
            let is_file = status.mode & libc::S_IFMT == libc::S_IFREG;
            if is_file && (status.nlink == 1 || linked.insert(status.inode)) {
                bytes += if self.is_whole(at) { status.size } else { 0 };
            }
            all
        });
        (bytes, all)
    }

    /// The paths of files whose record makes no sense, so that nobody can tell what they are; at most `most` of them.
    pub fn damaged(&self, most: usize) -> Vec<Vec<u8>> {
        let mut damaged = Vec::new();
        self.walk(&mut |path, _, found| {
            if found == Err(Errno::EIO) && damaged.len() < most {
                damaged.push(path.to_vec());
            }
        });
        damaged
    }

    /// Shows every name to `visit`: its path, where it is, and what it stands for. What cannot be listed is left out.
    fn walk(&self, visit: Visit<'_>) {
        self.walk_while(&mut |path, at, found| {
            visit(path, at, found);
            true
        });
    }

    /// The same, until `visit` says that it is enough.
    pub fn walk_while(&self, visit: VisitWhile<'_>) {
        let mut waiting = vec![Vec::new()];
        while let Some(path) = waiting.pop() {
            let below = if path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(&path)) };
            let open =
                || sys::path::open_beneath(&self.top, below, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty());
            let Ok((directory, mut listed)) = open().and_then(|fd| Ok((open()?, Dir::from_fd(fd)?))) else { continue };
            for entry in listed.iter().flatten().filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")) {
                let name = entry.file_name();
                let child = if path.is_empty() {
                    name.to_bytes().to_vec()
                } else {
                    [&path[..], b"/", name.to_bytes()].concat()
                };
                let at = at(&directory, name);
                let found = self.look(at);
                if !visit(&child, at, found) {
                    return;
                }
                if statx(&directory, name).is_ok_and(|status| status.mode & libc::S_IFMT == libc::S_IFDIR) {
                    waiting.push(child);
                }
            }
        }
    }

    fn open_file(&self, at: At<'_>) -> Result<File, Errno> {
        let path = Path::new(OsStr::from_bytes(at.name.to_bytes()));
        sys::path::open_beneath(at.dir, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).map(File::from)
    }
}

/// What has a name in a directory.
pub fn at<'a>(directory: &'a impl AsFd, name: &'a CStr) -> At<'a> {
    At { dir: directory.as_fd(), name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cowfs::upper::record;
    use std::fs;

    fn folder(storage: Storage) -> (tempfile::TempDir, Upper) {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        for part in [name::UPPER, name::WORK] {
            fs::create_dir(dir.path().join(part)).unwrap();
        }
        let upper = Upper::open(dir.path(), storage).unwrap();
        (dir, upper)
    }

    fn put(dir: &tempfile::TempDir, name: &str, content: &str, marks: &[(&CStr, &str)]) {
        let path = dir.path().join(name::UPPER).join(name);
        fs::write(&path, content).unwrap();
        for (mark, value) in marks {
            sys::xattr::set(&path, mark, value.as_bytes()).unwrap();
        }
    }

    #[test]
    fn what_is_recorded_counts_for_one_driver_alone() {
        for (storage, is_link) in [(Storage::Fuse, true), (Storage::Overlay, false)] {
            let (dir, upper) = folder(storage);
            put(&dir, "link", "/to/there", &[(record::NAME, "1 2 120777")]);
            let Found::File(status, recorded) = upper.look(at(upper.top(), c"link")).unwrap() else { panic!() };
            assert_eq!((status.mode & libc::S_IFMT == libc::S_IFLNK, recorded), (is_link, is_link));
            if recorded {
                assert_eq!(upper.target(at(upper.top(), c"link"), true).unwrap(), b"/to/there");
            }
            put(&dir, "gone", "", &[(WHITEOUT, "y")]);
            assert_eq!(upper.look(at(upper.top(), c"gone")), Ok(Found::Whiteout));
            put(&dir, "there", "x", &[(WHITEOUT, "y")]);
            assert!(matches!(upper.look(at(upper.top(), c"there")), Ok(Found::File(..))));
        }
    }

    #[test]
    fn content_is_where_the_file_says() {
        let (dir, upper) = folder(Storage::Fuse);
        put(&dir, "own", "12345", &[]);
        put(&dir, "lower", "\0\0\0", &[(METACOPY, ""), (REDIRECT, "/etc/passwd")]);
        assert!(matches!(upper.content(at(upper.top(), c"own")), Ok(Content::Own(_))));
        assert!(matches!(upper.content(at(upper.top(), c"lower")), Ok(Content::Lower(path)) if path == b"/etc/passwd"));
        fs::create_dir(dir.path().join("upper/sub")).unwrap();
        fs::hard_link(dir.path().join("upper/own"), dir.path().join("upper/sub/own")).unwrap();
        assert_eq!(upper.bytes(), 5);
        std::os::unix::fs::symlink("own", dir.path().join("upper/link")).unwrap();
        assert_eq!(upper.content(at(upper.top(), c"link")).map(drop), Err(Errno::ELOOP));
    }

    #[test]
    fn a_record_that_makes_no_sense_is_found() {
        let (dir, upper) = folder(Storage::Fuse);
        fs::create_dir(dir.path().join("upper/sub")).unwrap();
        put(&dir, "good", "", &[(record::NAME, "0 42 100640")]);
        assert!(upper.damaged(10).is_empty());
        put(&dir, "sub/bad", "", &[(record::NAME, "0 42")]);
        assert_eq!(upper.damaged(10), [b"sub/bad"]);
        assert!(upper.damaged(0).is_empty());
    }

    #[test]
    fn a_directory_is_opaque_by_one_value_alone() {
        let (dir, upper) = folder(Storage::Overlay);
        let sub = dir.path().join("upper/sub");
        fs::create_dir(&sub).unwrap();
        for (value, opaque) in [("x", false), ("y", true)] {
            sys::xattr::set(&sub, OPAQUE, value.as_bytes()).unwrap();
            assert_eq!(upper.is_opaque(at(upper.top(), c"sub")), opaque);
        }
    }
}
