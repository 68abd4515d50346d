//! The thread that makes a call: its memory, and the files that it means, found in its own root and from its own directory.
//!
//! Everything is found by descriptor, and never by a path of this process's: a link of the container's that points to `/etc/shadow` leads
//! to the container's. Whether the thread still waits, and all this was its own, is asked after it has been looked at
//! ([`sys::notify::is_waiting`]) and before anything is done.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::AT_FDCWD;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;
use sys::memory;

use crate::call::Place;
use crate::server::LONGEST_NAME;

/// How much time there is to find a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Only what the kernel has in its memory: else `EAGAIN` (RESOLVE_CACHED in openat2(2), Linux 5.12).
    None,
    /// As much as it takes.
    Some,
}

/// A thread, by its number in `proc`.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A /proc that shows it, which this thread's working directory is too.
    pub proc: &'a OwnedFd,
    /// Its number.
    pub thread: i32,
}

/// What /proc says of a thread beside its ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The process that it belongs to.
    pub process: i32,
    /// Permission bits that its new files do not get.
    pub umask: u32,
    /// Its process's numbers in all pid namespaces from that of `proc` to its own.
    pub numbers: Vec<i32>,
}

impl Target<'_> {
    /// The path that a place names; an empty one where it names a descriptor.
    pub fn path(&self, place: Place) -> Result<CString, Errno> {
        match place.path {
            None => Ok(c"".to_owned()),
            // Linux 6.11 takes it for an empty one.
            Some(0) if place.may_be_empty => Ok(c"".to_owned()),
            Some(address) => memory::read_path(self.thread, address),
        }
    }

    /// The file at a place whose path has been read, as a descriptor that only stands for it (O_PATH).
    pub fn find(&self, place: Place, path: &CStr, patience: Patience) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return match place.path.is_none() || place.may_be_empty {
                true => self.beginning(place.at),
                false => Err(Errno::ENOENT),
            };
        }
        if let Some(own) = own_descriptor(path).filter(|_| place.follow) {
            return self.beginning(own);
        }
        let mut flags = OFlag::O_PATH;
        flags.set(OFlag::O_NOFOLLOW, !place.follow);
        self.resolve(place.at, path, flags, patience)
    }

    /// The directory that a new file would be in, and its name there.
    pub fn find_parent(&self, at: i32, path: &CStr) -> Result<(OwnedFd, CString), Errno> {
        let bytes = path.to_bytes();
        let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let begin = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = (&bytes[..begin], &bytes[begin..end]);
        if name.is_empty() || name == b"." || name == b".." {
            return Err(Errno::EEXIST);
        }
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let parent = match parent {
            b"" => self.beginning(at)?,
            parent => {
                let parent = CString::new(parent).map_err(|_| Errno::EINVAL)?;
                self.resolve(at, &parent, OFlag::O_PATH | OFlag::O_DIRECTORY, Patience::Some)?
            }
        };
        Ok((parent, name))
    }

    /// The file of a descriptor, or the working directory.
    fn beginning(&self, at: i32) -> Result<OwnedFd, Errno> {
        match at {
            AT_FDCWD => self.open("cwd"),
            at if at >= 0 => self.open(&format!("fd/{at}")),
            _ => Err(Errno::EBADF),
        }
    }

    fn resolve(&self, at: i32, path: &CStr, flags: OFlag, patience: Patience) -> Result<OwnedFd, Errno> {
        let name = Path::new(OsStr::from_bytes(path.to_bytes()));
        if name.is_absolute() {
            return open(&self.open("root")?, name, flags, ResolveFlag::RESOLVE_IN_ROOT, patience);
        }
        let from = self.beginning(at)?;
        match open(&from, name, flags, ResolveFlag::RESOLVE_BENEATH, patience) {
            // By `..`, or by a link that begins at the root.
            Err(Errno::EXDEV) if patience == Patience::None => Err(Errno::EAGAIN),
            Err(Errno::EXDEV) => {
                self.enter_root()?;
                open(&from, name, flags, ResolveFlag::empty(), patience)
            }
            found => found,
        }
    }

    /// Takes on the target's root. This thread's working directory stays.
    fn enter_root(&self) -> Result<(), Errno> {
        let root = self.open("root")?;
        nix::unistd::fchdir(&root)?;
        let entered = nix::unistd::chroot(".");
        nix::unistd::fchdir(self.proc)?;
        entered
    }

    fn open(&self, what: &str) -> Result<OwnedFd, Errno> {
        openat(self.proc, format!("{}/{what}", self.thread).as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// The name that the container's own passwd(5) has for a user.
    pub fn account(&self, uid: u32) -> Option<String> {
        /// The most that is read.
        const LIMIT: u64 = 1 << 20;
        let place = Path::new("/etc/passwd");
        // Whatever else the container has there is neither waited for nor taken as a terminal.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = open(&self.open("root").ok()?, place, flags, ResolveFlag::RESOLVE_IN_ROOT, Patience::Some).ok()?;
        let file = File::from(file);
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut text = Vec::new();
        file.take(LIMIT).read_to_end(&mut text).ok()?;
        name_of(&String::from_utf8_lossy(&text), uid)
    }

    /// The user namespace that it is in, by its inode number.
    pub fn user_namespace(&self) -> Result<u64, Errno> {
        let path = format!("{}/ns/user", self.thread);
        nix::sys::stat::fstatat(self.proc, path.as_str(), AtFlags::empty()).map(|status| status.st_ino)
    }

    /// What /proc says of it.
    pub fn status(&self) -> Result<Status, Errno> {
        let path = format!("{}/status", self.thread);
        let mut text = String::new();
        File::from(openat(self.proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
            .read_to_string(&mut text)
            .map_err(|_| Errno::ESRCH)?;
        Ok(parse_status(&text))
    }
}

/// The descriptor that a path means to whoever uses it, which to us would be one of ours.
fn own_descriptor(path: &CStr) -> Option<i32> {
    let path = path.to_str().ok()?;
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => ["/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"]
            .iter()
            .find_map(|folder| path.strip_prefix(folder))
            .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|number| number.parse().ok()),
    }
}

/// The name of a user in passwd(5), if it is one that can be spoken.
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut names = fields.filter(|fields| fields.len() > 2 && fields[2].parse() == Ok(uid)).map(|fields| fields[0]);
    let can_be_spoken = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain)
    };
    names.next().filter(|name| can_be_spoken(name)).map(str::to_owned)
}

/// The fields of interest of proc_pid_status(5).
fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match name {
            "Umask" => status.umask = u32::from_str_radix(value.trim(), 8).unwrap_or(0o022),
            "Tgid" => status.process = value.trim().parse().unwrap_or(0),
            "NStgid" => status.numbers = value.split_whitespace().filter_map(|number| number.parse().ok()).collect(),
            _ => {}
        }
    }
    status
}

fn open(from: &OwnedFd, path: &Path, flags: OFlag, resolve: ResolveFlag, patience: Patience) -> Result<OwnedFd, Errno> {
    let mut resolve = resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    if patience == Patience::None {
        resolve |= ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
    }
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    for _ in 0..32 {
        match openat2(from, path, how) {
            // Somebody renames things; with patience it is tried again.
            Err(Errno::EAGAIN) if patience == Patience::Some => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn own(proc: &OwnedFd) -> Target<'_> {
        Target { proc, thread: nix::unistd::gettid().as_raw() }
    }

    fn proc() -> OwnedFd {
        File::open("/proc").unwrap().into()
    }

    #[test]
    fn a_path_is_found_as_the_thread_means_it() {
        let proc = proc();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let inode = |path: &str| std::fs::symlink_metadata(dir.path().join(path)).unwrap().ino();
        let open = File::open(dir.path()).unwrap();
        let at = std::os::fd::AsRawFd::as_raw_fd(&open);
        let find = |at: i32, path: &str, follow: bool| {
            let path = CString::new(path).unwrap();
            let place = Place { at, path: Some(path.as_ptr() as u64), follow, may_be_empty: false };
            let read = own(&proc).path(place).unwrap();
            let found = own(&proc).find(place, &read, Patience::Some)?;
            Ok(nix::sys::stat::fstat(&found).unwrap().st_ino)
        };
        let absolute = dir.path().join("link");
        let absolute = absolute.to_str().unwrap();
        assert_eq!(find(at, "file", true), Ok(inode("file")));
        assert_eq!(find(at, "link", true), Ok(inode("file")));
        assert_eq!(find(at, "link", false), Ok(inode("link")));
        assert_eq!(find(-1, absolute, true), Ok(inode("file")));
        assert_eq!(find(at, "none", true), Err(Errno::ENOENT));
        assert_eq!(find(at, "", true), Err(Errno::ENOENT));
        assert_eq!(find(-1, "file", true), Err(Errno::EBADF));
    }

    #[test]
    fn what_a_new_file_would_be_in_is_told_from_its_name() {
        let proc = proc();
        let name = |path: &str| {
            let path = CString::new(path).unwrap();
            own(&proc).find_parent(AT_FDCWD, &path).map(|(_, name)| name.into_string().unwrap())
        };
        assert_eq!(name("/tmp/new"), Ok("new".into()));
        assert_eq!(name("/tmp/new///"), Ok("new".into()));
        assert_eq!(name("new"), Ok("new".into()));
        assert_eq!(name("/tmp//new"), Ok("new".into()));
        for path in ["/", "", ".", "..", "/tmp/.."] {
            assert_eq!(name(path), Err(Errno::EEXIST), "{path}");
        }
        assert_eq!(name("/no such/new"), Err(Errno::ENOENT));
    }

    #[test]
    fn a_path_to_an_open_file_means_the_callers() {
        for (path, descriptor) in
            [(c"/dev/stdout", Some(1)), (c"/proc/self/fd/17", Some(17)), (c"/dev/fd/3", Some(3)), (c"/dev/fd/x", None)]
        {
            assert_eq!(own_descriptor(path), descriptor, "{path:?}");
        }
        for path in [c"/proc/self/fd/", c"/proc/self/fd/-1", c"/proc/self/fd/1/x", c"/proc/1/fd/1", c"/dev/stdouts"] {
            assert_eq!(own_descriptor(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_user_has_the_name_that_the_container_gives_him() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n_apt:*:42:65534::/:/x\n\x1b[2J:x:7:7::/:\n:x:8:\nbad\n";
        assert_eq!(name_of(passwd, 42).as_deref(), Some("_apt"));
        for uid in [7, 8, 9] {
            assert_eq!(name_of(passwd, uid), None);
        }
        let proc = proc();
        assert_eq!(own(&proc).account(0).as_deref(), Some("root"));
    }

    #[test]
    fn status_is_read_from_its_lines() {
        let text = "Name:\tx\nUmask:\t0027\nTgid:\t70\nNStgid:\t70\t5\nUid:\t0\t0\t0\t0\n";
        assert_eq!(parse_status(text), Status { process: 70, umask: 0o027, numbers: vec![70, 5] });
        let proc = proc();
        assert_eq!(own(&proc).status().unwrap().process, std::process::id() as i32);
    }
}
